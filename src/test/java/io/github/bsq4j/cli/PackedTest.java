package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Packed codes, conventions, margins, and what converts between them. */
class PackedTest {
  private static final Path EXAMPLE = Path.of("examples/librivox_mfcc13.npy");

  @TempDir private Path folder;
  private Path in;
  private Path out;

  @BeforeEach
  void nameFiles() {
    in = folder.resolve("in.npy");
    out = folder.resolve("out.npy");
  }

  @Test
  void eachConvention() throws Exception {
    Npy.write(in, "(1, 10)", 0.5f, -1, 0, 2, -0.0f, 3, -4, 5, 6, -7);
    assertPacked("|u1 (1, 2)", "speechbrain", 0b10010101, 0b10000000);
    assertPacked("|u1 (1, 2)", "ubinary", 0b10010101, 0b10000000);
    assertPacked("|i1 (1, 2)", "binary", 0b10010101 - 128, 0);
    assertPacked("|u1 (1, 2)", "faiss", 0b10111101, 0b01);
    Cli.run("encode", in, "--convention=kronos", "-o", out).assertText();
    assertArrayEquals(new long[] {0b0110101001}, Npy.read(out).longs());
    Cli.run("encode", in, "--convention=seed-voken", "-o", out).assertText();
    assertArrayEquals(new long[] {0b0110101001}, Npy.read(out).longs());
  }

  private void assertPacked(String header, String convention, int... expected) throws Exception {
    String text =
        Cli.run("encode", in, "--packed", "--convention", convention, "-o", out).assertText();
    assertTrue(text.contains("packed bytes        [1, 2]\n"), text);
    Npy packed = Npy.read(out);
    assertEquals(header, packed.descr() + " " + packed.shape());
    assertArrayEquals(bytes(expected), remaining(packed));
  }

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  private static byte[] remaining(Npy npy) {
    byte[] bytes = new byte[npy.data().remaining()];
    npy.data().get(bytes);
    return bytes;
  }

  /** The example in each convention, through packed bytes and back, and to indices. */
  @ParameterizedTest
  @ValueSource(
      strings = {"speechbrain", "bsq-vit", "seed-voken", "kronos", "ubinary", "binary", "faiss"})
  void theExampleThereAndBack(String convention) throws Exception {
    String with = "--convention=" + convention;
    String text = Cli.run("encode", EXAMPLE, "--packed", with, "-o", in).assertText();
    assertTrue(text.contains("packed bytes        [2463, 2]\n"), text);
    assertTrue(text.contains("distinct codes      1187 of 8192\n"), text);
    Path indices = folder.resolve("indices.npy");
    Cli.run("encode", EXAMPLE, with, "-o", indices).assertText();

    Path vectors = folder.resolve("vectors.npy");
    Cli.run("decode", in, "--packed", "--code-dim=13", with, "-o", vectors).assertText();
    Path again = folder.resolve("again.npy");
    Cli.run("encode", vectors, "--packed", with, "-o", again).assertText();
    assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(again));

