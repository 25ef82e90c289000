package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StatsTest {
  private static final String EXAMPLE = "examples/librivox_mfcc13.npy";

  @TempDir private Path folder;
  private Path codes;

  @BeforeEach
  void nameFiles() {
    codes = folder.resolve("codes.npy");
  }

  @Test
  void text() throws Exception {
    Npy.writeIndices(codes, "(4,)", 3, 0, 3, 1);
    String text = Cli.run("stats", codes, "--code-dim=2").assertText();
    assertEquals(
        """
        rows                4
        code dim            2
        codes used          3 of 4 (75.0 %)
        entropy             1.500000 bits, 1.039721 nats
        perplexity          2.828427 of 4
        most used           3: 2 (50.0 %)
                            0: 1 (25.0 %)
                            1: 1 (25.0 %)
        least used          0: 1 (25.0 %)
                            1: 1 (25.0 %)
                            3: 2 (50.0 %)
        share of ones       0.5000 0.7500
        correlated bits     0, 1: 0.5774
        """,
        text.substring(0, text.indexOf("time ")));
  }

  @Test
  void json() throws Exception {
    Npy.writeIndices(codes, "(2, 3)", 3, 0, 3, 1, 1, 1);
    JsonObject json = Cli.run("stats", codes, "--code-dim=3", "--top=1", "--json").assertJson(0);
    assertEquals(6, json.get("rows").getAsLong());
    assertEquals(3, json.get("code_dim").getAsLong());
    assertTrue(json.get("seconds").getAsDouble() >= 0);
    JsonObject codebook = json.getAsJsonArray("codebooks").get(0).getAsJsonObject();
    assertEquals(3, codebook.get("codes_used").getAsLong());
    double nats = codebook.get("entropy_nats").getAsDouble();
    assertEquals(
        -Math.log(1 / 2.0) / 2 - Math.log(1 / 3.0) / 3 - Math.log(1 / 6.0) / 6, nats, 1e-15);
    assertEquals(nats / Math.log(2), codebook.get("entropy_bits").getAsDouble());
    assertEquals(Math.exp(nats), codebook.get("perplexity").getAsDouble());
    assertEquals("[{\"index\":1,\"count\":3}]", codebook.get("most_used").toString());
    assertEquals("[{\"index\":0,\"count\":1}]", codebook.get("least_used").toString());
    assertEquals("[2]", codebook.get("unused").toString());
    assertEquals(0, codebook.getAsJsonArray("bit_balance").get(0).getAsDouble());
    assertEquals(5 / 6.0, codebook.getAsJsonArray("bit_balance").get(2).getAsDouble());
    assertEquals(0, codebook.getAsJsonArray("bit_entropy_nats").get(0).getAsDouble());
    JsonArray matrix = codebook.getAsJsonArray("bit_correlation");
    assertEquals(3, matrix.size());
    assertTrue(matrix.get(0).getAsJsonArray().get(1).isJsonNull()); // bit 0 is constant
    assertEquals(1, matrix.get(1).getAsJsonArray().get(1).getAsDouble());
    JsonObject pair = codebook.getAsJsonArray("most_correlated_bits").get(0).getAsJsonObject();
    assertEquals(1, pair.get("a").getAsInt());
    assertEquals(2, pair.get("b").getAsInt());
    assertEquals(
        matrix.get(1).getAsJsonArray().get(2).getAsDouble(), pair.get("correlation").getAsDouble());
  }

  /** Real speech, by a count of our own. */
  @Test
  void theExample() throws Exception {
    Cli.run("encode", EXAMPLE, "-o", codes).assertText();
    Map<Long, Long> counts = new HashMap<>();
    for (long index : Npy.read(codes).longs()) {
      counts.merge(index, 1L, Long::sum);
    }
    double entropy = 0;
    for (long count : counts.values()) {
      entropy -= count / 2463.0 * Math.log(count / 2463.0);
    }
    JsonObject json = Cli.run("stats", codes, "--code-dim=13", "--json").assertJson(0);
    assertEquals(2463, json.get("rows").getAsLong());
    JsonObject codebook = json.getAsJsonArray("codebooks").get(0).getAsJsonObject();
    assertEquals(counts.size(), codebook.get("codes_used").getAsLong());
    assertEquals(entropy, codebook.get("entropy_nats").getAsDouble(), 1e-12);
    for (JsonElement used : codebook.getAsJsonArray("most_used")) {
      JsonObject code = used.getAsJsonObject();
      assertEquals(counts.get(code.get("index").getAsLong()), code.get("count").getAsLong());
    }

    // The same of packed bytes.
    Path packed = folder.resolve("packed.npy");
    Cli.run("encode", EXAMPLE, "--packed", "-o", packed).assertText();
    JsonObject again = Cli.run("stats", packed, "--code-dim=13", "--json").assertJson(0);
    assertEquals(json.get("codebooks"), again.get("codebooks"));
    String text = Cli.run("stats", packed, "--code-dim=13").assertText();
    assertTrue(text.contains("codes used          1187 of 8192 (14.5 %)\n"), text);
  }

  @Test
  void codebooksAndGroups() throws Exception {
    Npy.writeIndices(codes, "(2, 2, 2)", 1, 2, 3, 0, 1, 2, 0, 3);
    JsonObject json =
        Cli.run("stats", codes, "--code-dim=4", "--codebooks=2", "--groups=2", "--json")
            .assertJson(0);
    assertEquals(2, json.get("rows").getAsLong());
    JsonArray codebooks = json.getAsJsonArray("codebooks");
    assertEquals(
        "[{\"index\":6,\"count\":2}]",
        codebooks.get(0).getAsJsonObject().get("most_used").toString());
    assertEquals(
        "[{\"index\":3,\"count\":1},{\"index\":12,\"count\":1}]",
        codebooks.get(1).getAsJsonObject().get("most_used").toString());
    String text =
        Cli.run("stats", codes, "--code-dim=4", "--codebooks=2", "--groups=2").assertText();
    assertTrue(text.contains("codebook            0 of 2\n"), text);
    assertTrue(text.contains("codebook            1 of 2\n"), text);
  }

  @Test
  void conventionsOfBitsAndBytes() throws Exception {
    Npy.writeIndices(codes, "(2,)", 1, 1);
    String text = Cli.run("stats", codes, "--code-dim=3", "--convention=seed-voken").assertText();
    assertTrue(text.contains("most used           1: 2 (100 %)\n"), text);
    assertTrue(text.contains("share of ones       1.0000 0.0000 0.0000\n"), text);
    Npy.write(codes, "|i1", false, "(1, 1)", -128 + 0b10100000);
    text = Cli.run("stats", codes, "--code-dim=3", "--convention=binary").assertText();
    assertTrue(text.contains("most used           5: 1 (100 %)\n"), text);
    Cli.run("stats", codes, "--code-dim=3")
        .assertRefused(
            codes + ": found elements of type int8", "convention binary; expected uint8");
    Npy.write(codes, "|u1", false, "(1, 3)", 1, 0, 1);
    text = Cli.run("stats", codes, "--code-dim=3", "--layout=bits").assertText();
    assertTrue(text.contains("most used           5: 1 (100 %)\n"), text);
  }

  @Test
  void longCodesHaveFiguresOfBits() throws Exception {
    byte[] bytes = new byte[3 * 128];
    Arrays.fill(bytes, 128, 256, (byte) 0xFF);
    writeBytes("(3, 128)", bytes);
    String text = Cli.run("stats", codes, "--code-dim=1024", "--top=1").assertText();
    assertEquals(
        """
        rows                3
        code dim            1024
        codes used          not counted above 20 bits
        share of ones       0.3333 (bit 0) to 0.3333 (bit 0)
        correlated bits     0, 1: 1.0000
        """,
        text.substring(0, text.indexOf("time ")));
    JsonObject codebook =
        Cli.run("stats", codes, "--code-dim=1024", "--json")
            .assertJson(0)
            .getAsJsonArray("codebooks")
            .get(0)
            .getAsJsonObject();
    for (String name : List.of("codes_used", "entropy_bits", "most_used", "bit_correlation")) {
      assertTrue(codebook.get(name).isJsonNull(), name);
    }
    assertEquals(1024, codebook.getAsJsonArray("bit_balance").size());
  }

  /** A file of several parts, in the other byte order, too. */
  @ParameterizedTest
  @ValueSource(strings = {"<i8", ">i8"})
  void partByPart(String descr) throws Exception {
    int rows = 2_500_000; // 20 MB
    ByteBuffer data = ByteBuffer.allocate(rows * Long.BYTES);
    data.order(descr.startsWith(">") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < rows; i++) {
      data.putLong(i % 1000);
    }
    String header =
        "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + rows + ",), }\n";
    Npy.write(codes, header, data.flip());
    JsonObject codebook =
        Cli.run("stats", codes, "--code-dim=10", "--json")
            .assertJson(0)
            .getAsJsonArray("codebooks")
            .get(0)
            .getAsJsonObject();
    assertEquals(1000, codebook.get("codes_used").getAsLong());
    assertEquals(Math.log(1000), codebook.get("entropy_nats").getAsDouble(), 1e-12);

    data.putLong((rows - 1) * Long.BYTES, 1024);
    Npy.write(codes, header, data.rewind());
    Cli.run("stats", codes, "--code-dim=10")
        .assertRefused(
            codes + ": of the rows from 2097152 on, indices[402847] is 1024, expected 0 to 1023");
  }

  @Test
  void fortranOrder() throws Exception {
    // [[1, 2], [1, 3]]: two codebooks.
    Npy.write(codes, "<i8", true, "(2, 2)", 1, 1, 2, 3);
    String text = Cli.run("stats", codes, "--code-dim=2", "--codebooks=2").assertText();
    assertTrue(text.contains("most used           1: 2 (100 %)\n"), text);
    assertTrue(text.contains("least used          2: 1 (50.0 %)\n"), text);
  }

  @Test
  void noRows() throws Exception {
    Npy.writeIndices(codes, "(0, 3)");
    JsonObject json = Cli.run("stats", codes, "--code-dim=5", "--json").assertJson(0);
    assertEquals(0, json.get("rows").getAsLong());
    JsonObject codebook = json.getAsJsonArray("codebooks").get(0).getAsJsonObject();
    assertEquals(0, codebook.get("codes_used").getAsLong());
    assertTrue(codebook.get("entropy_bits").isJsonNull());
    assertTrue(codebook.getAsJsonArray("bit_balance").get(0).isJsonNull());
    Cli.run("stats", codes, "--code-dim=5").assertText();
    assertNull(json.get("output"));
  }

  // Refusals

  @Test
  void badCodes() throws Exception {
    Npy.writeIndices(codes, "(3,)", 7, 8, 0);
    Cli.run("stats", codes, "--code-dim=3")
        .assertRefused(codes + ": indices[1] is 8, expected 0 to 7 for code_dim 3");
    Npy.writeIndices(codes, "(1,)", -1);
    Cli.run("stats", codes, "--code-dim=3").assertRefused("indices[0] is -1, expected 0 to 7");
    writeBytes("(1, 2)", new byte[] {0, 1});
    Cli.run("stats", codes, "--code-dim=13")
        .assertRefused(codes + ": packed[0, 1] is 0x1, whose padding is not 0");
  }

  @Test
  void shapesThatDoNotFit() throws Exception {
    writeBytes("(1, 2)", new byte[2]);
    Cli.run("stats", codes, "--code-dim=17")
        .assertRefused(codes + ": has shape [1, 2]; expected [..., 3] with these options");
    Npy.writeIndices(codes, "(2, 3)", 0, 0, 0, 0, 0, 0);
    Cli.run("stats", codes, "--code-dim=4", "--codebooks=2")
        .assertRefused(codes + ": has shape [2, 3]; expected [..., 2]");
  }

  /** As decode takes them. 8-bit integers are packed bytes, unless --layout says otherwise. */
  @ParameterizedTest
  @ValueSource(strings = {"<i4", ">i4", "<i8", "|u1"})
  void indicesOfAnyType(String descr) throws Exception {
    Npy.write(codes, descr, false, "(4,)", 1, 5, 5, 7);
    JsonObject json =
        Cli.run("stats", codes, "--code-dim=3", "--layout=indices", "--json").assertJson(0);
    JsonObject codebook = json.getAsJsonArray("codebooks").get(0).getAsJsonObject();
    assertEquals(3, codebook.get("codes_used").getAsLong());
    if (!descr.equals("|u1")) {
      Cli.run("stats", codes, "--code-dim=3").assertText();
    }
    Npy.write(codes, descr, false, "(4,)", 1, 5, 5, 8);
    Cli.run("stats", codes, "--code-dim=3", "--layout=indices")
        .assertRefused(codes + ": indices[3] is 8, expected 0 to 7");
  }

  @Test
  void typesThatDoNotFit() throws Exception {
    Npy.write(codes, "(2,)", 1, 0);
    Cli.run("stats", codes, "--code-dim=3")
        .assertRefused(
            codes + ": found elements of type float32; expected integers, for indices, or uint8");
    Npy.writeIndices(codes, "(1,)", 0);
    Cli.run("stats", codes, "--code-dim=3", "--layout=bytes")
        .assertRefused("of type int64; expected uint8 with --layout bytes");
    Npy.write(codes, "(2,)", 1, 0);
    Cli.run("stats", codes, "--code-dim=3", "--layout=indices")
        .assertRefused("of type float32; expected integers with --layout indices");
    Npy.writeIndices(codes, "(1,)", 0);
    Cli.run("stats", codes, "--code-dim=64")
        .assertRefused("up to 63 bits", "code_dim is 64", "--groups");
  }

  @Test
  void wrongCommandLines() throws Exception {
    Npy.writeIndices(codes, "(1,)", 0);
    Cli.run("stats", codes).assertMisused("Missing required option: '--code-dim=N'");
    Cli.run("stats", "--code-dim=3").assertMisused("CODES.npy");
    Cli.run("stats", codes, "--code-dim=0").assertRefused("--code-dim is 0; expected 1 to 4096");
    Cli.run("stats", codes, "--code-dim=3", "--top=-1").assertRefused("--top is -1");
    Cli.run("stats", codes, "--code-dim=3", "--groups=2")
        .assertRefused("--groups is 2, which does not divide code_dim 3");
    Cli.run("stats", codes, "--code-dim=3", "--codebooks=0").assertRefused("--codebooks is 0");
    Cli.run("stats", codes, "--code-dim=3", "--convention=x").assertRefused("--convention is x");
    Cli.run("stats", folder.resolve("none.npy"), "--code-dim=3").assertRefused("none.npy");
    Files.writeString(codes, "no array");
    Cli.run("stats", codes, "--code-dim=3").assertRefused("not a .npy file");
  }

  @Test
  void help() {
    String text = Cli.run("stats", "--help").assertText();
    assertTrue(text.contains("\nUsage: bsq stats [OPTIONS] CODES.npy --code-dim=N\n"), text);
    assertTrue(text.lines().allMatch(line -> line.length() <= 80), text);
  }

  private void writeBytes(String shape, byte[] bytes) throws Exception {
    Npy.write(
        codes,
        "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }\n",
        ByteBuffer.wrap(bytes));
  }
}
