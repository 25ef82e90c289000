package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a tensor is: making, copying, borrowing, viewing, converting and reading one. */
@OnDevice
class TensorTest {
  /** Numbers that all types have. */
  private static final long[] NUMBERS = {0, 1, 2, 127, 128, 255};

  /** Used by the tests alone; each closes it, whatever happens. */
  private final Arena arena = Arena.ofShared();

  @AfterEach
  void nothingNativeIsLeft() {
    arena.close();
    assertEquals(0, NativeCalls.liveHandles());
  }

  // Making

  @Test
  void fromArrays() {
    float[] floats = {1, -2.5f, Float.NaN, 4, Float.NEGATIVE_INFINITY, -0f};
    double[] doubles = {Math.PI, -Double.MIN_VALUE};
    long[] longs = {Long.MIN_VALUE, Long.MAX_VALUE};
    int[] ints = {Integer.MIN_VALUE, Integer.MAX_VALUE};
    byte[] bytes = {0, 127, -128, -1};
    assertAll(
        () -> assertArrayEquals(floats, Tensor.of(arena, floats, 2, 3).toFloatArray()),
        () -> assertArrayEquals(doubles, Tensor.of(arena, doubles).toDoubleArray()),
        () -> assertArrayEquals(longs, Tensor.of(arena, longs).toLongArray()),
        () -> assertArrayEquals(ints, Tensor.of(arena, ints).toIntArray()),
        () -> assertArrayEquals(bytes, Tensor.of(arena, bytes).toByteArray()),
        () -> assertEquals(DType.FLOAT32, Tensor.of(arena, floats).dtype()),
        () -> assertEquals(DType.FLOAT64, Tensor.of(arena, doubles).dtype()),
        () -> assertEquals(DType.INT64, Tensor.of(arena, longs).dtype()),
        () -> assertEquals(DType.INT32, Tensor.of(arena, ints).dtype()),
        () -> assertEquals(DType.UINT8, Tensor.of(arena, bytes).dtype()),
        () -> assertArrayEquals(new long[] {6}, Tensor.of(arena, floats).shape()));
  }

  @Test
  void theArrayIsCopied() {
    float[] values = {1, 2};
    Tensor tensor = Tensor.of(arena, values);
    values[0] = 7;
    float[] read = tensor.toFloatArray();
    read[1] = 7;
    assertArrayEquals(new float[] {1, 2}, tensor.toFloatArray());
  }

