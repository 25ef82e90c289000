package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.Arena;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Which shapes go in and come out of the quantizer's operations on tensors, and which do not. */
@OnDevice
class QuantizerOnTensorsTest {
  /** Six components and, in three groups, three indices for each code. */
  private static final int DIM = 6;

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void nothingNativeIsLeft() {
    arena.close();
    assertEquals(0, NativeCalls.liveHandles());
  }

  private Tensor of(float[] values, long... shape) {
    return TestDevice.put(arena, Tensor.of(arena, values, shape));
  }

  private Tensor of(double[] values, long... shape) {
    return TestDevice.put(arena, Tensor.of(arena, values, shape));
  }

  private Tensor of(long[] values, long... shape) {
    return TestDevice.put(arena, Tensor.of(arena, values, shape));
  }

  private Tensor of(byte[] values, long... shape) {
    return TestDevice.put(arena, Tensor.of(arena, values, shape));
  }

  // Shapes

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void indicesHaveTheDimensionsOfRowsThenOfCodebooksThenOfGroups(Implementation implementation) {
    long[] none = {};
    long[] rows = {5, 4};
    assertShapes(options(1, DIM, implementation), none, longs(DIM), longs(1));
    assertShapes(options(1, DIM, implementation), rows, longs(5, 4, DIM), rows);
    assertShapes(options(2, DIM, implementation), none, longs(12), longs(2));
    assertShapes(options(2, DIM, implementation), rows, longs(5, 4, 12), longs(5, 4, 2));
    assertShapes(options(1, 2, implementation), none, longs(DIM), longs(3));
    assertShapes(options(1, 2, implementation), rows, longs(5, 4, DIM), longs(5, 4, 3));
    assertShapes(options(2, 2, implementation), none, longs(12), longs(2, 3));
    assertShapes(options(2, 2, implementation), rows, longs(5, 4, 12), longs(5, 4, 2, 3));
    assertShapes(options(2, 2, implementation), longs(0, 4), longs(0, 4, 12), longs(0, 4, 2, 3));
  }

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void channelsMayComeSecond(Implementation implementation) {
    assertShapes(first(1, DIM, implementation), longs(5), longs(5, DIM), longs(5));
    assertShapes(first(2, 2, implementation), longs(5), longs(5, 12), longs(5, 2, 3));
    assertShapes(first(1, DIM, implementation), longs(5, 4), longs(5, DIM, 4), longs(5, 4));
    assertShapes(first(2, 2, implementation), longs(5, 4), longs(5, 12, 4), longs(5, 4, 2, 3));
    assertShapes(
        first(1, 2, implementation), longs(5, 4, 3), longs(5, DIM, 4, 3), longs(5, 4, 3, 3));
    assertShapes(first(2, DIM, implementation), longs(5, 0), longs(5, 12, 0), longs(5, 0, 2));
  }

  private void assertShapes(QuantizerOptions options, long[] rows, long[] x, long[] indices) {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);
    int size = 1;
    for (long dimension : x) {
      size *= (int) dimension;
    }
    double[] values = TestData.gaussian(3, size);
    Tensor vectors = of(values, x);
    Quantization result = quantizer.forward(arena, vectors);
    assertArrayEquals(x, result.quantized().shape());
    assertArrayEquals(indices, result.indices().shape());
    assertArrayEquals(indices, quantizer.encode(arena, vectors).shape());
    assertArrayEquals(x, result.backward(arena, vectors, 1).shape());
    assertArrayEquals(indices, quantizer.codesToIndices(arena, result.quantized()).shape());
    Tensor decoded = quantizer.decode(arena, result.indices(), DType.FLOAT64);
    // An index without a row of its own decodes to one row, as [1] does.
    boolean rowless = Arrays.equals(indices, longs(1)) && rows.length == 0;
    assertArrayEquals(rowless ? longs(1, DIM) : x, decoded.shape());
    assertArrayEquals(result.quantized().toDoubleArray(), decoded.toDoubleArray());

