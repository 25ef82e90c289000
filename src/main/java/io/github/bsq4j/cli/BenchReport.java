package io.github.bsq4j.cli;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.github.bsq4j.bench.Benchmark;
import io.github.bsq4j.bench.Benchmark.Comparison;
import io.github.bsq4j.bench.Benchmark.EncodeTimes;
import io.github.bsq4j.bench.Benchmark.OneRowTimes;
import io.github.bsq4j.bench.DeviceBenchmark;
import io.github.bsq4j.bench.Spread;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;

/** Has what is wanted timed, and tells the times, as text and as JSON. */
final class BenchReport {
  /** What can be timed. */
  enum Work {
    ENCODE,
    FORWARD,
    FORWARD_BACKWARD;

    /** As the command line has it. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  private final Output out;
  private final JsonObject json;
  private final long rows;
  private final Set<Work> wanted;
  private final boolean withLosses;
  private final boolean withReference;

  /**
   * A report on calls of so many rows.
   *
   * @param json what the report is added to
   * @param withLosses whether the code is short enough for them
   */
  BenchReport(
      Output out,
      JsonObject json,
      long rows,
      Set<Work> wanted,
      boolean withLosses,
      boolean withReference) {
    this.out = out;
    this.json = json;
    this.rows = rows;
    this.wanted = wanted;
    this.withLosses = withLosses;
    this.withReference = withReference;
  }

  void onHost(Benchmark benchmark) {
    if (withReference) {
      benchmark.startReference(); // first: whoever has none should not wait to be told
    }
    if (wanted.contains(Work.ENCODE)) {
      encode(benchmark.encode(), "memcpy");
      oneRow(benchmark.encodeOne());
    }
    if (wanted.contains(Work.FORWARD)) {
      losses("forward", "forward", withLosses ? benchmark.forward() : null);
    }
    if (wanted.contains(Work.FORWARD_BACKWARD)) {
      losses(
          "forward + backward",
          "forward_backward",
          withLosses ? benchmark.forwardBackward() : null);
    }
  }

  /** On tensors that are there: what is on the way to the device and back is not timed. */
  void onDevice(DeviceBenchmark benchmark) {
    OptionalLong memory =
        withLosses && wanted.contains(Work.FORWARD_BACKWARD)
            ? benchmark.forwardBackwardMemory() // before all else, which takes memory as well
            : OptionalLong.empty();
    if (withReference) {
      benchmark.startReference();
    }
    if (wanted.contains(Work.ENCODE)) {
      EncodeTimes times = benchmark.encode();
      encode(times, "device copy");
      launches("encode", times.encode());
    }
    JsonObject chunks = new JsonObject();
    if (wanted.contains(Work.FORWARD)) {
      Comparison times = withLosses ? benchmark.forward() : null;
      lossesOnDevice("forward", "forward", times, chunks);
    }
    if (wanted.contains(Work.FORWARD_BACKWARD)) {
      Comparison times = withLosses ? benchmark.forwardBackward() : null;
      lossesOnDevice("forward + backward", "forward_backward", times, chunks);
    }
    if (memory.isPresent()) {
      double gigabytes = memory.getAsLong() * 1e-9;
      out.line("  memory at most", format("%.3g GB", gigabytes));
      json.addProperty("forward_backward_device_bytes", memory.getAsLong());
    }
    if (withReference) {
      json.add("reference_chunk_rows", chunks);
    }
  }

  private void lossesOnDevice(String label, String key, Comparison times, JsonObject chunks) {
    losses(label, key, times);
    if (times == null) {
      return;
    }
    if (times.chunkRows().isPresent()) {
      long chunkRows = times.chunkRows().getAsLong();
      out.line(
          "  reference took",
          chunkRows == rows ? "all rows at once" : "chunks of " + chunkRows + " rows");
      chunks.addProperty(key, chunkRows);
    }
    launches(key, times.ours());
  }

  /** Of a small call: each is launched as soon as the one before is. */
  private void launches(String key, Spread time) {
    if (rows == 1) {
      out.line("  launch to launch", nanoseconds(time));
      json.add(key + "_launch_ns", json(time.times(1e9)));
    }
  }

  private void encode(EncodeTimes times, String copy) {
    double speed = times.encodeGigabytesPerSecond();
    double copySpeed = times.copyGigabytesPerSecond();
    Spread percent = times.share().times(100);
    out.line("encode", time(times.encode()));
    out.line("", format("%s, %.3g GB/s", rate(times.encode()), speed));
    out.line(
        "",
        format(
            "%.0f %% of %s (%.0f to %.0f)", percent.median(), copy, percent.min(), percent.max()));
    out.line(copy, format("%.3g GB/s", copySpeed));
    json.add("encode_ms", milliseconds(times.encode()));
    json.addProperty("encode_gb_per_s", speed);
    json.addProperty("copy_gb_per_s", copySpeed);
    json.add("encode_copy_ratio", json(times.share()));
  }

  private void oneRow(OneRowTimes times) {
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
  private void losses(String label, String key, Comparison times) {
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
