package io.github.bsq4j.bench;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.QuantizerOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The quantizer's host path at work on random float32 rows, all in native memory. */
final class Workload {
  private static final DType DTYPE = DType.FLOAT32;
  private static final long SEED = 20250101;
  private static final long PAGE = 4096;

  private final BinarySphericalQuantizer quantizer;
  private final Batch batch;
  private final SplittableRandom random = new SplittableRandom(SEED);
  private final MemorySegment x;

  Workload(Arena arena, QuantizerOptions options, long rows) {
    this.quantizer = BinarySphericalQuantizer.create(options);
    this.batch = options.channelFirst() ? Batch.of(1, rows) : Batch.of(rows);
    this.x = normal(arena);
  }

  /** The input, {@code [rows, codebooks · codeDim]}, or of one item where channels come first. */
  MemorySegment x() {
    return x;
  }

  /** Normal numbers, as many as the input has; the same ones in each run. */
  MemorySegment normal(Arena arena) {
    MemorySegment segment = vectors(arena);
    for (long i = 0; i < elements(); i++) {
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return segment;
  }

  Work encode(Arena arena) {
    MemorySegment indices = indices(arena);
    return Work.of(() -> quantizer.encode(x, DTYPE, batch, indices));
  }

  /** Encoding the first row, over and over, in so many threads, each with memory of its own. */
  Work encodeOne(int threads) {
    long bytes = quantizer.options().rowLength() * DTYPE.byteSize();
    MemorySegment row = // which all threads may read
        MemorySegment.ofArray(x.asSlice(0, bytes).toArray(ValueLayout.JAVA_FLOAT));
    return repetitions -> {
      double[] seconds = new double[threads];
      CountDownLatch start = new CountDownLatch(threads);
      try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
        for (int i = 0; i < threads; i++) {
          int thread = i;
          pool.execute(() -> seconds[thread] = encodeOne(row, repetitions, start));
        }
      }
      return Arrays.stream(seconds).max().orElseThrow();
    };
  }

  private double encodeOne(MemorySegment row, int repetitions, CountDownLatch start) {
    try (Arena arena = Arena.ofConfined()) {
      // On pages of their own, so that no two threads meet in a cache line.
      MemorySegment in = arena.allocate(row.byteSize(), PAGE).copyFrom(row);
      MemorySegment indices =
          arena.allocate(quantizer.options().indicesPerRow() * (long) Long.BYTES, PAGE);
      start.countDown();
      while (start.getCount() > 0) {
        Thread.onSpinWait();
      }
      return secondsOfOne(in, indices, repetitions);
    }
  }

  /** The loop is a method of its own, to be compiled with this call alone in it. */
  private double secondsOfOne(MemorySegment in, MemorySegment indices, int repetitions) {
    long start = System.nanoTime();
    for (int i = 0; i < repetitions; i++) {
      quantizer.encode(in, DTYPE, 1, indices);
    }
    return (System.nanoTime() - start) * 1e-9;
  }

  Work forward(Arena arena) {
    MemorySegment quantized = vectors(arena);
    MemorySegment indices = indices(arena);
    return Work.of(() -> quantizer.forward(x, DTYPE, batch, quantized, indices));
  }

  Work forwardBackward(Arena arena, MemorySegment gradQuantized) {
    MemorySegment quantized = vectors(arena);
    MemorySegment indices = indices(arena);
    MemorySegment gradX = vectors(arena);
    return Work.of(
        () -> {
          quantizer.forward(x, DTYPE, batch, quantized, indices);
          quantizer.backward(x, DTYPE, batch, gradQuantized, 1, gradX);
        });
  }

  private MemorySegment vectors(Arena arena) {
    return arena.allocate(ValueLayout.JAVA_FLOAT, elements());
  }

  private MemorySegment indices(Arena arena) {
    return arena.allocate(
        ValueLayout.JAVA_LONG, batch.rows() * quantizer.options().indicesPerRow());
  }

  private long elements() {
    return batch.rows() * quantizer.options().rowLength();
  }
}
