package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.parity.PathQuantizer;
import io.github.bsq4j.parity.QuantizerPath;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** What one option, mask or way to add up has to do with another, whatever the data. */
abstract class LossIdentities {
  private final QuantizerPath path;

  LossIdentities(QuantizerPath path) {
    this.path = path;
  }

  @Provide
  Arbitrary<RandomCase> cases() {
    return RandomCase.any();
  }

  // Masks

  @Property(tries = 100)
  void aPaddedBatchEqualsItsRows(@ForAll("cases") RandomCase padded) {
    QuantizerOptions options = padded.options().toBuilder().channelFirst(false).build();
    RandomCase rows = padded.with(options);
    double[] x = rows.vectors(0);
    boolean[] counted = Oracle.counted(rows.batch());
    int length = options.rowLength();
    double[] unpadded = select(x, counted, length);

    PathQuantizer quantizer = path.quantizer(options, DType.FLOAT64);
    HostQuantization<double[]> alone = quantizer.forward(unpadded);
    HostQuantization<double[]> together = quantizer(rows).forward(x);
    assertLosses(alone.losses(), together.losses(), rows);
    assertArrayEquals(
        alone.indices(), select(together.indices(), counted, options.indicesPerRow()));
    assertArrayEquals(alone.quantized(), select(together.quantized(), counted, length));

    double[] gradient = quantizer(rows).backward(x, 1);
    assertArrayEquals(
        scaledByLength(options, quantizer.backward(unpadded, 1), unpadded),
        scaledByLength(options, select(gradient, counted, length), unpadded),
        gradientTolerance(rows));
    boolean[] padding = not(counted);
    assertArrayEquals(new double[count(padding) * length], select(gradient, padding, length));
  }

  @Property(tries = 50)
  void paddingMayHoldAnything(@ForAll("cases") RandomCase padded) {
    RandomCase rows =
        padded.with(
            padded.options().toBuilder()
                .channelFirst(false)
                .nonFinitePolicy(NonFinitePolicy.PROPAGATE)
                .build());
    double[] x = rows.vectors(0);
    double[] other = x.clone();
    boolean[] counted = Oracle.counted(rows.batch());
    for (int i = 0; i < x.length; i++) {
      if (!counted[i / rows.options().rowLength()]) {
        other[i] = i % 3 == 0 ? Double.NaN : 1e300;
      }
    }
    PathQuantizer quantizer = quantizer(rows);
    int length = rows.options().rowLength();
    assertLosses(quantizer.forward(x).losses(), quantizer.forward(other).losses(), rows);
    assertArrayEquals(
        select(quantizer.backward(x, 1), counted, length),
        select(quantizer.backward(other, 1), counted, length));
  }

  @Property(tries = 50)
  void paddingGetsTheGradientOfWhatItIsQuantizedTo(@ForAll("cases") RandomCase padded) {
    double[] x = padded.vectors(0);
    double[] gradQuantized = padded.vectors(1);
    double[] masked = quantizer(padded).backward(x, gradQuantized, 0);
    PathQuantizer unmasked =
        path.quantizer(padded.options(), DType.FLOAT64, padded.shape())
            .counting(Batch.of(padded.batch().items(), padded.batch().positions()));
    assertArrayEquals(unmasked.backward(x, gradQuantized, 0), masked);
  }

  // Sums

  @Property(tries = 100)
  void sumsOfPartsAreThoseOfTheWhole(@ForAll("cases") RandomCase whole) {
    int items = (int) whole.batch().items();
    int split = new Random(whole.seed()).nextInt(items + 1);
    RandomCase first = part(whole, 0, split);
    RandomCase second = part(whole, split, items);
    double[] x = whole.vectors(0);
    int cut = x.length / items * split;
    double[] firstX = Arrays.copyOf(x, cut);
    double[] secondX = Arrays.copyOfRange(x, cut, x.length);

    LossSums total = quantizer(first).lossSums(firstX).plus(quantizer(second).lossSums(secondX));
    assertArrayEquals(quantizer(whole).lossSums(x).toArray(), total.toArray(), 1e-11);
    assertLosses(quantizer(whole).forward(x).losses(), total.losses(), whole);
    LossSums copied = LossSums.of(whole.options(), total.toArray());
    assertEquals(total.losses(), copied.losses());
    assertEquals(total.rows(), copied.losses().rows());

    double[] expected = scaledByLength(whole, quantizer(whole).backward(x, 1), x);
    double tolerance = gradientTolerance(whole);
    assertArrayEquals(
        Arrays.copyOf(expected, cut),
        scaledByLength(first, quantizer(first).backward(firstX, 1, total), firstX),
        tolerance);
    assertArrayEquals(
        Arrays.copyOfRange(expected, cut, x.length),
        scaledByLength(second, quantizer(second).backward(secondX, 1, copied), secondX),
        tolerance);
  }

