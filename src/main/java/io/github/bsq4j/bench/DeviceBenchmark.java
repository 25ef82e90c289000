package io.github.bsq4j.bench;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/**
 * Times the quantizer on tensors of a device: the same random float32 rows as {@link Benchmark},
 * copied there before. Each time is that of many calls, from an idle device to one that has done
 * all of them; results are freed and never read. For one thread.
 */
public final class DeviceBenchmark implements AutoCloseable {
  private final BinarySphericalQuantizer quantizer;
  private final Device device;
  private final double seconds;
  private final Arena arena = Arena.ofConfined();
  private final Tensor x;
  private final Tensor gradQuantized;

  /** A benchmark that takes about this many seconds for each work. */
  public DeviceBenchmark(QuantizerOptions options, long rows, Device device, double seconds) {
    this.quantizer = BinarySphericalQuantizer.create(options);
    this.device = device;
    this.seconds = seconds;
    try (Arena host = Arena.ofConfined()) {
      Workload workload = new Workload(host, options, rows);
      this.x = copy(workload.x(), options, rows);
      this.gradQuantized = copy(workload.normal(host), options, rows);
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  private Tensor copy(MemorySegment values, QuantizerOptions options, long rows) {
    long length = options.rowLength();
    long[] shape =
        options.channelFirst() ? new long[] {1, length, rows} : new long[] {rows, length};
    try (Arena host = Arena.ofConfined()) {
      return Tensor.copyOf(host, values, DType.FLOAT32, shape).to(arena, device);
    }
  }

  /** The seconds of encoding all rows. */
  public Spread encode() {
    return time(results -> quantizer.encode(results, x));
  }

  /** The seconds of codes, quantized rows and losses. */
  public Spread forward() {
    return time(results -> quantizer.forward(results, x));
  }

  /** The seconds of the same and the gradient after it. */
  public Spread forwardBackward() {
    return time(
        results -> {
          Quantization quantization = quantizer.forward(results, x);
          quantization.backward(results, gradQuantized, 1);
        });
  }

  private Spread time(Consumer<Arena> call) {
    Work work =
        repetitions -> {
          device.synchronize();
          long start = System.nanoTime();
          for (int i = 0; i < repetitions; i++) {
            try (Arena results = Arena.ofConfined()) {
              call.accept(results);
            }
          }
          device.synchronize();
          return (System.nanoTime() - start) * 1e-9;
        };
    return Rounds.of(seconds, work).seconds(0);
  }

  @Override
  public void close() {
    arena.close();
  }
}
