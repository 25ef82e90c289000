package io.github.bsq4j.io;

import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class InputFileTest {
  @TempDir Path folder;

  @Test
  void reportsAFileThatIsTruncatedWhileItIsRead() throws IOException {
    Path file = Files.write(folder.resolve("x.bin"), new byte[100]);
    try (InputFile input = InputFile.open(file);
        Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(input.size());
      try (FileChannel other = FileChannel.open(file, StandardOpenOption.WRITE)) {
        other.truncate(60);
      }
      IOException failure = assertThrows(MalformedFileException.class, () -> input.read(0, memory));
      assertMessage(failure, file.toString(), "ended after 60 bytes", "truncated");
    }
  }

  @Test
  void readsFromAnyPosition() throws IOException {
    Path file = Files.write(folder.resolve("x.bin"), new byte[] {1, 2, 3, 4, 5});
    try (InputFile input = InputFile.open(file);
        Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(2);
      input.read(3, memory);
      assertEquals(4, memory.get(ValueLayout.JAVA_BYTE, 0));
      assertEquals(5, memory.get(ValueLayout.JAVA_BYTE, 1));
    }
  }

  @Test
  @Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void doesNotWaitForAPipe() throws IOException, InterruptedException {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    IOException failure = assertThrows(IOException.class, () -> InputFile.open(pipe));
    assertMessage(failure, pipe.toString(), "pipe", "expected a regular file");
  }

  @Test
  void followsLinks() throws IOException {
    Path file = Files.write(folder.resolve("x.bin"), new byte[7]);
    Path link = Files.createSymbolicLink(folder.resolve("link"), file);
    try (InputFile input = InputFile.open(link)) {
      assertEquals(7, input.size());
    }
    Path loop = folder.resolve("loop");
    Files.createSymbolicLink(loop, loop);
    assertMessage(
        assertThrows(IOException.class, () -> InputFile.open(loop)), loop.toString(), "symbolic");
  }
}