    // The mask has the dimensions of the rows.
    long[] maskShape = rows.length == 0 ? longs(1) : rows;
    Tensor mask = Tensor.zeros(arena, DType.UINT8, TestDevice.DEVICE, maskShape);
    assertEquals(0, quantizer.forward(arena, vectors, mask).losses().rows());
  }

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void tensorsOfAnyStridesGiveWhatArraysDo(Implementation implementation) {
    // A permuted x, channels first; a mask that is a part of another one, permuted.
    QuantizerOptions options = first(2, 2, implementation);
    double[] x = TestData.gaussian(5, 3 * 12 * 4);
    double[] gradQuantized = TestData.gaussian(6, x.length);
    Batch batch = Batch.of(3, 4).withLengths(4, 0, 2);
    BinarySphericalQuantizer onArrays =
        BinarySphericalQuantizer.create(
            options.toBuilder().implementation(Implementation.AUTOMATIC).build());
    Tensor strided = lastIsFirst(of(x, 3, 12, 4));
    Tensor stridedGradient = lastIsFirst(of(gradQuantized, 3, 12, 4));
    byte[] bytes = new byte[4 * 5]; // [positions, items and two more]
    for (int item = 0; item < 3; item++) {
      for (int position = 0; position < 4; position++) {
        bytes[position * 5 + item + 1] =
            (byte) (Oracle.counted(batch)[item * 4 + position] ? 7 : 0);
      }
    }
    Tensor mask = of(bytes, 4, 5).narrow(1, 1, 3).permute(1, 0);

    HostQuantization<double[]> expected = onArrays.forward(x, batch);
    Quantization actual = BinarySphericalQuantizer.create(options).forward(arena, strided, mask);
    assertArrayEquals(expected.quantized(), actual.quantized().toDoubleArray(), 1e-15);
    assertArrayEquals(expected.indices(), actual.indices().toLongArray());
    assertEquals(expected.auxLoss(), actual.auxLoss(), 1e-12);
    assertEquals(6, actual.losses().rows());
    assertArrayEquals(
        onArrays.backward(x, batch, gradQuantized, 2),
        actual.backward(arena, stridedGradient, 2).toDoubleArray(),
        1e-9);
    LossSums sums = onArrays.lossSums(TestData.gaussian(8, x.length), batch);
    LossSums total = sums.plus(actual.lossSums());
    assertEquals(12, total.rows());
    assertArrayEquals(
        onArrays.backward(x, batch, total, gradQuantized, 2),
        actual.backward(arena, stridedGradient, 2, total).toDoubleArray(),
        1e-9);
    assertArrayEquals(
        onArrays.backward(x, batch, total, new double[x.length], 2),
        actual.backward(arena, 2, total).toDoubleArray(),
        1e-9);
  }

  /** The same numbers in memory whose last dimension lies where the first does. */
  private Tensor lastIsFirst(Tensor tensor) {
    return tensor.permute(2, 1, 0).to(arena, DType.FLOAT64).permute(2, 1, 0);
  }

  // What does not fit

  @Test
  void vectorsThatDoNotFit() {
    BinarySphericalQuantizer quantizer =
        BinarySphericalQuantizer.create(options(2, 2, Implementation.AUTOMATIC));
    Tensor narrow = of(new float[12], 2, 6);
    String shape = "x has shape [2, 6], expected a last dimension of 2 codebooks of codeDim 6";
    assertRefused(shape, () -> quantizer.forward(arena, narrow));
    assertRefused(shape, () -> quantizer.forward(arena, narrow, narrow));
    assertRefused(shape, () -> quantizer.encode(arena, narrow));
    BinarySphericalQuantizer channelFirst =
        BinarySphericalQuantizer.create(first(1, 2, Implementation.AUTOMATIC));
    Tensor channelLast = of(new float[12], 1, 2, 6);
    assertRefused(
        "x has shape [1, 2, 6], expected a second (channelFirst) dimension of codeDim 6",
        () -> channelFirst.encode(arena, channelLast));
    Tensor vector = of(new float[6]);
    assertRefused(
        "codes has shape [6], expected a second (channelFirst) dimension of codeDim 6",
        () -> channelFirst.codesToIndices(arena, vector));
  }

  @Test
  void indicesThatDoNotFit() {
    BinarySphericalQuantizer quantizer =
        BinarySphericalQuantizer.create(options(2, 2, Implementation.AUTOMATIC));
    String rest = ", expected last dimensions [2, 3] of 6 indices (codebooks 2, groups 3)";
    for (long[] shape : new long[][] {{6}, {3}, {3, 2}, {2, 3, 1}}) {
      int size = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
      Tensor indices = of(new long[size], shape);
      assertRefused(
          "indices has shape " + Arrays.toString(shape) + rest,
          () -> quantizer.decode(arena, indices));
    }
    BinarySphericalQuantizer channelFirst =
        BinarySphericalQuantizer.create(first(1, 2, Implementation.AUTOMATIC));
    Tensor rowless = of(new long[3]);
    assertRefused(
        "indices has shape [3], expected dimensions of rows and last dimensions [3] of 3 indices"
            + " (codebooks 1, groups 3)",
        () -> channelFirst.decode(arena, rowless));
    // The dimensions of the codebooks and groups make way for that of the components.
    long[] rank64 = new long[64];
    Arrays.fill(rank64, 1);
    rank64[62] = 2;
    rank64[63] = 3;
    assertEquals(63, quantizer.decode(arena, of(new long[6], rank64)).rank());
  }

  @Test
  void masksThatDoNotFit() {
    BinarySphericalQuantizer quantizer =
        BinarySphericalQuantizer.create(options(1, 2, Implementation.AUTOMATIC));
    BinarySphericalQuantizer channelFirst =
        BinarySphericalQuantizer.create(first(1, 2, Implementation.AUTOMATIC));
    Tensor x = of(new float[5 * 6 * 6], 5, 6, 6);
    Tensor floats = of(new float[30], 5, 6);
    Tensor flat = of(new byte[30]);
    Tensor wide = of(new byte[5 * 6 * 6], 5, 6, 6);
    String shape = ", expected that of the rows of x, [5, 6]";
    for (BinarySphericalQuantizer either :
        new BinarySphericalQuantizer[] {quantizer, channelFirst}) {
      assertRefused("mask is FLOAT32, expected UINT8", () -> either.forward(arena, x, floats));
      assertRefused("mask has shape [30]" + shape, () -> either.forward(arena, x, flat));
      assertRefused("mask has shape [5, 6, 6]" + shape, () -> either.forward(arena, x, wide));
      assertNull("mask", () -> either.forward(arena, x, null));
      assertNull("x", () -> either.forward(arena, null, flat));
      assertNull("arena", () -> either.forward(null, x, of(new byte[30], 5, 6)));
    }
  }

  @Test
  void lossesOfLargeGroups() {
    QuantizerOptions options = QuantizerOptions.builder(34).groupSize(17).build();
    BinarySphericalQuantizer wide = BinarySphericalQuantizer.create(options);
    Tensor x = of(new float[34], 1, 34);
    BsqException e = assertThrows(BsqException.class, () -> wide.forward(arena, x));
    assertEquals(BsqException.Code.UNSUPPORTED, e.code());
    assertArrayEquals(new long[] {0, 0}, wide.encode(arena, x).toLongArray());
    BinarySphericalQuantizer analytical =
        BinarySphericalQuantizer.create(
            options.toBuilder().entropyForm(EntropyForm.ANALYTICAL).build());
    assertEquals(34 * Math.log(2), analytical.forward(arena, x).perSampleEntropy(), 1e-5);
  }

  @Test
  void sumsThatAreNull() {
    BinarySphericalQuantizer quantizer =
        BinarySphericalQuantizer.create(options(1, 2, Implementation.AUTOMATIC));
    Tensor x = of(new float[6]);
    Quantization quantization = quantizer.forward(arena, x);
    assertNull("sums", () -> quantization.backward(arena, 1, null));
    assertNull("sums", () -> quantization.backward(arena, x, 1, null));
    LossSums sums = quantization.lossSums();
    assertNull("gradQuantized", () -> quantization.backward(arena, null, 1, sums));
    assertNull("arena", () -> quantization.backward(null, 1, sums));
  }

  private static QuantizerOptions options(int codebooks, int groupSize, Implementation with) {
    return QuantizerOptions.builder(DIM)
        .codebooks(codebooks)
        .groupSize(groupSize)
        .implementation(with)
        .commitmentWeight(0.5)
        .build();
  }

  private static QuantizerOptions first(int codebooks, int groupSize, Implementation with) {
    return options(codebooks, groupSize, with).toBuilder().channelFirst(true).build();
  }

  private static long[] longs(long... values) {
    return values;
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  private static void assertNull(String name, Executable call) {
    assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
  }
}
