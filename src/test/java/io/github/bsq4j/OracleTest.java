package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;

/**
 * Both element types against {@link Oracle} on random inputs, dimensions, temperatures and weights.
 * Tolerances are those of the golden files for float32, and of rounding for float64.
 */
class OracleTest {
  @Property(tries = 150)
  void float64(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 9) int dim,
      @ForAll @IntRange(min = 1, max = 24) int rows,
      @ForAll @DoubleRange(min = -2, max = 3) double logBeta,
      @ForAll @DoubleRange(min = -1, max = 1) double weight,
      @ForAll @DoubleRange(min = -1, max = 2) double gamma) {
    QuantizerOptions options = options(dim, Math.pow(10, logBeta), weight, gamma);
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);
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
    assertGradient(
        oracle.gradAux(), quantizer.backward(x, new double[x.length], 1), x, dim, tolerance);
    assertGradient(
        Oracle.gradQuantized(x, gradQuantized, dim),
        quantizer.backward(x, gradQuantized, 0),
        x,
        dim,
        1e-13);
  }

  @Property(tries = 150)
  void float32(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 9) int dim,
      @ForAll @IntRange(min = 1, max = 24) int rows,
      @ForAll @DoubleRange(min = -2, max = 3) double logBeta,
      @ForAll @DoubleRange(min = -1, max = 2) double gamma) {
    QuantizerOptions options = options(dim, Math.pow(10, logBeta), 0.1, gamma);
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);
    float[] x = TestData.floats(TestData.gaussian(seed, rows * dim));
    Oracle oracle = Oracle.of(options, TestData.doubles(x));

    HostQuantization<float[]> actual = quantizer.forward(x);
    assertArrayEquals(oracle.quantized(), TestData.doubles(actual.quantized()), 1e-7);
    assertArrayEquals(oracle.indices(), actual.indices());
    assertArrayEquals(oracle.indices(), quantizer.encode(x));
    assertScalar(oracle.auxLoss(), actual.auxLoss());
    assertScalar(oracle.perSampleEntropy(), actual.perSampleEntropy());
    assertScalar(oracle.codebookEntropy(), actual.codebookEntropy());

    double[] gradient = TestData.doubles(quantizer.backward(x, new float[x.length], 1));
    for (int row = 0; row < rows; row++) {
      double norm = Oracle.norm(TestData.doubles(x), row, dim);
      double largest = 0;
      for (int d = 0; d < dim; d++) {
        largest = Math.max(largest, norm * Math.abs(oracle.gradAux()[row * dim + d]));
      }
      for (int i = row * dim; i < (row + 1) * dim; i++) {
        assertEquals(oracle.gradAux()[i], gradient[i], (1e-6 + 2e-4 * largest) / norm);
      }
    }
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
}
