package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.Commitment;
import io.github.bsq4j.EntropyFloor;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The flags of {@code bsq encode} beyond SpeechBrain's: they are the quantizer's options. */
class EncodeLossesTest {
  private static final int ITEMS = 3;
  private static final int POSITIONS = 8;
  private static final int DIM = 12;
  private static final String SHAPE = "(3, 8, 12)";

  @TempDir private Path folder;
  private Path in;
  private Path out;
  private float[] x;

  @BeforeEach
  void writeInput() throws Exception {
    in = folder.resolve("in.npy");
    out = folder.resolve("out.npy");
    x = new float[ITEMS * POSITIONS * DIM];
    Random random = new Random(1);
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    Npy.write(in, SHAPE, x);
  }

  // Options

  static Stream<Arguments> flags() {
    QuantizerOptions.Builder builder = QuantizerOptions.builder(DIM);
    return Stream.of(
        Arguments.of("--preset=speechbrain", QuantizerOptions.speechBrain(DIM)),
        Arguments.of("--preset bsq-vit --groups 4", QuantizerOptions.bsqVit(DIM, 3)),
        Arguments.of("--preset LFQ --codebooks 3", QuantizerOptions.lfqSpherical(4, 3)),
        Arguments.of(
            "--preset=bsq-vit --groups=2 --inv-temperature=20 --no-divide-by-temperature",
            QuantizerOptions.bsqVit(DIM, 6).toBuilder()
                .inverseTemperature(20)
                .dividedByInverseTemperature(false)
                .build()),
        Arguments.of(
            "--preset=bsq-vit --groups=2 --entropy-floor=clamp --entropy-loss-weight=0.5",
            QuantizerOptions.bsqVit(DIM, 6).toBuilder()
                .entropyFloor(EntropyFloor.clamp(1e-5))
                .entropyLossWeight(0.5)
                .build()),
        Arguments.of(
            "--preset=bsq-vit --groups=2 --entropy-epsilon=1e-4",
            QuantizerOptions.bsqVit(DIM, 6).toBuilder()
                .entropyFloor(EntropyFloor.add(1e-4))
                .build()),
        Arguments.of(
            "--preset=lfq --commitment-weight=0.25 --positive-offset=5",
            QuantizerOptions.lfqSpherical(DIM, 1).toBuilder()
                .commitmentWeight(0.25)
                .positiveOffset(5)
                .build()),
        Arguments.of("--groups=6", QuantizerOptions.builder(DIM).groupSize(2).build()),
        Arguments.of(
            "--codebooks=2 --groups=3 --inv-temperature=7 --divide-by-temperature",
            QuantizerOptions.builder(6)
                .codebooks(2)
                .groupSize(2)
                .inverseTemperature(7)
                .dividedByInverseTemperature(true)
                .build()),
        Arguments.of(
            "--analytical --groups=1", builder.entropyForm(EntropyForm.ANALYTICAL).build()),
        Arguments.of(
            "--entropy-floor=add",
            QuantizerOptions.builder(DIM).entropyFloor(EntropyFloor.add(1e-8)).build()),
        Arguments.of(
            "--entropy-epsilon=1e-3 --sample-entropy-weight=2 --diversity-gamma=0.5",
            QuantizerOptions.builder(DIM)
                .entropyFloor(EntropyFloor.clamp(1e-3))
                .sampleEntropyWeight(2)
                .diversityGamma(0.5)
                .build()),
        Arguments.of(
            "--commitment=square --commitment-weight=3",
            QuantizerOptions.builder(DIM)
                .commitment(Commitment.SQUARE)
                .commitmentWeight(3)
                .build()),
        Arguments.of(
            "--commitment=SQUARED-NORM --commitment-weight=-1 --preset=lfq",
            QuantizerOptions.builder(DIM).commitmentWeight(-1).build()),
        Arguments.of(
            "--entropy-fraction=0.4", QuantizerOptions.builder(DIM).entropyFraction(0.4).build()),
        Arguments.of(
            "--entropy-fraction=0.4 --seed=-5",
            QuantizerOptions.builder(DIM).entropyFraction(0.4).entropySeed(-5).build()));
  }

  @ParameterizedTest
  @MethodSource
  void flags(String flags, QuantizerOptions options) {
    HostQuantization<float[]> expected =
        BinarySphericalQuantizer.create(options).forward(x, batch());
    JsonObject json = encode(flags.split(" "));
    assertLosses(expected.losses(), json);
    assertEquals(options.codeDim(), json.get("code_dim").getAsInt());
    assertEquals(options.codebooks(), json.get("codebooks").getAsInt());
    assertEquals(options.groups(), json.get("groups").getAsInt());
  }

