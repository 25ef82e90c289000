package io.github.bsq4j.io;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;

/** What every message for the user must fulfil. */
final class MessageAssertions {
  private MessageAssertions() {}

  /** Asserts one readable line that begins with the file's name and contains all the words. */
  static void assertMessage(IOException failure, String fileName, String... words) {
    String message = failure.getMessage();
    assertTrue(message.startsWith(fileName + ": "), message);
    assertFalse(message.codePoints().anyMatch(MessageAssertions::isUnprintable), message);
    assertTrue(message.length() < fileName.length() + 400, message);
    for (String word : words) {
      assertTrue(message.contains(word), () -> "expected <" + word + "> in <" + message + ">");
    }
  }

  private static boolean isUnprintable(int codePoint) {
    int type = Character.getType(codePoint);
    return type == Character.CONTROL
        || type == Character.FORMAT
        || type == Character.LINE_SEPARATOR
        || type == Character.SURROGATE;
  }
}
