package io.github.bsq4j.bench.jmh;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
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
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Vectors to indices, from segment to segment. With {@code -prof gc} it shows that nothing is
 * allocated on the Java heap; with {@code -t 2}, what two threads on one quantizer cost each other.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Threads(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class EncodeBenchmark {
  /** Shared by all threads: it is immutable. */
  @State(Scope.Benchmark)
  public static class Quantizer {
    /** The number of bits of a code. */
    @Param({"13", "32"})
    public int codeDim;

    private BinarySphericalQuantizer quantizer;

    /** Makes the quantizer. */
    @Setup(Level.Trial)
    public void create() {
      quantizer = BinarySphericalQuantizer.create(codeDim);
    }
  }

  /** A thread's own vectors and indices. */
  @State(Scope.Thread)
  public static class Data {
    /** How many vectors a call encodes. */
    @Param({"1", "100", "10000"})
    public long rows;

    private Arena arena;
    private MemorySegment x;
    private MemorySegment indices;

    /** Allocates them. */
    @Setup(Level.Trial)
    public void allocate(Quantizer shared) {
      arena = Arena.ofConfined();
      x = Inputs.vectors(arena, rows, shared.codeDim);
      indices = Inputs.noIndices(arena, rows);
    }

    /** Frees them. */
    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }
  }

  /** One call. */
  @Benchmark
  public MemorySegment encode(Quantizer shared, Data data) {
    shared.quantizer.encode(data.x, DType.FLOAT32, data.rows, data.indices);
    return data.indices;
  }
}
