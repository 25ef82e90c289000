package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EncodeTest {
  private static final Path EXAMPLE = Path.of("examples/librivox_mfcc13.npy");
  private static final float[] X = {3, -1, 2, -0.5f, 0, -0.0f, -1, 1, 1e-30f, -2, -3, 4};
  private static final long[] INDICES = {0b101, 0b000, 0b011, 0b001};

  @TempDir private Path folder;
  private Path in;
  private Path out;

  @BeforeEach
  void nameFiles() {
    in = folder.resolve("in.npy");
    out = folder.resolve("out.npy");
  }

  // The main job

  @Test
  void theExampleGivesTheCodesOfItsSigns() throws Exception {
    Cli.Result result = Cli.run("encode", EXAMPLE, "-o", out, "--json");
    float[] x = Npy.read(EXAMPLE).floats();
    long[] expected = indices(x, 13);
    Npy codes = Npy.read(out);
    assertEquals("<i8 (2463,)", codes.descr() + " " + codes.shape());
    assertArrayEquals(expected, codes.longs());

    JsonObject json = result.assertJson(0);
    assertEquals(2463, json.get("rows").getAsLong());
    assertEquals(13, json.get("code_dim").getAsLong());
    assertEquals(
        Arrays.stream(expected).distinct().count(), json.get("distinct_codes").getAsLong());
    assertEquals("[2463]", json.get("index_shape").toString());
    assertEquals(1300, json.get("bits_per_second").getAsDouble());
    assertEquals(2463, json.get("counted_rows").getAsLong());
    assertEquals(2463, json.get("entropy_rows").getAsLong());
    assertLosses(DenseLosses.of(x, 13, 100, 0.1, 1), json);
    assertTrue(json.get("seconds").getAsDouble() > 0);
    assertEquals(out.toString(), json.get("output").getAsString());
    assertTrue(result.err().startsWith("rows                2463\n"), result::toString);
  }

  @Test
  void theTextSaysItAll() {
    List<String> lines = Cli.run("encode", EXAMPLE).assertText().lines().toList();
    assertEquals(
        List.of(
            "rows                2463",
            "code dim            13",
            "indices             [2463]",
            "distinct codes      1187 of 8192",
            "bit rate            1300 bit/s at 100 frames/s"),
        lines.subList(0, 5));
    assertTrue(lines.get(5).matches("aux loss            -0\\.63468\\d+"), lines.get(5));
    assertTrue(lines.get(6).matches("per-sample entropy  0\\.48110\\d+ nats"), lines.get(6));
    assertTrue(lines.get(7).matches("codebook entropy    6\\.8279\\d+ nats"), lines.get(7));
    assertTrue(lines.get(8).matches("entropy loss        -6\\.3468\\d+ nats"), lines.get(8));
    assertEquals("commitment          not computed, its weight is 0", lines.get(9));
    assertEquals("counted rows        2463", lines.get(10));
    assertTrue(lines.get(11).matches("time                \\d+\\.\\d{3} ms"), lines.get(11));
    assertEquals(12, lines.size());
  }

  @Test
  void numbersLookTheSameInEveryCountry() {
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
      assertTrue(Cli.run("encode", EXAMPLE).assertText().contains("aux loss            -0.63"));
      Locale.setDefault(Locale.GERMANY);
      assertTrue(Cli.run("encode", EXAMPLE).assertText().contains("aux loss            -0.63"));
    } finally {
      Locale.setDefault(before);
    }
  }

  // Options

  @Test
  void temperatureWeightAndGamma() throws Exception {
    float[] x = Npy.read(EXAMPLE).floats();
    float[] part = Arrays.copyOf(x, 40 * 5);
    Npy.write(in, "(40, 5)", part);
    JsonObject json =
        Cli.run(
                "encode",
                in,
                "--inv-temperature=0.7",
                "--entropy-loss-weight=-2",
                "--diversity-gamma=0.25",
                "--code-dim=5",
                "--json")
            .assertJson(0);
    assertLosses(DenseLosses.of(part, 5, 0.7, -2, 0.25), json);
    assertTrue(json.get("output").isJsonNull());
  }

  @Test
  void noLoss() throws Exception {
    Npy.write(in, "(4, 3)", X);
    Cli.Result result = Cli.run("encode", in, "-o", out, "--no-loss", "--json");
    JsonObject json = result.assertJson(0);
    assertTrue(json.get("aux_loss").isJsonNull());
    assertTrue(json.get("per_sample_entropy").isJsonNull());
    assertTrue(json.get("codebook_entropy").isJsonNull());
    assertTrue(json.get("entropy_loss").isJsonNull());
    assertTrue(json.get("commitment").isJsonNull());
    assertTrue(json.get("counted_rows").isJsonNull());
    assertEquals(4, json.get("distinct_codes").getAsLong());
    assertFalse(result.err().contains("entropy"), result::toString);
    assertArrayEquals(INDICES, Npy.read(out).longs());
  }

  @Test
  void frameRate() throws Exception {
    Npy.write(in, "(4, 3)", X);
    String text = Cli.run("encode", in, "--frame-rate=12.5").assertText();
    assertTrue(
        text.contains("bit rate            37.5000 bit/s at 12.5000 frames/s\n")
            || text.contains("bit rate            37.5 bit/s at 12.5 frames/s\n"),
        text);
    for (String rate : List.of("0", "-1", "NaN", "Infinity")) {
      Cli.run("encode", in, "--frame-rate=" + rate).assertRefused("--frame-rate is ", "above 0");
    }
  }

  @Test
  void codeDimMustFit() throws Exception {
    Npy.write(in, "(4, 3)", X);
    Cli.run("encode", in, "--code-dim=3").assertText();
    Cli.run("encode", in, "-o", out, "--code-dim=4")
        .assertRefused(in + ": the last dimension is 3, but --code-dim is 4");
    assertNothingWritten();
  }

  @ParameterizedTest
  @ValueSource(strings = {"-1", "NaN", "1e31"})
  void impossibleTemperature(String value) throws Exception {
    Npy.write(in, "(4, 3)", X);
    Cli.run("encode", in, "-o", out, "--inv-temperature=" + value)
        .assertRefused("inverseTemperature is ", "expected 0 to");
    assertNothingWritten();
  }

  @Test
  void nonFiniteValuesAreRefusedWithTheirPlace() throws Exception {
    float[] x = X.clone();
    x[7] = Float.NaN;
    x[10] = Float.NEGATIVE_INFINITY;
    Npy.write(in, "(2, 2, 3)", x);
    for (String loss : List.of("--json", "--no-loss")) {
      Cli.run("encode", in, "-o", out, loss)
          .assertRefused(in + ": ", "x[2, 1] is nan", "--non-finite propagate");
    }
    assertNothingWritten();
  }

  @Test
  void nonFiniteValuesAreLetThroughOnDemand() throws Exception {
    float[] x = X.clone();
    x[7] = Float.NaN;
    Npy.write(in, "(4, 3)", x);
    JsonObject json =
        Cli.run("encode", in, "-o", out, "--non-finite=propagate", "--json").assertJson(0);
    assertTrue(json.get("aux_loss").isJsonNull());
    assertArrayEquals(new long[] {0b101, 0, 0, 0b001}, Npy.read(out).longs());
    String text = Cli.run("encode", in, "--non-finite=propagate").assertText();
    assertTrue(text.contains("aux loss            NaN\n"), text);
  }

  // Shapes and types

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "(4, 3); (4,)",
        "(12, 1); (12,)",
        "(12,); ()",
        "(2, 2, 3); (2, 2)",
        "(1, 2, 1, 2, 3); (1, 2, 1, 2)",
        "(1, 1, 1, 2, 1, 1, 2, 3); (1, 1, 1, 2, 1, 1, 2)"
      })
  void anyRank(String shape, String codesShape) throws Exception {
    Npy.write(in, shape, X);
    Cli.run("encode", in, "-o", out).assertText();
    Npy codes = Npy.read(out);
    assertEquals(codesShape, codes.shape());
    int dim = X.length / codes.longs().length;
    assertArrayEquals(indices(X, dim), codes.longs());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {"(0, 13); (0,)", "(2, 0, 5); (2, 0)", "(0, 0, 1); (0, 0)"})
  void noRows(String shape, String codesShape) throws Exception {
    Npy.write(in, shape);
    JsonObject json = Cli.run("encode", in, "-o", out, "--json").assertJson(0);
    assertEquals(0, json.get("rows").getAsLong());
    assertEquals(0, json.get("distinct_codes").getAsLong());
    assertEquals(0, json.get("aux_loss").getAsDouble());
    assertEquals(codesShape, Npy.read(out).shape());
  }

  @ParameterizedTest
  @ValueSource(strings = {"<f4", ">f4", "<f8", ">f8", "<f2", ">f2"})
  void anyFloatTypeAndByteOrder(String descr) throws Exception {
    double[] x = {3, -1, 2, -0.5, 0, -0.0, -1, 1, 0.25, -2, -3, 4};
    Npy.write(in, descr, false, "(4, 3)", x);
    JsonObject json = Cli.run("encode", in, "-o", out, "--json").assertJson(0);
    assertArrayEquals(INDICES, Npy.read(out).longs());
    float[] floats = {3, -1, 2, -0.5f, 0, -0.0f, -1, 1, 0.25f, -2, -3, 4};
    assertLosses(DenseLosses.of(floats, 3, 100, 0.1, 1), json);
  }

  @Test
  void fortranOrder() throws Exception {
    double[] columns = {3, -0.5, -1, -2, -1, 0, 1, -3, 2, -0.0, 0.25, 4};
    Npy.write(in, "<f4", true, "(4, 3)", columns);
    Cli.run("encode", in, "-o", out).assertText();
    assertArrayEquals(INDICES, Npy.read(out).longs());
  }

  @ParameterizedTest
  @ValueSource(strings = {"<i4", "<i8", "|u1"})
  void integersAreRefused(String descr) throws Exception {
    Npy.write(in, descr, false, "(2, 2)", 1, 2, 3, 4);
    Cli.run("encode", in, "-o", out)
        .assertRefused(in + ": found elements of type ", "expected float32, float64 or float16");
    assertNothingWritten();
  }

  @Test
  void aSingleNumberIsRefused() throws Exception {
    Npy.write(in, "()", 1);
    Cli.run("encode", in, "-o", out).assertRefused("expected vectors of shape [..., code_dim]");
    assertNothingWritten();
  }

  @Test
  void largeCodeDims() throws Exception {
    Npy.write(in, "(1, 24)", new float[24]);
    Cli.run("encode", in).assertText();
    Npy.write(in, "(1, 25)", new float[25]);
    Cli.run("encode", in, "-o", out)
        .assertRefused("code_dim is 25", "2^25", "use --no-loss", "--groups", "--analytical");
    assertNothingWritten();

    float[] ones = new float[2 * 63];
    Arrays.fill(ones, 0, 63, 1);
    Npy.write(in, "(2, 63)", ones);
    JsonObject json = Cli.run("encode", in, "-o", out, "--no-loss", "--json").assertJson(0);
    assertEquals(2, json.get("distinct_codes").getAsLong());
    assertArrayEquals(new long[] {Long.MAX_VALUE, 0}, Npy.read(out).longs());

    Npy.write(in, "(1, 64)", new float[64]);
    for (String loss : List.of("--json", "--no-loss")) {
      Cli.run("encode", in, loss)
          .assertRefused(in + ": code_dim is 64, and an index has up to 63 bits", "--groups");
    }
    Npy.write(in, "(1, 4097)", new float[4097]);
    Cli.run("encode", in, "--groups=17").assertRefused(in + ": ", "is 4097; expected 1 to 4096");
    Npy.write(in, "(3, 0)");
    Cli.run("encode", in).assertRefused("is 0; expected 1 to 4096");
  }

  // Files

  @Test
  void missingInput() throws Exception {
    Cli.run("encode", in, "-o", out).assertRefused(in + ": ", "no such file");
    Cli.run("encode", folder, "-o", out).assertRefused(folder + ": ", "folder");
    assertNothingWritten();
  }

  @Test
  void outputFolderMissing() throws Exception {
    Npy.write(in, "(4, 3)", X);
    Path none = folder.resolve("none");
    Cli.run("encode", in, "-o", none.resolve("out.npy"))
        .assertRefused("out.npy", "the folder " + none + " does not exist");
    assertFalse(Files.exists(none));
  }

  @Test
  void outputIsAFolder() throws Exception {
    Npy.write(in, "(4, 3)", X);
    Cli.run("encode", in, "-o", folder).assertRefused(folder + ": ", "it is a folder");
    Cli.run("encode", in, "-o", "").assertRefused("folder");
  }

  @Test
  void outputMayNotReplaceTheInput() throws Exception {
    Npy.write(in, "(4, 3)", X);
    byte[] before = Files.readAllBytes(in);
    Path link = Files.createSymbolicLink(folder.resolve("link.npy"), in);
    for (Path same : List.of(in, link)) {
      Cli.run("encode", in, "-o", same).assertRefused(same + ": is an input, too");
    }
    assertArrayEquals(before, Files.readAllBytes(in));
  }

  @Test
  void namesAreNames() throws Exception {
    Path strange = folder.resolve("@in\u001b[31m\n.npy");
    Npy.write(strange, "(1, 3)", 1, Float.NaN, 1);
    Cli.run("encode", strange).assertRefused("@in\\x1b[31m\\x0a.npy: x[0, 1] is nan");
  }

  @Test
  void aRefusalKeepsAnOlderOutput() throws Exception {
    Files.writeString(out, "older");
    Npy.write(in, "(1, 2)", 1, Float.NaN);
    Cli.run("encode", in, "-o", out).assertRefused("x[0, 1] is nan");
    assertEquals("older", Files.readString(out));
    assertOnly(in, out);
  }

  // The command line

  @Test
  void wrongCommandLines() throws Exception {
    Npy.write(in, "(4, 3)", X);
    Cli.run("encode").assertMisused("Missing required parameter: 'IN.npy'");
    Cli.run("encode", in, "second.npy").assertMisused("second.npy");
    Cli.run("encode", in, "--frobnicate").assertMisused("Unknown option: '--frobnicate'");
    Cli.run("encode", in, "--code-dim=many").assertMisused("--code-dim", "'many'");
    Cli.run("encode", in, "--non-finite=maybe").assertMisused("--non-finite", "maybe");
    Cli.run("encode", in, "-o").assertMisused("-o");
  }

  @Test
  void help() {
    String text = Cli.run("encode", "--help").assertText();
    for (String option :
        List.of(
            "bsq encode [OPTIONS] IN.npy [-o OUT.npy]",
            "--code-dim",
            "--inv-temperature",
            "--entropy-loss-weight",
            "--diversity-gamma",
            "--preset",
            "--groups",
            "--codebooks",
            "--channel-first",
            "--mask",
            "--lengths",
            "--no-loss",
            "--non-finite",
            "--frame-rate",
            "--json",
            "Exit status")) {
      assertTrue(text.contains(option), text);
    }
    assertTrue(text.lines().allMatch(line -> line.length() <= 80), text);
  }

  // Helpers

  /** Dimension 0 is the most significant bit. */
  private static long[] indices(float[] x, int dim) {
    long[] indices = new long[x.length / dim];
    for (int i = 0; i < x.length; i++) {
      indices[i / dim] = 2 * indices[i / dim] + (x[i] > 0 ? 1 : 0);
    }
    return indices;
  }

  private static void assertLosses(DenseLosses expected, JsonObject json) {
    assertClose(expected.aux(), json.get("aux_loss").getAsDouble());
    assertClose(expected.perSample(), json.get("per_sample_entropy").getAsDouble());
    assertClose(expected.codebook(), json.get("codebook_entropy").getAsDouble());
    assertEquals(0, json.get("commitment").getAsDouble());
  }

  private static void assertClose(double expected, double actual) {
    assertEquals(expected, actual, 2e-6 + 2e-5 * Math.abs(expected));
  }

  private void assertNothingWritten() throws IOException {
    if (Files.exists(in)) {
      assertOnly(in);
    } else {
      assertOnly();
    }
  }

  private void assertOnly(Path... expected) throws IOException {
    try (var files = Files.list(folder)) {
      assertEquals(Arrays.stream(expected).sorted().toList(), files.sorted().toList());
    }
  }
}
