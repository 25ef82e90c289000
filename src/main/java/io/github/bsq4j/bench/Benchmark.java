package io.github.bsq4j.bench;

import io.github.bsq4j.BsqException;
import io.github.bsq4j.Device;
import io.github.bsq4j.QuantizerOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.IntStream;

/**
 * Times the quantizer on the host path, on random float32 rows in native memory, and beside it what
 * it is compared with. For one thread; nothing else should run meanwhile.
 */
public final class Benchmark implements AutoCloseable {
  /**
   * Encoding and copying, in alternation.
   *
   * @param encode the seconds of encoding all rows
   * @param copy the seconds of copying half as many bytes as encoding reads and writes: a copy
   *     reads and writes each
   * @param share the speed of encoding as a share of that of copying, round by round
   * @param bytes how many bytes either of them reads and writes
   */
  public record EncodeTimes(Spread encode, Spread copy, Spread share, long bytes) {
    /** Bytes read and written by encoding in a second, in the median; in units of 10⁹. */
    public double encodeGigabytesPerSecond() {
      return bytes * 1e-9 / encode.median();
    }

    /** Bytes read and written by copying in a second, in the median; in units of 10⁹. */
    public double copyGigabytesPerSecond() {
      return bytes * 1e-9 / copy.median();
    }
  }

  /**
   * Encoding one row, each on its own.
   *
   * @param alone the seconds in one thread
   * @param together the seconds of the slower of two threads that share the quantizer
   */
  public record OneRowTimes(Spread alone, Spread together) {}

  /**
   * This library and, where it was asked for, the reference, in alternation.
   *
   * @param ours the seconds of this library
   * @param reference the seconds of the reference
   * @param ratio how many times as long the reference took, round by round
   * @param chunkRows how many rows the reference took at a time, where not all need fit into memory
   */
  public record Comparison(
      Spread ours, Optional<Spread> reference, Optional<Spread> ratio, OptionalLong chunkRows) {
    static Comparison of(double seconds, Work ours, Optional<Work> theirs) {
      if (theirs.isEmpty()) {
        Spread alone = Rounds.of(seconds, ours).seconds(0);
        return new Comparison(alone, Optional.empty(), Optional.empty(), OptionalLong.empty());
      }
      Rounds rounds = Rounds.of(seconds, ours, theirs.get());
      return new Comparison(
          rounds.seconds(0),
          Optional.of(rounds.seconds(1)),
          Optional.of(rounds.ratio(1, 0)),
          OptionalLong.empty());
    }

    Comparison withChunksOf(long rows) {
      return new Comparison(ours, reference, ratio, OptionalLong.of(rows));
    }
  }

  private final long rows;
  private final QuantizerOptions options;
  private final int threads;
  private final double seconds;
  private final Arena arena = Arena.ofConfined();
  private final Workload workload;
  private MemorySegment gradQuantized = MemorySegment.NULL; // made when it is needed
  private Optional<DenseReference> reference = Optional.empty();

  /**
   * A benchmark that takes about this many seconds for each work.
   *
   * @param threads how many LibTorch uses
   */
  public Benchmark(QuantizerOptions options, long rows, int threads, double seconds) {
    this.options = options;
    this.rows = rows;
    this.threads = threads;
    this.seconds = seconds;
    try {
      this.workload = new Workload(arena, options, rows);
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  /**
   * Has the dense PyTorch module run beside {@link #forward()} and {@link #forwardBackward()}, with
   * as many threads and on the same numbers.
   *
   * @throws BsqException with code {@link BsqException.Code#UNAVAILABLE} if there is no Python with
   *     PyTorch, or it does not work
   */
  public void startReference() {
    reference =
        Optional.of(
            DenseReference.start(
                options, rows, threads, Device.CPU, workload.x(), gradQuantized()));
  }

  /** Times encoding all rows, and copying memory in the way that is fastest here. */
  public EncodeTimes encode() {
    long bytes = bytesOfEncoding(options, rows);
    try (Arena scratch = Arena.ofShared()) { // several threads copy
      MemorySegment from = scratch.allocate(bytes / 2, Long.BYTES).fill((byte) 1);
      MemorySegment to = scratch.allocate(bytes / 2, Long.BYTES);
      try (ParallelCopy copy = fastestCopy(from, to)) {
        Rounds rounds = Rounds.of(seconds, workload.encode(scratch), copy);
        return new EncodeTimes(rounds.seconds(0), rounds.seconds(1), rounds.ratio(1, 0), bytes);
      }
    }
  }

  /** How many bytes encoding reads and writes. */
  static long bytesOfEncoding(QuantizerOptions options, long rows) {
    return rows * (options.rowLength() * Float.BYTES + options.indicesPerRow() * Long.BYTES);
  }

  /** By the C library or the JVM, in all threads or, where a second would only delay it, in one. */
  private ParallelCopy fastestCopy(MemorySegment from, MemorySegment to) {
    ParallelCopy[] candidates =
        IntStream.of(1, threads)
            .distinct()
            .boxed()
            .flatMap(
                count ->
                    Arrays.stream(ParallelCopy.Method.values())
                        .map(method -> new ParallelCopy(method, count, from, to)))
            .toArray(ParallelCopy[]::new);
    Rounds rounds = Rounds.of(seconds / 10, candidates);
    int fastest =
        IntStream.range(0, candidates.length)
            .boxed()
            .min(Comparator.comparingDouble(i -> rounds.seconds(i).median()))
            .orElseThrow();
    for (int i = 0; i < candidates.length; i++) {
      if (i != fastest) {
        candidates[i].close();
      }
    }
    return candidates[fastest];
  }

  /** Times encoding one row, in one thread and in two at once, in alternation. */
  public OneRowTimes encodeOne() {
    Rounds rounds = Rounds.of(seconds, workload.encodeOne(1), workload.encodeOne(2));
    return new OneRowTimes(rounds.seconds(0), rounds.seconds(1));
  }

  /** Times codes, quantized rows and losses. */
  public Comparison forward() {
    try (Arena scratch = Arena.ofConfined()) {
      return Comparison.of(
          seconds, workload.forward(scratch), reference.map(DenseReference::forward));
    }
  }

  /** Times the same and the gradient after it. */
  public Comparison forwardBackward() {
    try (Arena scratch = Arena.ofConfined()) {
      return Comparison.of(
          seconds,
          workload.forwardBackward(scratch, gradQuantized()),
          reference.map(DenseReference::forwardBackward));
    }
  }

  private MemorySegment gradQuantized() {
    if (gradQuantized.equals(MemorySegment.NULL)) {
      gradQuantized = workload.normal(arena);
    }
    return gradQuantized;
  }

  @Override
  public void close() {
    reference.ifPresent(DenseReference::close);
    arena.close();
  }
}
