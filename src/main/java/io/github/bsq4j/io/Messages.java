package io.github.bsq4j.io;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** The wording that all messages share: one line each, whatever a file or its name holds. */
public final class Messages {
  private static final int MAX_QUOTE = 60;

  private Messages() {}

  /** The name of a file as the user gave it, safe to print. */
  public static String name(Path path) {
    String name = escape(path.toString());
    return name.isEmpty() ? "''" : name;
  }

  /** Text from a file, quoted, escaped and cut after {@value #MAX_QUOTE} characters. */
  public static String quote(String text) {
    return '\'' + excerpt(text) + '\'';
  }

  /** Text from a file, escaped and cut after {@value #MAX_QUOTE} characters. */
  static String excerpt(String text) {
    if (text.codePointCount(0, text.length()) <= MAX_QUOTE) {
      return escape(text);
    }
    return escape(text.substring(0, text.offsetByCodePoints(0, MAX_QUOTE))) + "...";
  }

  /** A failure of the operating system, with the name of the file and without Java's own terms. */
  static FileSystemException failure(Path path, String action, IOException cause) {
    if (cause instanceof MalformedFileException malformed) {
      return malformed;
    }
    FileSystemException failure =
        new FileSystemException(name(path), null, action + ": " + reason(cause));
    failure.initCause(cause);
    return failure;
  }

  private static String reason(IOException cause) {
    return switch (cause) {
      case NoSuchFileException _ -> "no such file or folder";
      case AccessDeniedException _ -> "permission denied";
      case ClosedByInterruptException _ -> "the thread was interrupted";
      case FileSystemException e when e.getReason() != null -> e.getReason();
      default -> cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    };
  }

  /** Text with everything escaped that could move a terminal's cursor, or break the line. */
  public static String escape(String text) {
    StringBuilder escaped = new StringBuilder(text.length());
    text.codePoints().forEach(c -> appendEscaped(escaped, c));
    return escaped.toString();
  }

  private static void appendEscaped(StringBuilder out, int codePoint) {
    if (isPrintable(codePoint)) {
      out.appendCodePoint(codePoint);
    } else if (codePoint < 0x100) {
      out.append("\\x").append(hex(codePoint, 2));
    } else {
      out.append("\\u{").append(hex(codePoint, 4)).append('}');
    }
  }

  private static boolean isPrintable(int codePoint) {
    return switch (Character.getType(codePoint)) {
      // FORMAT: marks that turn the writing direction can make a message read as something else.
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.PRIVATE_USE,
          Character.SURROGATE,
          Character.UNASSIGNED ->
          false;
      default -> true;
    };
  }

  private static String hex(int value, int minimumDigits) {
    String digits = Integer.toHexString(value);
    return "0".repeat(Math.max(0, minimumDigits - digits.length())) + digits;
  }
}
