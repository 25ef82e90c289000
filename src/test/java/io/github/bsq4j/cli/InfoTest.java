package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import io.github.bsq4j.Device;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InfoTest {
  private static final List<String> LABELS =
      List.of(
          "available", "LibTorch", "LibTorch version", "libbsq", "CPU", "CUDA", "threads", "Java");

  @TempDir private Path folder;

  @Test
  void text() {
    String text = Cli.run("info").assertText();
    assertTrue(text.startsWith("available         yes\n"), text);
    for (String label : LABELS) {
      assertTrue(text.lines().anyMatch(line -> line.startsWith(label + " ")), text);
    }
    assertTrue(text.contains("Java              25"), text);
    assertTrue(text.contains("native access     enabled for "), text);
    assertFalse(text.contains("failure"), text);
  }

  @Test
  void json() {
    JsonObject json = Cli.run("info", "--json").assertJson(0);
    assertTrue(json.get("available").getAsBoolean());
    assertTrue(Path.of(json.get("libtorch").getAsString()).isAbsolute());
    assertTrue(json.get("torch_version").getAsString().matches("2\\.\\d+\\.\\d+"));
    assertTrue(json.get("library").getAsString().endsWith("libbsq.so"));
    JsonObject cpu = json.getAsJsonArray("devices").get(0).getAsJsonObject();
    assertEquals("cpu", cpu.get("device").getAsString());
    assertFalse(cpu.get("implementation").getAsString().isBlank());
    assertTrue(cpu.get("total_memory").getAsLong() > 1L << 26);
    assertTrue(cpu.get("free_memory").getAsLong() <= cpu.get("total_memory").getAsLong());
    assertTrue(cpu.has("name") && cpu.get("compute_capability").isJsonNull(), json::toString);
    assertFalse(json.has("problem"), json::toString);
    assertTrue(json.get("threads").getAsInt() >= 1);
    assertTrue(json.get("java").getAsString().startsWith("25"));
    assertTrue(json.get("failure").isJsonNull());
  }

  @Test
  void oneDevice() {
    String text = Cli.run("info", "--device", "cpu").assertText();
    assertTrue(text.lines().anyMatch(line -> line.startsWith("CPU  ")), text);
    assertFalse(text.contains("\nCUDA"), text);
    JsonObject json = Cli.run("info", "--device", "cpu", "--json").assertJson(0);
    assertEquals(1, json.getAsJsonArray("devices").size());
    assertTrue(json.get("problem").isJsonNull());
  }

  @Test
  void aDeviceThatIsMissingSaysWhy() {
    String problem = Device.cuda(77).problem().orElseThrow();
    assertTrue(problem.startsWith("cuda:77 is not available: "), problem);
    String text = Cli.run("info", "--device", "cuda:77").assertText();
    assertTrue(text.contains("CUDA 77           " + problem), text);
    assertFalse(text.contains("\nCPU"), text);
    JsonObject json = Cli.run("info", "--device=cuda:77", "--json").assertJson(0);
    assertTrue(json.getAsJsonArray("devices").isEmpty());
    assertEquals(problem, json.get("problem").getAsString());
    Cli.run("info", "--device=gpu")
        .assertRefused("--device is gpu; expected cpu, cuda or cuda:N, N at least 0");
  }

  @Test
  void withoutLibTorchItSaysWhy() throws Exception {
    Path none = folder.resolve("none");
    String reason = "no LibTorch in " + none + ", which -Dlibtorch names";
    Cli.Result result = Cli.runAlone(List.of("-Dlibtorch=" + none), "info");
    String text = result.assertText();
    assertTrue(text.startsWith("available         no\n"), text);
    assertTrue(text.contains("failure           " + reason), text);

    JsonObject json = Cli.runAlone(List.of("-Dlibtorch=" + none), "info", "--json").assertJson(0);
    assertFalse(json.get("available").getAsBoolean());
    assertTrue(json.get("torch_version").isJsonNull());
    assertTrue(json.getAsJsonArray("devices").isEmpty());
    assertTrue(json.get("failure").getAsString().startsWith(reason), json::toString);
  }

  @Test
  void otherCommandsFailWithoutLibTorch() throws Exception {
    Path none = folder.resolve("none");
    for (List<String> command :
        List.of(
            List.of(
                "encode",
                "examples/librivox_mfcc13.npy",
                "-o",
                folder.resolve("out.npy").toString()),
            List.of("verify", "src/test/resources/golden/d2_min.safetensors", "--json"))) {
      Cli.Result result = Cli.runAlone(List.of("-Dlibtorch=" + none), command.toArray());
      assertEquals(1, result.status(), result::toString);
      assertEquals("", result.out());
      assertEquals(1, result.err().lines().count(), result::toString);
      assertTrue(result.err().contains("no LibTorch in " + none), result::toString);
    }
    try (var files = Files.list(folder)) {
      assertEquals(List.of(), files.toList());
    }
  }
}