  /** The items of a case from one to another. */
  private static RandomCase part(RandomCase whole, int from, int to) {
    long positions = whole.batch().positions();
    Batch batch = Batch.of(to - from, positions);
    Batch masked =
        whole
            .batch()
            .mask()
            .map(mask -> batch.withMask(mask.asSlice(from * positions, batch.rows())))
            .orElse(batch);
    return new RandomCase(whole.options(), masked, whole.seed());
  }

  // Groups and bits

  @Property(tries = 100)
  void analyticalEntropiesAreThoseOfGroupsOfOneBit(@ForAll("cases") RandomCase any) {
    QuantizerOptions.Builder builder = any.options().toBuilder();
    RandomCase analytical = any.with(builder.entropyForm(EntropyForm.ANALYTICAL).build());
    RandomCase bits = any.with(builder.entropyForm(EntropyForm.EXACT).groupSize(1).build());
    double[] x = any.vectors(0);
    assertLosses(
        quantizer(bits).forward(x).losses(), quantizer(analytical).forward(x).losses(), any);
    assertArrayEquals(
        scaledByLength(bits, quantizer(bits).backward(x, 1), x),
        scaledByLength(analytical, quantizer(analytical).backward(x, 1), x),
        gradientTolerance(any));
  }

  @Property(tries = 100)
  void groupsShareARowsEntropyWhereTheFloorIsIdle(@ForAll("cases") RandomCase any) {
    // As sums over bits they are equal, and the codebook's is bounded by that of smaller groups.
    QuantizerOptions.Builder builder =
        any.options().toBuilder().entropyFloor(EntropyFloor.add(1e-30));
    double[] x = any.vectors(0);
    RandomCase bits = any.with(builder.groupSize(1).entropyForm(EntropyForm.EXACT).build());
    RandomCase groups = any.with(builder.groupSize(any.options().groupSize()).build());
    Losses ofBits = quantizer(bits).forward(x).losses();
    Losses ofGroups = quantizer(groups).forward(x).losses();
    assertEquals(ofBits.perSampleEntropy(), ofGroups.perSampleEntropy(), 1e-12);
    assertTrue(ofGroups.codebookEntropy() <= ofBits.codebookEntropy() + 1e-12);
  }

  @Property(tries = 50)
  void indicesOfGroupsAreThePartsOfTheCode(@ForAll("cases") RandomCase any) {
    QuantizerOptions options = any.options();
    Assume.that(options.codeDim() <= QuantizerOptions.MAX_GROUP_SIZE);
    RandomCase ungrouped = any.with(options.toBuilder().groupSize(options.codeDim()).build());
    double[] x = any.vectors(0);
    long[] codes = quantizer(ungrouped).encode(x);
    long[] indices = quantizer(any).encode(x);
    for (int i = 0; i < codes.length; i++) {
      long joined = 0;
      for (int g = 0; g < options.groups(); g++) {
        joined = (joined << options.groupSize()) | indices[i * options.groups() + g];
      }
      assertEquals(codes[i], joined);
    }
  }

  // Codebooks

