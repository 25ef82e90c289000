package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.parity.PathQuantizer;
import io.github.bsq4j.parity.QuantizerPath;
import java.util.Arrays;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/**
 * Every element type against {@link Oracle} on random inputs, with options in any combination.
 * Tolerances are those of the golden files for what is computed in float32, and of rounding for
 * float64; both grow with the weights of the loss.
 */
abstract class OracleComparison {
  private final QuantizerPath path;

  OracleComparison(QuantizerPath path) {
    this.path = path;
  }

  @Property(tries = 400)
  void float64(@ForAll("cases") RandomCase randomCase) {
    QuantizerOptions options = randomCase.options();
    Batch batch = randomCase.batch();
    double[] x = randomCase.vectors(0);
    double[] gradQuantized = randomCase.vectors(1);
    Oracle oracle = Oracle.of(options, x, batch);
    PathQuantizer quantizer = quantizer(randomCase, DType.FLOAT64);

    HostQuantization<double[]> actual = quantizer.forward(x);
    assertArrayEquals(oracle.quantized(), actual.quantized(), 1e-15);
    assertArrayEquals(oracle.indices(), actual.indices());
    assertArrayEquals(oracle.indices(), quantizer.encode(x));
    assertArrayEquals(oracle.quantized(), quantizer.decode(oracle.indices()), 1e-15);
    assertArrayEquals(oracle.indices(), quantizer.codesToIndices(oracle.quantized()));
    assertLosses(oracle.losses(), actual.losses(), randomCase);
    LossSums sums = quantizer.lossSums(x);
    assertArrayEquals(oracle.sums(), sums.toArray(), 1e-11);
    assertLosses(oracle.losses(), sums.losses(), randomCase);

    // The largest slope of the entropies is of the order of the inverse temperature.
    double slope = randomCase.weight() * (1 + options.inverseTemperature());
    assertGradient(oracle.gradAux(), quantizer.backward(x, 1), x, randomCase, 1e-11 * (1 + slope));
    double[] straight = Oracle.gradQuantized(options, x, batch, gradQuantized);
    assertGradient(straight, quantizer.backward(x, gradQuantized, 0), x, randomCase, 1e-13);
  }

  private static void assertLosses(Losses expected, Losses actual, RandomCase randomCase) {
    double weight = 1 + randomCase.weight();
    assertEquals(expected.perSampleEntropy(), actual.perSampleEntropy(), 1e-12);
    assertEquals(expected.codebookEntropy(), actual.codebookEntropy(), 1e-12);
    assertEquals(expected.entropyLoss(), actual.entropyLoss(), 1e-11);
    assertEquals(expected.commitment(), actual.commitment(), 1e-13);
    assertEquals(expected.auxLoss(), actual.auxLoss(), 1e-11 * weight);
    assertEquals(expected.rows(), actual.rows());
    assertEquals(expected.entropyRows(), actual.entropyRows());
  }

  @Property(tries = 400)
  void float32AndNarrower(
      @ForAll("typesComputedInFloat32") DType dtype, @ForAll("cases") RandomCase randomCase) {
    QuantizerOptions options = randomCase.options();
    Batch batch = randomCase.batch();
    double[] x = Rounded.to(dtype, randomCase.vectors(0));
    double[] gradQuantized = Rounded.to(dtype, randomCase.vectors(1));
    Oracle oracle = Oracle.of(options, x, batch);
    PathQuantizer quantizer = quantizer(randomCase, dtype);

    HostQuantization<double[]> actual = quantizer.forward(x);
    for (int i = 0; i < x.length; i++) {
      assertRounded(oracle.quantized()[i], actual.quantized()[i], 1e-7, dtype);
    }
    assertArrayEquals(oracle.indices(), actual.indices());
    assertArrayEquals(oracle.indices(), quantizer.encode(x));
    double weight = 1 + randomCase.weight();
    assertScalar(oracle.losses().perSampleEntropy(), actual.losses().perSampleEntropy(), 1);
    assertScalar(oracle.losses().codebookEntropy(), actual.losses().codebookEntropy(), 1);
    assertScalar(oracle.losses().commitment(), actual.losses().commitment(), 1);
    assertScalar(oracle.losses().auxLoss(), actual.losses().auxLoss(), weight);
    double absolute = Math.max(1e-6 * weight, gradientRounding(options, oracle.losses().rows()));
    assertRoundedGradient(
        oracle.gradAux(), quantizer.backward(x, 1), x, randomCase, absolute, dtype);
    double[] straight = Oracle.gradQuantized(options, x, batch, gradQuantized);
    assertRoundedGradient(
        straight, quantizer.backward(x, gradQuantized, 0), x, randomCase, 1e-6, dtype);
  }