    String[] same = {"--from=" + convention, "--to=" + convention, "--code-dim=13"};
    Cli.run("convert", in, again, "--to-layout=indices", same[0], same[1], same[2]).assertText();
    assertArrayEquals(Files.readAllBytes(indices), Files.readAllBytes(again));
    Cli.run("convert", in, again, "--from", convention, "--to=ubinary", same[2]).assertText();
    Cli.run("convert", again, out, "--from=ubinary", "--to", convention, same[2]).assertText();
    assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(out));
  }

  @Test
  void longCodes() throws Exception {
    float[] x = new float[200];
    x[127] = 1;
    Npy.write(in, "(2, 100)", x);
    JsonObject json =
        Cli.run("encode", in, "--packed", "--no-loss", "--json", "-o", out).assertJson(0);
    assertEquals(2, json.get("distinct_codes").getAsLong());
    assertEquals("[2,13]", json.get("packed_shape").toString());
    Path vectors = folder.resolve("vectors.npy");
    Cli.run("decode", out, "--packed", "--code-dim=100", "-o", vectors).assertText();
    float[] codes = Npy.read(vectors).floats();
    for (int i = 0; i < codes.length; i++) {
      assertEquals(i == 127 ? 0.1f : -0.1f, codes[i]);
    }
    Cli.run(
            "convert",
            out,
            in,
            "--from=ubinary",
            "--to=faiss",
            "--to-layout=indices",
            "--code-dim=100")
        .assertRefused(
            "--to-layout is indices, but code_dim is 100, and an index has up to 63 bits");
  }

  @Test
  void margins() throws Exception {
    Npy.write(in, "(2, 1, 2)", 3, -4, 5, 0);
    Path margins = folder.resolve("margins.npy");
    String text = Cli.run("encode", in, "--margin", margins, "-o", out).assertText();
    assertTrue(text.endsWith("\nmargins             " + margins + "\n"), text);
    assertTrue(text.contains("smallest margin     0.000000\n"), text);
    Npy npy = Npy.read(margins);
    assertEquals("<f4 (2, 1)", npy.descr() + " " + npy.shape());
    assertArrayEquals(new float[] {0.6f, 0}, npy.floats(), 1e-7f);
    JsonObject json =
        Cli.run("encode", in, "--codebooks=2", "--margin", margins, "--json").assertJson(0);
    assertEquals(0, json.get("smallest_margin").getAsDouble());
    assertEquals(margins.toString(), json.get("margins").getAsString());
    assertEquals("(2, 1, 2)", Npy.read(margins).shape());
    Cli.run("encode", in, "--margin", in).assertRefused(in + ": is an input, too");
    Cli.run("encode", in, "-o", out, "--margin", out)
        .assertRefused(out + ": is the output, too; expected another file for --margin");
    Cli.run("encode", in, "--margin", in).assertRefused("expected another file for --margin");
  }

  /** By whatever name: the second would replace the first. */
  @Test
  void marginsInThePlaceOfCodes() throws Exception {
    Npy.write(in, "(2, 1, 2)", 3, -4, 5, 0);
    Path link = Files.createSymbolicLink(folder.resolve("link.npy"), Path.of("out.npy"));
    Path far = Files.createSymbolicLink(folder.resolve("far.npy"), link.toAbsolutePath());
    Files.createDirectory(folder.resolve("sub"));
    Path around = folder.resolve("sub/../out.npy");
    Path linkedFolder = Files.createSymbolicLink(folder.resolve("here"), Path.of("."));
    for (boolean exists : new boolean[] {false, true}) {
      if (exists) {
        Files.writeString(out, "old");
      }
      for (Path same :
          List.of(
              out,
              link,
              far,
              around,
              folder.resolve("./out.npy"),
              linkedFolder.resolve(out.getFileName()))) {
        Cli.run("encode", in, "-o", out, "--margin", same)
            .assertRefused(same + ": is the output, too; expected another file for --margin");
        Cli.run("encode", in, "-o", same, "--margin", out).assertRefused(out + ": is the output");
      }
      assertEquals(exists, Files.exists(out));
    }
    assertEquals("old", Files.readString(out));
    Path loop = folder.resolve("loop.npy");
    Files.createSymbolicLink(loop, loop);
    Cli.run("encode", in, "-o", out, "--margin", loop)
        .assertRefused(loop.toString(), "too many symbolic links");
  }

  @Test
  void layouts() throws Exception {
    Npy.writeIndices(in, "(2,)", 0b110, 0b001);
    String[] flags = {"--code-dim=3", "--from=speechbrain", "--to=faiss", "--to-layout"};
    JsonObject json =
        Cli.run("convert", in, out, flags[0], flags[1], flags[2], flags[3], "bits", "--json")
            .assertJson(0);
    assertEquals("indices", json.get("from_layout").getAsString());
    assertEquals("bits", json.get("to_layout").getAsString());
    assertArrayEquals(bytes(1, 1, 0, 0, 0, 1), remaining(Npy.read(out)));
    Cli.run("convert", in, out, flags[0], flags[1], flags[2], flags[3], "WORDS").assertText();
    assertEquals("<i8 (2, 1)", Npy.read(out).descr() + " " + Npy.read(out).shape());
    assertArrayEquals(new long[] {0b011, 0b100}, Npy.read(out).longs());
    Cli.run("convert", out, in, flags[0], "--from=faiss", "--to=faiss", "--from-layout=words")
        .assertText();
  }

  @Test
  void whatDoesNotFit() throws Exception {
    String[] flags = {"--code-dim=13", "--from=ubinary", "--to=faiss"};
    Npy.write(in, "|u1", false, "(2, 2)", 1, 0, 2, 3);
    Cli.run("convert", in, out, flags[0], flags[1], flags[2])
        .assertRefused(in + ": packed[1, 1] is 0x3, whose padding is not 0", "code_dim 13");
    Cli.run("decode", in, "--packed", flags[0], "-o", out)
        .assertRefused(in + ": packed[1, 1] is 0x3, whose padding is not 0", "code_dim 13");
    Cli.run("convert", in, out, "--code-dim=17", flags[1], flags[2])
        .assertRefused(in + ": has shape [2, 2]; expected [..., 3] with these options");
    Cli.run("convert", in, out, flags[0], "--from=lfq", flags[2])
        .assertRefused("--from is lfq; expected speechbrain or focalcodec, ", "faiss");
    Cli.run("encode", EXAMPLE, "--convention=lfq")
        .assertRefused("--convention is lfq; expected speechbrain or focalcodec, ", "faiss");
    Cli.run("convert", in, in, flags[0], flags[1], flags[2])
        .assertRefused(in + ": is an input, too; expected another file for OUT.npy");
    Cli.run("convert", in, out, flags[0], flags[1], flags[2], "--groups=2")
        .assertRefused("--groups is 2, which does not divide code_dim 13");
    Cli.run("convert", in, out, flags[0], flags[1], flags[2], "--to-layout=octets")
        .assertMisused("expected one of indices, bytes, words, bits, but was 'octets'");
    Cli.run("convert", in, out, "--code-dim=0", flags[1], flags[2])
        .assertRefused("--code-dim is 0; expected 1 to 4096");
    Cli.run("convert", in, out, flags[0], "--from=binary", flags[2])
        .assertRefused(in + ": found elements of type uint8, plain bytes", "expected int8");
    Npy.write(in, "<f4", false, "(2, 2)", 1, 0, 2, 3);
    Cli.run("convert", in, out, flags[0], flags[1], flags[2])
        .assertRefused(in + ": found elements of type float32; expected integers");
    Cli.run("decode", in, "--packed", flags[0], "-o", out)
        .assertRefused(in + ": found elements of type float32; expected uint8, for packed codes");
    Npy.writeIndices(in, "(2,)", 5, 8192);
    Cli.run("convert", in, out, flags[0], flags[1], flags[2])
        .assertRefused(in + ": indices[1] is 8192, expected 0 to 8191 for code_dim 13");
    Npy.write(
        in,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 2), }\n",
        ByteBuffer.allocate(0));
    Files.deleteIfExists(out);
    Cli.run("convert", in, out, flags[0], flags[1], flags[2]).assertText();
    assertEquals("(0, 2)", Npy.read(out).shape());
    Files.delete(out);
    Npy.write(in, "(1, 3)", 1, Float.NaN, 1);
    Cli.run("encode", in, "--packed", "-o", out).assertRefused(in + ": x[0, 1] is nan");
    assertFalse(Files.exists(out));
  }
}
