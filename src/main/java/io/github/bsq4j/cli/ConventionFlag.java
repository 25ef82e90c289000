package io.github.bsq4j.cli;

import io.github.bsq4j.Convention;
import java.util.Locale;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The convention of codes, on the command line. Commands include it as a {@link Mixin}. */
final class ConventionFlag {
  static final String NAMES =
      "speechbrain or focalcodec, bsq-vit, seed-voken, kronos, ubinary or numpy, binary, or faiss";

  @Option(
      names = "--convention",
      paramLabel = "NAME",
      defaultValue = "speechbrain",
      description =
          "The order of the bits, the bit of a component that is 0, and the values of codes, as a"
              + " system has them: "
              + NAMES
              + " (default: ${DEFAULT-VALUE}). See docs/conventions.md.")
  private String name;

  Convention get() {
    return named("--convention", name);
  }

  /** As values of other options, in either case, and with _ for -. */
  static Convention named(String flag, String name) {
    String known = name.toLowerCase(Locale.ROOT).replace('_', '-');
    if (!Convention.names().contains(known)) {
      throw new InputException(flag + " is " + name + "; expected " + NAMES);
    }
    return Convention.named(known);
  }
}