  @Property(tries = 100)
  void codebooksAreTheMeanOfQuantizersOfTheirOwn(@ForAll("cases") RandomCase any) {
    QuantizerOptions options = any.options();
    Assume.that(options.positiveOffset().isEmpty()); // else losses are not linear in the terms
    RandomCase single = any.with(options.toBuilder().codebooks(1).channelFirst(false).build());
    double[] x = any.vectors(0);
    Oracle.Rows rows = new Oracle.Rows(options, any.batch());
    Oracle.Rows singleRows = new Oracle.Rows(single.options(), any.batch());
    int count = options.codebooks();
    double auxLoss = 0;
    double perSample = 0;
    double codebook = 0;
    double commitment = 0;
    double[] gradient = new double[x.length];
    for (int k = 0; k < count; k++) {
      double[] part = new double[x.length / count];
      for (int row = 0; row < rows.count(); row++) {
        singleRows.setCode(part, row, 0, rows.code(x, row, k));
      }
      Losses losses = quantizer(single).forward(part).losses();
      auxLoss += losses.auxLoss() / count;
      perSample += losses.perSampleEntropy() / count;
      codebook += losses.codebookEntropy() / count;
      commitment += losses.commitment() / count;
      double[] partGradient = quantizer(single).backward(part, 1.0 / count);
      for (int row = 0; row < rows.count(); row++) {
        rows.setCode(gradient, row, k, singleRows.code(partGradient, row, 0));
      }
    }
    Losses losses = quantizer(any).forward(x).losses();
    assertEquals(auxLoss, losses.auxLoss(), 1e-11 * (1 + any.weight()));
    assertEquals(perSample, losses.perSampleEntropy(), 1e-12);
    assertEquals(codebook, losses.codebookEntropy(), 1e-12);
    assertEquals(commitment, losses.commitment(), 1e-13);
    assertArrayEquals(
        scaledByLength(any, gradient, x),
        scaledByLength(any, quantizer(any).backward(x, 1), x),
        gradientTolerance(any));
  }

  // Layout

  @Property(tries = 100)
  void channelFirstIsTheTransposed(@ForAll("cases") RandomCase any) {
    RandomCase last = any.with(any.options().toBuilder().channelFirst(false).build());
    RandomCase first = any.with(any.options().toBuilder().channelFirst(true).build());
    double[] x = last.vectors(0);
    double[] gradQuantized = last.vectors(1);
    double[] transposed = toChannelFirst(last, x);

    HostQuantization<double[]> expected = quantizer(last).forward(x);
    HostQuantization<double[]> actual = quantizer(first).forward(transposed);
    assertArrayEquals(expected.indices(), actual.indices());
    assertArrayEquals(expected.indices(), quantizer(first).encode(transposed));
    assertArrayEquals(toChannelFirst(last, expected.quantized()), actual.quantized());
    assertArrayEquals(
        toChannelFirst(last, quantizer(last).decode(expected.indices())),
        quantizer(first).decode(expected.indices()));
    assertLosses(expected.losses(), actual.losses(), any);
    assertArrayEquals(
        toChannelFirst(
            last, scaledByLength(last, quantizer(last).backward(x, gradQuantized, 1), x)),
        scaledByLength(
            first,
            quantizer(first).backward(transposed, toChannelFirst(last, gradQuantized), 1),
            transposed),
        1e-12 + gradientTolerance(any));
  }

  private static double[] toChannelFirst(RandomCase last, double[] vectors) {
    int positions = (int) last.batch().positions();
    int length = last.options().rowLength();
    double[] first = new double[vectors.length];
    for (int i = 0; i < vectors.length; i++) {
      int row = i / length;
      first[(row / positions * length + i % length) * positions + row % positions] = vectors[i];
    }
    return first;
  }

  // Softplus

  @Property(tries = 100)
  void softplusMakesTheEntropyLossPositive(@ForAll("cases") RandomCase any) {
    double offset = new Random(any.seed()).nextDouble(-10, 10);
    RandomCase positive = any.with(any.options().toBuilder().positiveOffset(offset).build());
    double[] x = any.vectors(0);
    Losses losses = quantizer(positive).forward(x).losses();
    double difference =
        any.options().sampleEntropyWeight() * losses.perSampleEntropy()
            - any.options().diversityGamma() * losses.codebookEntropy();
    if (losses.rows() > 0) {
      assertTrue(losses.entropyLoss() > 0, losses::toString);
      assertEquals(Math.log1p(Math.exp(difference + offset)), losses.entropyLoss(), 1e-11);
    }
  }