  @Provide
  Arbitrary<RandomCase> cases() {
    return RandomCase.any();
  }

  @Provide
  Arbitrary<DType> typesComputedInFloat32() {
    return Arbitraries.of(
        Stream.of(DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16).filter(path::serves).toList());
  }

  private PathQuantizer quantizer(RandomCase randomCase, DType dtype) {
    return path.quantizer(randomCase.options(), dtype, randomCase.shape())
        .counting(randomCase.batch());
  }

  /**
   * What float32 may round of a gradient with respect to a unit vector, however small it is: a
   * gradient of the entropies is a difference of sums of p · dH/dp, multiplied with d theta / du,
   * and dH/dp is up to ln(1 / epsilon). The 5 roundings were measured: see
   * src/test/python/parity.py, whose tolerances have the same term.
   */
  private static double gradientRounding(QuantizerOptions options, long rows) {
    double entropies =
        options.entropyLossWeight()
            / (options.dividedByInverseTemperature() ? options.inverseTemperature() : 1)
            * (Math.abs(options.sampleEntropyWeight()) + Math.abs(options.diversityGamma()));
    double slope = 4 * options.inverseTemperature() / Math.sqrt(options.codeDim());
    double unit = 0x1p-24 * Math.log(1 / options.entropyFloor().epsilon());
    return 5 * unit * Math.abs(entropies) * slope / (Math.max(rows, 1) * options.codebooks());
  }

  private static void assertScalar(double expected, double actual, double weight) {
    assertEquals(expected, actual, weight * (2e-6 + 2e-5 * Math.abs(expected)));
  }

  /** As gradients with respect to the unit vector, since d/dx scales with 1 / |x|. */
  private static void assertGradient(
      double[] expected, double[] actual, double[] x, RandomCase randomCase, double tolerance) {
    Oracle.Rows rows = new Oracle.Rows(randomCase.options(), randomCase.batch());
    for (int row = 0; row < rows.count(); row++) {
      for (int k = 0; k < randomCase.options().codebooks(); k++) {
        double norm = Oracle.norm(rows.code(x, row, k));
        assertArrayEquals(
            rows.code(expected, row, k),
            rows.code(actual, row, k),
            tolerance / norm,
            "row " + row + ", codebook " + k);
      }
    }
  }

  private static void assertRoundedGradient(
      double[] expected,
      double[] actual,
      double[] x,
      RandomCase randomCase,
      double absolute,
      DType dtype) {
    Oracle.Rows rows = new Oracle.Rows(randomCase.options(), randomCase.batch());
    for (int row = 0; row < rows.count(); row++) {
      for (int k = 0; k < randomCase.options().codebooks(); k++) {
        double norm = Oracle.norm(rows.code(x, row, k));
        double[] wanted = rows.code(expected, row, k);
        double[] given = rows.code(actual, row, k);
        double largest = norm * Arrays.stream(wanted).map(Math::abs).max().getAsDouble();
        for (int d = 0; d < wanted.length; d++) {
          assertRounded(wanted[d], given[d], (absolute + 2e-4 * largest) / norm, dtype);
        }
      }
    }
  }

  /** What is within the tolerance before it is rounded is between the rounded limits after it. */
  private static void assertRounded(double expected, double actual, double tolerance, DType dtype) {
    double[] limits = Rounded.to(dtype, expected - tolerance, expected + tolerance);
    assertTrue(
        limits[0] <= actual && actual <= limits[1],
        () -> "expected " + limits[0] + " to " + limits[1] + ", got " + actual);
  }
}
