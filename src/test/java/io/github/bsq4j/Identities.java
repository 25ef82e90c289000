package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.parity.PathQuantizer;
import io.github.bsq4j.parity.QuantizerPath;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;

/** What must hold whatever the data: the identities of the reference, one test each. */
abstract class Identities {
  private static final double LOG_OF_CLAMP = Math.log(1e5);

  private final QuantizerPath path;

  Identities(QuantizerPath path) {
    this.path = path;
  }

  // 1. index -> code -> index

  @Example
  void everyIndexSurvivesARoundTrip() {
    List<DType> types = servedTypes();
    int most = 1 << 16;
    for (int dim = 1; dim <= 20; dim++) {
      // The larger ones in one type each, for the time it takes.
      for (DType dtype : dim <= 12 ? types : List.of(types.get(dim % types.size()))) {
        for (int first = 0; first < 1 << dim; first += most) {
          long[] indices = LongStream.range(first, Math.min(first + most, 1 << dim)).toArray();
          assertRoundTrip(dim, dtype, indices);
        }
      }
    }
  }

  @Property(tries = 100)
  void randomIndicesSurviveARoundTrip(
      @ForAll("largeDims") int dim, @ForAll("dtypes") DType dtype, @ForAll long seed) {
    long[] indices = new Random(seed).longs(100).map(bits -> bits >>> (64 - dim)).toArray();
    assertRoundTrip(dim, dtype, indices);
  }

  @Example
  void moreIndicesThanOneChunkHoldsSurviveARoundTrip() {
    // 17 million elements: operators take 16 million at once.
    long[] indices = new Random(1).longs(270_000, 0, Long.MAX_VALUE).toArray();
    PathQuantizer quantizer = path.quantizer(QuantizerOptions.of(63), DType.FLOAT32);
    assertArrayEquals(indices, quantizer.encode(quantizer.decode(indices)));
  }

  @Provide
  Arbitrary<Integer> largeDims() {
    return Arbitraries.of(21, 31, 32, 33, 53, 62, 63);
  }

  private void assertRoundTrip(int dim, DType dtype, long[] indices) {
    PathQuantizer quantizer = path.quantizer(QuantizerOptions.of(dim), dtype);
    double[] codes = quantizer.decode(indices);
    assertArrayEquals(indices, quantizer.encode(codes));
    assertArrayEquals(indices, quantizer.codesToIndices(codes));
    double[] unscaled = quantizer.bitsToCodes(bits(indices, dim));
    assertArrayEquals(indices, quantizer.codesToIndices(unscaled));
  }

