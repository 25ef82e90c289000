package io.github.bsq4j.bench.jmh;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Memory for the benchmarks, allocated before they run. */
final class Inputs {
  private static final long SEED = 20250101;

  private Inputs() {}

  /** {@code [rows, rowLength]} of normal float32 numbers; the same ones in each run. */
  static MemorySegment vectors(Arena arena, long rows, int rowLength) {
    SplittableRandom random = new SplittableRandom(SEED);
    MemorySegment vectors = noVectors(arena, rows, rowLength);
    for (long i = 0; i < rows * rowLength; i++) {
      vectors.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return vectors;
  }

  /** Room for {@code [rows, rowLength]} of float32. */
  static MemorySegment noVectors(Arena arena, long rows, int rowLength) {
    return arena.allocate(ValueLayout.JAVA_FLOAT, rows * rowLength);
  }

  /** Room for so many int64. */
  static MemorySegment noIndices(Arena arena, long count) {
    return arena.allocate(ValueLayout.JAVA_LONG, count);
  }
}
