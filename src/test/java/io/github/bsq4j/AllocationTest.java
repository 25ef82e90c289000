package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * What calls on native memory allocate on the Java heap, once they are compiled: nothing but what
 * they return. In a JVM that has run nothing else, since what the compiler makes of a method
 * depends on all its callers.
 */
class AllocationTest {
  private static final int DIM = 13;
  private static final int ROWS = 2;

  /** Calls in a round; one round without allocations shows that none of them needs any. */
  private static final int CALLS = 5_000;

  /** How long the JVM may take to compile a call, on a busy machine. */
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  /** A record of seven numbers of 8 bytes. */
  private static final long LOSSES_BYTES = 72;

  /**
   * One segment, as the generated binding makes of the status that a call returns. The compiler
   * leaves it out only where it inlines the whole call, and with the many arguments of forward and
   * backward it does so in one JVM and not in the next.
   */
  private static final long STATUS_BYTES = 40;

  /**
   * {@code com.sun.management.ThreadMXBean.getCurrentThreadAllocatedBytes}, by its name, since the
   * module that the tests are compiled into does not require the JDK's management.
   */
  private static final MethodHandle ALLOCATED_BYTES = allocatedBytes();

  private static final BinarySphericalQuantizer QUANTIZER = BinarySphericalQuantizer.create(DIM);

  /** What the compiler makes of a call depends on the moment: then another JVM gets a chance. */
  private static final int JVMS = 3;

  private static final String EXPECTED =
      """
      encode, global: 0
      encode, automatic: 0
      encode, confined: 0
      encode, shared: 0
      encode of float64: 0
      codesToIndices: 0
      decode: 0
      bitsToCodes: 0
      backward without losses: at most its status
      forward: at most its status
      forward of a masked batch: at most its status
      backward of a masked batch: at most its status
      """;

  @Test
  void callsAllocateWhatTheyReturn() throws Exception {
    ChildJvm child = measure();
    for (int i = 1; i < JVMS && !child.out().equals(EXPECTED); i++) {
      child = measure();
    }
    assertEquals(EXPECTED, child.out(), child.err());
  }

  private static ChildJvm measure() throws Exception {
    return ChildJvm.run(
        Calls.class,
        Map.of(),
        "--enable-native-access=ALL-UNNAMED",
        "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow());
  }

  /** Prints the bytes that a round of calls allocates beyond what they return. */
  static final class Calls {
    private Calls() {}

    public static void main(String[] args) throws Throwable {
      try (Arena confined = Arena.ofConfined();
          Arena shared = Arena.ofShared()) {
        encode("global", Arena.global());
        encode("automatic", Arena.ofAuto());
        encode("confined", confined);
        encode("shared", shared);
        others(confined);
      }
    }

    private static void encode(String name, Arena arena) throws Throwable {
      MemorySegment x = vectors(arena, DType.FLOAT32);
      MemorySegment indices = arena.allocate(ValueLayout.JAVA_LONG, ROWS);
      print("encode, " + name, () -> QUANTIZER.encode(x, DType.FLOAT32, 1, indices));
    }

    private static void others(Arena arena) throws Throwable {
      DType dtype = DType.FLOAT32;
      MemorySegment doubles = vectors(arena, DType.FLOAT64);
      MemorySegment x = vectors(arena, dtype);
      MemorySegment vectors = vectors(arena, dtype);
      MemorySegment indices = arena.allocate(ValueLayout.JAVA_LONG, ROWS);
      print("encode of float64", () -> QUANTIZER.encode(doubles, DType.FLOAT64, ROWS, indices));
      print("codesToIndices", () -> QUANTIZER.codesToIndices(x, dtype, ROWS, indices));
      print("decode", () -> QUANTIZER.decode(indices, ROWS, dtype, vectors));
      print("bitsToCodes", () -> QUANTIZER.bitsToCodes(x, dtype, ROWS * DIM, vectors));
      printTraining(
          "backward without losses",
          () -> QUANTIZER.backward(x, dtype, ROWS, MemorySegment.NULL, 0, vectors),
          0);
      printTraining(
          "forward", () -> QUANTIZER.forward(x, dtype, ROWS, vectors, indices), LOSSES_BYTES);
      Batch batch = Batch.of(1, ROWS).withLengths(1);
      printTraining(
          "forward of a masked batch",
          () -> QUANTIZER.forward(x, dtype, batch, vectors, indices),
          LOSSES_BYTES);
      printTraining(
          "backward of a masked batch",
          () -> QUANTIZER.backward(x, dtype, batch, MemorySegment.NULL, 1, vectors),
          0);
    }

    private static void print(String name, Runnable call) throws Throwable {
      System.out.println(name + ": " + allocatedBy(call, 0));
    }

    private static void printTraining(String name, Runnable call, long returned) throws Throwable {
      long allocated = allocatedBy(call, CALLS * (returned + STATUS_BYTES));
      boolean expected = allocated <= CALLS * (returned + STATUS_BYTES);
      System.out.println(name + ": " + (expected ? "at most its status" : allocated));
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

  /** The fewest bytes that a round of calls allocated; stops early where it is what is expected. */
  private static long allocatedBy(Runnable call, long expected) throws Throwable {
    long least = Long.MAX_VALUE;
    long start = System.nanoTime();
    while (least > expected && System.nanoTime() - start < PATIENCE.toNanos()) {
      long before = (long) ALLOCATED_BYTES.invokeExact();
      for (int i = 0; i < CALLS; i++) {
        call.run();
      }
      least = Math.min(least, (long) ALLOCATED_BYTES.invokeExact() - before);
    }
    return least;
  }
}
