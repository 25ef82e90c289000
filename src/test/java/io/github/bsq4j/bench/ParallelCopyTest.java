package io.github.bsq4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ParallelCopyTest {
  @ParameterizedTest
  @CsvSource({
    "LIBC, 1, 1",
    "LIBC, 2, 1000",
    "LIBC, 7, 1000",
    "LIBC, 7, 3",
    "JVM, 1, 1000",
    "JVM, 3, 1000",
    "JVM, 7, 3",
  })
  void copiesEveryByte(ParallelCopy.Method method, int threads, int size) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment from = arena.allocate(size);
      for (int i = 0; i < size; i++) {
        from.set(ValueLayout.JAVA_BYTE, i, (byte) (i % 251 + 1));
      }
      MemorySegment to = arena.allocate(size);
      try (ParallelCopy copy = new ParallelCopy(method, threads, from, to)) {
        assertTrue(copy.seconds(2) > 0);
      }
      assertEquals(-1, from.mismatch(to));
    }
  }
}
