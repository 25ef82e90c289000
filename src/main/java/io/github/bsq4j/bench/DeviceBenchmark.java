package io.github.bsq4j.bench;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.bench.Benchmark.Comparison;
import io.github.bsq4j.bench.Benchmark.EncodeTimes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * Times the quantizer on tensors of a device: the same random float32 rows as {@link Benchmark},
 * copied there before. Each time is that of many calls, from an idle device to one that has done
 * all of them; results are freed and never read. For one thread; nothing else should run meanwhile.
 */
public final class DeviceBenchmark implements AutoCloseable {
  private final QuantizerOptions options;
  private final BinarySphericalQuantizer quantizer;
  private final long rows;
  private final Device device;
  private final double seconds;
  private final Arena arena = Arena.ofConfined();
  private final Workload workload;
  private final Tensor x;
  private Optional<Gradient> gradient = Optional.empty(); // made when it is needed
  private Optional<DenseReference> reference = Optional.empty();

  /** The gradient of the quantized rows, on the host and on the device. */
  private record Gradient(MemorySegment host, Tensor there) {}

  /** A benchmark that takes about this many seconds for each work. */
  public DeviceBenchmark(QuantizerOptions options, long rows, Device device, double seconds) {
    this.options = options;
    this.quantizer = BinarySphericalQuantizer.create(options);
    this.rows = rows;
    this.device = device;
    this.seconds = seconds;
    try {
      this.workload = new Workload(arena, options, rows);
      this.x = copy(workload.x());
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  private Tensor copy(MemorySegment values) {
    long length = options.rowLength();
    long[] shape =
        options.channelFirst() ? new long[] {1, length, rows} : new long[] {rows, length};
    return Tensor.borrow(arena, values, DType.FLOAT32, Device.CPU, shape).to(arena, device);
  }

  /**
   * Has the dense PyTorch module run beside {@link #forward()} and {@link #forwardBackward()}, on
   * the same device and the same numbers; without TF32, and where not all rows fit into the
   * device's memory, in chunks of them.
   *
   * @throws BsqException with code {@link BsqException.Code#UNAVAILABLE} if there is no Python with
   *     PyTorch, or it does not work, or not with this device
   */
  public void startReference() {
    int threads = NativeRuntime.info().threads().orElseThrow();
    reference =
        Optional.of(
            DenseReference.start(options, rows, threads, device, workload.x(), gradient().host()));
  }

  /**
   * How many bytes of a GPU's memory a forward and a backward call take beside their input, with
   * their results, what LibTorch keeps for later calls, and, in the first call of the process, what
   * CUDA loads for it. To be measured before anything is timed, and before the reference is
   * started, which takes memory itself. Empty for the CPU, and where the driver does not tell.
   */
  public OptionalLong forwardBackwardMemory() {
    gradient();
    OptionalLong before = freeMemory();
    oneByOne(this::forwardBackward).seconds(1);
    OptionalLong after = freeMemory();
    return before.isPresent() && after.isPresent()
        ? OptionalLong.of(Math.max(0, before.getAsLong() - after.getAsLong()))
        : OptionalLong.empty();
  }

  private OptionalLong freeMemory() {
    if (device.equals(Device.CPU)) {
      return OptionalLong.empty(); // which all programs take from
    }
    return NativeRuntime.info().devices().stream()
        .filter(info -> info.device().equals(device))
        .findFirst()
        .map(NativeRuntime.DeviceInfo::freeMemory)
        .orElse(OptionalLong.empty());
  }

  /** Times encoding all rows, and copying memory of the device there. */
  public EncodeTimes encode() {
    long bytes = Benchmark.bytesOfEncoding(options, rows);
    try (Arena scratch = Arena.ofConfined()) {
      Tensor zeros = Tensor.zeros(scratch, DType.UINT8, device, bytes / 2);
      Tensor source = // borrowed: others need not be copied
          Tensor.borrow(
              scratch,
              zeros.pointer().reinterpret(bytes / 2, scratch, null),
              DType.UINT8,
              device,
              bytes / 2);
      Rounds rounds =
          Rounds.of(
              seconds,
              oneByOne(results -> quantizer.encode(results, x)),
              oneByOne(results -> source.to(results, device)));
      device.synchronize(); // before the borrowed memory goes
      return new EncodeTimes(rounds.seconds(0), rounds.seconds(1), rounds.ratio(1, 0), bytes);
    }
  }

  /** Times codes, quantized rows and losses. */
  public Comparison forward() {
    Comparison times =
        Comparison.of(
            seconds,
            oneByOne(results -> quantizer.forward(results, x)),
            reference.map(DenseReference::forward));
    return reference.map(r -> times.withChunksOf(r.finishForward())).orElse(times);
  }

  /** Times the same and the gradient after it. */
  public Comparison forwardBackward() {
    gradient();
    Comparison times =
        Comparison.of(
            seconds,
            oneByOne(this::forwardBackward),
            reference.map(DenseReference::forwardBackward));
    return reference.map(r -> times.withChunksOf(r.finishForwardBackward())).orElse(times);
  }

  private void forwardBackward(Arena results) {
    Quantization quantization = quantizer.forward(results, x);
    quantization.backward(results, gradient().there(), 1);
  }

  private Gradient gradient() {
    if (gradient.isEmpty()) {
      MemorySegment host = workload.normal(arena);
      gradient = Optional.of(new Gradient(host, copy(host)));
    }
    return gradient.get();
  }

  /** Calls one after another, each launched as soon as the one before is. */
  private Work oneByOne(Consumer<Arena> call) {
    return repetitions -> {
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
  }

  @Override
  public void close() {
    reference.ifPresent(DenseReference::close);
    arena.close();
  }
}
