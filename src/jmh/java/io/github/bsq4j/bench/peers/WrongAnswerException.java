package io.github.bsq4j.bench.peers;

import java.io.Serial;

/** A peer does not compute what this library does: its times would mean nothing. */
final class WrongAnswerException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  WrongAnswerException(String message) {
    super(message);
  }
}