  @ParameterizedTest
  @EnumSource
  void copiesOfSegmentsOfEveryKind(DType dtype) {
    long size = dtype.byteSize();
    byte[] bytes = new byte[(int) (6 * size)];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (3 * i);
    }
    MemorySegment heap = MemorySegment.ofArray(bytes);
    for (MemorySegment data :
        new MemorySegment[] {
          heap,
          heap.asReadOnly(),
          arena.allocate(6 * size, size).copyFrom(heap),
          arena.allocate(6 * size + 1, 8).asSlice(1).copyFrom(heap),
          arena.allocate(7 * size, size).copyFrom(heap)
        }) {
      Tensor tensor = Tensor.copyOf(arena, data, dtype, 3, 2);
      assertEquals(dtype, tensor.dtype());
      assertArrayEquals(new long[] {3, 2}, tensor.shape());
      assertArrayEquals(bytes, tensor.asSegment().toArray(ValueLayout.JAVA_BYTE));
      assertArrayEquals(bytes, heap.toArray(ValueLayout.JAVA_BYTE));
    }
  }

  @ParameterizedTest
  @EnumSource
  void zeros(DType dtype) {
    Tensor tensor = Tensor.zeros(arena, dtype, TestDevice.DEVICE, 3, 5).to(arena, Device.CPU);
    assertEquals(15 * dtype.byteSize(), tensor.asSegment().byteSize());
    assertArrayEquals(
        new byte[(int) (15 * dtype.byteSize())], tensor.asSegment().toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void emptyIsFilledThroughItsPointer() {
    Tensor tensor = Tensor.empty(arena, DType.INT32, Device.CPU, 2, 2);
    MemorySegment pointer = tensor.pointer();
    assertEquals(0, pointer.byteSize());
    assertEquals(tensor.asSegment().address(), pointer.address());
    pointer.reinterpret(16).copyFrom(MemorySegment.ofArray(new int[] {1, 2, 3, 4}));
    assertArrayEquals(new int[] {1, 2, 3, 4}, tensor.toIntArray());
  }

  // What it is

  @Test
  void metadata() {
    Tensor tensor = Tensor.of(arena, new float[24], 2, 3, 4);
    assertEquals(DType.FLOAT32, tensor.dtype());
    assertEquals(Device.CPU, tensor.device());
    assertEquals(3, tensor.rank());
    assertArrayEquals(new long[] {2, 3, 4}, tensor.shape());
    assertArrayEquals(new long[] {12, 4, 1}, tensor.strides());
    assertEquals(24, tensor.size());
    assertTrue(tensor.isContiguous());
    assertEquals("Tensor[FLOAT32, [2, 3, 4], cpu]", tensor.toString());
    tensor.shape()[0] = 99;
    tensor.strides()[0] = 99;
    assertArrayEquals(new long[] {2, 3, 4}, tensor.shape());
    assertArrayEquals(new long[] {12, 4, 1}, tensor.strides());
  }

  @Test
  void metadataOutlivesTheTensor() {
    Tensor tensor;
    try (Arena closed = Arena.ofConfined()) {
      tensor = Tensor.of(closed, new long[6], 2, 3);
    }
    assertEquals(DType.INT64, tensor.dtype());
    assertEquals(Device.CPU, tensor.device());
    assertEquals(2, tensor.rank());
    assertArrayEquals(new long[] {2, 3}, tensor.shape());
    assertArrayEquals(new long[] {3, 1}, tensor.strides());
    assertEquals(6, tensor.size());
    assertTrue(tensor.isContiguous());
    assertEquals("Tensor[INT64, [2, 3], cpu]", tensor.toString());
  }

  @ParameterizedTest
  @EnumSource
  void typesAreWhatTheySay(DType dtype) {
    assertEquals(dtype.layout().byteSize(), dtype.byteSize());
    assertEquals(dtype.name().contains("FLOAT"), dtype.isFloatingPoint());
    assertTrue(dtype.name().endsWith(Long.toString(8 * dtype.byteSize())), dtype.name());
  }

  @Test
  void dimensionsOfOneAreContiguousWhateverTheirStride() {
    MemorySegment data = arena.allocate(16, 4);
    long[] shape = {1, 4, 1};
    assertTrue(borrowed(data, shape, 99, 1, 7).isContiguous());
    assertFalse(borrowed(data, shape, 4, 0, 1).isContiguous());
    assertTrue(borrowed(data, new long[] {4, 0}, 9, 9).isContiguous());
  }

  // Sizes

  @Test
  void empties() {
    for (long[] shape : new long[][] {{0}, {0, 3}, {2, 0, 4}, {5, 0}}) {
      Tensor tensor = Tensor.of(arena, new float[0], shape);
      assertEquals(0, tensor.size());
      assertArrayEquals(shape, tensor.shape());
      assertArrayEquals(new float[0], tensor.toFloatArray());
      assertArrayEquals(new double[0], tensor.toDoubleArray());
      assertEquals(0, tensor.asSegment().byteSize());
      assertEquals(0, tensor.to(arena, DType.INT64).toLongArray().length);
      assertEquals(0, tensor.narrow(0, 0, 0).size());
      tensor.check();
    }
    assertArrayEquals(new float[0], Tensor.of(arena, new float[0]).toFloatArray());
    Tensor borrowed = Tensor.borrow(arena, MemorySegment.NULL, DType.FLOAT64, Device.CPU, 3, 0);
    assertArrayEquals(new double[0], borrowed.toDoubleArray());
  }

  @Test
  void ranksUpTo64() {
    long[] shape = new long[64];
    Arrays.fill(shape, 1);
    shape[3] = 2;
    shape[63] = 3;
    Tensor tensor = Tensor.of(arena, new int[] {1, 2, 3, 4, 5, 6}, shape);
    assertEquals(64, tensor.rank());
    assertArrayEquals(shape, tensor.shape());
    int[] reversed = IntStream.range(0, 64).map(i -> 63 - i).toArray();
    assertArrayEquals(new int[] {1, 4, 2, 5, 3, 6}, tensor.permute(reversed).toIntArray());
    assertRefused(
        "shape has 65 dimensions, expected 1 to 64",
        () -> Tensor.zeros(arena, DType.INT32, Device.CPU, new long[65]));
  }

  @Test
  void moreElementsThanAnArrayHolds() {
    long size = (1L << 31) + 5;
    Tensor tensor = Tensor.empty(arena, DType.UINT8, Device.CPU, size);
    tensor.pointer().reinterpret(size).set(ValueLayout.JAVA_BYTE, size - 1, (byte) 42);
    assertEquals(size, tensor.size());
    assertEquals(size, tensor.asSegment().byteSize());
    assertEquals(42, tensor.asSegment().get(ValueLayout.JAVA_BYTE, size - 1));
    assertArrayEquals(new byte[] {42}, tensor.narrow(0, size - 1, 1).toByteArray());
    assertIllegalState(
        "the tensor has 2147483653 elements, more than an array holds: use asSegment",
        tensor::toByteArray);
  }

  @Test
  void shapesThatAreNone() {
    assertRefused(
        "shape has 0 dimensions, expected 1 to 64",
        () -> Tensor.empty(arena, DType.FLOAT32, Device.CPU));
    assertRefused(
        "shape has 0 dimensions, expected 1 to 64",
        () -> Tensor.copyOf(arena, MemorySegment.ofArray(new float[1]), DType.FLOAT32));
    assertRefused(
        "shape is [2, -1], expected no negative numbers",
        () -> Tensor.zeros(arena, DType.FLOAT32, Device.CPU, 2, -1));
    assertRefused(
        "shape [4611686018427387904, 2] of UINT8 takes more than 2^63 - 1 bytes",
        () -> Tensor.empty(arena, DType.UINT8, Device.CPU, 1L << 62, 2));
    assertRefused(
        "shape [0, 2305843009213693952] of FLOAT32 takes more than 2^63 - 1 bytes",
        () -> Tensor.empty(arena, DType.FLOAT32, Device.CPU, 0, 1L << 61));
    assertRefused(
        "values has 7 elements, but shape [2, 3] has 6",
        () -> Tensor.of(arena, new double[7], 2, 3));
  }

  @Test
  void memoryThatCannotBeHad() {
    for (Executable call :
        new Executable[] {
          () -> Tensor.empty(arena, DType.UINT8, TestDevice.DEVICE, 1L << 60),
          () -> Tensor.zeros(arena, DType.FLOAT64, TestDevice.DEVICE, 1L << 59)
        }) {
      BsqException e = assertThrows(BsqException.class, call);
      assertEquals(BsqException.Code.OUT_OF_MEMORY, e.code(), e::getMessage);
    }
  }

  @Test
  void segmentsThatCannotBeCopied() {
    assertRefused(
        "data has 23 bytes, expected at least 24",
        () -> Tensor.copyOf(arena, arena.allocate(23), DType.FLOAT32, 6));
    assertRefused(
        "data is a double[], expected a float[]",
        () -> Tensor.copyOf(arena, MemorySegment.ofArray(new double[6]), DType.FLOAT32, 6));
    assertRefused(
        "data is a float[], expected a short[]",
        () -> Tensor.copyOf(arena, MemorySegment.ofArray(new float[6]), DType.BFLOAT16, 6));
  }

  @Test
  void nullIsRefused() {
    Tensor tensor = Tensor.of(arena, new float[1]);
    MemorySegment data = arena.allocate(4, 4);
    DType f32 = DType.FLOAT32;
    Device cpu = Device.CPU;
    assertAll(
        () -> assertNull("arena", () -> Tensor.of(null, new float[1])),
        () -> assertNull("values", () -> Tensor.of(arena, (int[]) null)),
        () -> assertNull("shape", () -> Tensor.of(arena, new float[1], (long[]) null)),
        () -> assertNull("data", () -> Tensor.copyOf(arena, null, f32, 1)),
        () -> assertNull("dtype", () -> Tensor.copyOf(arena, data, null, 1)),
        () -> assertNull("shape", () -> Tensor.copyOf(arena, data, f32, (long[]) null)),
        () -> assertNull("device", () -> Tensor.empty(arena, f32, null, 1)),
        () -> assertNull("dtype", () -> Tensor.zeros(arena, null, cpu, 1)),
        () -> assertNull("owner", () -> Tensor.borrow(null, data, f32, cpu, 1)),
        () -> assertNull("data", () -> Tensor.borrow(arena, null, f32, cpu, 1)),
        () -> assertNull("device", () -> Tensor.borrow(arena, data, f32, null, 1)),
        () -> assertNull("shape", () -> Tensor.borrow(arena, data, f32, cpu, (long[]) null)),
        () ->
            assertNull("strides", () -> Tensor.borrow(arena, data, f32, cpu, new long[] {1}, null)),
        () -> assertNull("arena", () -> tensor.to(null, cpu)),
        () -> assertNull("device", () -> tensor.to(arena, (Device) null)),
        () -> assertNull("dtype", () -> tensor.to(arena, (DType) null)),
        () -> assertNull("dimensions", () -> tensor.permute((int[]) null)));
  }

  // Borrowing

  @Test
  void borrowedMemoryIsShared() {
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4, 5, 6);
    Tensor tensor = Tensor.borrow(arena, data.asReadOnly(), DType.FLOAT32, Device.CPU, 2, 3);
    assertEquals(data.address(), tensor.pointer().address());
    data.setAtIndex(ValueLayout.JAVA_FLOAT, 5, 7);
    assertArrayEquals(new float[] {1, 2, 3, 4, 5, 7}, tensor.toFloatArray());
    Tensor view = tensor.permute(1, 0);
    Tensor copy = tensor.to(arena, DType.FLOAT32);
    assertNotEquals(data.address(), copy.pointer().address());
    data.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 9);
    assertArrayEquals(new float[] {9, 4, 2, 5, 3, 7}, view.toFloatArray());
    assertArrayEquals(new float[] {1, 2, 3, 4, 5, 7}, copy.toFloatArray());
  }

  @Test
  void borrowedStrides() {
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0, 1, 2, 3, 4, 5, 6, 7);
    Tensor columns = borrowed(data, new long[] {2, 3}, 1, 2);
    assertArrayEquals(new long[] {1, 2}, columns.strides());
    assertFalse(columns.isContiguous());
    assertArrayEquals(new float[] {0, 2, 4, 1, 3, 5}, columns.toFloatArray());
    Tensor repeated = borrowed(data.asSlice(28), new long[] {2, 2}, 0, 0);
    assertArrayEquals(new float[] {7, 7, 7, 7}, repeated.toFloatArray());
    Tensor overlapping = borrowed(data, new long[] {3, 3}, 1, 1);
    assertArrayEquals(new float[] {0, 1, 2, 1, 2, 3, 2, 3, 4}, overlapping.toFloatArray());
  }

  @Test
  void memoryOfOtherLibrariesHasNoArena() {
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3);
    MemorySegment foreign = MemorySegment.ofAddress(data.address()).reinterpret(12);
    try (Arena owner = Arena.ofConfined()) {
      Tensor tensor = Tensor.borrow(owner, foreign, DType.INT32, Device.CPU, 3);
      assertArrayEquals(new int[] {1, 2, 3}, tensor.toIntArray());
    }
  }

  @Test
  void memoryThatCannotBeBorrowed() {
    MemorySegment data = arena.allocate(24, 16);
    DType f32 = DType.FLOAT32;
    try (Arena other = Arena.ofConfined()) {
      assertRefused(
          "data belongs to another arena than owner, expected the same, since they must live"
              + " equally long; copyOf takes data of any arena",
          () -> Tensor.borrow(other, data, f32, Device.CPU, 6));
    }
    assertRefused(
        "data is an array on Java's heap, which no tensor can borrow: use copyOf",
        () -> Tensor.borrow(arena, MemorySegment.ofArray(new float[6]), f32, Device.CPU, 6));
    assertRefused(
        "data has address 0x%x, expected a multiple of 4 for FLOAT32".formatted(data.address() + 2),
        () -> Tensor.borrow(arena, data.asSlice(2), f32, Device.CPU, 5));
    assertRefused(
        "data has 24 bytes, but shape [7] with strides [1] needs 7 elements of 4 bytes",
        () -> Tensor.borrow(arena, data, f32, Device.CPU, 7));
    assertRefused(
        "data has 24 bytes, but shape [2, 3] with strides [4, 2] needs 9 elements of 4 bytes",
        () -> borrowed(data, new long[] {2, 3}, 4, 2));
    assertRefused(
        "strides is [-1], expected no negative numbers", () -> borrowed(data, new long[] {2}, -1));
    assertRefused(
        "strides has 1 dimensions, but shape has 2", () -> borrowed(data, new long[] {2, 3}, 1));
    assertRefused(
        "shape [3] with strides [9223372036854775807] reaches beyond 2^63 - 1 elements",
        () -> borrowed(data, new long[] {3}, Long.MAX_VALUE));
    assertRefused(
        "data has 24 bytes, but shape [2] with strides [2305843009213693952] needs"
            + " 2305843009213693953 elements of 4 bytes",
        () -> borrowed(data, new long[] {2}, 1L << 61));
    assertRefused(
        "shape has 0 dimensions, expected 1 to 64",
        () -> Tensor.borrow(arena, data, f32, Device.CPU));
  }

  // Views

  @Test
  void permuteAndNarrowAreViews() {
    Tensor onCpu = Tensor.of(arena, new long[] {0, 1, 2, 3, 4, 5}, 2, 3);
    Tensor tensor = TestDevice.put(arena, onCpu);
    Tensor transposed = tensor.permute(1, 0);
    assertArrayEquals(new long[] {3, 2}, transposed.shape());
    assertArrayEquals(new long[] {1, 3}, transposed.strides());
    assertArrayEquals(new long[] {0, 3, 1, 4, 2, 5}, transposed.toLongArray());
    assertEquals(tensor.pointer().address(), transposed.pointer().address());

    Tensor column = tensor.narrow(1, 1, 2);
    assertArrayEquals(new long[] {2, 2}, column.shape());
    assertArrayEquals(new long[] {1, 2, 4, 5}, column.toLongArray());
    assertEquals(tensor.pointer().address() + 8, column.pointer().address());
    assertArrayEquals(new long[] {2, 5}, transposed.narrow(0, 2, 1).toLongArray());
    assertArrayEquals(new long[] {3, 4, 5}, tensor.narrow(0, 1, 1).toLongArray());
    assertEquals(0, tensor.narrow(1, 3, 0).size());
    assertArrayEquals(tensor.toLongArray(), tensor.permute(0, 1).toLongArray());
  }

  @Test
  void viewsOfWhatIsNotThere() {
    Tensor tensor = Tensor.of(arena, new float[6], 2, 3);
    for (int[] dimensions : new int[][] {{}, {0}, {0, 0}, {0, 2}, {-1, 0}, {0, 1, 2}}) {
      assertRefused(
          "dimensions is " + Arrays.toString(dimensions) + ", expected each of 0 to 1 once",
          () -> tensor.permute(dimensions));
    }
    assertOutOfBounds("dimension is 2, expected 0 to 1", () -> tensor.narrow(2, 0, 1));
    assertOutOfBounds("dimension is -1, expected 0 to 1", () -> tensor.narrow(-1, 0, 1));
    for (long[] range :
        new long[][] {{-1, 1}, {0, -1}, {0, 4}, {3, 1}, {1, Long.MAX_VALUE}, {Long.MAX_VALUE, 1}}) {
      assertOutOfBounds(
          "start is %d and length %d, but dimension 1 has 3 elements".formatted(range[0], range[1]),
          () -> tensor.narrow(1, range[0], range[1]));
    }
  }

  // Conversions

  @ParameterizedTest
  @EnumSource
  void everyTypeConvertsToEveryOther(DType from) {
    Tensor numbers = TestDevice.put(arena, Tensor.of(arena, NUMBERS, 2, 3));
    Tensor tensor = numbers.to(arena, from);
    assertEquals(from, tensor.dtype());
    for (DType to : DType.values()) {
      Tensor converted = tensor.permute(1, 0).to(arena, to);
      assertEquals(to, converted.dtype());
      assertTrue(converted.isContiguous());
      assertArrayEquals(
          new long[] {0, 127, 1, 128, 2, 255}, converted.to(arena, DType.INT64).toLongArray());
    }
  }

  @Test
  void halfPrecision() {
    float[] values = {1, -0f, 65504, 1e-7f, Float.POSITIVE_INFINITY, 1 + 1f / 512};
    short[] half = new short[values.length];
    for (int i = 0; i < values.length; i++) {
      half[i] = Float.floatToFloat16(values[i]);
    }
    Tensor onCpu = Tensor.copyOf(arena, MemorySegment.ofArray(half), DType.FLOAT16, half.length);
    Tensor tensor = TestDevice.put(arena, onCpu);
    float[] exact = new float[half.length];
    for (int i = 0; i < half.length; i++) {
      exact[i] = Float.float16ToFloat(half[i]);
    }
    assertArrayEquals(exact, tensor.toFloatArray());
    assertArrayEquals(TestData.doubles(exact), tensor.toDoubleArray());
    Tensor rounded = TestDevice.put(arena, Tensor.of(arena, values)).to(arena, DType.FLOAT16);
    assertArrayEquals(
        half, rounded.to(arena, Device.CPU).asSegment().toArray(ValueLayout.JAVA_SHORT));
  }

  @Test
  void bfloat16() {
    float[] values = {1, -0f, 3e38f, 1e-40f, Float.NEGATIVE_INFINITY, 1 + 1f / 256, 1 + 3f / 256};
    // The upper half of the bits, rounded to the nearest, ties to even.
    short[] upper = new short[values.length];
    float[] exact = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      int bits = Float.floatToRawIntBits(values[i]);
      upper[i] = (short) ((bits + 0x7FFF + (bits >>> 16 & 1)) >>> 16);
      exact[i] = Float.intBitsToFloat(upper[i] << 16);
    }
    Tensor tensor = TestDevice.put(arena, Tensor.of(arena, values)).to(arena, DType.BFLOAT16);
    assertArrayEquals(
        upper, tensor.to(arena, Device.CPU).asSegment().toArray(ValueLayout.JAVA_SHORT));
    assertArrayEquals(exact, tensor.toFloatArray());
    assertArrayEquals(TestData.doubles(exact), tensor.toDoubleArray());
  }

  @Test
  void toSharesMemoryWhereNothingChanges() {
    Tensor tensor = Tensor.of(arena, new float[] {1, 2, 3, 4}, 2, 2);
    long address = tensor.pointer().address();
    assertEquals(address, tensor.to(arena, DType.FLOAT32).pointer().address());
    assertEquals(address, tensor.to(arena, Device.CPU).pointer().address());
    assertNotEquals(address, tensor.to(arena, DType.INT32).pointer().address());
    Tensor transposed = tensor.permute(1, 0).to(arena, Device.CPU);
    assertTrue(transposed.isContiguous());
    assertArrayEquals(new float[] {1, 3, 2, 4}, transposed.toFloatArray());
    assertArrayEquals(new float[] {1, 2, 3, 4}, tensor.toFloatArray());
  }

  @Test
  void resultsOutliveWhatTheyShareMemoryWith() {
    Tensor same;
    try (Arena closed = Arena.ofConfined()) {
      Tensor first = Tensor.of(closed, new float[] {1, 2, 3, 4}, 2, 2);
      same = first.to(arena, Device.CPU);
    }
    assertArrayEquals(new float[] {1, 2, 3, 4}, same.toFloatArray());
  }

  // Reading

  @ParameterizedTest
  @EnumSource
  void arraysAreExactOrRefused(DType dtype) {
    Tensor tensor = TestDevice.put(arena, Tensor.of(arena, NUMBERS)).to(arena, dtype);
    Tensor rest = tensor.narrow(0, 1, 5);
    DType f32 = DType.FLOAT32;
    DType f64 = DType.FLOAT64;
    Set<DType> half = Set.of(DType.FLOAT16, DType.BFLOAT16);

    if (half.contains(dtype) || dtype == f32 || dtype == DType.UINT8) {
      assertArrayEquals(new float[] {1, 2, 127, 128, 255}, rest.toFloatArray());
    } else {
      assertLosesDigits(dtype, "toFloatArray", f32, tensor::toFloatArray);
    }
    if (dtype != DType.INT64) {
      assertArrayEquals(new double[] {1, 2, 127, 128, 255}, rest.toDoubleArray());
    } else {
      assertLosesDigits(dtype, "toDoubleArray", f64, tensor::toDoubleArray);
    }
    if (!dtype.isFloatingPoint()) {
      assertArrayEquals(NUMBERS, tensor.toLongArray());
    } else {
      assertLosesDigits(dtype, "toLongArray", DType.INT64, tensor::toLongArray);
    }
    if (dtype == DType.INT32 || dtype == DType.UINT8) {
      assertArrayEquals(new int[] {0, 1, 2, 127, 128, 255}, tensor.toIntArray());
    } else {
      assertLosesDigits(dtype, "toIntArray", DType.INT32, tensor::toIntArray);
    }
    if (dtype == DType.UINT8) {
      assertArrayEquals(new byte[] {0, 1, 2, 127, -128, -1}, tensor.toByteArray());
    } else {
      assertLosesDigits(dtype, "toByteArray", DType.UINT8, tensor::toByteArray);
    }
  }

  @Test
  void asSegmentIsTheMemoryItself() {
    Tensor tensor = Tensor.of(arena, new double[] {1, 2, 3});
    MemorySegment segment = tensor.asSegment();
    assertEquals(24, segment.byteSize());
    assertEquals(tensor.pointer().address(), segment.address());
    assertEquals(arena.scope(), segment.scope());
    assertEquals(arena.scope(), tensor.pointer().scope());
    assertArrayEquals(new double[] {1, 2, 3}, segment.toArray(ValueLayout.JAVA_DOUBLE));
    assertTrue(segment.isReadOnly());
    assertThrows(IllegalArgumentException.class, () -> segment.set(ValueLayout.JAVA_DOUBLE, 0, 7));
    assertArrayEquals(
        new double[] {2, 3}, tensor.narrow(0, 1, 2).asSegment().toArray(ValueLayout.JAVA_DOUBLE));
  }

  @Test
  void asSegmentNeedsContiguousElements() {
    Tensor transposed = Tensor.of(arena, new float[6], 2, 3).permute(1, 0);
    assertIllegalState(
        "the tensor has shape [3, 2] and strides [1, 3], which are not contiguous: use to(arena,"
            + " DType.FLOAT32) first",
        transposed::asSegment);
    assertEquals(24, transposed.to(arena, DType.FLOAT32).asSegment().byteSize());
  }

  // What the quantizer takes

  @Test
  void tensorsThatDoNotFitTheQuantizer() {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(13);
    Tensor wide = Tensor.of(arena, new float[24], 2, 12);
    Tensor longs = Tensor.of(arena, new long[26], 2, 13);
    Tensor bytes = Tensor.of(arena, new byte[13]);
    String shape = " has shape [2, 12], expected a last dimension of codeDim 13";
    assertRefused("x" + shape, () -> quantizer.forward(arena, wide));
    assertRefused("x" + shape, () -> quantizer.encode(arena, wide));
    assertRefused("codes" + shape, () -> quantizer.codesToIndices(arena, wide));
    String type = " is INT64, expected a floating-point type";
    assertRefused("x" + type, () -> quantizer.forward(arena, longs));
    assertRefused("x" + type, () -> quantizer.encode(arena, longs));
    assertRefused("dtype" + type, () -> quantizer.decode(arena, longs, DType.INT64));
    assertRefused(
        "indices is FLOAT32, expected an integer type", () -> quantizer.decode(arena, wide));
    long[] rank64 = new long[64];
    Arrays.fill(rank64, 1);
    assertRefused(
        "indices has 64 dimensions, expected one less, for the result has one more",
        () -> quantizer.decode(arena, Tensor.of(arena, new long[1], rank64)));
    assertRefused(
        "bits is UINT8, expected a type that has -1", () -> quantizer.bitsToCodes(arena, bytes));
    assertRefused(
        "codes is UINT8, expected a type that has -1",
        () -> quantizer.codesToIndices(arena, bytes));

    Quantization quantization = quantizer.forward(arena, Tensor.of(arena, new double[26], 2, 13));
    assertEquals("Quantization[FLOAT64, [2, 13], cpu]", quantization.toString());
    assertRefused(
        "gradQuantized has shape [2, 12], expected that of x, [2, 13]",
        () -> quantization.backward(arena, wide, 0));
    assertRefused("gradQuantized" + type, () -> quantization.backward(arena, longs, 0));
    assertAll(
        () -> assertNull("x", () -> quantizer.forward(arena, null)),
        () -> assertNull("arena", () -> quantizer.forward(null, quantization.quantized())),
        () -> assertNull("indices", () -> quantizer.decode(arena, null)),
        () -> assertNull("dtype", () -> quantizer.decode(arena, longs, null)),
        () -> assertNull("bits", () -> quantizer.bitsToCodes(arena, null)),
        () -> assertNull("codes", () -> quantizer.codesToIndices(arena, null)),
        () -> assertNull("gradQuantized", () -> quantization.backward(arena, null, 0)),
        () -> assertNull("arena", () -> quantization.backward(null, 0)));
  }

  private Tensor borrowed(MemorySegment data, long[] shape, long... strides) {
    return Tensor.borrow(arena, data, DType.FLOAT32, Device.CPU, shape, strides);
  }

  private static void assertLosesDigits(DType dtype, String method, DType wanted, Executable call) {
    assertIllegalState(
        "the tensor is %s; %s would lose digits: use to(arena, DType.%s) first"
            .formatted(dtype, method, wanted),
        call);
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  private static void assertIllegalState(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalStateException.class, call).getMessage());
  }

  private static void assertOutOfBounds(String message, Executable call) {
    assertEquals(message, assertThrows(IndexOutOfBoundsException.class, call).getMessage());
  }

  private static void assertNull(String name, Executable call) {
    assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
  }
}
