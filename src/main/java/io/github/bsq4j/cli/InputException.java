package io.github.bsq4j.cli;

import java.io.Serial;

/** What the user gave does not fit together. The message is one line for them. */
final class InputException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  InputException(String message) {
    super(message);
  }
}
