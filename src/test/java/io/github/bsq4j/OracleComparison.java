package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.parity.PathQuantizer;
import io.github.bsq4j.parity.QuantizerPath;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;

/**
 * Every element type against {@link Oracle} on random inputs, dimensions, temperatures and weights.
 * Tolerances are those of the golden files for what is computed in float32, and of rounding for
 * float64.
 */
abstract class OracleComparison {
  private final QuantizerPath path;

  OracleComparison(QuantizerPath path) {
    this.path = path;
  }

  @Property(tries = 150)
  void float64(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 9) int dim,
      @ForAll @IntRange(min = 1, max = 24) int rows,
      @ForAll @DoubleRange(min = -2, max = 3) double logBeta,
      @ForAll @DoubleRange(min = -1, max = 1) double weight,
      @ForAll @DoubleRange(min = -1, max = 2) double gamma) {
    QuantizerOptions options = options(dim, Math.pow(10, logBeta), weight, gamma);
    PathQuantizer quantizer = path.quantizer(options, DType.FLOAT64);
    double[] x = TestData.gaussian(seed, rows * dim);
    double[] gradQuantized = TestData.gaussian(seed + 1, x.length);
    Oracle oracle = Oracle.of(options, x);

    HostQuantization<double[]> actual = quantizer.forward(x);
    assertArrayEquals(oracle.quantized(), actual.quantized(), 1e-15);
    assertArrayEquals(oracle.indices(), actual.indices());
    assertArrayEquals(oracle.indices(), quantizer.encode(x));
    assertEquals(oracle.auxLoss(), actual.auxLoss(), 1e-12 * (1 + Math.abs(gamma)));
    assertEquals(oracle.perSampleEntropy(), actual.perSampleEntropy(), 1e-12);
    assertEquals(oracle.codebookEntropy(), actual.codebookEntropy(), 1e-12);

    // The largest slope of the loss is of the order of the inverse temperature.
    double tolerance = 1e-11 * (1 + options.inverseTemperature());
    assertGradient(oracle.gradAux(), quantizer.backward(x, 1), x, dim, tolerance);
    assertGradient(
        Oracle.gradQuantized(x, gradQuantized, dim),
        quantizer.backward(x, gradQuantized, 0),
        x,
        dim,
        1e-13);
  }

  @Property(tries = 150)
  void float32AndNarrower(
      @ForAll("typesComputedInFloat32") DType dtype,
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 9) int dim,
      @ForAll @IntRange(min = 1, max = 24) int rows,
      @ForAll @DoubleRange(min = -2, max = 3) double logBeta,
      @ForAll @DoubleRange(min = -1, max = 2) double gamma) {
    QuantizerOptions options = options(dim, Math.pow(10, logBeta), 0.1, gamma);
    PathQuantizer quantizer = path.quantizer(options, dtype);
    double[] x = Rounded.to(dtype, TestData.gaussian(seed, rows * dim));
    double[] gradQuantized = Rounded.to(dtype, TestData.gaussian(seed + 1, x.length));
    Oracle oracle = Oracle.of(options, x);

    HostQuantization<double[]> actual = quantizer.forward(x);
    for (int i = 0; i < x.length; i++) {
      assertRounded(oracle.quantized()[i], actual.quantized()[i], 1e-7, dtype);
    }
    assertArrayEquals(oracle.indices(), actual.indices());
    assertArrayEquals(oracle.indices(), quantizer.encode(x));
    assertScalar(oracle.auxLoss(), actual.auxLoss());
    assertScalar(oracle.perSampleEntropy(), actual.perSampleEntropy());
    assertScalar(oracle.codebookEntropy(), actual.codebookEntropy());
    assertRoundedGradient(oracle.gradAux(), quantizer.backward(x, 1), x, dim, dtype);
    assertRoundedGradient(
        Oracle.gradQuantized(x, gradQuantized, dim),
        quantizer.backward(x, gradQuantized, 0),
        x,
        dim,
        dtype);
  }

  @Provide
  Arbitrary<DType> typesComputedInFloat32() {
    return Arbitraries.of(
        Stream.of(DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16).filter(path::serves).toList());
  }

  private static QuantizerOptions options(int dim, double beta, double weight, double gamma) {
    return QuantizerOptions.builder(dim)
        .inverseTemperature(beta)
        .entropyLossWeight(weight)
        .diversityGamma(gamma)
        .build();
  }

  private static void assertScalar(double expected, double actual) {
    assertEquals(expected, actual, 2e-6 + 2e-5 * Math.abs(expected));
  }

  /** As gradients with respect to the unit vector, since d/dx scales with 1 / |x|. */
  private static void assertGradient(
      double[] expected, double[] actual, double[] x, int dim, double tolerance) {
    for (int i = 0; i < x.length; i++) {
      double norm = Oracle.norm(x, i / dim, dim);
      double error = norm * Math.abs(expected[i] - actual[i]);
      int element = i;
      assertTrue(
          error <= tolerance,
          () ->
              "element %d: expected %s, got %s"
                  .formatted(element, expected[element], actual[element]));
    }
  }

  private static void assertRoundedGradient(
      double[] expected, double[] actual, double[] x, int dim, DType dtype) {
    for (int row = 0; row < x.length / dim; row++) {
      double norm = Oracle.norm(x, row, dim);
      double largest = 0;
      for (int i = row * dim; i < (row + 1) * dim; i++) {
        largest = Math.max(largest, norm * Math.abs(expected[i]));
      }
      for (int i = row * dim; i < (row + 1) * dim; i++) {
        assertRounded(expected[i], actual[i], (1e-6 + 2e-4 * largest) / norm, dtype);
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
