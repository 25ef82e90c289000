package io.github.bsq4j.cli;

import io.github.bsq4j.io.AtomicOutput;
import java.io.Serial;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** What the user gave does not fit together. The message is one line for them. */
final class InputException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  InputException(String message) {
    super(message);
  }

  /**
   * Refuses an output that would replace an input: what is encoded cannot be had back.
   *
   * @param name what the command line has the output as
   */
  static void requireDistinct(Path input, Path output, String name) throws FileSystemException {
    requireDistinct(input, "an input", output, name);
  }

  /** Refuses an output that would replace another one. */
  static void requireDistinctOutputs(Path first, Path output, String name)
      throws FileSystemException {
    requireDistinct(first, "the output", output, name);
  }

  private static void requireDistinct(Path other, String what, Path output, String name)
      throws FileSystemException {
    if (AtomicOutput.areSame(other, output)) {
      throw new InputException(
          output + ": is " + what + ", too; expected another file for " + name);
    }
  }
}
