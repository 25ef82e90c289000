package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Automatic arenas: nothing is freed that something can still reach, and all else is. */
@OnDevice
class AutomaticArenaTest {
  private static final int SIZE = 10_000;
  private static final int DIM = 5;
  private static final int STORM_THREADS = 16;
  private static final Duration STORM = Duration.ofSeconds(4);

  /** What alone is left of a tensor of SIZE equal numbers in an arena of its own. */
  enum Rest {
    TENSOR,
    VIEW,
    VIEW_OF_VIEW,
    SEGMENT,
    SLICE,
    SEGMENT_OF_VIEW,
    POINTER,
    BORROWED,
    SEGMENT_OF_BORROWED;

    Object of(float value) {
      Arena arena = Arena.ofAuto();
      float[] values = new float[SIZE];
      Arrays.fill(values, value);
      Tensor tensor =
          this == BORROWED || this == SEGMENT_OF_BORROWED
              ? Tensor.borrow(
                  arena,
                  arena.allocateFrom(ValueLayout.JAVA_FLOAT, values),
                  DType.FLOAT32,
                  Device.CPU,
                  SIZE)
              : Tensor.of(arena, values);
      return switch (this) {
        case TENSOR, BORROWED -> tensor;
        case VIEW -> tensor.narrow(0, SIZE - 10, 10);
        case VIEW_OF_VIEW -> tensor.narrow(0, 1, SIZE - 1).narrow(0, SIZE - 10, 9);
        case SEGMENT, SEGMENT_OF_BORROWED -> tensor.asSegment();
        case SLICE -> tensor.asSegment().asSlice(SIZE);
        case SEGMENT_OF_VIEW -> tensor.narrow(0, SIZE - 10, 10).asSegment();
        case POINTER -> tensor.pointer();
      };
    }
  }

  private static float lastValue(Object rest) {
    if (rest instanceof Tensor tensor) {
      float[] values = tensor.toFloatArray();
      return values[values.length - 1];
    }
    MemorySegment segment = (MemorySegment) rest;
    if (segment.byteSize() == 0) { // a pointer
      segment = segment.reinterpret(SIZE * (long) Float.BYTES);
    }
    return segment.getAtIndex(ValueLayout.JAVA_FLOAT, segment.byteSize() / Float.BYTES - 1);
  }

  /** A segment that only knows an address would be of memory that is gone. */
  @ParameterizedTest
  @EnumSource
  void whatIsLeftKeepsTheMemory(Rest rest) {
    Object left = rest.of(7);
    try {
      for (int i = 0; i < 3; i++) {
        System.gc();
        Rest.TENSOR.of(-1); // takes the memory if it is free
        assertEquals(7, lastValue(left));
      }
      assertTrue(LiveHandles.awaitAtMost(0, Duration.ofMillis(100)) >= 1);
    } finally {
      Reference.reachabilityFence(left);
    }
    left = null;
    assertEquals(0, LiveHandles.awaitAtMost(0));
  }

  @Test
  void aQuantizationKeepsWhatBackwardNeeds() {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(DIM);
    try (Arena results = Arena.ofConfined()) {
      Quantization quantization = quantizer.forward(Arena.ofAuto(), rows(7));
      float[] expected = quantization.backward(results, 1).toFloatArray();
      for (int i = 0; i < 3; i++) {
        System.gc();
        rows(-1);
        assertArrayEquals(expected, quantization.backward(results, 1).toFloatArray());
      }
    }
  }

  private static Tensor rows(float value) {
    float[] values = new float[SIZE];
    Arrays.fill(values, value);
    Tensor onCpu = Tensor.of(Arena.ofAuto(), values, SIZE / DIM, DIM);
    return TestDevice.put(Arena.ofAuto(), onCpu);
  }

  /** What a thread of the storm holds, and the number that must be in it. */
  private record Held(Object rest, float value) {}

  @Test
  void aStormOfGarbage() throws Exception {
    AtomicLong made = new AtomicLong();
    long end = System.nanoTime() + STORM.toNanos();
    try (ExecutorService pool = Executors.newFixedThreadPool(STORM_THREADS)) {
      List<Future<?>> futures = new ArrayList<>();
      for (int thread = 0; thread < STORM_THREADS; thread++) {
        int seed = thread;
        futures.add(
            pool.submit(
                () -> {
                  makeGarbage(new Random(seed), end, made);
                  return null;
                }));
      }
      while (System.nanoTime() < end) {
        System.gc();
        Thread.sleep(10); // or nothing else gets to run
      }
      for (Future<?> future : futures) {
        future.get();
      }
    }
    // Most went during the storm, not in one go at its end.
    long live = LiveHandles.count();
    System.out.printf("storm: %d handles made, %d live at its end%n", made.get(), live);
    assertTrue(live < made.get() / 2, "%d of %d are live".formatted(live, made.get()));
    assertEquals(0, LiveHandles.awaitAtMost(0));
  }

  private static void makeGarbage(Random random, long end, AtomicLong made) {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(DIM);
    Queue<Held> held = new ArrayDeque<>();
    while (System.nanoTime() < end) {
      float value = 1 + random.nextInt(1000);
      Rest kind = Rest.values()[random.nextInt(Rest.values().length)];
      held.add(new Held(kind.of(value), value));
      Quantization quantization = quantizer.forward(Arena.ofAuto(), rows(value));
      Tensor gradient = quantization.backward(Arena.ofAuto(), quantization.quantized(), 0);
      // All components are equal, so moving along them changes nothing but the norm.
      assertEquals(0, lastValue(gradient), 1e-6);
      Tensor quantized = quantization.quantized();
      Object rest = TestDevice.isCpu() ? quantized.asSegment() : quantized;
      held.add(new Held(rest, (float) Math.sqrt(1.0 / DIM)));
      made.addAndGet(6);
      while (held.size() > 6) {
        Held oldest = held.remove();
        assertEquals(oldest.value, lastValue(oldest.rest), 1e-6);
      }
    }
  }
}
