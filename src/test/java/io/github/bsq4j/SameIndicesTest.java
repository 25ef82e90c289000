package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Codes on the tests' device are those of host memory, by whatever they are computed. A bit is the
 * sign of its own component, which nothing rounds: no row may differ, however near it is to another
 * code. A later level's bit is the sign of what the levels before it left over of the unit vector,
 * which is rounded: rows may differ there that are within rounding of another code, and only those.
 * Both kinds of rows are counted and reported.
 */
@OnDevice
class SameIndicesTest {
  private static final int ROWS = 100_000;
  private static final int LEVELS = 4;

  /** Of a unit vector's components in float32: their own, and those of the differences. */
  private static final float ROUNDING = 0x1p-21f;

  /** Some components are far smaller than the others, to either side of rounding. */
  private static float[] vectors(int rowLength) {
    Random random = new Random(7);
    float[] x = new float[ROWS * rowLength];
    for (int i = 0; i < x.length; i++) {
      double scale = random.nextInt(50) == 0 ? Math.pow(10, random.nextDouble(-12, 0)) : 1;
      x[i] = (float) (scale * random.nextGaussian());
    }
    return x;
  }

  @ParameterizedTest
  @CsvSource({"2, 1, 2", "13, 1, 13", "36, 1, 9", "10, 4, 10", "63, 1, 63"})
  void indicesAreEqual(int codeDim, int codebooks, int groupSize) {
    QuantizerOptions options =
        QuantizerOptions.builder(codeDim)
            .codebooks(codebooks)
            .groupSize(groupSize)
            .entropyForm(EntropyForm.ANALYTICAL)
            .build();
    BinarySphericalQuantizer onHost = BinarySphericalQuantizer.create(options);
    float[] x = vectors(options.rowLength());
    long[] expected = onHost.encode(x);
    byte[] packed = onHost.packBytes(x);
    float[] margins = onHost.signMargins(x);
    long near = IntStream.range(0, margins.length).filter(i -> margins[i] <= ROUNDING).count();
    assertTrue(near > 0, "no code is within rounding of another");
    for (Implementation implementation : TestDevice.allImplementations()) {
      BinarySphericalQuantizer quantizer =
          BinarySphericalQuantizer.create(
              options.toBuilder().implementation(implementation).build());
      try (Arena arena = Arena.ofConfined()) {
        Tensor rows = TestDevice.put(arena, Tensor.of(arena, x, ROWS, options.rowLength()));
        assertArrayEquals(expected, quantizer.encode(arena, rows).toLongArray());
        assertArrayEquals(expected, quantizer.forward(arena, rows).indices().toLongArray());
        assertArrayEquals(packed, quantizer.pack(arena, rows, CodeLayout.BYTES).toByteArray());
        assertArrayEquals(
            margins, quantizer.signMargins(arena, rows).toFloatArray(), ROUNDING, "margins");
      }
      report(implementation, options, margins.length + " codes", 0, near);
    }
  }

  @ParameterizedTest
  @CsvSource({"6, 1", "13, 1", "8, 2"})
  void levelsDifferWithinRoundingAlone(int codeDim, int codebooks) {
    QuantizerOptions options = QuantizerOptions.builder(codeDim).codebooks(codebooks).build();
    ResidualQuantizer onHost = ResidualQuantizer.create(options, LEVELS);
    float[] x = vectors(options.rowLength());
    long[] expected = onHost.encode(x);
    boolean[] near = new boolean[ROWS];
    for (int level = 1; level < LEVELS; level++) {
      float[] left = onHost.residual(level, x);
      for (int i = 0; i < left.length; i++) {
        near[i / options.rowLength()] |= Math.abs(left[i]) <= ROUNDING;
      }
    }
    long nearRows = IntStream.range(0, ROWS).filter(row -> near[row]).count();
    int perRow = LEVELS * codebooks;
    for (Implementation implementation : TestDevice.allImplementations()) {
      ResidualQuantizer quantizer =
          ResidualQuantizer.create(
              options.toBuilder().implementation(implementation).build(), LEVELS);
      try (Arena arena = Arena.ofConfined()) {
        Tensor rows = TestDevice.put(arena, Tensor.of(arena, x, ROWS, options.rowLength()));
        long[] actual = quantizer.encode(arena, rows).toLongArray();
        assertEquals(expected.length, actual.length);
        int[] differing =
            IntStream.range(0, ROWS)
                .filter(
                    row ->
                        !Arrays.equals(
                            expected,
                            row * perRow,
                            (row + 1) * perRow,
                            actual,
                            row * perRow,
                            (row + 1) * perRow))
                .toArray();
        for (int row : differing) {
          assertTrue(near[row], () -> "row " + row + " differs, and is not within rounding");
        }
        String rowsOf = ROWS + " rows of " + LEVELS + " levels";
        report(implementation, options, rowsOf, differing.length, nearRows);
      }
    }
  }

  private static void report(
      Implementation implementation, QuantizerOptions options, String of, long differ, long near) {
    System.out.printf(
        "indices on %s, %s, D %d: of %s %d differ from host memory's, %d are within rounding%n",
        TestDevice.DEVICE, implementation, options.codeDim(), of, differ, near);
  }
}
