package io.github.bsq4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class MessagesTest {
  @Test
  void quotesReadableText() {
    assertEquals("'weights.0'", Messages.quote("weights.0"));
    assertEquals("'größe 日本 🎵'", Messages.quote("größe 日本 🎵"));
    assertEquals("''", Messages.quote(""));
  }

  @Test
  void escapesWhatATerminalActsOn() {
    assertEquals(
        "'\\x00\\x07\\x0a\\x1b[31m\\x7f\\x9b'", Messages.quote("\0\u0007\n\u001b[31m\u007f\u009b"));
  }

  @Test
  void escapesWhatAReaderCannotSee() {
    assertEquals(
        "'\\u{202e}\\u{2028}\\u{feff}\\u{e000}\\u{10ffff}'",
        Messages.quote("\u202e\u2028\ufeff\ue000\udbff\udfff"));
  }

  @Test
  void escapesHalfACharacter() {
    assertEquals("'\\u{d83c}a'", Messages.quote("\ud83ca"));
  }

  @Test
  void cutsLongTextBetweenCharacters() {
    assertEquals("'" + "x".repeat(60) + "'", Messages.quote("x".repeat(60)));
    assertEquals("'" + "x".repeat(60) + "...'", Messages.quote("x".repeat(61)));
    assertEquals("🎵".repeat(60) + "...", Messages.excerpt("🎵".repeat(61)));
  }

  @Test
  void saysWhyTheSystemRefuses() {
    assertEquals(
        "f: cannot be read: no such file or folder", failure(new NoSuchFileException("g")));
    assertEquals("f: cannot be read: permission denied", failure(new AccessDeniedException("g")));
    assertEquals(
        "f: cannot be read: Is odd", failure(new FileSystemException("g", null, "Is odd")));
    assertEquals("f: cannot be read: g", failure(new FileSystemException("g")));
    assertEquals(
        "f: cannot be read: Input/output error", failure(new IOException("Input/output error")));
    assertEquals("f: cannot be read: IOException", failure(new IOException()));
  }

  @Test
  void keepsTheMessageOfAMalformedFile() {
    IOException malformed = new MalformedFileException(Path.of("f"), "is bad");
    assertEquals("f: is bad", failure(malformed));
  }

  private static String failure(IOException cause) {
    return Messages.failure(Path.of("f"), "cannot be read", cause).getMessage();
  }
}
