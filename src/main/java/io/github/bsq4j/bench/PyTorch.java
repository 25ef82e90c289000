package io.github.bsq4j.bench;

import io.github.bsq4j.NativeRuntime;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The Python whose PyTorch the reference runs on. */
public final class PyTorch {
  private PyTorch() {}

  /**
   * The one that {@code BSQ4J_PYTHON} names, or that of the virtual environment whose torch folder
   * is the LibTorch in use.
   */
  public static Optional<Path> findPython() throws IOException {
    String named = System.getenv("BSQ4J_PYTHON");
    if (named != null && !named.isBlank()) {
      return Optional.of(Path.of(named));
    }
    Path torch = NativeRuntime.info().libtorch().orElseThrow().toRealPath();
    if (!torch.getParent().endsWith("site-packages")) {
      return Optional.empty(); // a LibTorch on its own
    }
    // ENVIRONMENT/lib/python3.11/site-packages/torch
    Path python = torch.resolve("../../../../bin/python3").normalize();
    return Files.isExecutable(python) ? Optional.of(python) : Optional.empty();
  }
}
