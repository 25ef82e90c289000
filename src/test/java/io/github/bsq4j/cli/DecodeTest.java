package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DecodeTest {
  @TempDir private Path folder;
  private Path in;
  private Path out;

  @BeforeEach
  void nameFiles() {
    in = folder.resolve("codes.npy");
    out = folder.resolve("out.npy");
  }

  @Test
  void theExampleThereAndBack() throws Exception {
    Cli.run("encode", "examples/librivox_mfcc13.npy", "-o", in).assertText();
    Cli.run("decode", in, "--code-dim=13", "-o", out).assertText();
    assertEquals("(2463, 13)", Npy.read(out).shape());
    Path again = folder.resolve("again.npy");
    Cli.run("encode", out, "-o", again).assertText();
    assertArrayEquals(Files.readAllBytes(in), Files.readAllBytes(again));
  }

  @Test
  void float32() throws Exception {
    Npy.writeIndices(in, "(2, 1)", 0b01, 0b10);
    String text = Cli.run("decode", in, "--code-dim", "2", "-o", out).assertText();
    assertTrue(text.startsWith("rows                2\ncode dim            2\n"), text);
    Npy vectors = Npy.read(out);
    assertEquals("<f4 (2, 1, 2)", vectors.descr() + " " + vectors.shape());
    float a = (float) Math.sqrt(0.5);
    assertArrayEquals(new float[] {-a, a, a, -a}, vectors.floats(), Math.ulp(a));
  }

  @Test
  void float64OfASingleIndex() throws Exception {
    Npy.writeIndices(in, "()", Long.MAX_VALUE);
    JsonObject json =
        Cli.run("decode", in, "--code-dim=63", "-o", out, "--dtype=float64", "--json")
            .assertJson(0);
    assertEquals(1, json.get("rows").getAsLong());
    assertEquals(63, json.get("code_dim").getAsLong());
    Npy vector = Npy.read(out);
    assertEquals("<f8 (63,)", vector.descr() + " " + vector.shape());
    for (double component : vector.doubles()) {
      assertEquals(1 / Math.sqrt(63), component, Math.ulp(0.125));
    }
  }

  @Test
  void noRows() throws Exception {
    Npy.writeIndices(in, "(0, 3)");
    Cli.run("decode", in, "--code-dim=5", "-o", out).assertText();
    assertEquals("(0, 3, 5)", Npy.read(out).shape());
  }

  @ParameterizedTest
  @ValueSource(strings = {"|i1", "|u1", "<i4", ">i4", "<i8", ">i8"})
  void anyIntegerType(String descr) throws Exception {
    Npy.write(in, descr, false, "(2,)", 1, 0);
    Cli.run("decode", in, "--code-dim=1", "--layout=indices", "-o", out).assertText();
    assertArrayEquals(new float[] {1, -1}, Npy.read(out).floats());
    if (!descr.endsWith("1")) {
      Cli.run("decode", in, "--code-dim=1", "-o", out).assertText();
      assertArrayEquals(new float[] {1, -1}, Npy.read(out).floats());
    }
  }

  /** As convert and stats take them. */
  @Test
  void bytesArePackedUnlessToldOtherwise() throws Exception {
    Npy.write(in, "|u1", false, "(2, 2)", 128, 0, 64, 8);
    Cli.run("decode", in, "--code-dim=13", "-o", out).assertText();
    Npy packed = Npy.read(out);
    assertEquals("(2, 13)", packed.shape());
    Path same = folder.resolve("same.npy");
    Cli.run("decode", in, "--code-dim=13", "--packed", "-o", same).assertText();
    assertArrayEquals(Files.readAllBytes(same), Files.readAllBytes(out));
    Cli.run("decode", in, "--code-dim=8", "--layout=indices", "-o", out).assertText();
    assertEquals("(2, 2, 8)", Npy.read(out).shape());
    Cli.run("decode", in, "--code-dim=13", "--packed", "--layout=bits", "-o", out)
        .assertRefused("both --packed and --layout are given");
    Cli.run("decode", in, "--code-dim=13", "--convention=binary", "-o", out)
        .assertRefused(in + ": found elements of type uint8, plain bytes", "expected int8");
    Npy.write(in, "|i1", false, "(2, 2)", 0, -128, -64, -120);
    Cli.run("decode", in, "--code-dim=13", "-o", out)
        .assertRefused(in + ": found elements of type int8", "convention binary; expected uint8");
    Cli.run("decode", in, "--code-dim=13", "--convention=Binary", "-o", out).assertText();
  }

  @Test
  void whatIsReadAsWhat() throws Exception {
    Npy.writeIndices(in, "(1, 2)", 0, 1);
    String text = Cli.run("decode", in, "--code-dim=4", "-o", out).assertText();
    assertTrue(
        text.startsWith(
            "indices             [1, 2], each a code; with --groups=2 each 2 are one\nrows "),
        text);
    text = Cli.run("decode", in, "--code-dim=3", "-o", out).assertText();
    assertTrue(text.startsWith("indices             [1, 2], each a code\nrows "), text);
    text = Cli.run("decode", in, "--code-dim=4", "--groups=2", "-o", out).assertText();
    assertTrue(text.startsWith("rows                1\n"), text);
  }

  @Test
  void moreDimensionsThanAFileHas() throws Exception {
    Npy.writeIndices(in, "(" + "1, ".repeat(64) + ")", 0);
    Cli.run("decode", in, "--code-dim=4", "-o", out)
        .assertRefused(in + ": has too many dimensions: the result would have 65");
  }

  @ParameterizedTest
  @ValueSource(longs = {8, -1, Long.MIN_VALUE, Long.MAX_VALUE})
  void indexOutOfRange(long index) throws Exception {
    Npy.writeIndices(in, "(2, 2)", 7, 0, index, 9);
    Cli.run("decode", in, "--code-dim=3", "-o", out)
        .assertRefused(in + ": indices[2] is " + index + ", expected 0 to 7 for code_dim 3");
    assertFalse(Files.exists(out));
  }

  @Test
  void floatsAreRefused() throws Exception {
    Npy.write(in, "(2,)", 1, 0);
    Cli.run("decode", in, "--code-dim=1", "-o", out)
        .assertRefused(in + ": found elements of type ", "expected integers");
    assertFalse(Files.exists(out));
  }

  @Test
  void wrongCommandLines() throws Exception {
    Npy.writeIndices(in, "(1,)", 0);
    Cli.run("decode", in, "-o", out).assertMisused("Missing required option: '--code-dim=N'");
    Cli.run("decode", in, "--code-dim=3").assertMisused("--output=OUT.npy");
    Cli.run("decode", "--code-dim=3", "-o", out).assertMisused("CODES.npy");
    Cli.run("decode", in, "--code-dim=3", "-o", out, "--dtype=float16")
        .assertMisused("--dtype", "float16");
    Cli.run("decode", in, "--code-dim=0", "-o", out)
        .assertRefused("--code-dim is 0; expected 1 to 4096");
    Cli.run("decode", in, "--code-dim=64", "-o", out)
        .assertRefused("code_dim is 64", "63 bits", "--groups");
    assertFalse(Files.exists(out));
  }

  @Test
  void help() {
    String text = Cli.run("decode", "--help").assertText();
    assertTrue(text.contains("\nUsage: bsq decode [OPTIONS] CODES.npy --code-dim=N -o OUT.npy\n"));
    assertTrue(text.contains("\nAlso packed bits."), text);
    assertTrue(text.lines().allMatch(line -> line.length() <= 80), text);
  }
}
