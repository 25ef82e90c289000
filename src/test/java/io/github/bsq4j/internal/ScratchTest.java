package io.github.bsq4j.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Nobody else has the memory that a call takes. */
class ScratchTest {
  private static final int THREADS = 200;

  /** More than the pool has. */
  @Test
  void manyAtOnce() {
    Deque<Scratch> taken = new ArrayDeque<>();
    for (int i = 0; i < 300; i++) {
      taken.push(Scratch.take());
      fill(taken.peek().memory(), i);
    }
    for (int i = 299; i >= 0; i--) {
      try (Scratch scratch = taken.pop()) {
        assertHolds(i, scratch.memory());
      }
    }
  }

  /** Virtual threads, which are moved to other processors while they have it. */
  @Test
  void manyThreads() throws Exception {
    List<Future<?>> futures = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < THREADS; i++) {
        int thread = i;
        futures.add(
            threads.submit(
                () -> {
                  for (int round = 0; round < 20; round++) {
                    try (Scratch scratch = Scratch.take()) {
                      fill(scratch.memory(), thread);
                      Thread.sleep(0, 1_000); // lets others have its processor
                      assertHolds(thread, scratch.memory());
                    }
                  }
                  return null;
                }));
      }
    }
    for (Future<?> future : futures) {
      future.get();
    }
  }

  private static void fill(MemorySegment memory, int value) {
    for (long i = 0; i < memory.byteSize() / Integer.BYTES; i++) {
      memory.setAtIndex(ValueLayout.JAVA_INT, i, value);
    }
  }

  private static void assertHolds(int value, MemorySegment memory) {
    for (long i = 0; i < memory.byteSize() / Integer.BYTES; i++) {
      assertEquals(value, memory.getAtIndex(ValueLayout.JAVA_INT, i));
    }
  }
}