  // Gradients

  @Property(tries = 60)
  void theGradientAgreesWithCentralDifferences(@ForAll("cases") RandomCase any) {
    Random random = new Random(any.seed());
    // A clamp makes the gradient jump, and the differences of a hot softmax are too coarse.
    RandomCase smooth =
        any.with(
            any.options().toBuilder()
                .entropyFloor(EntropyFloor.add(Math.pow(10, random.nextDouble(-12, -1))))
                .inverseTemperature(random.nextDouble(0.1, 3))
                .build());
    double[] x = smooth.vectors(0);
    PathQuantizer quantizer = quantizer(smooth);
    double[] gradient = quantizer.backward(x, 1);
    double[] lengths = lengths(smooth, x);
    for (int i : random.ints(20, 0, x.length).toArray()) {
      double step = 1e-5 * lengths[i];
      if (Math.abs(x[i]) <= step) {
        continue; // the commitment jumps where the sign does
      }
      double[] above = x.clone();
      double[] below = x.clone();
      above[i] += step;
      below[i] -= step;
      double difference = quantizer.forward(above).auxLoss() - quantizer.forward(below).auxLoss();
      assertEquals(difference / 2e-5, gradient[i] * lengths[i], 1e-6 * (1 + smooth.weight()));
    }
  }

  // Drawn rows

  @Property(tries = 100)
  void theEntropiesAreOfTheDrawnRows(@ForAll("cases") RandomCase any) {
    Random random = new Random(any.seed());
    RandomCase drawing =
        any.with(
            any.options().toBuilder()
                .entropyFraction(random.nextDouble(0.05, 1))
                .entropySeed(random.nextLong())
                .build());
    // All paths draw the same.
    boolean[] drawn = drawn(QuantizerPath.HOST, drawing.options(), drawing.batch());
    boolean[] counted = Oracle.counted(drawing.batch());
    int rows = count(counted);
    assertEquals(
        rows == 0 ? 0 : Math.max(1, (int) (rows * drawing.options().entropyFraction())),
        count(drawn));
    for (int row = 0; row < drawn.length; row++) {
      assertTrue(counted[row] || !drawn[row]);
    }

    double[] x = drawing.vectors(0);
    Oracle oracle = Oracle.of(drawing.options(), x, drawing.batch(), drawn);
    PathQuantizer quantizer = quantizer(drawing);
    assertLosses(oracle.losses(), quantizer.forward(x).losses(), drawing);
    assertArrayEquals(oracle.sums(), quantizer.lossSums(x).toArray(), 1e-11);
    assertArrayEquals(
        scaledByLength(drawing, oracle.gradAux(), x),
        scaledByLength(drawing, quantizer.backward(x, 1), x),
        gradientTolerance(drawing));
  }

  @Example
  void theSeedDrawsEachRowEquallyOften() {
    int rows = 10;
    int seeds = 2000;
    int[] times = new int[rows];
    QuantizerOptions options = QuantizerOptions.builder(1).entropyFraction(0.3).build();
    for (int seed = 0; seed < seeds; seed++) {
      boolean[] drawn = drawn(path, options.toBuilder().entropySeed(seed).build(), Batch.of(rows));
      for (int row = 0; row < rows; row++) {
        times[row] += drawn[row] ? 1 : 0;
      }
    }
    double deviation = Math.sqrt(seeds * 0.3 * 0.7);
    for (int row = 0; row < rows; row++) {
      assertEquals(seeds * 0.3, times[row], 4 * deviation, "row " + row);
    }
  }

  @Example
  void otherSeedsDrawOtherRowsAndTheSameSeedTheSame() {
    Batch batch = Batch.of(200);
    QuantizerOptions options = QuantizerOptions.builder(1).entropyFraction(0.5).build();
    boolean[] drawn = drawn(path, options, batch);
    assertEquals(100, count(drawn));
    assertArrayEquals(drawn, drawn(path, options, batch));
    QuantizerOptions otherSeed = options.toBuilder().entropySeed(1).build();
    assertNotEquals(Arrays.toString(drawn), Arrays.toString(drawn(path, otherSeed, batch)));
  }

