package io.github.bsq4j.bench.report;

import java.util.List;

/**
 * What {@code scripts/bench.sh reference} measured.
 *
 * @param machine where
 * @param runs what {@code bsq bench --reference --json} wrote
 */
record ReferenceTimes(Machine machine, List<Run> runs) {

  /**
   * One of them: milliseconds, and how many times as long the reference took. What was not asked
   * for is null.
   */
  record Run(
      int codeDim,
      int groups,
      int rows,
      double invTemperature,
      Spread encodeMs,
      double encodeGbPerS,
      double copyGbPerS,
      Spread encodeCopyRatio,
      double singleRowEncodeNs,
      double singleRowEncodeTwoThreadsNs,
      Spread forwardMs,
      Spread referenceForwardMs,
      Spread forwardRatio,
      Spread forwardBackwardMs,
      Spread referenceForwardBackwardMs,
      Spread forwardBackwardRatio) {

    private boolean isAlone() {
      return forwardMs != null && forwardRatio == null;
    }
  }

  void describe(StringBuilder out) {
    describeBesideReference(out);
    describeEncoding(out);
    describeGrowth(out);
    describeGroups(out);
  }

  private void describeBesideReference(StringBuilder out) {
    out.append(
        "| D | rows | β | forward | reference | ratio | and backward | reference | ratio |\n");
    out.append("|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (Run run : runs) {
      if (run.forwardRatio != null) {
        out.append(
            "| %d | %s | %s | %s | %s | %s | %s | %s | %s |\n"
                .formatted(
                    run.codeDim,
                    Quantities.count(run.rows),
                    Quantities.count(run.invTemperature),
                    milliseconds(run.forwardMs),
                    milliseconds(run.referenceForwardMs),
                    ratio(run.forwardRatio),
                    milliseconds(run.forwardBackwardMs),
                    milliseconds(run.referenceForwardBackwardMs),
                    ratio(run.forwardBackwardRatio)));
      }
    }
    out.append('\n');
  }

  private void describeEncoding(StringBuilder out) {
    out.append("### Encoding, from memory that is in no cache\n\n");
    out.append(
        "| D | rows | encode | GB/s | memcpy, GB/s | share | one row | in each of two threads |\n");
    out.append("|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (Run run : runs) {
      if (run.encodeMs != null) {
        out.append(
            "| %d | %s | %s | %s | %s | %s | %s | %s |\n"
                .formatted(
                    run.codeDim,
                    Quantities.count(run.rows),
                    milliseconds(run.encodeMs),
                    Quantities.digits(run.encodeGbPerS),
                    Quantities.digits(run.copyGbPerS),
                    ratio(run.encodeCopyRatio),
                    Quantities.time(run.singleRowEncodeNs * 1e-9),
                    Quantities.time(run.singleRowEncodeTwoThreadsNs * 1e-9)));
      }
    }
    out.append('\n');
  }

  private void describeGrowth(StringBuilder out) {
    out.append("### Growth with D\n\n");
    out.append("| D | rows | β | forward | and backward |\n");
    out.append("|---:|---:|---:|---:|---:|\n");
    for (Run run : runs) {
      if (run.isAlone() && run.groups == 1 && !isCompared(run)) {
        out.append(
            "| %d | %s | %s | %s | %s |\n"
                .formatted(
                    run.codeDim,
                    Quantities.count(run.rows),
                    Quantities.count(run.invTemperature),
                    milliseconds(run.forwardMs),
                    milliseconds(run.forwardBackwardMs)));
      }
    }
    out.append('\n');
  }

  private void describeGroups(StringBuilder out) {
    out.append("### Groups of bits\n\n");
    out.append("| D | groups | rows | β | forward | and backward | rows/s, times D 13 |\n");
    out.append("|---:|---:|---:|---:|---:|---:|---:|\n");
    for (Run run : runs) {
      if (run.isAlone() && (run.groups > 1 || isCompared(run))) {
        out.append(
            "| %d | %d | %s | %s | %s | %s | %s |\n"
                .formatted(
                    run.codeDim,
                    run.groups,
                    Quantities.count(run.rows),
                    Quantities.count(run.invTemperature),
                    milliseconds(run.forwardMs),
                    milliseconds(run.forwardBackwardMs),
                    run.groups > 1 ? speed(run) : ""));
      }
    }
    out.append('\n');
  }

  /** How many times as many rows in a second as without groups. */
  private String speed(Run grouped) {
    double ratio =
        ungrouped(grouped).forwardBackwardMs.median() / grouped.forwardBackwardMs.median();
    return "**%s**".formatted(Quantities.digits(ratio));
  }

  /** Whether groups are compared with it. */
  private boolean isCompared(Run ungrouped) {
    return runs.stream()
        .filter(Run::isAlone)
        .anyMatch(run -> run.groups > 1 && ungrouped(run).equals(ungrouped));
  }

  /** As many rows of D 13, with one index, at the same temperature. */
  private Run ungrouped(Run grouped) {
    return runs.stream()
        .filter(Run::isAlone)
        .filter(run -> run.codeDim == 13 && run.groups == 1)
        .filter(run -> run.rows == grouped.rows && run.invTemperature == grouped.invTemperature)
        .findFirst()
        .orElseThrow();
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