  @Test
  void indicesHaveADimensionForCodebooksAndOneForGroups() throws Exception {
    assertIndices("[3,8]", "(3, 8)", QuantizerOptions.of(DIM));
    assertIndices(
        "[3,8,4]", "(3, 8, 4)", QuantizerOptions.builder(DIM).groupSize(3).build(), "--groups=4");
    assertIndices(
        "[3,8,2]", "(3, 8, 2)", QuantizerOptions.builder(6).codebooks(2).build(), "--codebooks=2");
    assertIndices(
        "[3,8,2,3]",
        "(3, 8, 2, 3)",
        QuantizerOptions.builder(6).codebooks(2).groupSize(2).build(),
        "--codebooks=2",
        "--groups=3");
  }

  private void assertIndices(
      String inJson, String inFile, QuantizerOptions options, String... flags) throws Exception {
    List<String> all = new ArrayList<>(List.of(flags));
    all.addAll(List.of("-o", out.toString()));
    JsonObject json = encode(all.toArray(String[]::new));
    assertEquals(inJson, json.get("index_shape").toString());
    Npy codes = Npy.read(out);
    assertEquals("<i8 " + inFile, codes.descr() + " " + codes.shape());
    assertArrayEquals(BinarySphericalQuantizer.create(options).encode(x, batch()), codes.longs());
  }

  @Test
  void theTextNamesWhatThereIs() throws Exception {
    String text =
        Cli.run(
                "encode",
                in,
                "--codebooks=2",
                "--groups=3",
                "--commitment-weight=1",
                "--entropy-fraction=0.5",
                "--mask",
                mask("|b1", "(3, 8)", ITEMS * POSITIONS - 4))
            .assertText();
    for (String line :
        List.of(
            "rows                24",
            "code dim            6",
            "codebooks           2",
            "groups              3 of 2 bits",
            "indices             [3, 8, 2, 3]",
            "bit rate            1200 bit/s at 100 frames/s",
            "counted rows        20, the entropies are of 10")) {
      assertTrue(text.contains(line + "\n"), text);
    }
    assertTrue(text.matches("(?s).*\ndistinct codes      \\d+ of 4096\n.*"), text);
    assertTrue(text.matches("(?s).*\ncommitment          0\\.\\d+\n.*"), text);
  }

  @Test
  void channelsFirst() throws Exception {
    float[] turned = new float[x.length];
    for (int item = 0; item < ITEMS; item++) {
      for (int position = 0; position < POSITIONS; position++) {
        for (int d = 0; d < DIM; d++) {
          turned[(item * DIM + d) * POSITIONS + position] =
              x[(item * POSITIONS + position) * DIM + d];
        }
      }
    }
    JsonObject expected =
        encode("--groups=2", "--lengths", lengths("<i8", 5, 0, 8), "-o", "" + out);
    long[] indices = Npy.read(out).longs();
    Npy.write(in, "(3, 12, 2, 4)", turned);
    JsonObject json =
        encode(
            "--channel-first", "--groups=2", "--lengths", lengths("<i8", 5, 0, 8), "-o", "" + out);
    assertEquals("(3, 2, 4, 2)", Npy.read(out).shape());
    assertArrayEquals(indices, Npy.read(out).longs());
    for (String term : List.of("aux_loss", "per_sample_entropy", "codebook_entropy")) {
      assertEquals(expected.get(term).getAsDouble(), json.get(term).getAsDouble(), 1e-6);
    }
    Npy.write(in, "(12,)", Arrays.copyOf(x, 12));
    Cli.run("encode", in, "--channel-first")
        .assertRefused(in + ": holds a single dimension", "[B, code_dim, ...]");
  }