  /**
   * The rows of such a batch that these options draw, as the sums tell for rows that are certain of
   * a code of their own: each adds 1 to the sum of that code alone.
   */
  private static boolean[] drawn(QuantizerPath path, QuantizerOptions options, Batch batch) {
    int dim = 8;
    QuantizerOptions certain =
        QuantizerOptions.builder(dim)
            .inverseTemperature(1e6)
            .entropyFraction(options.entropyFraction())
            .entropySeed(options.entropySeed())
            .build();
    PathQuantizer quantizer =
        path.quantizer(certain, DType.FLOAT64, batch.items(), batch.positions(), dim)
            .counting(batch);
    double[] codes = quantizer.decode(LongStream.range(0, batch.rows()).toArray());
    double[] sums = quantizer.lossSums(codes).toArray();
    boolean[] drawn = new boolean[(int) batch.rows()];
    for (int row = 0; row < drawn.length; row++) {
      drawn[row] = sums[4 + row] > 0.5;
    }
    return drawn;
  }

  // Helpers

  private PathQuantizer quantizer(RandomCase any) {
    return path.quantizer(any.options(), DType.FLOAT64, any.shape()).counting(any.batch());
  }

  private static void assertLosses(Losses expected, Losses actual, RandomCase any) {
    assertEquals(expected.perSampleEntropy(), actual.perSampleEntropy(), 1e-12);
    assertEquals(expected.codebookEntropy(), actual.codebookEntropy(), 1e-12);
    assertEquals(expected.entropyLoss(), actual.entropyLoss(), 1e-11);
    assertEquals(expected.commitment(), actual.commitment(), 1e-13);
    assertEquals(expected.auxLoss(), actual.auxLoss(), 1e-11 * (1 + any.weight()));
    assertEquals(expected.rows(), actual.rows());
    assertEquals(expected.entropyRows(), actual.entropyRows());
  }

  /** Of gradients with respect to the unit vector. */
  private static double gradientTolerance(RandomCase any) {
    return 1e-11 * (1 + any.weight() * (1 + any.options().inverseTemperature()));
  }

  /** Gradients with respect to the unit vector: those of short codes are large. */
  private static double[] scaledByLength(RandomCase any, double[] gradient, double[] x) {
    double[] lengths = lengths(any, x);
    return IntStream.range(0, x.length).mapToDouble(i -> gradient[i] * lengths[i]).toArray();
  }

  private static double[] scaledByLength(QuantizerOptions options, double[] gradient, double[] x) {
    Batch batch = Batch.of(x.length / options.rowLength());
    return scaledByLength(new RandomCase(options, batch, 0), gradient, x);
  }

  /** For each component the length of its code. */
  private static double[] lengths(RandomCase any, double[] x) {
    Oracle.Rows rows = new Oracle.Rows(any.options(), any.batch());
    double[] lengths = new double[x.length];
    for (int row = 0; row < rows.count(); row++) {
      for (int k = 0; k < any.options().codebooks(); k++) {
        double[] length = new double[any.options().codeDim()];
        Arrays.fill(length, Oracle.norm(rows.code(x, row, k)));
        rows.setCode(lengths, row, k, length);
      }
    }
    return lengths;
  }

  /** The rows, of so many elements each, that are selected. */
  private static double[] select(double[] values, boolean[] selected, int length) {
    return IntStream.range(0, values.length)
        .filter(i -> selected[i / length])
        .mapToDouble(i -> values[i])
        .toArray();
  }

  private static long[] select(long[] values, boolean[] selected, int length) {
    return IntStream.range(0, values.length)
        .filter(i -> selected[i / length])
        .mapToLong(i -> values[i])
        .toArray();
  }

  private static boolean[] not(boolean[] rows) {
    boolean[] not = new boolean[rows.length];
    for (int row = 0; row < rows.length; row++) {
      not[row] = !rows[row];
    }
    return not;
  }

  private static int count(boolean[] rows) {
    int number = 0;
    for (boolean row : rows) {
      number += row ? 1 : 0;
    }
    return number;
  }
}
