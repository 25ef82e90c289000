package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class MainTest {
  @Test
  void help() {
    String text = Cli.run("--help").assertText();
    for (String command :
        List.of("encode", "decode", "convert", "stats", "nearest", "verify", "bench", "info")) {
      assertTrue(text.lines().anyMatch(line -> line.startsWith("  " + command + "  ")), text);
    }
    assertTrue(text.contains("-Dlibtorch=DIR"), text);
    assertTrue(text.contains("Exit status: 0 done; 1 a check failed"), text);
    assertTrue(text.lines().allMatch(line -> line.length() <= 80), text);
  }

  @Test
  void version() {
    assertTrue(Cli.run("--version").assertText().matches("bsq4j \\S+\n"));
  }

  @Test
  void wrongCommandLines() {
    Cli.run().assertMisused("Missing subcommand");
    Cli.run("frobnicate").assertMisused("'frobnicate'");
    Cli.run("--frobnicate").assertMisused("Unknown option: '--frobnicate'");
  }
}
