package io.github.bsq4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.bsq4j.BsqException;
import io.github.bsq4j.Device;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.parity.Python;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs in the place of a Python that works. */
class DenseReferenceTest {
  private static final int ROWS = 100_000; // more than a pipe holds

  @TempDir private Path folder;

  @Test
  void asksAndIsAnswered() throws Exception {
    String echo =
        """
        echo 'a warning'
        echo 'bsq ready'
        head -c 800000 >/dev/null
        while read -r work argument; do
          if [ "$work" = finish ]; then echo "bsq ${#argument}"; else echo "bsq $argument.${#work}"; fi
        done
        """;
    try (DenseReference reference = start(program(echo))) {
      assertEquals(2.7, reference.forward().seconds(2));
      assertEquals(3.16, reference.forwardBackward().seconds(3));
      assertEquals(7, reference.finishForward());
      assertEquals(16, reference.finishForwardBackward());
    }
  }

  @Test
  void saysWhyItFailed() throws Exception {
    assertFails("there is no such file", folder.resolve("none"), "No such file");
    Path noTorch = program("echo Traceback; echo 'No module named torch' >&2; exit 1");
    assertFails("at the start", noTorch, "No module named torch");
    assertFails("without a word", program("exit 0"), "it ended without a word");
    Path early = program("echo 'bsq ready'; exec 0<&-; exit 1");
    assertFails("before it has read the input", early, "");

    Path late = program("echo 'bsq ready'; head -c 800000 >/dev/null; read -r; echo Killed");
    try (DenseReference reference = start(late)) {
      BsqException e = assertThrows(BsqException.class, () -> reference.forward().seconds(1));
      assertTrue(e.getMessage().endsWith(late + ": Killed"), e::getMessage);
    }
  }

  /** Where it computes is the last argument, as PyTorch names it. */
  @Test
  void isToldTheDevice() throws Exception {
    Path program = program("echo \"told $6\"; exit 1");
    assertFails("on the CPU", program, "told cpu");
    BsqException e = assertThrows(BsqException.class, () -> start(program, Device.cuda(3)).close());
    assertTrue(e.getMessage().endsWith("told cuda:3"), e::getMessage);
  }

  /** What it does in chunks is checked in Python, which has memory that is too small. */
  @Test
  @OnDevice
  void inChunks() throws Exception {
    Python.find()
        .orElseGet(() -> abort("no PyTorch beside this LibTorch: set BSQ4J_PYTHON"))
        .run("check_time_dense.py");
  }

  private void assertFails(String when, Path program, String reason) {
    BsqException e = assertThrows(BsqException.class, () -> start(program).close(), when);
    assertEquals(BsqException.Code.UNAVAILABLE, e.code());
    assertTrue(
        e.getMessage().startsWith("the PyTorch reference failed in " + program + ": "),
        e::getMessage);
    assertTrue(e.getMessage().contains(reason), e::getMessage);
  }

  private static DenseReference start(Path program) {
    return start(program, Device.CPU);
  }

  private static DenseReference start(Path program, Device device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(4 * ROWS);
      return DenseReference.start(program, QuantizerOptions.of(1), ROWS, 1, device, x, x);
    }
  }

  private Path program(String script) throws IOException {
    Path file = Files.createTempFile(folder, "python", "");
    Files.writeString(file, "#!/bin/sh\n" + script);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
    return file;
  }
}
