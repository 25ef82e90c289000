package io.github.bsq4j.scripts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Runs one of the project's scripts in an environment that holds nothing but what a test says. */
final class Script {
  static final Charset NATIVE = Charset.forName(System.getProperty("native.encoding"));
  static final Path PROJECT = Path.of("").toAbsolutePath();

  private static final Duration LIMIT = Duration.ofMinutes(2);

  /** How a run ended. */
  record Result(int status, String out, String err) {
    /** Asserts that it failed with one message that contains these words, and said nothing else. */
    void assertOneMessage(Object... words) {
      assertEquals(1, status, this::toString);
      assertEquals("", out);
      assertMessage(words);
    }

    /**
     * Asserts that standard error is one message: its first line names us, the rest is indented.
     */
    void assertMessage(Object... words) {
      List<String> lines = err.lines().toList();
      assertTrue(lines.getFirst().startsWith("bsq4j: "), this::toString);
      for (String line : lines.subList(1, lines.size())) {
        assertTrue(line.startsWith("       ") && !line.isBlank(), this::toString);
      }
      for (Object word : words) {
        assertTrue(err.contains(word.toString()), () -> "expected <" + word + "> in <" + err + ">");
      }
    }

    /** Asserts that it succeeded, and returns what it printed. */
    String assertSuccess() {
      assertEquals(0, status, this::toString);
      return out;
    }
  }

  private final Path file;
  private final Map<String, String> environment = new HashMap<>();
  private Path folder = PROJECT;

  private Script(Path file) {
    this.file = file;
  }

  /** A script of this project, with these tools alone. */
  static Script of(String name, Tools tools) {
    return at(PROJECT.resolve("scripts").resolve(name), tools);
  }

  static Script at(Path file, Tools tools) {
    return new Script(file).with("PATH", tools.folder()).with("LC_ALL", "C.UTF-8");
  }

  Script with(String variable, Object value) {
    environment.put(variable, value.toString());
    return this;
  }

  Script in(Path folder) {
    this.folder = folder;
    return this;
  }

  Result run(Object... arguments) throws IOException, InterruptedException {
    return start(arguments).result();
  }

  /** Starts it as the head of a process group, as a terminal does. */
  Running start(Object... arguments) throws IOException {
    // SIGINT may be ignored here, and a child inherits that.
    List<String> command =
        new ArrayList<>(
            List.of(
                Tools.find("env").orElseThrow().toString(),
                "--default-signal=INT",
                Tools.find("setsid").orElseThrow().toString(),
                file.toString()));
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    Path out = Files.createTempFile("script", ".out");
    Path err = Files.createTempFile("script", ".err");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectOutput(out.toFile())
            .redirectError(err.toFile());
    builder.environment().clear();
    builder.environment().putAll(environment);
    Process process = builder.start();
    process.getOutputStream().close();
    return new Running(process, out, err);
  }

  /** A script at work. Its output goes through files: an orphaned child may hold a pipe open. */
  static final class Running {
    private final Process process;
    private final Path out;
    private final Path err;

    private Running(Process process, Path out, Path err) {
      this.process = process;
      this.out = out;
      this.err = err;
    }

    /** Sends a signal to the script alone. */
    void kill() throws InterruptedException {
      process.destroyForcibly().waitFor();
    }

    /** Does what Ctrl-C in a terminal does: interrupts the script and its children. */
    void interrupt() throws IOException, InterruptedException {
      new ProcessBuilder("bash", "-c", "kill -INT -- -" + process.pid()).start().waitFor();
    }

    /** Waits until it has said something. */
    void awaitMessage(String words) throws InterruptedException {
      await(words, () -> err().contains(words));
    }

    Result result() throws IOException, InterruptedException {
      if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError("still running after " + LIMIT + ": " + err());
      }
      Result result =
          new Result(process.exitValue(), Files.readString(out, NATIVE), Files.readString(err));
      Files.delete(out);
      Files.delete(err);
      return result;
    }

    private String err() {
      try {
        return Files.readString(err);
      } catch (IOException e) {
        return e.toString();
      }
    }
  }

  /** Waits for something that is bound to happen. */
  static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + LIMIT.toNanos();
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, () -> "waited in vain for: " + what);
      Thread.sleep(10);
    }
  }

  /** What a folder holds, at any depth. */
  static List<String> listing(Path folder) throws IOException {
    try (var files = Files.walk(folder)) {
      return files.map(file -> folder.relativize(file).toString()).sorted().toList();
    }
  }
}
