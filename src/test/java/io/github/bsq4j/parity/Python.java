package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.bsq4j.NativeRuntime;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The Python whose PyTorch the live comparisons run. */
record Python(Path executable) {
  /**
   * The one that {@code BSQ4J_PYTHON} names, or that of the virtual environment whose torch folder
   * is the LibTorch in use.
   */
  static Optional<Python> find() throws IOException {
    String named = System.getenv("BSQ4J_PYTHON");
    if (named != null && !named.isBlank()) {
      return Optional.of(new Python(Path.of(named)));
    }
    Path torch = NativeRuntime.info().libtorch().orElseThrow().toRealPath();
    if (!torch.getParent().endsWith("site-packages")) {
      return Optional.empty(); // a LibTorch on its own
    }
    // ENVIRONMENT/lib/python3.11/site-packages/torch
    Path python = torch.resolve("../../../../bin/python3").normalize();
    return Files.isExecutable(python) ? Optional.of(new Python(python)) : Optional.empty();
  }

  /** Runs a script of src/test/python to its end; fails the test unless it exits with 0. */
  String run(String script, String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(executable.toString());
    command.add(Path.of("src/test/python", script).toString());
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    builder.environment().remove("LD_PRELOAD"); // mvn -Psanitize has one, for this process
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), () -> String.join(" ", command) + "\n" + output);
    return output;
  }
}
