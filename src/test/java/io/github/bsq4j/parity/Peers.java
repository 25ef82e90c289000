package io.github.bsq4j.parity;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The golden cases that others than the reference wrote. */
public final class Peers {
  private Peers() {}

  /** Those of the peers whose files' names begin so. */
  public static List<Path> goldens(String prefix) {
    try (Stream<Path> files = Files.list(Path.of("src/test/resources/golden/peers"))) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(prefix))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
