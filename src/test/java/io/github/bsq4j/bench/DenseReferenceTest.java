package io.github.bsq4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BsqException;
import io.github.bsq4j.QuantizerOptions;
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
        while read -r work repetitions; do echo "bsq $repetitions.${#work}"; done
        """;
    try (DenseReference reference = start(program(echo))) {
      assertEquals(2.7, reference.forward().seconds(2));
      assertEquals(3.16, reference.forwardBackward().seconds(3));
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

  private void assertFails(String when, Path program, String reason) {
    BsqException e = assertThrows(BsqException.class, () -> start(program).close(), when);
    assertEquals(BsqException.Code.UNAVAILABLE, e.code());
    assertTrue(
        e.getMessage().startsWith("the PyTorch reference failed in " + program + ": "),
        e::getMessage);
    assertTrue(e.getMessage().contains(reason), e::getMessage);
  }

  private static DenseReference start(Path program) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(4 * ROWS);
      return DenseReference.start(program, QuantizerOptions.of(1), ROWS, 1, x, x);
    }
  }

  private Path program(String script) throws IOException {
    Path file = Files.createTempFile(folder, "python", "");
    Files.writeString(file, "#!/bin/sh\n" + script);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
    return file;
  }
}