  /** There and back. */
  @ParameterizedTest
  @ValueSource(strings = {"", "--groups=4", "--codebooks=3", "--codebooks=2 --groups=2"})
  void decodeTakesWhatEncodeWrites(String flags) throws Exception {
    List<String> codes = flags.isEmpty() ? List.of() : List.of(flags.split(" "));
    for (List<String> layout : List.of(List.<String>of(), List.of("--channel-first"))) {
      List<Object> encode = new ArrayList<>(List.of("encode", in, "-o", out, "--no-loss"));
      encode.addAll(codes);
      encode.addAll(layout);
      Npy.write(in, layout.isEmpty() ? "(3, 2, 4, 12)" : "(3, 12, 2, 4)", x);
      JsonObject json = Cli.run(with(encode, "--json")).assertJson(0);
      List<Object> decode = new ArrayList<>(List.of("decode", out, "-o", in));
      decode.add("--code-dim=" + json.get("code_dim").getAsInt());
      decode.addAll(codes);
      decode.addAll(layout);
      Cli.run(decode.toArray()).assertText();
      Npy vectors = Npy.read(in);
      assertEquals(layout.isEmpty() ? "(3, 2, 4, 12)" : "(3, 12, 2, 4)", vectors.shape());
      float[] decoded = vectors.floats();
      for (int i = 0; i < x.length; i++) {
        assertEquals(x[i] > 0, decoded[i] > 0);
      }
    }
  }

  @Test
  void decodeRefusesOtherShapes() throws Exception {
    encode("--groups=4", "-o", out.toString());
    Path vectors = folder.resolve("vectors.npy");
    Cli.run("decode", out, "--code-dim=12", "--groups=3", "-o", vectors)
        .assertRefused(out + ": has shape [3, 8, 4]; expected [..., 3]");
    Cli.run("decode", out, "--code-dim=12", "--groups=4", "--codebooks=8", "-o", vectors)
        .assertText();
    Cli.run("decode", out, "--code-dim=12", "--groups=5", "-o", vectors)
        .assertRefused("--groups is 5, which does not divide code_dim 12");
    Cli.run("decode", out, "--code-dim=64", "-o", vectors)
        .assertRefused("code_dim is 64", "--groups");
  }

  // Which rows count

  @ParameterizedTest
  @ValueSource(strings = {"|b1", "|u1"})
  void maskedRowsCountNowhere(String descr) throws Exception {
    int counting = 13;
    byte[] mask = new byte[ITEMS * POSITIONS];
    Arrays.fill(mask, 0, counting, (byte) 1);
    Losses expected =
        BinarySphericalQuantizer.create(DIM).forward(x, batch().withMask(mask)).losses();
    JsonObject json = encode("--mask", mask(descr, "(3, 8)", counting));
    assertLosses(expected, json);
    assertEquals(24, json.get("rows").getAsLong());
    assertEquals(13, json.get("counted_rows").getAsLong());
    assertNotEquals(
        encode().get("aux_loss").getAsDouble(), json.get("aux_loss").getAsDouble(), 1e-3);
  }

  @ParameterizedTest
  @ValueSource(strings = {"<i8", "<i4", "|u1"})
  void lengths(String descr) throws Exception {
    Losses expected =
        BinarySphericalQuantizer.create(DIM).forward(x, batch().withLengths(8, 0, 3)).losses();
    JsonObject json = encode("--lengths", lengths(descr, 8, 0, 3));
    assertLosses(expected, json);
    assertEquals(11, json.get("counted_rows").getAsLong());
  }

  @ParameterizedTest
  @ValueSource(strings = {"<f8", "<f4", "<f2"})
  void relativeLengths(String descr) throws Exception {
    Losses expected =
        BinarySphericalQuantizer.create(DIM).forward(x, batch().withLengths(8, 2, 3)).losses();
    // 0.3125 of 8 positions is 2.5, which rounds to even.
    assertLosses(expected, encode("--lengths", lengths(descr, 1, 0.3125, 0.4)));
  }

  @Test
  void anyRankOfMask() throws Exception {
    Npy.write(in, "(24, 12)", x);
    JsonObject json = encode("--mask", mask("|b1", "(24,)", 5));
    assertEquals(5, json.get("counted_rows").getAsLong());
    Npy.write(in, "(12,)", Arrays.copyOf(x, 12));
    json = encode("--mask", mask("|b1", "()", 1));
    assertEquals(1, json.get("counted_rows").getAsLong());
  }

  @Test
  void noRowsCount() throws Exception {
    JsonObject json =
        encode("--mask", mask("|b1", "(3, 8)", 0), "--commitment-weight=1", "-o", "" + out);
    assertEquals(0, json.get("counted_rows").getAsLong());
    for (String term :
        List.of("aux_loss", "per_sample_entropy", "codebook_entropy", "commitment")) {
      assertEquals(0, json.get(term).getAsDouble());
    }
    assertArrayEquals(BinarySphericalQuantizer.create(DIM).encode(x), Npy.read(out).longs());
  }

