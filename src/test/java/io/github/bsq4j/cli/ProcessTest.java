package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command as a process of its own. */
class ProcessTest {
  private static final int ROWS = 8_000_000;

  @TempDir private Path folder;

  @Test
  void noWarningsOnTheScreen() throws Exception {
    String text = Cli.runAlone(List.of(), "encode", "examples/librivox_mfcc13.npy").assertText();
    assertTrue(text.startsWith("rows                2463\n"), text);
    Cli.Result json = Cli.runAlone(List.of(), "encode", "examples/librivox_mfcc13.npy", "--json");
    assertEquals(2463, json.assertJson(0).get("rows").getAsLong());
    assertTrue(json.err().startsWith("rows                2463\n"), json::toString);
  }

  @Test
  void exitStatusReachesTheShell() throws Exception {
    Cli.runAlone(List.of(), "encode", folder.resolve("none.npy")).assertRefused("none.npy: ");
  }

  @Test
  void aFullStandardOutputIsAFailure() throws Exception {
    Path err = folder.resolve("err");
    Process process = Cli.start(List.of(), Path.of("/dev/full"), err, "--version");
    assertEquals(1, process.waitFor());
    assertEquals(
        "bsq: standard output cannot be written: No space left on device\n", Files.readString(err));
  }

  @Test
  void aReaderThatHasSeenEnoughIsNoFailureToTell() throws Exception {
    Path err = folder.resolve("err");
    Process process = Cli.start(List.of(), null, err, "--help");
    process.getInputStream().close();
    assertEquals(1, process.waitFor());
    assertEquals("", Files.readString(err));
  }

  /** Counting the distinct ones of very many long codes takes an array, at the very end. */
  @Test
  void notEnoughMemory() throws Exception {
    Path in = zeros(3_000_000, 25);
    Cli.Result result = Cli.runAlone(List.of("-Xmx16m"), "encode", in, "--no-loss", "-o", out());
    assertEquals(1, result.status(), result::toString);
    assertEquals("", result.out());
    assertEquals("bsq: not enough memory: Java heap space\n", result.err());
    assertEquals(List.of(in), files());
  }

  /** The old content or the new, whenever the process is killed. */
  @Test
  void aKilledRunLeavesNoHalfFile() throws Exception {
    Path in = zeros(ROWS, 1);
    Files.writeString(out(), "older");
    for (long bytes : new long[] {1, 1 << 20, 30 << 20, 60 << 20}) {
      Process process =
          Cli.start(
              List.of(),
              folder.resolve("stdout"),
              folder.resolve("stderr"),
              "encode",
              in,
              "--no-loss",
              "-o",
              out());
      while (process.isAlive() && temporaryBytes() < bytes) {
        Thread.sleep(1);
      }
      process.destroyForcibly().waitFor();
      if (Files.size(out()) == "older".length()) {
        assertEquals("older", Files.readString(out()));
      } else {
        assertEquals(128 + 8L * ROWS, Files.size(out()));
        assertEquals("(" + ROWS + ",)", Npy.read(out()).shape());
        Files.writeString(out(), "older");
      }
      for (Path left : temporaryFiles()) {
        Files.delete(left);
      }
    }
  }

  private Path out() {
    return folder.resolve("out.npy");
  }

  /** A file of zeros; sparse, so that it takes no space. */
  private Path zeros(int rows, int dim) throws IOException {
    String header =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }\n".formatted(rows, dim);
    Path in = Npy.write(folder.resolve("in.npy"), header, ByteBuffer.allocate(0));
    try (RandomAccessFile file = new RandomAccessFile(in.toFile(), "rw")) {
      file.setLength(file.length() + 4L * rows * dim);
    }
    return in;
  }

  private long temporaryBytes() throws IOException {
    long bytes = 0;
    for (Path file : temporaryFiles()) {
      try {
        bytes += Files.size(file);
      } catch (IOException | UncheckedIOException e) {
        return Long.MAX_VALUE; // renamed in this moment
      }
    }
    return bytes;
  }

  /** What AtomicOutput promises to name so. */
  private List<Path> temporaryFiles() throws IOException {
    return files().stream()
        .filter(file -> file.getFileName().toString().startsWith(".out.npy."))
        .toList();
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }
}
