package io.github.bsq4j.cli;

import com.google.gson.JsonObject;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.Device;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.bench.Benchmark;
import io.github.bsq4j.bench.DeviceBenchmark;
import io.github.bsq4j.cli.BenchReport.Work;
import java.util.EnumSet;
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
            + " bytes read and bytes written, of encoding and of copying alike: by memcpy or, with"
            + " --device, on the device.",
    customSynopsis = "bsq bench [OPTIONS]")
final class BenchCommand implements Callable<Integer> {
  private static final long MAX_ROWS = 1_000_000_000;
  private static final int MAX_THREADS = 1024;
  private static final double MAX_SECONDS = 3600;

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
              + " threads; on a GPU without TF32, and in chunks of rows where not all fit into"
              + " its memory. Runs on the Python of the LibTorch in use, or on BSQ4J_PYTHON.")
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
    BenchReport report = new BenchReport(out, json, rows, wanted, withLosses, withReference);
    if (device.equals(Device.CPU)) {
      out.line("threads", used);
      json.addProperty("threads", used);
      try (Benchmark benchmark = new Benchmark(options, rows, used, seconds)) {
        report.onHost(benchmark);
      }
    } else {
      out.line("device", device);
      json.addProperty("device", device.toString());
      try (DeviceBenchmark benchmark = new DeviceBenchmark(options, rows, device, seconds)) {
        report.onDevice(benchmark);
      }
    }
    out.json(json);
    return 0;
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
}
