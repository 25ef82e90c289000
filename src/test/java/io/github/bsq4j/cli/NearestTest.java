package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NearestTest {
  @TempDir private Path folder;
  private Path query;
  private Path codes;

  @BeforeEach
  void nameFiles() {
    query = folder.resolve("query.npy");
    codes = folder.resolve("codes.npy");
  }

  @Test
  void packedBytes() throws Exception {
    Npy.write(query, "|u1", false, "(2, 2)", 0, 1, 255, 255);
    Npy.write(codes, "|u1", false, "(2, 2, 2)", 255, 255, 0, 3, 0, 0, 0, 1);
    String text = Cli.run("nearest", query, codes, "--k=3").assertText();
    assertTrue(
        text.startsWith(
            """
            queries             2
            codes               4
            query 0                      3     0 bits
                                         1     1 bit
                                         2     1 bit
            query 1                      0     0 bits
                                         1    14 bits
                                         3    15 bits
            """),
        text);
    JsonObject json = Cli.run("nearest", query, codes, "--k=1", "--json").assertJson(0);
    JsonArray nearest = json.getAsJsonArray("nearest");
    assertEquals("[{\"position\":3,\"distance\":0}]", nearest.get(0).toString());
    assertEquals("[{\"position\":0,\"distance\":0}]", nearest.get(1).toString());
  }

  @Test
  void theExampleFindsItself() throws Exception {
    Cli.run("encode", "examples/librivox_mfcc13.npy", "-o", codes).assertText();
    JsonObject json = Cli.run("nearest", codes, codes, "--k=1", "--json").assertJson(0);
    long[] indices = Npy.read(codes).longs();
    JsonArray nearest = json.getAsJsonArray("nearest");
    assertEquals(indices.length, nearest.size());
    for (int q = 0; q < indices.length; q++) {
      JsonObject found = nearest.get(q).getAsJsonArray().get(0).getAsJsonObject();
      assertEquals(0, found.get("distance").getAsInt());
      assertEquals(indices[q], indices[found.get("position").getAsInt()]);
    }
  }

  /** ubinary and binary have the same bits in other bytes: a distance between them says nothing. */
  @Test
  void bytesOfTwoForms() throws Exception {
    Npy.write(query, "|u1", false, "(1, 2)", 0, 255);
    Npy.write(codes, "|i1", false, "(2, 2)", -128, 127, 0, 0);
    Cli.run("nearest", query, codes, "--k=1")
        .assertRefused(
            query
                + ": holds uint8 codes of 2 bytes, but "
                + codes
                + " int8 codes of 2 bytes; expected the same: convert --from=ubinary --to=binary"
                + " turns uint8 into int8, and back");
    Path converted = folder.resolve("converted.npy");
    Cli.run("convert", query, converted, "--from=ubinary", "--to=binary", "--code-dim=16")
        .assertText();
    JsonObject json = Cli.run("nearest", converted, codes, "--k=1", "--json").assertJson(0);
    assertEquals("[[{\"position\":0,\"distance\":0}]]", json.get("nearest").toString());
  }

  /** Of groups' indices, or of words, a code has several. */
  @Test
  void severalIntegersForACode() throws Exception {
    Npy.writeIndices(query, "(2,)", 0, 3);
    Npy.writeIndices(codes, "(3, 2)", 0, 0, 1, 3, 4, 3);
    Cli.run("nearest", query, codes, "--k=1")
        .assertRefused(
            codes
                + ": has shape [3, 2], where a code may be one element, or 2 of them; expected"
                + " --groups=1 for the first, --groups=2 for the second");
    assertEquals(
        "[[{\"position\":1,\"distance\":1},{\"position\":2,\"distance\":1}]]", nearest(2, 2));
    assertEquals(
        "[[{\"position\":0,\"distance\":0}],[{\"position\":3,\"distance\":0}]]", nearest(1, 1));
    Cli.run("nearest", query, codes, "--k=1", "--groups=3")
        .assertRefused(query + ": has shape [2]; expected [..., 3] with --groups=3");
    Cli.run("nearest", query, codes, "--k=1", "--groups=0")
        .assertRefused("--groups is 0; expected 1 to 64");
    Npy.write(query, "|u1", false, "(1, 2)", 0, 1);
    Cli.run("nearest", query, query, "--k=1", "--groups=2")
        .assertRefused(query + ": holds packed codes; expected int64 indices or words");
  }

  private String nearest(int groups, int k) {
    return Cli.run("nearest", query, codes, "--k=" + k, "--groups=" + groups, "--json")
        .assertJson(0)
        .get("nearest")
        .toString();
  }

  @Test
  void moreResultsThanAnArrayHolds() throws Exception {
    int count = 70_000;
    Npy.write(
        codes,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + count + ", 1), }\n",
        ByteBuffer.allocate(count));
    Cli.run("nearest", codes, codes, "--k=" + count)
        .assertRefused("--k is 70000 for each of 70000 queries; expected at most 2147483639");
  }

  @Test
  void whatDoesNotFit() throws Exception {
    Npy.write(query, "|u1", false, "(1, 2)", 0, 1);
    Npy.write(codes, "|u1", false, "(2, 2)", 0, 1, 2, 3);
    Cli.run("nearest", query, codes, "--k=3")
        .assertRefused("--k is 3; expected 1 to 2, the codes in " + codes);
    Cli.run("nearest", query, codes, "--k=0").assertRefused("--k is 0; expected 1 to 2");
    Cli.run("nearest", query, codes).assertMisused("Missing required option: '--k=K'");
    Cli.run("nearest", query, codes, "-k", "3").assertRefused("--k is 3; expected 1 to 2");
    Npy.write(codes, "|u1", false, "(2, 1)", 0, 1);
    Cli.run("nearest", query, codes, "--k=1").assertRefused("uint8 codes of 1 byte; expected");
    Npy.write(codes, "|u1", false, "(1, 3)", 0, 1, 2);
    Cli.run("nearest", query, codes, "--k=1")
        .assertRefused(
            query
                + ": holds uint8 codes of 2 bytes, but "
                + codes
                + " uint8 codes of 3 bytes; expected the same\n");
    Npy.writeIndices(codes, "(2,)", 1, 2);
    Cli.run("nearest", query, codes, "--k=1")
        .assertRefused(query + ": holds uint8 codes of 2 bytes, but " + codes + " indices");
    Npy.write(codes, "(2,)", 1, 2);
    Cli.run("nearest", query, codes, "--k=1")
        .assertRefused(codes + ": found elements of type float32; expected uint8 or int8");
    Npy.write(codes, "|u1", false, "(1, 513)", new double[513]);
    Cli.run("nearest", query, codes, "--k=1")
        .assertRefused(codes + ": has shape [1, 513]; expected [..., 1 to 512 bytes]");
    Cli.run("nearest", query, folder.resolve("none.npy"), "--k=1").assertRefused("none.npy");
  }
}
