package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that want to harm: one line, exit status 2, no output. */
class HostileInputTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 13), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 13), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 13), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3000000000, 3000000000, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 64), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 13), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 13), }",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (1, 13), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 13), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 13), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').system('id'), }",
        "{'descr': '<f4\\n\\x1b[2J', 'fortran_order': False, 'shape': (1, 13), }",
        "{'descr': '<f4', 'fortran_order': False}",
        "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
        "",
      })
  void headersEndInOneLine(String header) throws Exception {
    assertRefused(Npy.write(folder.resolve("in.npy"), header + "\n", ByteBuffer.allocate(13 * 4)));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 6, 9, 20, 60, 100})
  void cutFilesEndInOneLine(int length) throws Exception {
    byte[] bytes = Files.readAllBytes(Path.of("examples/librivox_mfcc13.npy"));
    assertRefused(Files.write(folder.resolve("in.npy"), Arrays.copyOf(bytes, length)));
  }

  private void assertRefused(Path in) throws IOException {
    Path out = folder.resolve("out.npy");
    Cli.run("encode", in, "-o", out).assertRefused(in + ": ");
    Cli.run("decode", in, "--code-dim=13", "-o", out, "--json").assertRefused(in + ": ");
    Cli.run("stats", in, "--code-dim=13").assertRefused(in + ": ");
    try (var files = Files.list(folder)) {
      assertEquals(List.of(in), files.toList());
    }
  }
}
