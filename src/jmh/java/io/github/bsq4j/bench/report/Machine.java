package io.github.bsq4j.bench.report;

/**
 * What was measured, and on what.
 *
 * @param date the day
 * @param commit what was built
 * @param processor its name
 * @param instructionSets the vector instructions that it has
 * @param cores how many
 * @param memoryGib the machine's memory
 * @param kernel the operating system's
 * @param java the JVM's version
 * @param threads how many computed
 */
record Machine(
    String date,
    String commit,
    String processor,
    String instructionSets,
    int cores,
    int memoryGib,
    String kernel,
    String java,
    int threads) {
  void describe(StringBuilder out) {
    out.append("Measured on %s at commit %s; threads: %d, ".formatted(date, commit, threads));
    out.append("cores: %d (%s; %s), ".formatted(cores, processor, instructionSets));
    out.append("memory: %d GiB, %s, Java %s.\n\n".formatted(memoryGib, kernel, java));
  }
}
