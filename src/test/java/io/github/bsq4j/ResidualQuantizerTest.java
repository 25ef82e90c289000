package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ResidualQuantizerTest {
  private static final int ROWS = 60;
  private static final int LEVELS = 4;

  private static final QuantizerOptions OPTIONS =
      QuantizerOptions.builder(6)
          .codebooks(2)
          .groupSize(3)
          .inverseTemperature(5)
          .commitmentWeight(0.25)
          .build();

  private final ResidualQuantizer quantizer = ResidualQuantizer.create(OPTIONS, LEVELS);

  private static double[] randomRows(int seed) {
    return new Random(seed).doubles(ROWS * 12L, -1, 1).toArray();
  }

  private static float[] floats(double[] values) {
    float[] result = new float[values.length];
    IntStream.range(0, values.length).forEach(i -> result[i] = (float) values[i]);
    return result;
  }

  /** The class's Javadoc, word for word. */
  @Test
  void followsItsDefinition() {
    double[] x = randomRows(1);
    long[] indices = new long[ROWS * LEVELS * 4];
    double[] quantized = new double[x.length];
    for (int code = 0; code < ROWS * 2; code++) {
      double norm = 0;
      for (int d = 0; d < 6; d++) {
        norm = Math.hypot(norm, x[code * 6 + d]);
      }
      for (int d = 0; d < 6; d++) {
        double residual = x[code * 6 + d] / norm;
        for (int level = 0; level < LEVELS; level++) {
          double q = Math.scalb(Math.signum(residual) / Math.sqrt(6), -level);
          quantized[code * 6 + d] += q;
          if (residual > 0) {
            indices[((code / 2 * LEVELS + level) * 2 + code % 2) * 2 + d / 3] |= 4L >> d % 3;
          }
          residual -= q;
        }
      }
    }
    HostResidualQuantization<double[]> result = quantizer.forward(x);
    assertArrayEquals(indices, result.indices());
    assertArrayEquals(quantized, result.quantized(), 1e-15);
    assertArrayEquals(indices, quantizer.encode(x));
    assertArrayEquals(result.quantized(), quantizer.decodeToDouble(indices, LEVELS));
    assertArrayEquals(indices, quantizer.codesToIndices(result.quantized()));
    assertEquals(LEVELS, result.losses().size());
    assertTrue(result.auxLoss() != 0);
  }

  @Test
  void indicesComeBackAndFirstLevelsAreDecodedAlone() {
    long[] indices = new Random(2).longs(ROWS * LEVELS * 4L, 0, 8).toArray();
    assertArrayEquals(indices, quantizer.codesToIndices(quantizer.decode(indices)));
    long[] first = new long[ROWS * 2 * 4];
    for (int row = 0; row < ROWS; row++) {
      System.arraycopy(indices, row * LEVELS * 4, first, row * 2 * 4, 2 * 4);
    }
    assertArrayEquals(
        ResidualQuantizer.create(OPTIONS, 2).decode(first), quantizer.decode(indices, 2));
  }

  /** Channels that come second, of items with positions: as the same rows one after the other. */
  @Test
  void batchesOfArrays() {
    int items = 4;
    int positions = 15;
    Batch batch = Batch.of(items, positions);
    ResidualQuantizer channelFirst =
        ResidualQuantizer.create(OPTIONS.toBuilder().channelFirst(true).build(), LEVELS);
    double[] rows = randomRows(6);
    double[] x = channelsFirst(rows, items, positions);
    long[] indices = quantizer.encode(rows);
    assertArrayEquals(indices, channelFirst.encode(x, batch));
    assertArrayEquals(indices, quantizer.encode(rows, batch));
    for (int used = 1; used <= LEVELS; used++) {
      double[] expected = channelsFirst(quantizer.decodeToDouble(indices, used), items, positions);
      assertArrayEquals(expected, channelFirst.decodeToDouble(indices, batch, used));
      assertArrayEquals(quantizer.decode(indices, used), quantizer.decode(indices, batch, used));
      assertArrayEquals(floats(expected), channelFirst.decode(indices, batch, used), 1e-7f);
    }
    double[] quantized = channelFirst.decodeToDouble(indices, batch);
    assertArrayEquals(
        channelsFirst(quantizer.decodeToDouble(indices), items, positions), quantized);
    assertArrayEquals(indices, channelFirst.codesToIndices(quantized, batch));
    assertArrayEquals(
        indices, channelFirst.codesToIndices(channelFirst.decode(indices, batch), batch));
    double[] residual = channelsFirst(quantizer.residual(2, rows), items, positions);
    assertArrayEquals(residual, channelFirst.residual(2, x, batch));
    assertArrayEquals(floats(residual), channelFirst.residual(2, floats(x), batch), 1e-6f);
  }

  /** [items, positions, 12] as [items, 12, positions]. */
  private static double[] channelsFirst(double[] rows, int items, int positions) {
    double[] result = new double[rows.length];
    for (int item = 0; item < items; item++) {
      for (int position = 0; position < positions; position++) {
        for (int d = 0; d < 12; d++) {
          result[(item * 12 + d) * positions + position] =
              rows[(item * positions + position) * 12 + d];
        }
      }
    }
    return result;
  }

  @Test
  void oneLevelIsTheQuantizerItself() {
    float[] x = floats(randomRows(3));
    boolean[] counts = new boolean[ROWS];
    Arrays.fill(counts, 1, ROWS, true);
    Batch batch = Batch.of(ROWS).withMask(counts);
    HostQuantization<float[]> expected = BinarySphericalQuantizer.create(OPTIONS).forward(x, batch);
    ResidualQuantizer one = ResidualQuantizer.create(OPTIONS, 1);
    HostResidualQuantization<float[]> result = one.forward(x, batch);
    assertArrayEquals(expected.indices(), result.indices());
    assertArrayEquals(expected.quantized(), result.quantized());
    assertEquals(expected.losses(), result.losses().get(0));
    assertArrayEquals(
        BinarySphericalQuantizer.create(OPTIONS).backward(x, batch, x, 0.5),
        one.backward(x, batch, x, 0.5));
  }

  /** The same results from arrays and from tensors, whatever computes them. */
  @OnDevice
  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void tensorsGiveTheSame(Implementation implementation) {
    double[] x = randomRows(4);
    HostResidualQuantization<double[]> expected = quantizer.forward(x);
    double[] weights = {1, 0, -0.5, 2};
    double[] gradient = quantizer.backward(x, Batch.of(ROWS), x, weights);
    ResidualQuantizer onTensors =
        ResidualQuantizer.create(
            OPTIONS.toBuilder().implementation(implementation).build(), LEVELS);
    try (Arena arena = Arena.ofConfined()) {
      Tensor rows = TestDevice.put(arena, Tensor.of(arena, x, 5, 12, 12));
      Tensor indices = onTensors.encode(arena, rows);
      assertArrayEquals(new long[] {5, 12, LEVELS, 2, 2}, indices.shape());
      assertArrayEquals(expected.indices(), indices.toLongArray());
      Tensor decoded = onTensors.decode(arena, indices, LEVELS, DType.FLOAT64);
      assertArrayEquals(expected.quantized(), decoded.toDoubleArray());
      assertArrayEquals(expected.indices(), onTensors.codesToIndices(arena, decoded).toLongArray());
      assertArrayEquals(
          quantizer.residual(2, x), onTensors.residual(arena, 2, rows).toDoubleArray(), 1e-15);
      ResidualQuantization result = onTensors.forward(arena, rows);
      assertArrayEquals(expected.quantized(), result.quantized().toDoubleArray());
      assertArrayEquals(expected.indices(), result.indices().toLongArray());
      for (int level = 0; level < LEVELS; level++) {
        assertEquals(
            expected.losses().get(level).auxLoss(), result.losses().get(level).auxLoss(), 1e-12);
      }
      assertEquals(expected.auxLoss(), result.auxLoss(), 1e-12);
      assertArrayEquals(gradient, result.backward(arena, rows, weights).toDoubleArray(), 1e-12);
      Tensor half = rows.to(arena, DType.BFLOAT16);
      assertEquals(DType.BFLOAT16, onTensors.forward(arena, half).backward(arena, 1).dtype());
    }
  }

  @Test
  void segmentsInPlace() {
    double[] x = randomRows(5);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment in = arena.allocateFrom(java.lang.foreign.ValueLayout.JAVA_DOUBLE, x);
      MemorySegment quantized = arena.allocate(in.byteSize(), 8);
      MemorySegment indices = arena.allocate(ROWS * LEVELS * 4L * Long.BYTES, 8);
      Batch batch = Batch.of(ROWS);
      quantizer.forward(in, DType.FLOAT64, batch, quantized, indices);
      HostResidualQuantization<double[]> expected = quantizer.forward(x);
      assertArrayEquals(
          expected.indices(), indices.toArray(java.lang.foreign.ValueLayout.JAVA_LONG));
      assertArrayEquals(
          expected.quantized(), quantized.toArray(java.lang.foreign.ValueLayout.JAVA_DOUBLE));
      assertThrows(
          IllegalArgumentException.class,
          () -> quantizer.forward(in, DType.FLOAT64, batch, in, indices));
    }
  }

  @Test
  void refusalsNameTheValues() {
    assertRefused("levels is 0, expected 1 to 16", () -> ResidualQuantizer.create(OPTIONS, 0));
    assertRefused("levels is 17, expected 1 to 16", () -> ResidualQuantizer.create(OPTIONS, 17));
    assertRefused("usedLevels is 5, expected 1 to 4", () -> quantizer.decode(new long[16], 5));
    assertRefused(
        "indices has 15 elements, which are no whole rows of 16 (levels 4, codebooks 2, groups 2)",
        () -> quantizer.decode(new long[15]));
    assertRefused(
        "indices has 32 elements, expected 3 rows of 16 (levels 4, codebooks 2, groups 2)",
        () -> quantizer.decode(new long[32], Batch.of(3)));
    assertRefused(
        "quantized has 24 elements, expected 3 rows of 2 codebooks of codeDim 6",
        () -> quantizer.codesToIndices(new float[24], Batch.of(3)));
    assertRefused(
        "x has 24 elements, expected 3 rows of 2 codebooks of codeDim 6",
        () -> quantizer.residual(1, new double[24], Batch.of(3)));
    assertRefused("level is 5, expected 0 to 4", () -> quantizer.residual(5, new float[12]));
    assertRefused(
        "gradAuxLosses has 2 elements, expected one for each of 4 levels, or a single one",
        () -> quantizer.backward(new float[12], Batch.of(1), new float[12], 1, 2));
    long[] indices = new long[16];
    indices[14] = 8;
    BsqException index = assertThrows(BsqException.class, () -> quantizer.decode(indices));
    assertEquals("indices[0, 3, 2] is 8, expected 0 to 7 for group_size 3", index.getMessage());
    float[] x = new float[12];
    x[7] = Float.NaN;
    BsqException nan = assertThrows(BsqException.class, () -> quantizer.encode(x));
    assertEquals("x[0, 7] is nan, expected a finite number", nan.getMessage());
  }

  private static void assertRefused(
      String message, org.junit.jupiter.api.function.Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
