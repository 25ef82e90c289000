package io.github.bsq4j.cli;

import java.io.IOException;
import java.io.Serial;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the user gave does not fit together. The message is one line for them. */
final class InputException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  InputException(String message) {
    super(message);
  }

  /** Refuses an output that would replace an input: what is encoded cannot be had back. */
  static void requireDistinct(Path input, Path output) {
    boolean same;
    try {
      same = Files.isSameFile(input, output);
    } catch (IOException _) {
      same = false; // one does not exist
    }
    if (same) {
      throw new InputException(output + ": is an input, too; expected another file for -o");
    }
  }
}