  private static double[] bits(long[] indices, int dim) {
    double[] bits = new double[indices.length * dim];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = (indices[i / dim] >> (dim - 1 - i % dim)) & 1;
    }
    return bits;
  }

  // 2. Without the clamp a row's entropy is the sum of its bits' entropies.

  @Property(tries = 100)
  void entropyIsTheSumOverBitsWhereTheClampIsIdle(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 12) int dim,
      @ForAll @DoubleRange(min = 0, max = 1) double beta) {
    double[] x = TestData.gaussian(seed, dim);
    double norm = Oracle.norm(x, 0, dim);
    double expected = 0;
    double logSmallest = 0; // of the least probable code
    for (double value : x) {
      double logit = Math.abs(4 * beta * value / norm / Math.sqrt(dim));
      double p = 1 / (1 + Math.exp(logit));
      expected -= p * Math.log(p) + (1 - p) * Math.log1p(-p);
      logSmallest += Math.log(p);
    }
    Assume.that(logSmallest > -LOG_OF_CLAMP); // else the clamp is at work
    assertEquals(expected, quantizer(dim, beta).forward(x).perSampleEntropy(), 1e-12);
  }

  // 3. Bounds of the codebook entropy

  @Property(tries = 100)
  void codebookEntropyIsBounded(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 18) int dim,
      @ForAll @IntRange(min = 1, max = 50) int rows,
      @ForAll @DoubleRange(min = -2, max = 4) double logBeta) {
    double entropy =
        quantizer(dim, Math.pow(10, logBeta))
            .forward(TestData.gaussian(seed, rows * dim))
            .codebookEntropy();
    assertTrue(entropy >= 0, () -> "entropy " + entropy);
    assertTrue(
        entropy <= Math.min(dim * Math.log(2), LOG_OF_CLAMP) + 1e-12, () -> "entropy " + entropy);
  }

  @Example
  void oneRowPerCodeGivesTheLargestCodebookEntropy() {
    for (int dim = 1; dim <= 16; dim++) {
      PathQuantizer quantizer = quantizer(dim, 1e4);
      double[] codes = quantizer.decode(LongStream.range(0, 1L << dim).toArray());
      HostQuantization<double[]> result = quantizer.forward(codes);
      assertEquals(dim * Math.log(2), result.codebookEntropy(), 1e-9);
      assertEquals(0, result.perSampleEntropy(), 1e-9);
    }
  }

  // 4. Scale and sign

  @Property(tries = 100)
  void scalingChangesNothing(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 13) int dim,
      @ForAll @DoubleRange(min = -6, max = 6) double logScale) {
    double scale = Math.pow(10, logScale);
    double[] x = TestData.gaussian(seed, 8 * dim);
    double[] scaled = Arrays.stream(x).map(value -> value * scale).toArray();
    PathQuantizer quantizer = quantizer(dim, 10);
    HostQuantization<double[]> expected = quantizer.forward(x);
    HostQuantization<double[]> actual = quantizer.forward(scaled);
    assertArrayEquals(expected.indices(), actual.indices());
    assertArrayEquals(expected.quantized(), actual.quantized());
    assertEquals(expected.auxLoss(), actual.auxLoss(), 1e-12);
  }

  @Property(tries = 200)
  void negationFlipsEveryBit(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 63) int dim,
      @ForAll("dtypes") DType dtype) {
    double[] x = Rounded.to(dtype, TestData.gaussian(seed, 8 * dim));
    double[] negated = Arrays.stream(x).map(value -> -value).toArray();
    PathQuantizer quantizer = path.quantizer(QuantizerOptions.of(dim), dtype);
    long mask = -1L >>> (64 - dim);
    long[] flipped = Arrays.stream(quantizer.encode(x)).map(index -> ~index & mask).toArray();
    assertArrayEquals(flipped, quantizer.encode(negated));
  }

  // 5. Batches, chunks, order

  @Property(tries = 20)
  void rowsDoNotDependOnTheirBatch(@ForAll long seed) {
    int dim = 13;
    int rows = 3000;
    double[] x = Rounded.to(DType.FLOAT32, TestData.gaussian(seed, rows * dim));
    PathQuantizer quantizer = path.quantizer(QuantizerOptions.of(dim), DType.FLOAT32);
    HostQuantization<double[]> whole = quantizer.forward(x);
    int split = new Random(seed).nextInt(rows);
    HostQuantization<double[]> first = quantizer.forward(Arrays.copyOf(x, split * dim));
    HostQuantization<double[]> second =
        quantizer.forward(Arrays.copyOfRange(x, split * dim, x.length));
    long[] joined =
        LongStream.concat(Arrays.stream(first.indices()), Arrays.stream(second.indices()))
            .toArray();
    assertArrayEquals(joined, whole.indices());
    double mean =
        (first.perSampleEntropy() * split + second.perSampleEntropy() * (rows - split)) / rows;
    assertEquals(mean, whole.perSampleEntropy(), 1e-9);
  }

  @Example
  void manyChunksEqualOneRowAtATime() {
    // 16 MB hold the factors of 1024 rows at D = 20 in float64, so 3000 rows take three chunks.
    int dim = 20;
    int rows = 3000;
    double[] x = TestData.gaussian(5, rows * dim);
    PathQuantizer quantizer = quantizer(dim, 50);
    HostQuantization<double[]> whole = quantizer.forward(x);
    double sum = 0;
    for (int row = 0; row < rows; row += 100) {
      double[] part = Arrays.copyOfRange(x, row * dim, (row + 100) * dim);
      HostQuantization<double[]> partial = quantizer.forward(part);
      assertArrayEquals(partial.indices(), Arrays.copyOfRange(whole.indices(), row, row + 100));
      sum += partial.perSampleEntropy() * 100;
    }
    assertEquals(sum / rows, whole.perSampleEntropy(), 1e-12);

    double[] reversed = reverseRows(x, dim);
    HostQuantization<double[]> backwards = quantizer.forward(reversed);
    assertEquals(whole.codebookEntropy(), backwards.codebookEntropy(), 1e-11);
    assertArrayEquals(
        quantizer.backward(x, 1), reverseRows(quantizer.backward(reversed, 1), dim), 1e-12);
  }

  @Property(tries = 20)
  void rowOrderDoesNotMatter(@ForAll long seed) {
    int dim = 11;
    int rows = 500;
    double[] x = TestData.gaussian(seed, rows * dim);
    List<Integer> order = IntStream.range(0, rows).boxed().toList();
    List<Integer> shuffled = new ArrayList<>(order);
    Collections.shuffle(shuffled, new Random(seed));
    double[] permuted = new double[x.length];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(x, shuffled.get(row) * dim, permuted, row * dim, dim);
    }
    PathQuantizer quantizer = quantizer(dim, 30);
    HostQuantization<double[]> expected = quantizer.forward(x);
    HostQuantization<double[]> actual = quantizer.forward(permuted);
    for (int row = 0; row < rows; row++) {
      assertEquals(expected.indices()[shuffled.get(row)], actual.indices()[row]);
    }
    assertEquals(expected.auxLoss(), actual.auxLoss(), 1e-12);
  }

  private static double[] reverseRows(double[] x, int dim) {
    double[] reversed = new double[x.length];
    for (int from = 0; from < x.length; from += dim) {
      System.arraycopy(x, from, reversed, x.length - dim - from, dim);
    }
    return reversed;
  }

  // 6. Values of codes

  @Property(tries = 100)
  void everyComponentIsTheCodeValueInItsType(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 18) int dim,
      @ForAll("dtypes") DType dtype) {
    double[] x = Rounded.to(dtype, TestData.gaussian(seed, 4 * dim));
    double value = 1 / Math.sqrt(dim);
    double tolerance =
        switch (dtype) {
          case FLOAT32 -> Math.ulp((float) value);
          case FLOAT64 -> Math.ulp(value);
          default -> 0; // rounded from float32
        };
    double nearest = Rounded.to(dtype, value)[0];
    for (double component :
        path.quantizer(QuantizerOptions.of(dim), dtype).forward(x).quantized()) {
      double error = Math.abs(Math.abs(component) - nearest);
      assertTrue(error <= tolerance, () -> component + " for ±" + nearest);
    }
  }

  // 7. Straight through

  @Property(tries = 100)
  void theGradientOfTheCodeIsThatOfTheUnitVector(
      @ForAll long seed, @ForAll("dimsOfGradients") int dim) {
    double[] x = TestData.gaussian(seed, 5 * dim);
    double[] gradient = TestData.gaussian(seed + 1, x.length);
    assertArrayEquals(
        Oracle.gradQuantized(x, gradient, dim), quantizer(dim, 0).backward(x, gradient, 0), 1e-12);
  }

  /** On tensors a backward pass follows a forward pass, whose losses take 2^dim numbers. */
  @Provide
  Arbitrary<Integer> dimsOfGradients() {
    return Arbitraries.integers().between(1, path == QuantizerPath.HOST ? 63 : 16);
  }

  // 8. Central differences

  @Property(tries = 30)
  void theGradientAgreesWithCentralDifferences(
      @ForAll long seed,
      @ForAll @IntRange(min = 2, max = 10) int dim,
      @ForAll @DoubleRange(min = 0.1, max = 5) double beta) {
    // At these temperatures no probability is near the clamp, where the gradient jumps.
    double[] x = TestData.gaussian(seed, 4 * dim);
    PathQuantizer quantizer = quantizer(dim, beta / dim);
    double[] gradient = quantizer.backward(x, 1);
    for (int i = 0; i < x.length; i++) {
      // The loss does not change with a row's length, so its derivatives grow as the row shrinks:
      // step and tolerance are relative to that length.
      double length = Oracle.norm(x, i / dim, dim);
      double step = 1e-5 * length;
      double[] above = x.clone();
      double[] below = x.clone();
      above[i] += step;
      below[i] -= step;
      double difference = quantizer.forward(above).auxLoss() - quantizer.forward(below).auxLoss();
      assertEquals(difference / 2e-5, gradient[i] * length, 1e-7);
    }
  }

  // 9. Zero rows

  @Example
  void aZeroRowHasIndexZeroAndTheLargestEntropy() {
    for (int dim = 1; dim <= 20; dim++) {
      PathQuantizer quantizer = quantizer(dim, 100);
      HostQuantization<double[]> zero = quantizer.forward(new double[dim]);
      assertArrayEquals(new long[] {0}, zero.indices());
      assertArrayEquals(quantizer.decode(new long[] {0}), zero.quantized());
      double expected = Math.min(dim * Math.log(2), LOG_OF_CLAMP);
      assertEquals(expected, zero.perSampleEntropy(), 1e-10);
      assertEquals(expected, zero.codebookEntropy(), 1e-10);
    }
  }

  @Example
  void zerosOfBothSignsAndTiesGiveBitZero() {
    double[] x = {0, Float.MIN_VALUE, -0.0, -Float.MIN_VALUE};
    PathQuantizer quantizer = path.quantizer(QuantizerOptions.of(4), DType.FLOAT32);
    assertArrayEquals(new long[] {0b0100}, quantizer.encode(x));
    assertArrayEquals(new long[] {0b0100}, quantizer.forward(x).indices());
  }

  @Provide
  Arbitrary<DType> dtypes() {
    return Arbitraries.of(servedTypes());
  }

  private List<DType> servedTypes() {
    return Arrays.stream(DType.values()).filter(path::serves).toList();
  }

  private PathQuantizer quantizer(int dim, double inverseTemperature) {
    return path.quantizer(
        QuantizerOptions.builder(dim).inverseTemperature(inverseTemperature).build(),
        DType.FLOAT64);
  }
}
