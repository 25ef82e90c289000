package io.github.bsq4j.bench.jmh;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
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

/** Quantized vectors, indices and losses, and gradients after them, from segment to segment. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@State(Scope.Benchmark)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class TrainingBenchmark {
  /** The number of bits of a code. */
  @Param({"13", "16"})
  public int codeDim;

  /**
   * How many bits are a group; 0 for all. Only those that divide {@code codeDim} can be: {@code -p
   * codeDim=36 -p groupSize=9 -p rows=100000} is BSQ-ViT's.
   */
  @Param({"0"})
  public int groupSize;

  /** How many codes a vector has, each of {@code codeDim} bits. */
  @Param({"1"})
  public int codebooks;

  /** Which entropies. */
  @Param({"EXACT"})
  public EntropyForm entropyForm;

  /** How many vectors a call takes. */
  @Param({"1", "4000"})
  public long rows;

  /** How sharp the assignments to codes are. */
  @Param({"1", "10", "100"})
  public double inverseTemperature;

  private Arena arena;
  private BinarySphericalQuantizer quantizer;
  private MemorySegment x;
  private MemorySegment gradQuantized;
  private MemorySegment quantized;
  private MemorySegment indices;
  private MemorySegment gradX;

  /** Allocates all memory. */
  @Setup(Level.Trial)
  public void allocate() {
    QuantizerOptions options =
        QuantizerOptions.builder(codeDim)
            .groupSize(groupSize == 0 ? codeDim : groupSize)
            .codebooks(codebooks)
            .entropyForm(entropyForm)
            .inverseTemperature(inverseTemperature)
            .build();
    quantizer = BinarySphericalQuantizer.create(options);
    arena = Arena.ofShared(); // JMH may tear down in another thread
    x = Inputs.vectors(arena, rows, options.rowLength());
    gradQuantized = Inputs.vectors(arena, rows, options.rowLength());
    quantized = Inputs.noVectors(arena, rows, options.rowLength());
    indices = Inputs.noIndices(arena, rows * options.indicesPerRow());
    gradX = Inputs.noVectors(arena, rows, options.rowLength());
  }

  /** Frees it. */
  @TearDown(Level.Trial)
  public void free() {
    arena.close();
  }

  /** Quantized vectors, indices and losses. */
  @Benchmark
  public Losses forward() {
    return quantizer.forward(x, DType.FLOAT32, rows, quantized, indices);
  }

  /** The same, and the gradient with respect to x. */
  @Benchmark
  public Losses forwardBackward() {
    Losses losses = forward();
    quantizer.backward(x, DType.FLOAT32, rows, gradQuantized, 1, gradX);
    return losses;
  }
}
