package io.github.bsq4j.bench.jmh;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Memory for the benchmarks, allocated before they run. */
final class Inputs {
  private static final long SEED = 20250101;

  private Inputs() {}

  /** {@code [rows, codeDim]} of normal float32 numbers; the same ones in each run. */
  static MemorySegment vectors(Arena arena, long rows, int codeDim) {
    SplittableRandom random = new SplittableRandom(SEED);
    MemorySegment vectors = noVectors(arena, rows, codeDim);
    for (long i = 0; i < rows * codeDim; i++) {
      vectors.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return vectors;
  }

  /** Room for {@code [rows, codeDim]} of float32. */
  static MemorySegment noVectors(Arena arena, long rows, int codeDim) {
    return arena.allocate(ValueLayout.JAVA_FLOAT, rows * codeDim);
  }

  /** Room for {@code [rows]} of int64. */
  static MemorySegment noIndices(Arena arena, long rows) {
    return arena.allocate(ValueLayout.JAVA_LONG, rows);
  }
}
