package io.github.bsq4j.bench.report;

import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import io.github.bsq4j.bench.report.PeerTimes.Measurement;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Draws the figures, and writes the results into {@code docs/performance.md}, between comments
 * there.
 *
 * <pre>
 * PerformancePage DOCS
 * </pre>
 */
public final class PerformancePage {
  private static final String US = "bsq4j";

  // What scripts/bench.sh measures.
  private static final int CODE_DIM = 13;
  private static final int ROWS = 100;

  private static final List<Comparison> COMPARISONS =
      List.of(
          Comparison.byRows(
              "forward-backward-by-rows", "Forward and backward", "forward_backward", CODE_DIM),
          Comparison.byCodeDim(
              "forward-backward-by-code-dim", "Forward and backward", "forward_backward", ROWS),
          Comparison.byRows("forward-by-rows", "Forward", "forward", CODE_DIM),
          Comparison.byRows("encode-by-rows", "Encode", "encode", CODE_DIM));

  private static final Gson GSON =
      new GsonBuilder()
          .setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES)
          .create();

  private final Path figures;
  private String page;

  private PerformancePage(Path figures, String page) {
    this.figures = figures;
    this.page = page;
  }

  /** Writes it. */
  public static void main(String[] args) throws IOException {
    Path docs = Path.of(args[0]);
    Path file = docs.resolve("performance.md");
    PerformancePage page = new PerformancePage(docs.resolve("figures"), Files.readString(file));
    Optional<ReferenceTimes> reference = page.read("reference.json", ReferenceTimes.class);
    reference.ifPresent(page::writeReference);
    Optional<PeerTimes> peers = page.read("peers.json", PeerTimes.class);
    if (peers.isPresent()) {
      page.writePeers(peers.get());
    }
    Files.writeString(file, page.page);
  }

  /** Nothing if that has not been measured yet. */
  private <T> Optional<T> read(String name, Class<T> type) throws IOException {
    Path file = figures.resolve(name);
    return Files.exists(file)
        ? Optional.of(GSON.fromJson(Files.readString(file), type))
        : Optional.empty();
  }

  private void writeReference(ReferenceTimes times) {
    StringBuilder results = new StringBuilder();
    times.machine().describe(results);
    times.describe(results);
    replaceSection("reference", results);
  }

  private void writePeers(PeerTimes times) throws IOException {
    StringBuilder results = new StringBuilder();
    times.machine().describe(results);
    results.append("| peer | version |\n|---|---|\n");
    for (String peer : times.peers()) {
      results.append("| %s | %s |\n".formatted(peer, times.version(peer)));
    }
    results.append('\n');
    for (Comparison comparison : COMPARISONS) {
      String figure = comparison.name() + ".svg";
      Figure.write(times, comparison, figures.resolve(figure));
      results.append("### %s\n\n".formatted(comparison.title()));
      results.append("![%s](figures/%s)\n\n".formatted(comparison.title(), figure));
      appendTable(results, times, comparison);
    }
    replaceSection("peers", results);
  }

  private void replaceSection(String name, StringBuilder results) {
    String begin = "<!-- scripts/bench.sh %s: begin -->\n".formatted(name);
    String end = "<!-- scripts/bench.sh %s: end -->\n".formatted(name);
    int from = page.indexOf(begin);
    int to = page.indexOf(end);
    if (from < 0 || to < from) {
      throw new IllegalArgumentException("the page lacks the comment " + begin + " or " + end);
    }
    page = page.substring(0, from + begin.length()) + "\n" + results + page.substring(to);
  }

  /** Medians, and how many times as long as ours they are. */
  private static void appendTable(StringBuilder out, PeerTimes times, Comparison comparison) {
    out.append("| ").append(comparison.axis()).append(" |");
    times.peers().forEach(peer -> out.append(" ").append(peer).append(" |"));
    out.append("\n|---:|").append("---:|".repeat(times.peers().size())).append('\n');
    for (int value : comparison.quantities(times)) {
      out.append("| ").append(Quantities.count(value)).append(" |");
      Optional<Measurement> ours = comparison.at(times, US, value);
      for (String peer : times.peers()) {
        Optional<Measurement> measurement = comparison.at(times, peer, value);
        out.append(" ").append(cell(measurement, ours)).append(" |");
      }
      out.append('\n');
    }
    out.append('\n');
  }

  private static String cell(Optional<Measurement> measurement, Optional<Measurement> ours) {
    if (measurement.isEmpty()) {
      return "";
    }
    if (measurement.get().seconds() == null) {
      return measurement.get().failure();
    }
    double seconds = measurement.get().seconds().median();
    String time = Quantities.time(seconds);
    if (ours.isEmpty() || ours.get().seconds() == null || measurement.equals(ours)) {
      return time;
    }
    return "%s (%s ×)".formatted(time, Quantities.digits(seconds / ours.get().seconds().median()));
  }
}
