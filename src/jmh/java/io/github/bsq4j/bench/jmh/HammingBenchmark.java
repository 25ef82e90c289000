package io.github.bsq4j.bench.jmh;

import io.github.bsq4j.HammingSearch;
import io.github.bsq4j.NativeRuntime;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Distances of 256 MiB of packed codes, which are in no cache, from one code, and the nearest ten,
 * beside copying as many bytes with as many threads.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class HammingBenchmark {
  private static final long BYTES = 256L << 20;

  /** The codes, and what their distances go to. */
  @State(Scope.Benchmark)
  public static class Codes {
    /** The bytes of a code. */
    @Param({"8", "16", "32", "48", "128"})
    public int codeBytes;

    private Arena arena;
    private MemorySegment codes;
    private MemorySegment copy;
    private MemorySegment distances;
    private long count;
    private HammingSearch search;

    /** Allocates and fills them. */
    @Setup(Level.Trial)
    public void allocate() {
      arena = Arena.ofShared();
      count = BYTES / codeBytes;
      codes = arena.allocate(BYTES, 64);
      copy = arena.allocate(BYTES, 64);
      distances = arena.allocate(count * Integer.BYTES, 64);
      SplittableRandom random = new SplittableRandom(1);
      for (long i = 0; i < BYTES; i += Long.BYTES) {
        codes.set(ValueLayout.JAVA_LONG, i, random.nextLong());
      }
      search = HammingSearch.create(codeBytes);
    }

    /** Frees them. */
    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }
  }

  /** One query, all codes. */
  @Benchmark
  public MemorySegment distances(Codes state) {
    state.search.distances(state.codes, state.codes, state.count, state.distances);
    return state.distances;
  }

  /** The nearest ten. */
  @Benchmark
  public HammingSearch.Nearest nearest(Codes state) {
    return state.search.nearest(state.codes, 1, state.codes, state.count, 10);
  }

  /** As many bytes, a share in each thread. */
  @Benchmark
  public MemorySegment copy(Codes state) {
    int threads = NativeRuntime.info().threads().orElseThrow();
    long share = BYTES / threads;
    IntStream.range(0, threads)
        .parallel()
        .forEach(
            i ->
                state
                    .copy
                    .asSlice(i * share, share)
                    .copyFrom(state.codes.asSlice(i * share, share)));
    return state.copy;
  }
}
