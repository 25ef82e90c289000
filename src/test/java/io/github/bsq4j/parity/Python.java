package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.bsq4j.bench.PyTorch;
import io.github.bsq4j.device.TestDevice;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The Python whose PyTorch the live comparisons run on. */
public record Python(Path executable) {
  /**
   * The one that {@code bsq bench --reference} runs, too; none if {@code -Dbsq4j.nopython=true}
   * says so, for one that lacks what the scripts need.
   */
  public static Optional<Python> find() throws IOException {
    if (Boolean.getBoolean("bsq4j.nopython")) {
      return Optional.empty();
    }
    return PyTorch.findPython().map(Python::new);
  }

  /** Runs a script of src/test/python to its end; fails the test unless it exits with 0. */
  public String run(String script, String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(executable.toString());
    command.add(Path.of("src/test/python", script).toString());
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    builder.environment().put("BSQ4J_DEVICE", TestDevice.name()); // where PyTorch computes
    builder.environment().remove("LD_PRELOAD"); // mvn -Psanitize has one, for this process
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), () -> String.join(" ", command) + "\n" + output);
    return output;
  }
}
