package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.LossSums;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.ResidualQuantization;
import io.github.bsq4j.ResidualQuantizer;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.lifetimes.Use.Subjects;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Arenas that are closed, or belong to others, at every place where one can be. */
@OnDevice
class LifetimesTest {
  static Stream<Use> makers() {
    return Arrays.stream(Use.values()).filter(Use::makesSomething);
  }

  /** Without the arena's check this reads freed memory, or frees it twice. */
  @ParameterizedTest
  @EnumSource
  void afterClosing(Use use) {
    for (Arena arena : new Arena[] {Arena.ofConfined(), Arena.ofShared()}) {
      Subjects subjects = Subjects.in(arena);
      try (Arena result = Arena.ofConfined()) {
        use.on(subjects, result); // is fine
        arena.close();
        long live = LiveHandles.count();
        assertClosed(() -> use.on(subjects, result));
        assertEquals(live, LiveHandles.count());
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void onAnotherThreadThanTheArenas(Use use) {
    try (Arena arena = Arena.ofConfined()) {
      Subjects subjects = Subjects.in(arena);
      long live = LiveHandles.count();
      onAnotherThread(
          () -> {
            try (Arena result = Arena.ofConfined()) {
              assertThrows(WrongThreadException.class, () -> use.on(subjects, result));
            }
          });
      assertEquals(live, LiveHandles.count());
      use.on(subjects, arena); // is as fine as before
    }
  }

  @ParameterizedTest
  @EnumSource
  void onAnotherThreadOfASharedArena(Use use) {
    try (Arena arena = Arena.ofShared()) {
      Subjects subjects = Subjects.in(arena);
      onAnotherThread(
          () -> {
            try (Arena result = Arena.ofConfined()) {
              use.on(subjects, result);
            }
          });
    }
  }

  /** The result is computed before the arena refuses it, so it could be left behind. */
  @ParameterizedTest
  @MethodSource("makers")
  void intoAClosedArena(Use use) {
    try (Arena arena = Arena.ofConfined()) {
      Subjects subjects = Subjects.in(arena);
      long live = LiveHandles.count();
      for (Arena result : new Arena[] {Arena.ofConfined(), Arena.ofShared()}) {
        result.close();
        assertClosed(() -> use.on(subjects, result));
        assertEquals(live, LiveHandles.count());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("makers")
  void intoAnotherThreadsArena(Use use) {
    try (Arena arena = Arena.ofShared();
        Arena result = Arena.ofConfined()) {
      Subjects subjects = Subjects.in(arena);
      long live = LiveHandles.count();
      onAnotherThread(
          () -> assertThrows(WrongThreadException.class, () -> use.on(subjects, result)));
      assertEquals(live, LiveHandles.count());
    }
  }

  @ParameterizedTest
  @MethodSource("makers")
  void withoutAnArena(Use use) {
    try (Arena arena = Arena.ofConfined()) {
      Subjects subjects = Subjects.in(arena);
      NullPointerException e =
          assertThrows(NullPointerException.class, () -> use.on(subjects, null));
      assertEquals("arena", e.getMessage());
    }
  }

  /** It keeps what it needs of x and mask, in arenas of their own, which are gone by then. */
  @ParameterizedTest
  @EnumSource(
      value = Implementation.class,
      names = {"KERNELS", "OPERATORS"})
  void levelsOutliveTheirInputs(Implementation implementation) {
    ResidualQuantizer quantizer =
        ResidualQuantizer.create(
            QuantizerOptions.builder(3).implementation(implementation).build(), 2);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Use.X, 2, 3);
      Tensor mask = Tensor.of(arena, new byte[] {1, 0});
      float[] expected = quantizer.forward(arena, x, mask).backward(arena, x, 1, 2).toFloatArray();
      ResidualQuantization result;
      try (Arena inputs = Arena.ofConfined()) {
        MemorySegment memory = inputs.allocateFrom(ValueLayout.JAVA_FLOAT, Use.X);
        MemorySegment counts = inputs.allocateFrom(ValueLayout.JAVA_BYTE, (byte) 1, (byte) 0);
        result =
            quantizer.forward(
                arena,
                Tensor.borrow(inputs, memory, DType.FLOAT32, Device.CPU, 2, 3),
                Tensor.borrow(inputs, counts, DType.UINT8, Device.CPU, 2));
        memory.fill((byte) 0x55);
        counts.fill((byte) 0x55);
      }
      overwriteFreedMemory();
      assertArrayEquals(expected, result.backward(arena, x, 1, 2).toFloatArray());
      assertArrayEquals(
          quantizer.forward(arena, x, mask).losses().toArray(), result.losses().toArray());
    }
  }

  @Test
  void makingTensorsInAClosedArena() {
    Arena arena = Arena.ofConfined();
    arena.close();
    long live = LiveHandles.count();
    assertClosed(() -> Tensor.of(arena, new float[3]));
    assertClosed(() -> Tensor.empty(arena, DType.FLOAT32, TestDevice.DEVICE, 3));
    assertClosed(() -> Tensor.zeros(arena, DType.FLOAT32, TestDevice.DEVICE, 3));
    assertClosed(
        () -> Tensor.borrow(arena, MemorySegment.ofAddress(64), DType.UINT8, Device.CPU, 0));
    assertEquals(live, LiveHandles.count());
  }

  /** A second free would end the process, or make the count negative. */
  @Test
  void closingTwice() {
    for (Arena arena : new Arena[] {Arena.ofConfined(), Arena.ofShared()}) {
      Subjects.in(arena);
      arena.close();
      assertEquals(0, LiveHandles.count());
      assertClosed(arena::close);
      assertEquals(0, LiveHandles.count());
    }
  }

  @Test
  void closingByAnotherThread() {
    try (Arena arena = Arena.ofConfined()) {
      Subjects subjects = Subjects.in(arena);
      onAnotherThread(() -> assertThrows(WrongThreadException.class, arena::close));
      assertArrayEquals(Use.X, subjects.x().toFloatArray());
    }
  }

  @Test
  void arenasThatNobodyCloses() {
    assertThrows(UnsupportedOperationException.class, Arena.ofAuto()::close);
    assertThrows(UnsupportedOperationException.class, Arena.global()::close);
  }

  /** These are Java's, so they must not need the native object. */
  @Test
  void whatATensorIsCanBeToldAfterClosing() {
    Arena arena = Arena.ofConfined();
    Subjects subjects = Subjects.in(arena);
    Tensor view = subjects.x().permute(1, 0);
    arena.close();
    assertEquals("Tensor[FLOAT32, [3, 2], " + TestDevice.DEVICE + "]", view.toString());
    assertEquals(DType.FLOAT32, view.dtype());
    assertEquals(TestDevice.DEVICE, view.device());
    assertEquals(2, view.rank());
    assertEquals(6, view.size());
    assertArrayEquals(new long[] {3, 2}, view.shape());
    assertArrayEquals(new long[] {1, 3}, view.strides());
    assertFalse(view.isContiguous());
    assertEquals(
        "Quantization[FLOAT32, [2, 3], " + TestDevice.DEVICE + "]",
        subjects.quantization().toString());
    assertArrayEquals(new long[] {2}, subjects.quantization().indices().shape());
  }

  // Views and segments

  @Test
  void viewsAndSegmentsCloseWithTheirTensor() {
    for (Arena arena : new Arena[] {Arena.ofConfined(), Arena.ofShared()}) {
      Tensor x = Tensor.of(arena, Use.X, 2, 3);
      Tensor row = x.narrow(0, 1, 1);
      Tensor columns = x.permute(1, 0);
      MemorySegment segment = x.asSegment();
      MemorySegment rowSegment = row.asSegment();
      MemorySegment pointer = x.pointer();
      assertEquals(segment.address(), pointer.address());
      assertEquals(4, rowSegment.getAtIndex(ValueLayout.JAVA_FLOAT, 1));
      arena.close();
      assertClosed(row::toFloatArray);
      assertClosed(columns::toFloatArray);
      assertClosed(() -> row.narrow(1, 0, 1));
      assertClosed(() -> segment.get(ValueLayout.JAVA_FLOAT, 0));
      assertClosed(() -> rowSegment.get(ValueLayout.JAVA_FLOAT, 0));
      assertFalse(pointer.scope().isAlive());
      assertEquals(0, LiveHandles.count());
    }
  }

  // Results outlive what they were computed from

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#allImplementations")
  void whatIsComputedDoesNotNeedItsInput(Implementation implementation) {
    BinarySphericalQuantizer quantizer = quantizer(implementation);
    try (Arena results = Arena.ofConfined()) {
      Arena inputs = Arena.ofConfined();
      Tensor x = TestDevice.put(inputs, Tensor.of(inputs, Use.X, 2, 3));
      Tensor columns = Tensor.of(inputs, new float[] {1, -1, -2, 4, 3, 5}, 3, 2);
      Tensor strided = TestDevice.put(inputs, columns).permute(1, 0);
      Tensor same = x.to(results, DType.FLOAT32); // shares the memory
      Tensor codes = quantizer.encode(results, x);
      Quantization quantization = quantizer.forward(results, x);
      Quantization ofStrided = quantizer.forward(results, strided);
      float[] gradient = quantization.backward(results, x, 2).toFloatArray();
      Tensor kept = quantization.backward(results, x, 2);
      Tensor mask = TestDevice.put(inputs, Tensor.of(inputs, new byte[] {1, 0}));
      Quantization masked = quantizer.forward(results, x, mask);
      float[] maskedGradient = masked.backward(results, 2).toFloatArray();
      inputs.close();
      overwriteFreedMemory();

      assertArrayEquals(Use.X, same.toFloatArray());
      assertArrayEquals(new long[] {5, 3}, codes.toLongArray());
      assertArrayEquals(new long[] {5, 3}, quantization.indices().toLongArray());
      assertArrayEquals(new long[] {5, 3}, ofStrided.indices().toLongArray());
      assertArrayEquals(gradient, kept.toFloatArray());
      try (Arena scratch = Arena.ofConfined()) {
        Tensor again = TestDevice.put(scratch, Tensor.of(scratch, Use.X, 2, 3));
        assertArrayEquals(gradient, quantization.backward(scratch, again, 2).toFloatArray());
        assertArrayEquals(gradient, ofStrided.backward(scratch, again, 2).toFloatArray());
        assertArrayEquals(maskedGradient, masked.backward(scratch, 2).toFloatArray());
        LossSums sums = masked.lossSums();
        assertEquals(1, sums.rows());
        assertArrayEquals(maskedGradient, masked.backward(scratch, 2, sums).toFloatArray(), 1e-9f);
        assertClosed(() -> quantization.backward(scratch, x, 2));
      }
    }
  }

  @Test
  void aGradientOutlivesItsQuantization() {
    try (Arena results = Arena.ofConfined()) {
      Arena forward = Arena.ofConfined();
      Quantization quantization = Subjects.in(forward).quantization();
      Tensor gradient = quantization.backward(results, 1);
      float[] expected = gradient.toFloatArray();
      forward.close();
      overwriteFreedMemory();
      assertArrayEquals(expected, gradient.toFloatArray());
      assertClosed(() -> quantization.backward(results, 1));
    }
  }

  // Borrowed memory

  /** Results that kept the address instead of a copy would change with the memory. */
  @ParameterizedTest
  @EnumSource
  void resultsOfABorrowedTensorOutliveItsOwner(Implementation implementation) {
    BinarySphericalQuantizer quantizer = quantizer(implementation);
    try (Arena results = Arena.ofConfined()) {
      Arena owner = Arena.ofConfined();
      MemorySegment memory = owner.allocateFrom(ValueLayout.JAVA_FLOAT, Use.X);
      Tensor x = Tensor.borrow(owner, memory, DType.FLOAT32, Device.CPU, 2, 3);
      Tensor view = x.narrow(0, 1, 1);
      Tensor onCpu = x.to(results, Device.CPU);
      Tensor sameType = x.to(results, DType.FLOAT32);
      Tensor ofView = view.to(results, DType.FLOAT32);
      Quantization quantization = quantizer.forward(results, x);
      Quantization quantizationOfView = quantizer.forward(results, view);
      MemorySegment maskMemory = owner.allocateFrom(ValueLayout.JAVA_BYTE, new byte[] {0, 1});
      Tensor mask = Tensor.borrow(owner, maskMemory, DType.UINT8, Device.CPU, 2);
      Quantization masked = quantizer.forward(results, x, mask);
      float[] gradientOfMasked = masked.backward(results, 1).toFloatArray();
      float[] gradient = quantization.backward(results, 1).toFloatArray();
      float[] gradientOfView = quantizationOfView.backward(results, 1).toFloatArray();

      maskMemory.fill((byte) 0x41);
      memory.fill((byte) 0x41);
      assertEquals(12.078431f, x.toFloatArray()[0]); // the tensor is the memory
      owner.close();
      overwriteFreedMemory();
      assertClosed(x::toFloatArray);
      assertClosed(view::toFloatArray);
      assertArrayEquals(Use.X, onCpu.toFloatArray());
      assertArrayEquals(Use.X, sameType.toFloatArray());
      assertArrayEquals(new float[] {-1, 4, 5}, ofView.toFloatArray());
      assertArrayEquals(gradient, quantization.backward(results, 1).toFloatArray());
      assertArrayEquals(gradientOfView, quantizationOfView.backward(results, 1).toFloatArray());
      assertArrayEquals(gradientOfMasked, masked.backward(results, 1).toFloatArray());
    }
  }

  /** The value is only told when the memory that it was in is gone. */
  @Test
  void refusedValuesOfABorrowedTensorAreToldAfterItsOwner() {
    BinarySphericalQuantizer quantizer = quantizer(Implementation.OPERATORS);
    try (Arena results = Arena.ofConfined()) {
      Arena owner = Arena.ofConfined();
      MemorySegment memory =
          owner.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4, Float.NEGATIVE_INFINITY, 6);
      Tensor x = Tensor.borrow(owner, memory, DType.FLOAT32, Device.CPU, 2, 3);
      Tensor codes = quantizer.encode(results, x);
      Quantization quantization = quantizer.forward(results, x);
      memory.fill((byte) 0);
      owner.close();
      overwriteFreedMemory();
      for (Executable reading : List.<Executable>of(codes::toLongArray, quantization::losses)) {
        BsqException e = assertThrows(BsqException.class, reading);
        assertEquals("x[1, 1] is -inf, expected a finite number", e.getMessage());
      }
    }
  }

  /** Memory of another library, as a GPU's is, is only known by its address. */
  @Test
  void foreignMemoryLivesAsItsOwnerSays() throws Throwable {
    Linker linker = Linker.nativeLinker();
    MethodHandle malloc =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("malloc"),
            FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
    MethodHandle free =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("free"),
            FunctionDescriptor.ofVoid(ValueLayout.ADDRESS));
    MemorySegment memory = ((MemorySegment) malloc.invokeExact(24L)).reinterpret(24);
    memory.copyFrom(MemorySegment.ofArray(Use.X));
    Arena owner = Arena.ofConfined();
    Tensor x = Tensor.borrow(owner, memory, DType.FLOAT32, Device.CPU, 2, 3);
    assertArrayEquals(Use.X, x.toFloatArray());
    MemorySegment segment = x.asSegment();
    owner.close();
    free.invokeExact(memory);
    assertClosed(x::toFloatArray);
    assertClosed(() -> segment.get(ValueLayout.JAVA_FLOAT, 0));
  }

  @Test
  void memoryOfAnotherArenaCannotBeBorrowed() {
    try (Arena longer = Arena.ofConfined();
        Arena shorter = Arena.ofConfined()) {
      MemorySegment memory = shorter.allocate(24, 8);
      assertThrows(
          IllegalArgumentException.class,
          () -> Tensor.borrow(longer, memory, DType.FLOAT32, Device.CPU, 6));
      assertThrows(
          IllegalArgumentException.class,
          () -> Tensor.borrow(Arena.global(), memory, DType.FLOAT32, Device.CPU, 6));
      assertEquals(0, LiveHandles.count());
    }
  }

  private static BinarySphericalQuantizer quantizer(Implementation implementation) {
    return BinarySphericalQuantizer.create(
        QuantizerOptions.builder(3).implementation(implementation).build());
  }

  // How it is told

  private static void assertClosed(Executable use) {
    IllegalStateException e = assertThrows(IllegalStateException.class, use);
    assertEquals("Already closed", e.getMessage());
  }

  /** What the allocator gives out again is no longer what it was. */
  private static void overwriteFreedMemory() {
    try (Arena arena = Arena.ofConfined()) {
      for (int i = 0; i < 100; i++) {
        float[] values = new float[6];
        Arrays.fill(values, -i - 100f);
        TestDevice.put(arena, Tensor.of(arena, values));
        arena.allocate(24).fill((byte) 0x55);
      }
    }
  }

  private static void onAnotherThread(Executable work) {
    Throwable[] failure = new Throwable[1];
    Thread thread =
        new Thread(
            () -> {
              try {
                work.execute();
              } catch (Throwable t) {
                failure[0] = t;
              }
            });
    thread.start();
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    if (failure[0] != null) {
      throw new AssertionError("on another thread", failure[0]);
    }
  }
}
