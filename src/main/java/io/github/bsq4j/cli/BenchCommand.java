package io.github.bsq4j.cli;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.Device;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.bench.Benchmark;
import io.github.bsq4j.bench.Benchmark.Comparison;
import io.github.bsq4j.bench.Benchmark.EncodeTimes;
import io.github.bsq4j.bench.Benchmark.OneRowTimes;
import io.github.bsq4j.bench.DeviceBenchmark;
import io.github.bsq4j.bench.Spread;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How fast the quantizer is on this machine. */
@Command(
    name = "bench",
    header = "Time the quantizer on this machine, and the PyTorch reference beside it.",
    description =
        "Random normal float32 vectors in native memory, the same in each run. Times are medians of"
            + " at least nine rounds after a warm-up, with the smallest and the largest. GB/s count"
            + " bytes read and bytes written, of encoding and of memcpy alike.",
    customSynopsis = "bsq bench [OPTIONS]")
final class BenchCommand implements Callable<Integer> {
  private static final long MAX_ROWS = 1_000_000_000;
  private static final int MAX_THREADS = 1024;
  private static final double MAX_SECONDS = 3600;

  private enum Work {
    ENCODE,
    FORWARD,
    FORWARD_BACKWARD;

    /** As the command line has it. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  @Option(
      names = "--work",
      paramLabel = "WORK",
      split = ",",
      description =
          "What to time: encode, forward, forward-backward, or several of them with commas between"
              + " (default: all). Memory is taken for what is timed alone.")
  private Set<Work> works = Set.of();

  @Option(
      names = "--code-dim",
      paramLabel = "N",
      defaultValue = "13",
      description =
          "The number of bits of a code, 1 to 63, or to 4096 with --groups. Where the losses would"
              + " take too much memory, encoding alone is timed (default: ${DEFAULT-VALUE}).")
  private int codeDim;

  @Option(
      names = "--rows",
      paramLabel = "N",
      defaultValue = "4000",
      description = "The number of vectors in a call (default: ${DEFAULT-VALUE}).")
  private long rows;

  @Mixin private CodeFlags codes;
  @Mixin private LossFlags losses;
  @Mixin private DeviceFlag deviceFlag;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "How many threads to use; as LibTorch decides if not given.")
  private Integer threads;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "2",
      description = "How long to time each work, at least (default: ${DEFAULT-VALUE}).")
  private double seconds;

  @Option(
      names = "--reference",
      description =
          "Time the dense PyTorch module too, in alternation: eager, float32, with as many"
              + " threads. Runs on the Python of the LibTorch in use, or on BSQ4J_PYTHON.")
  private boolean withReference;

  @Mixin private Output out;

  @Override
  public Integer call() {
    codes.requireShortIndices(codeDim, "");
    QuantizerOptions options = losses.options(codes, codeDim);
    boolean withLosses = LossFlags.hasLosses(options);
    Set<Work> wanted = works.isEmpty() ? EnumSet.allOf(Work.class) : works;
    checkOptions(options, wanted);
    Device device = deviceFlag.usable();
    if (withReference && !device.equals(Device.CPU)) {
      throw new InputException(
          "--device is " + device + ", but the reference runs on the CPU: expected no --reference");
    }
    int used = threads();

    JsonObject json = new JsonObject();
    out.line("code dim", codeDim);
    json.addProperty("code_dim", codeDim);
    if (options.codebooks() > 1) {
      out.line("codebooks", options.codebooks());
    }
    json.addProperty("codebooks", options.codebooks());
    if (options.groups() > 1) {
      out.line("groups", options.groups());
    }
    json.addProperty("groups", options.groups());
    out.line("rows", rows);
    json.addProperty("rows", rows);
    out.line("inverse temperature", options.inverseTemperature());
    json.addProperty("inv_temperature", options.inverseTemperature());
    if (!device.equals(Device.CPU)) {
      reportOnDevice(json, device, options, wanted);
      out.json(json);
      return 0;
    }
    out.line("threads", used);
    json.addProperty("threads", used);
    try (Benchmark benchmark = new Benchmark(options, rows, used, seconds)) {
      if (withReference) {
        benchmark.startReference(); // first: whoever has none should not wait to be told
      }
      if (wanted.contains(Work.ENCODE)) {
        reportEncode(json, benchmark.encode());
        reportOneRow(json, benchmark.encodeOne());
      }
      if (wanted.contains(Work.FORWARD)) {
        report(json, "forward", "forward", withLosses ? benchmark.forward() : null);
      }
      if (wanted.contains(Work.FORWARD_BACKWARD)) {
        report(
            json,
            "forward + backward",
            "forward_backward",
            withLosses ? benchmark.forwardBackward() : null);
      }
    }
    out.json(json);
    return 0;
  }

  /** On tensors that are there: what is on the way to the device and back is not timed. */
  private void reportOnDevice(
      JsonObject json, Device device, QuantizerOptions options, Set<Work> wanted) {
    out.line("device", device);
    json.addProperty("device", device.toString());
    boolean withLosses = LossFlags.hasLosses(options);
    try (DeviceBenchmark benchmark = new DeviceBenchmark(options, rows, device, seconds)) {
      if (wanted.contains(Work.ENCODE)) {
        report(json, "encode", "encode", alone(benchmark.encode()));
      }
      if (wanted.contains(Work.FORWARD)) {
        report(json, "forward", "forward", withLosses ? alone(benchmark.forward()) : null);
      }
      if (wanted.contains(Work.FORWARD_BACKWARD)) {
        report(
            json,
            "forward + backward",
            "forward_backward",
            withLosses ? alone(benchmark.forwardBackward()) : null);
      }
    }
  }