  @Test
  void masksThatDoNotFit() throws Exception {
    String file = mask("|b1", "(8, 3)", 24);
    refuse("--mask", file)
        .assertRefused(file + ": has shape [8, 3]; expected [3, 8], the shape of the rows");
    Npy.write(Path.of(file), "<f4", false, "(3, 8)", new double[24]);
    refuse("--mask", file)
        .assertRefused(file + ": found elements of type float32; expected bool or uint8");
    refuse("--mask", "none.npy").assertRefused("none.npy: ", "no such file");
    refuse("--mask", file, "--no-loss").assertRefused("--mask", "--no-loss computes none");
    refuse("--mask", file, "--lengths", file).assertRefused("both --mask and --lengths");
    for (String flag : List.of("--mask", "--lengths")) {
      Cli.run("encode", in, flag, file, "-o", file).assertRefused(file + ": is an input, too");
    }
  }

  @Test
  void lengthsThatDoNotFit() throws Exception {
    String file = lengths("<i8", 8, 9, 3);
    refuse("--lengths", file).assertRefused(file + ": lengths[1] is 9, expected 0 to 8 positions");
    lengths("<i8", 8, -1, 3);
    refuse("--lengths", file).assertRefused(file + ": lengths[1] is -1, expected 0 to 8");
    lengths("<f4", 1, 0, 8);
    refuse("--lengths", file)
        .assertRefused(file + ": lengths[2] is 8.0, expected 0 to 1; numbers of positions must be");
    lengths("<f8", 1, Double.NaN, 1);
    refuse("--lengths", file).assertRefused(file + ": lengths[1] is NaN, expected 0 to 1");
    lengths("|b1", 1, 0, 1);
    refuse("--lengths", file)
        .assertRefused(file + ": found elements of type bool; expected integers or floats");
    Npy.write(Path.of(file), "<i8", false, "(2,)", 1, 1);
    refuse("--lengths", file)
        .assertRefused(file + ": has shape [2]; expected [3], one length for each item");
    Npy.write(Path.of(file), "<i8", false, "(3, 1)", 1, 1, 1);
    refuse("--lengths", file).assertRefused(file + ": has shape [3, 1]; expected [3]");
    refuse("--lengths", file, "--no-loss").assertRefused("--lengths", "--no-loss computes none");

    Npy.write(in, "(24, 12)", x);
    refuse("--lengths", file)
        .assertRefused(file + ": the rows are of shape [24]", "[B, T, code_dim]", "--mask");
  }

  // What does not fit together

  @Test
  void codesThatDoNotFit() throws Exception {
    refuse("--groups=5").assertRefused("--groups is 5, which does not divide code_dim 12");
    refuse("--groups=24").assertRefused("--groups is 24, which does not divide code_dim 12");
    refuse("--groups=0").assertRefused("--groups is 0; expected 1 to code_dim 12");
    refuse("--groups=-1").assertRefused("--groups is -1; expected 1 to");
    refuse("--codebooks=5")
        .assertRefused(in + ": the last dimension is 12, which --codebooks 5 does not divide");
    refuse("--codebooks=0").assertRefused("--codebooks is 0; expected 1 to 1024");
    refuse("--codebooks=2", "--code-dim=12")
        .assertRefused(in + ": the last dimension is 12, but --code-dim is 12 and --codebooks 2");
    encode("--codebooks=2", "--code-dim=6");
    refuse("--channel-first", "--code-dim=12")
        .assertRefused(in + ": the second dimension is 8, but --code-dim is 12");
  }

  @Test
  void optionsThatDoNotFit() {
    refuse("--preset=bsq-vit").assertRefused("--preset is bsq-vit", "--groups", "code_dim is 12");
    refuse("--seed=3").assertRefused("--seed is 3", "--entropy-fraction");
    refuse("--entropy-fraction=0").assertRefused("entropyFraction is 0.0");
    refuse("--entropy-epsilon=0.5").assertRefused("epsilon is 0.5, expected 1.0E-30 to 0.1");
    refuse("--commitment-weight=NaN").assertRefused("commitmentWeight is NaN");
    refuse("--positive-offset=Infinity").assertRefused("positiveOffset is Infinity");
    refuse("--divide-by-temperature", "--inv-temperature=0")
        .assertRefused("dividedByInverseTemperature", "inverseTemperature 0.0");
    refuse("--preset=vq")
        .assertMisused("--preset': expected one of speechbrain, bsq-vit, lfq, but was 'vq'");
    refuse("--entropy-floor=none").assertMisused("--entropy-floor", "'none'");
    refuse("--commitment=norm").assertMisused("--commitment", "squared-norm", "'norm'");
    refuse("--groups=many").assertMisused("--groups", "many");
  }

