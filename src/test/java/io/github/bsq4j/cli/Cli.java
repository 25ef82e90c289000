package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Runs the command, in this process or in one of its own. */
final class Cli {
  private Cli() {}

  /** How a run ended. */
  record Result(int status, String out, String err) {
    /** Asserts success with nothing on standard error, and returns the text. */
    String assertText() {
      assertEquals(0, status, this::toString);
      assertEquals("", err);
      return out;
    }

    /** Asserts this status and one JSON object on standard output, and returns that. */
    JsonObject assertJson(int expectedStatus) {
      assertEquals(expectedStatus, status, this::toString);
      assertTrue(out.startsWith("{") && out.endsWith("}\n"), this::toString);
      return JsonParser.parseString(out).getAsJsonObject();
    }

    /** Asserts exit status 2 with one line that contains these words, and nothing else. */
    void assertRefused(Object... words) {
      assertEquals(2, status, this::toString);
      assertEquals("", out);
      assertTrue(err.startsWith("bsq: "), this::toString);
      assertEquals(1, err.lines().count(), this::toString);
      assertContains(words);
    }

    /** Asserts exit status 2 with a line about the command line, followed by the usage. */
    void assertMisused(Object... words) {
      assertEquals(2, status, this::toString);
      assertEquals("", out);
      assertContains(words);
      assertTrue(
          err.contains("\nUsage: bsq ")
              || err.contains("Did you mean")
              || err.contains("Possible solutions"),
          this::toString);
    }

    private void assertContains(Object... words) {
      for (Object word : words) {
        assertTrue(err.contains(word.toString()), () -> "expected <" + word + "> in <" + err + ">");
      }
    }
  }

  /** Runs it in this process. */
  static Result run(Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status =
        Main.run(
            new PrintWriter(out, true),
            new PrintWriter(err, true),
            Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
    return new Result(status, out.toString(), err.toString());
  }

  /**
   * Starts it in a JVM of its own; its output goes into files, or into a pipe where that is null.
   */
  static Process start(List<String> jvmOptions, Path out, Path err, Object... arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    String libtorch = System.getProperty("libtorch", "");
    if (!libtorch.isBlank()) {
      command.add("-Dlibtorch=" + libtorch);
    }
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(jvmOptions); // later ones win
    command.add("-cp");
    command.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.add(Main.class.getName());
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectOutput(out == null ? Redirect.PIPE : Redirect.to(out.toFile()))
            .redirectError(err.toFile());
    builder.environment().keySet().removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"));
    return builder.start();
  }

  /** Runs it in a JVM of its own. */
  static Result runAlone(List<String> jvmOptions, Object... arguments)
      throws IOException, InterruptedException {
    Path out = Files.createTempFile("bsq", ".out");
    Path err = Files.createTempFile("bsq", ".err");
    Process process = start(jvmOptions, out, err, arguments);
    assertTrue(process.waitFor(1, TimeUnit.MINUTES), "still running");
    Result result =
        new Result(
            process.exitValue(),
            Files.readString(out, StandardCharsets.UTF_8),
            Files.readString(err, StandardCharsets.UTF_8));
    Files.delete(out);
    Files.delete(err);
    return result;
  }
}