  private static Comparison alone(Spread ours) {
    return new Comparison(ours, Optional.empty(), Optional.empty());
  }

  private void checkOptions(QuantizerOptions options, Set<Work> wanted) {
    if (rows < 1 || rows > MAX_ROWS) {
      throw new InputException("--rows is " + rows + "; expected 1 to " + MAX_ROWS);
    }
    if (threads != null && (threads < 1 || threads > MAX_THREADS)) {
      throw new InputException("--threads is " + threads + "; expected 1 to " + MAX_THREADS);
    }
    if (!(seconds > 0 && seconds <= MAX_SECONDS)) {
      throw new InputException(
          "--seconds is " + seconds + "; expected a number above 0, to " + MAX_SECONDS);
    }
    boolean encodeAlone = wanted.equals(EnumSet.of(Work.ENCODE));
    if (!works.isEmpty() && !encodeAlone) {
      LossFlags.requireLosses(options, "", "--work encode");
    }
    if (withReference && encodeAlone) {
      throw new InputException(
          "--work is encode, which the reference does not do by itself: expected forward or"
              + " forward-backward with --reference");
    }
    if (withReference) {
      LossFlags.requireLosses(options, "", "no --reference, which computes them");
    }
    if (withReference && options.entropyFraction() != 1) {
      throw new InputException(
          "--entropy-fraction is "
              + options.entropyFraction()
              + ", but the reference would draw other rows: expected no --reference, or 1");
    }
  }

  /** How many LibTorch uses: {@code scripts/bsq} has told it before this JVM was started. */
  private int threads() {
    BinarySphericalQuantizer.create(1); // fails, with the reason, where LibTorch is missing
    int used = NativeRuntime.info().threads().orElseThrow();
    if (threads != null && threads != used) {
      throw new InputException(
          "--threads is "
              + threads
              + ", but LibTorch uses "
              + used
              + "; it reads OMP_NUM_THREADS when it is loaded, which scripts/bsq sets, and takes no"
              + " more threads than there are cores");
    }
    return used;
  }

  private void reportEncode(JsonObject json, EncodeTimes times) {
    double speed = times.encodeGigabytesPerSecond();
    double copySpeed = times.copyGigabytesPerSecond();
    Spread percent = times.share().times(100);
    out.line("encode", time(times.encode()));
    out.line("", format("%s, %.3g GB/s", rate(times.encode()), speed));
    out.line(
        "",
        format("%.0f %% of memcpy (%.0f to %.0f)", percent.median(), percent.min(), percent.max()));
    out.line("memcpy", format("%.3g GB/s", copySpeed));
    json.add("encode_ms", milliseconds(times.encode()));
    json.addProperty("encode_gb_per_s", speed);
    json.addProperty("copy_gb_per_s", copySpeed);
    json.add("encode_copy_ratio", json(times.share()));
  }

  private void reportOneRow(JsonObject json, OneRowTimes times) {
    out.line("encode one row", nanoseconds(times.alone()));
    out.line("  in two threads", nanoseconds(times.together()));
    json.addProperty("single_row_encode_ns", times.alone().times(1e9).median());
    json.addProperty("single_row_encode_two_threads_ns", times.together().times(1e9).median());
  }

  private static String nanoseconds(Spread time) {
    Spread ns = time.times(1e9);
    return format("%.1f ns (%.1f to %.1f)", ns.median(), ns.min(), ns.max());
  }

  /** Without times where the code is too long for the losses. */
  private void report(JsonObject json, String label, String key, Comparison times) {
    if (times == null) {
      json.add(key + "_ms", JsonNull.INSTANCE);
      return;
    }
    out.line(label, time(times.ours()));
    out.line("", rate(times.ours()));
    json.add(key + "_ms", milliseconds(times.ours()));
    times
        .reference()
        .ifPresent(
            reference -> {
              out.line("  reference", time(reference));
              json.add("reference_" + key + "_ms", milliseconds(reference));
            });
    times
        .ratio()
        .ifPresent(
            ratio -> {
              out.line(
                  "  ratio",
                  format("%.1f (%.1f to %.1f)", ratio.median(), ratio.min(), ratio.max()));
              json.add(key + "_ratio", json(ratio));
            });
  }

  private String rate(Spread time) {
    return format("%.4g million rows/s", rows * 1e-6 / time.median());
  }

  private static String time(Spread time) {
    Spread ms = time.times(1e3);
    return format("%.4f ms (%.4f to %.4f)", ms.median(), ms.min(), ms.max());
  }

  private static JsonElement milliseconds(Spread time) {
    return json(time.times(1e3));
  }

  private static JsonElement json(Spread spread) {
    JsonObject json = new JsonObject();
    json.addProperty("min", spread.min());
    json.addProperty("median", spread.median());
    json.addProperty("max", spread.max());
    return json;
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