  @Test
  void longCodes() throws Exception {
    float[] wide = new float[2 * 1020];
    Arrays.fill(wide, 1020, 2040, -1f);
    wide[1] = 1;
    Npy.write(in, "(2, 1020)", wide);
    refuse("--groups=51")
        .assertRefused(in + ": --groups 51 makes groups of 20 bits", "up to 16 bits", "--no-loss");
    JsonObject json = encode("--groups=102", "-o", out.toString());
    assertEquals("[2,102]", json.get("index_shape").toString());
    assertEquals(2, json.get("distinct_codes").getAsLong());
    assertEquals(1L << 8, Npy.read(out).longs()[0]);
    assertTrue(Cli.run("encode", in, "--groups=102").assertText().contains("2 of 2^1020\n"));
    encode("--groups=51", "--analytical");
    encode("--groups=51", "--no-loss");
    encode("--groups=17", "--no-loss");
    refuse("--groups=10").assertRefused("groupSize is 102, expected 1 to 63");
  }

  /** As many as there are different rows, however many indices they have. */
  @Test
  void distinctCodes() throws Exception {
    Random random = new Random(3);
    float[] few = new float[500 * 4];
    for (int i = 0; i < few.length; i++) {
      few[i] = random.nextBoolean() ? 1 : -1;
    }
    long expected =
        Arrays.stream(BinarySphericalQuantizer.create(4).encode(few)).distinct().count();
    Npy.write(in, "(500, 4)", few);
    for (String flag : List.of("--groups=1", "--groups=2", "--groups=4", "--codebooks=2")) {
      assertEquals(expected, encode(flag).get("distinct_codes").getAsLong(), flag);
    }
  }

  // Helpers

  private static Batch batch() {
    return Batch.of(ITEMS, POSITIONS);
  }

  private JsonObject encode(String... flags) {
    return Cli.run(arguments(with(List.of(flags), "--json"))).assertJson(0);
  }

  /** With an output, which must not be written. */
  private Cli.Result refuse(String... flags) {
    Path none = folder.resolve("none.out");
    Cli.Result result = Cli.run(arguments(with(List.of(flags), "-o", none.toString())));
    assertFalse(Files.exists(none));
    return result;
  }

  private Object[] arguments(Object[] flags) {
    return Stream.concat(Stream.of("encode", in), Arrays.stream(flags)).toArray();
  }

  private static Object[] with(List<?> flags, Object... more) {
    return Stream.concat(flags.stream(), Stream.of(more)).toArray();
  }

  /** A mask whose first elements count; returns the file's name. */
  private String mask(String descr, String shape, int counting) throws Exception {
    int rows = shape.equals("()") ? 1 : ITEMS * POSITIONS;
    double[] mask = new double[rows];
    Arrays.fill(mask, 0, counting, 1);
    return Npy.write(folder.resolve("mask.npy"), descr, false, shape, mask).toString();
  }

  private String lengths(String descr, double... lengths) throws Exception {
    String shape = "(" + lengths.length + ",)";
    return Npy.write(folder.resolve("lengths.npy"), descr, false, shape, lengths).toString();
  }

  private static void assertLosses(Losses expected, JsonObject json) {
    assertClose(expected.auxLoss(), json.get("aux_loss").getAsDouble());
    assertClose(expected.perSampleEntropy(), json.get("per_sample_entropy").getAsDouble());
    assertClose(expected.codebookEntropy(), json.get("codebook_entropy").getAsDouble());
    assertClose(expected.entropyLoss(), json.get("entropy_loss").getAsDouble());
    assertClose(expected.commitment(), json.get("commitment").getAsDouble());
    assertEquals(expected.rows(), json.get("counted_rows").getAsLong());
    assertEquals(expected.entropyRows(), json.get("entropy_rows").getAsLong());
  }

  /** The same calls: at most threads may add up in another order. */
  private static void assertClose(double expected, double actual) {
    assertEquals(expected, actual, 1e-9 + 1e-9 * Math.abs(expected));
  }
}
