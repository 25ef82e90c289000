package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/**
 * A shared arena that one thread closes while others use what is in it: the close is refused, or
 * the use; never is memory freed that a call reads. As Lucene's TestMMapDirectory does it: as often
 * as it takes until it has really happened.
 */
@OnDevice
class CloseDuringCallTest {
  private static final Duration PATIENCE = Duration.ofSeconds(60);
  private static final int DIM = 18;

  /** With handles that the JDK does not know the close would succeed, and the call read on. */
  @Test
  void anArenaDoesNotCloseDuringACall() throws Exception {
    IllegalStateException refusal = refusedClose();
    assertTrue(refusal.getMessage().startsWith("Session is acquired by "), refusal::getMessage);
  }

  /** What closing an arena throws while another thread quantizes a tensor in it. */
  static IllegalStateException refusedClose() throws Exception {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(DIM);
    float[] values = new float[200 * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    long[] expected = quantizer.encode(values);
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (System.nanoTime() < deadline) {
      Optional<IllegalStateException> refusal = closeDuringForward(quantizer, values, expected);
      if (refusal.isPresent()) {
        return refusal.get();
      }
    }
    throw new AssertionError("no arena was closed during a call in " + PATIENCE);
  }

  /** What closing threw; empty if it came before or after the call. */
  private static Optional<IllegalStateException> closeDuringForward(
      BinarySphericalQuantizer quantizer, float[] values, long[] expected) throws Exception {
    Arena inputs = Arena.ofShared();
    Tensor x = TestDevice.put(inputs, Tensor.of(inputs, values, values.length / DIM, DIM));
    CountDownLatch start = new CountDownLatch(1);
    try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
      Future<long[]> indices =
          thread.submit(
              () -> {
                try (Arena results = Arena.ofConfined()) {
                  start.countDown();
                  return quantizer.forward(results, x).indices().toLongArray();
                }
              });
      start.await();
      Thread.sleep(1);
      try {
        inputs.close();
      } catch (IllegalStateException refusal) {
        assertArrayEquals(expected, indices.get()); // as if nothing had been
        inputs.close();
        return Optional.of(refusal);
      }
      try {
        assertArrayEquals(expected, indices.get());
      } catch (ExecutionException e) {
        assertTrue(isClosed(e.getCause()), e::toString);
      }
      return Optional.empty();
    }
  }

  /**
   * Many threads in short calls and reads of a segment. Each sees right numbers until the arena is
   * closed, and only "Already closed" from then on. Large tensors, whose memory goes back to the
   * system when it is freed: reading it would end the process.
   */
  @Test
  void closingUnderManyReaders() throws Exception {
    int closedDuringUse = 0;
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    for (int round = 0; round < 5 || closedDuringUse < 3; round++) {
      assertTrue(System.nanoTime() < deadline, "no arena was closed while it was in use");
      closedDuringUse += closeUnderReaders() ? 1 : 0;
      assertEquals(0, LiveHandles.count());
    }
  }

  /** Whether the close came while readers were at it. */
  private static boolean closeUnderReaders() throws Exception {
    int threads = 4;
    int rows = 100_000;
    float[] values = new float[rows * 2];
    values[values.length - 1] = 7;
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(2);
    Arena arena = Arena.ofShared();
    Tensor x = TestDevice.put(arena, Tensor.of(arena, values, rows, 2));
    CountDownLatch started = new CountDownLatch(threads);
    List<Future<Boolean>> readers = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int thread = 0; thread < threads; thread++) {
        int kind = thread == 0 && !TestDevice.isCpu() ? 1 : thread; // no segments there
        readers.add(
            pool.submit(
                () -> {
                  started.countDown();
                  try {
                    while (true) {
                      assertEquals(7, lastValue(kind, quantizer, x));
                    }
                  } catch (IllegalStateException e) {
                    return isClosed(e);
                  }
                }));
      }
      started.await();
      Thread.sleep(1);
      boolean refused = false;
      while (true) {
        try {
          arena.close();
          break;
        } catch (IllegalStateException e) { // a call is under way
          refused = true;
        }
      }
      for (Future<Boolean> reader : readers) {
        assertTrue(reader.get());
      }
      return refused;
    }
  }

  private static double lastValue(int kind, BinarySphericalQuantizer quantizer, Tensor x) {
    switch (kind) {
      case 0 -> {
        MemorySegment segment = x.asSegment();
        for (long i = 0; i < x.size() - 1; i++) {
          if (segment.getAtIndex(ValueLayout.JAVA_FLOAT, i) != 0) {
            return Double.NaN;
          }
        }
        return segment.getAtIndex(ValueLayout.JAVA_FLOAT, x.size() - 1);
      }
      case 1 -> {
        float[] values = x.toFloatArray();
        return values[values.length - 1];
      }
      case 2 -> {
        try (Arena results = Arena.ofConfined()) {
          long[] indices = quantizer.encode(results, x).toLongArray();
          return indices[indices.length - 1] == 1 ? 7 : Double.NaN;
        }
      }
      default -> {
        return x.narrow(0, x.shape()[0] - 1, 1).permute(1, 0).toDoubleArray()[1];
      }
    }
  }

  private static boolean isClosed(Throwable e) {
    return e instanceof IllegalStateException && "Already closed".equals(e.getMessage());
  }
}
