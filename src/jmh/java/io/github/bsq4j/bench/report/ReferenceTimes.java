package io.github.bsq4j.bench.report;

import java.util.List;

/**
 * What {@code scripts/bench.sh reference} measured.
 *
 * @param machine where
 * @param runs what {@code bsq bench --reference --json} wrote
 */
record ReferenceTimes(Machine machine, List<Run> runs) {

  /** One of them: milliseconds, and how many times as long the reference took. */
  record Run(
      int codeDim,
      long rows,
      double invTemperature,
      Spread encodeMs,
      double encodeGbPerS,
      double copyGbPerS,
      double singleRowEncodeNs,
      Spread forwardMs,
      Spread referenceForwardMs,
      Spread forwardRatio,
      Spread forwardBackwardMs,
      Spread referenceForwardBackwardMs,
      Spread forwardBackwardRatio) {}

  void describe(StringBuilder out) {
    out.append(
        "| D | rows | β | forward | reference | ratio | and backward | reference | ratio |\n");
    out.append("|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (Run run : runs) {
      out.append(
          "| %d | %d | %s | %s | %s | %s | %s | %s | %s |\n"
              .formatted(
                  run.codeDim,
                  run.rows,
                  Quantities.count(run.invTemperature),
                  milliseconds(run.forwardMs),
                  milliseconds(run.referenceForwardMs),
                  ratio(run.forwardRatio),
                  milliseconds(run.forwardBackwardMs),
                  milliseconds(run.referenceForwardBackwardMs),
                  ratio(run.forwardBackwardRatio)));
    }
    out.append('\n');
    out.append("| D | rows | encode | GB/s | memcpy, GB/s | share | one row |\n");
    out.append("|---:|---:|---:|---:|---:|---:|---:|\n");
    for (Run run : runs) {
      out.append(
          "| %d | %d | %s | %s | %s | %.0f %% | %s |\n"
              .formatted(
                  run.codeDim,
                  run.rows,
                  milliseconds(run.encodeMs),
                  Quantities.digits(run.encodeGbPerS),
                  Quantities.digits(run.copyGbPerS),
                  100 * run.encodeGbPerS / run.copyGbPerS,
                  Quantities.time(run.singleRowEncodeNs * 1e-9)));
    }
    out.append('\n');
  }

  private static String milliseconds(Spread spread) {
    return "%s (%s to %s)"
        .formatted(
            Quantities.time(spread.median() * 1e-3),
            Quantities.time(spread.min() * 1e-3),
            Quantities.time(spread.max() * 1e-3));
  }

  private static String ratio(Spread spread) {
    return "**%s** (%s to %s)"
        .formatted(
            Quantities.digits(spread.median()),
            Quantities.digits(spread.min()),
            Quantities.digits(spread.max()));
  }
}
