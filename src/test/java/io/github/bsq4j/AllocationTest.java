package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What calls on native memory allocate on the Java heap, once they are compiled: nothing but what
 * they return.
 */
class AllocationTest {
  private static final int DIM = 13;
  private static final int ROWS = 2;

  /** Calls in a round; one round without allocations shows that none of them needs any. */
  private static final int CALLS = 5_000;

  /** How long the JVM may take to compile. */
  private static final int MOST_ROUNDS = 200;

  /** A record of three doubles. */
  private static final long LOSSES_BYTES = 40;

  /**
   * {@code com.sun.management.ThreadMXBean.getCurrentThreadAllocatedBytes}, by its name, since the
   * module that the tests are compiled into does not require the JDK's management.
   */
  private static final MethodHandle ALLOCATED_BYTES = allocatedBytes();

  private final BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(DIM);

  private enum ArenaKind {
    GLOBAL,
    AUTOMATIC,
    CONFINED,
    SHARED;

    Arena open() {
      return switch (this) {
        case GLOBAL -> Arena.global();
        case AUTOMATIC -> Arena.ofAuto();
        case CONFINED -> Arena.ofConfined();
        case SHARED -> Arena.ofShared();
      };
    }
  }

  @ParameterizedTest
  @EnumSource(ArenaKind.class)
  void encode(ArenaKind kind) throws Throwable {
    Arena arena = kind.open();
    MemorySegment floats = vectors(arena, DType.FLOAT32);
    MemorySegment doubles = vectors(arena, DType.FLOAT64);
    MemorySegment indices = arena.allocate(ValueLayout.JAVA_LONG, ROWS);
    assertEquals(0, allocatedBy(() -> quantizer.encode(floats, DType.FLOAT32, 1, indices)));
    assertEquals(0, allocatedBy(() -> quantizer.encode(doubles, DType.FLOAT64, ROWS, indices)));
    if (kind == ArenaKind.CONFINED || kind == ArenaKind.SHARED) {
      arena.close();
    }
  }

  @Test
  void theOthers() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      DType dtype = DType.FLOAT32;
      MemorySegment x = vectors(arena, dtype);
      MemorySegment vectors = vectors(arena, dtype);
      MemorySegment indices = arena.allocate(ValueLayout.JAVA_LONG, ROWS);
      assertEquals(0, allocatedBy(() -> quantizer.codesToIndices(x, dtype, ROWS, indices)));
      assertEquals(0, allocatedBy(() -> quantizer.decode(indices, ROWS, dtype, vectors)));
      assertEquals(0, allocatedBy(() -> quantizer.bitsToCodes(x, dtype, ROWS * DIM, vectors)));
      assertEquals(
          0, allocatedBy(() -> quantizer.backward(x, dtype, ROWS, MemorySegment.NULL, 0, vectors)));
    }
  }

  @Test
  void forwardAllocatesTheLossesAlone() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = vectors(arena, DType.FLOAT32);
      MemorySegment quantized = vectors(arena, DType.FLOAT32);
      MemorySegment indices = arena.allocate(ValueLayout.JAVA_LONG, ROWS);
      long bytes = allocatedBy(() -> quantizer.forward(x, DType.FLOAT32, ROWS, quantized, indices));
      assertTrue(bytes <= CALLS * LOSSES_BYTES, bytes / (double) CALLS + " bytes for a call");
    }
  }

  private static MemorySegment vectors(Arena arena, DType dtype) {
    MemorySegment vectors = arena.allocate(ROWS * DIM * dtype.byteSize(), Long.BYTES);
    for (int i = 0; i < ROWS * DIM; i++) {
      double value = i % 5 - 2.5;
      if (dtype == DType.FLOAT32) {
        vectors.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
      } else {
        vectors.setAtIndex(ValueLayout.JAVA_DOUBLE, i, value);
      }
    }
    return vectors;
  }

  private static MethodHandle allocatedBytes() {
    try {
      Object threads =
          Class.forName("java.lang.management.ManagementFactory")
              .getMethod("getThreadMXBean")
              .invoke(null);
      return MethodHandles.lookup()
          .findVirtual(
              Class.forName("com.sun.management.ThreadMXBean"),
              "getCurrentThreadAllocatedBytes",
              MethodType.methodType(long.class))
          .bindTo(threads);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }

  /** The fewest bytes that a round of calls allocated; stops early where it is none. */
  private static long allocatedBy(Runnable call) throws Throwable {
    long least = Long.MAX_VALUE;
    for (int round = 0; round < MOST_ROUNDS && least > 0; round++) {
      long before = (long) ALLOCATED_BYTES.invokeExact();
      for (int i = 0; i < CALLS; i++) {
        call.run();
      }
      least = Math.min(least, (long) ALLOCATED_BYTES.invokeExact() - before);
    }
    return least;
  }
}
