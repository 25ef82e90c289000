package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.bench.DeviceBenchmark;
import io.github.bsq4j.cli.BenchReport.Work;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.parity.Python;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/**
 * What {@code bsq bench --device} tells of a device. The CPU can be one here, though not on the
 * command line, where it means the host path.
 */
@OnDevice
class BenchReportTest {
  private static final Set<String> KEYS =
      Set.of(
          "encode_ms",
          "encode_gb_per_s",
          "copy_gb_per_s",
          "encode_copy_ratio",
          "forward_ms",
          "forward_backward_ms");

  private static final List<String> REFERENCE_KEYS =
      List.of(
          "reference_forward_ms",
          "reference_forward_backward_ms",
          "forward_ratio",
          "forward_backward_ratio");

  /** A command that reports on the tests' device. */
  @Command(name = "report")
  private static final class Report implements Callable<Integer> {
    private final int codeDim;
    private final long rows;
    private final Set<Work> wanted;
    private final boolean withLosses;
    private final boolean withReference;

    @Mixin private Output out;

    Report(int codeDim, long rows, Set<Work> wanted, boolean withLosses, boolean withReference) {
      this.codeDim = codeDim;
      this.rows = rows;
      this.wanted = wanted;
      this.withLosses = withLosses;
      this.withReference = withReference;
    }

    @Override
    public Integer call() {
      JsonObject json = new JsonObject();
      QuantizerOptions options = QuantizerOptions.of(codeDim);
      try (var benchmark = new DeviceBenchmark(options, rows, TestDevice.DEVICE, 0.01)) {
        new BenchReport(out, json, rows, wanted, withLosses, withReference).onDevice(benchmark);
      }
      out.json(json);
      return 0;
    }
  }

  private record Told(JsonObject json, List<String> lines) {
    void assertLine(String pattern) {
      assertTrue(lines.stream().anyMatch(line -> line.matches(pattern)), lines::toString);
    }
  }

  private static Told report(
      int codeDim, long rows, Set<Work> wanted, boolean withLosses, boolean withReference) {
    StringWriter text = new StringWriter();
    StringWriter json = new StringWriter();
    int status =
        new CommandLine(new Report(codeDim, rows, wanted, withLosses, withReference))
            .setOut(new PrintWriter(json, true))
            .setErr(new PrintWriter(text, true))
            .execute("--json");
    assertEquals(0, status, text::toString);
    return new Told(
        JsonParser.parseString(json.toString()).getAsJsonObject(),
        text.toString().lines().toList());
  }

  @Test
  void withoutTheReference() {
    Told told = report(5, 30, EnumSet.allOf(Work.class), true, false);
    Set<String> keys = new HashSet<>(KEYS);
    if (!TestDevice.isCpu()) {
      keys.add("forward_backward_device_bytes");
      told.assertLine("  memory at most +\\S+ GB");
    }
    assertEquals(keys, told.json().keySet());
    told.assertLine("encode +\\S+ ms \\(\\S+ to \\S+\\)");
    told.assertLine(" +\\S+ million rows/s, \\S+ GB/s");
    told.assertLine(" +\\d+ % of device copy \\(\\d+ to \\d+\\)");
    told.assertLine("device copy +\\S+ GB/s");
  }

  @Test
  void withTheReference() throws Exception {
    assumeTrue(Python.find().isPresent(), "no PyTorch beside this LibTorch");
    Told told = report(5, 30, EnumSet.of(Work.FORWARD, Work.FORWARD_BACKWARD), true, true);
    for (String key : REFERENCE_KEYS) {
      JsonObject spread = told.json().getAsJsonObject(key);
      assertEquals(Set.of("min", "median", "max"), spread.keySet());
      assertTrue(spread.get("min").getAsDouble() > 0, told::toString);
    }
    JsonObject chunks = told.json().getAsJsonObject("reference_chunk_rows");
    assertEquals(Set.of("forward", "forward_backward"), chunks.keySet());
    assertEquals(30, chunks.get("forward").getAsLong());
    told.assertLine("  reference +\\S+ ms \\(\\S+ to \\S+\\)");
    told.assertLine("  ratio +\\S+ \\(\\S+ to \\S+\\)");
    told.assertLine("  reference took +all rows at once");
  }

  /** A small call is told by when the next one can follow. */
  @Test
  void oneRow() {
    Told told = report(5, 1, EnumSet.allOf(Work.class), true, false);
    for (String work : List.of("encode", "forward", "forward_backward")) {
      double launch = told.json().getAsJsonObject(work + "_launch_ns").get("median").getAsDouble();
      double call = told.json().getAsJsonObject(work + "_ms").get("median").getAsDouble();
      assertEquals(call * 1e6, launch, launch * 1e-9);
    }
    told.assertLine("  launch to launch +\\S+ ns \\(\\S+ to \\S+\\)");
  }

  @Test
  void longCodesAreOnlyEncoded() {
    Told told = report(40, 30, EnumSet.allOf(Work.class), false, false);
    assertEquals(KEYS, told.json().keySet());
    assertTrue(told.json().get("forward_ms").isJsonNull(), told::toString);
    assertTrue(told.json().get("forward_backward_ms").isJsonNull(), told::toString);
  }
}
