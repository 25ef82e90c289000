package io.github.bsq4j.bench.jmh;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.CodeLayout;
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
import org.openjdk.jmh.annotations.Warmup;

/**
 * Vectors to packed bits, from segment to segment, beside {@link EncodeBenchmark}'s indices, of 512
 * MiB of vectors, which are in no cache.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class PackBenchmark {
  private static final long BYTES = 512L << 20;

  /** Vectors, and what they become. */
  @State(Scope.Thread)
  public static class Data {
    /** The number of bits of a code. */
    @Param({"13", "32", "63"})
    public int codeDim;

    private BinarySphericalQuantizer quantizer;
    private Arena arena;
    private Batch batch;
    private MemorySegment x;
    private MemorySegment codes;

    /** Allocates them. */
    @Setup(Level.Trial)
    public void allocate() {
      quantizer = BinarySphericalQuantizer.create(codeDim);
      arena = Arena.ofConfined();
      long rows = BYTES / codeDim / Float.BYTES;
      batch = Batch.of(rows);
      x = Inputs.vectors(arena, rows, codeDim);
      codes = Inputs.noIndices(arena, rows * Math.ceilDiv(codeDim, Long.SIZE));
    }

    /** Frees them. */
    @TearDown(Level.Trial)
    public void free() {
      arena.close();
    }
  }

  /** To bytes. */
  @Benchmark
  public MemorySegment bytes(Data data) {
    data.quantizer.pack(data.x, DType.FLOAT32, data.batch, CodeLayout.BYTES, data.codes);
    return data.codes;
  }

  /** To words. */
  @Benchmark
  public MemorySegment words(Data data) {
    data.quantizer.pack(data.x, DType.FLOAT32, data.batch, CodeLayout.WORDS, data.codes);
    return data.codes;
  }

  /** To indices, for comparison. */
  @Benchmark
  public MemorySegment indices(Data data) {
    data.quantizer.encode(data.x, DType.FLOAT32, data.batch, data.codes);
    return data.codes;
  }
}
