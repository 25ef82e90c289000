package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.bench.PyTorch;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** That the benchmark works; how fast anything is depends on the machine, and is not asserted. */
class BenchTest {
  private static final List<String> KEYS =
      List.of(
          "code_dim",
          "codebooks",
          "groups",
          "rows",
          "inv_temperature",
          "threads",
          "encode_ms",
          "forward_ms",
          "forward_backward_ms",
          "encode_gb_per_s",
          "copy_gb_per_s",
          "encode_copy_ratio",
          "single_row_encode_ns",
          "single_row_encode_two_threads_ns");

  private static final List<String> REFERENCE_KEYS =
      List.of(
          "reference_forward_ms",
          "reference_forward_backward_ms",
          "forward_ratio",
          "forward_backward_ratio");

  @TempDir private Path folder;

  @Test
  void json() {
    JsonObject json =
        bench("--code-dim=5", "--rows=30", "--inv-temperature=2.5", "--json").assertJson(0);
    assertEquals(Set.copyOf(KEYS), json.keySet());
    assertEquals(5, json.get("code_dim").getAsInt());
    assertEquals(30, json.get("rows").getAsLong());
    assertEquals(2.5, json.get("inv_temperature").getAsDouble());
    assertEquals(threads(), json.get("threads").getAsInt());
    for (String key :
        List.of("encode_ms", "forward_ms", "forward_backward_ms", "encode_copy_ratio")) {
      assertSpread(json, key);
    }
    for (String key :
        List.of(
            "encode_gb_per_s",
            "copy_gb_per_s",
            "single_row_encode_ns",
            "single_row_encode_two_threads_ns")) {
      assertTrue(json.get(key).getAsDouble() > 0, json::toString);
    }
  }

  @Test
  void text() {
    List<String> lines =
        bench("--code-dim=3", "--rows=10", "--threads=" + threads()).assertText().lines().toList();
    assertEquals("code dim            3", lines.getFirst());
    assertEquals("rows                10", lines.get(1));
    String times = " +[0-9.]+ ms \\([0-9.]+ to [0-9.]+\\)";
    for (String label : List.of("encode", "forward", "forward \\+ backward")) {
      assertTrue(lines.stream().anyMatch(line -> line.matches(label + times)), lines::toString);
    }
    for (String line :
        List.of(
            " +\\S+ million rows/s, \\S+ GB/s",
            " +\\d+ % of memcpy \\(\\d+ to \\d+\\)",
            "encode one row +\\S+ ns \\(\\S+ to \\S+\\)",
            "  in two threads +\\S+ ns \\(\\S+ to \\S+\\)")) {
      assertTrue(lines.stream().anyMatch(actual -> actual.matches(line)), lines::toString);
    }
  }

  /** What is not asked for is neither timed nor reported. */
  @Test
  void chosenWork() {
    Set<String> encode = new HashSet<>(KEYS);
    encode.removeAll(Set.of("forward_ms", "forward_backward_ms"));
    assertEquals(
        encode,
        bench("--code-dim=4", "--rows=9", "--work=encode", "--json").assertJson(0).keySet());
    Set<String> forward = new HashSet<>(KEYS.subList(0, 6));
    forward.add("forward_ms");
    assertEquals(
        forward,
        bench("--code-dim=4", "--rows=9", "--work=forward", "--json").assertJson(0).keySet());
    forward.add("forward_backward_ms");
    for (List<String> options :
        List.of(
            List.of("--work=forward-backward,forward"),
            List.of("--work", "forward", "--work", "forward-backward"))) {
      List<Object> arguments = new ArrayList<>(options);
      arguments.addAll(List.of("--code-dim=4", "--rows=9", "--json"));
      assertEquals(forward, bench(arguments.toArray()).assertJson(0).keySet());
    }
  }

  @Test
  void besideTheReference() throws Exception {
    assumeTrue(PyTorch.findPython().isPresent(), "no PyTorch beside this LibTorch");
    JsonObject json = bench("--code-dim=4", "--rows=20", "--reference", "--json").assertJson(0);
    Set<String> keys = new HashSet<>(KEYS);
    keys.addAll(REFERENCE_KEYS);
    assertEquals(keys, json.keySet());
    REFERENCE_KEYS.forEach(key -> assertSpread(json, key));
    // The medians of the ratios, and the ratios of the medians, lie between the extremes.
    for (String work : List.of("forward", "forward_backward")) {
      double least =
          part(json, "reference_" + work + "_ms", "min") / part(json, work + "_ms", "max");
      double most =
          part(json, "reference_" + work + "_ms", "max") / part(json, work + "_ms", "min");
      double ratio = part(json, work + "_ratio", "median");
      assertTrue(least <= ratio && ratio <= most, json::toString);
    }
  }

  /** Codes of more bits than losses can be computed for. */
  @Test
  void longCodesAreOnlyEncoded() {
    JsonObject json = bench("--code-dim=63", "--rows=10", "--json").assertJson(0);
    assertEquals(Set.copyOf(KEYS), json.keySet());
    assertSpread(json, "encode_ms");
    assertTrue(json.get("forward_ms").isJsonNull(), json::toString);
    assertTrue(json.get("forward_backward_ms").isJsonNull(), json::toString);
    bench("--code-dim=25", "--reference").assertRefused("code_dim is 25", "up to 24 bits");
  }

  /** Options of the codes and of the losses are those that encode has. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--groups=2",
        "--codebooks=3",
        "--channel-first",
        "--groups=2 --preset=bsq-vit --commitment-weight=1",
        "--analytical --groups=2",
      })
  void otherOptions(String flags) {
    JsonObject json = bench(with(flags, "--work=forward-backward")).assertJson(0);
    assertSpread(json, "forward_backward_ms");
    assertEquals(flags.contains("codebooks") ? 3 : 1, json.get("codebooks").getAsInt());
    assertEquals(flags.contains("groups") ? 2 : 1, json.get("groups").getAsInt());
    assertEquals(flags.contains("bsq-vit") ? 1 : 100, json.get("inv_temperature").getAsDouble());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--preset=lfq --codebooks=2 --channel-first --positive-offset=5 --commitment-weight=1",
        "--preset=bsq-vit --groups=2 --analytical --entropy-epsilon=1e-3",
      })
  void otherOptionsBesideTheReference(String flags) throws Exception {
    assumeTrue(PyTorch.findPython().isPresent(), "no PyTorch beside this LibTorch");
    JsonObject json = bench(with(flags, "--work=forward-backward", "--reference")).assertJson(0);
    assertSpread(json, "reference_forward_backward_ms");
  }

  private static Object[] with(String flags, String... more) {
    List<Object> arguments = new ArrayList<>(List.of("--code-dim=6", "--rows=20", "--json"));
    arguments.addAll(Arrays.asList((Object[]) flags.split(" ")));
    arguments.addAll(List.of((Object[]) more));
    return arguments.toArray();
  }

  @Test
  void longCodesOfGroups() {
    List<String> lines =
        bench("--code-dim=900", "--groups=100", "--codebooks=2", "--rows=10", "--work=forward")
            .assertText()
            .lines()
            .toList();
    assertTrue(lines.contains("codebooks           2"), lines::toString);
    assertTrue(lines.contains("groups              100"), lines::toString);
    JsonObject json = bench("--code-dim=1000", "--groups=20", "--rows=2", "--json").assertJson(0);
    assertTrue(json.get("forward_ms").isJsonNull(), json::toString);
  }

  @Test
  void noPythonForTheReference() throws Exception {
    assumeTrue(System.getenv("BSQ4J_PYTHON") == null);
    Path torch = Files.createDirectory(folder.resolve("torch"));
    Path libtorch = NativeRuntime.info().libtorch().orElseThrow();
    Path link = Files.createSymbolicLink(torch.resolve("lib"), libtorch.resolve("lib"));
    Cli.Result result = Cli.runAlone(List.of("-Dlibtorch=" + torch), "bench", "--reference");
    Files.delete(link); // JUnit warns of a link that leads out of the folder
    assertEquals(1, result.status(), result::toString);
    assertEquals(
        "bsq: no PyTorch beside this LibTorch, to run the reference: set BSQ4J_PYTHON to a Python"
            + " that has torch\n",
        result.err());
  }

  @Test
  void wrongCommandLines() {
    bench("--code-dim=0").assertRefused("codeDim is 0", "1 to 4096");
    bench("--code-dim=64").assertRefused("code_dim is 64", "63 bits", "--groups");
    bench("--code-dim=64", "--groups=3").assertRefused("--groups is 3", "code_dim 64");
    bench("--codebooks=1025").assertRefused("--codebooks is 1025");
    bench("--preset=bsq-vit").assertRefused("--preset is bsq-vit", "--groups");
    bench("--entropy-fraction=0.5", "--reference")
        .assertRefused("--entropy-fraction is 0.5", "--reference");
    bench("--inv-temperature=-1").assertRefused("inverseTemperature is -1.0");
    bench("--rows=0").assertRefused("--rows is 0; expected 1 to ");
    bench("--rows=1000000001").assertRefused("--rows is 1000000001; expected 1 to ");
    bench("--threads=0").assertRefused("--threads is 0; expected 1 to 1024");
    bench("--threads=1025").assertRefused("--threads is 1025; expected 1 to 1024");
    int others = threads() + 1;
    bench("--threads=" + others)
        .assertRefused(
            "--threads is " + others + ", but LibTorch uses " + threads(),
            "OMP_NUM_THREADS",
            "cores");
    Cli.run("bench", "--seconds=0").assertRefused("--seconds is 0.0; expected a number above 0");
    Cli.run("bench", "--seconds=NaN").assertRefused("--seconds is NaN");
    bench("--work=encode", "--reference").assertRefused("--work is encode", "forward");
    Cli.run("bench", "--code-dim=25", "--work=encode,forward")
        .assertRefused("code_dim is 25", "up to 24 bits", "use --work encode");
    Cli.run("bench", "--code-dim=40", "--groups=2", "--work=forward")
        .assertRefused("--groups 2 makes groups of 20 bits", "up to 16 bits");
    bench("--work=decode").assertMisused("--work", "encode, forward, forward-backward");
    bench("--rows=many").assertMisused("--rows", "many");
    bench("--threads").assertMisused("--threads");
    bench("surplus.npy").assertMisused("surplus.npy");
  }

  @Test
  void help() {
    String text = Cli.run("bench", "--help").assertText();
    assertTrue(text.contains("\nUsage: bsq bench [OPTIONS]\n"), text);
    assertTrue(text.lines().allMatch(line -> line.length() <= 80), text);
  }

  private static Cli.Result bench(Object... options) {
    List<Object> arguments = new ArrayList<>(List.of("bench", "--seconds=0.01"));
    arguments.addAll(Arrays.asList(options));
    return Cli.run(arguments.toArray());
  }

  private static int threads() {
    return NativeRuntime.info().threads().orElseThrow();
  }

  private static void assertSpread(JsonObject json, String key) {
    assertEquals(Set.of("min", "median", "max"), json.getAsJsonObject(key).keySet());
    assertTrue(part(json, key, "min") > 0, json::toString);
    assertTrue(part(json, key, "min") <= part(json, key, "median"), json::toString);
    assertTrue(part(json, key, "median") <= part(json, key, "max"), json::toString);
  }

  private static double part(JsonObject json, String key, String part) {
    return json.getAsJsonObject(key).get(part).getAsDouble();
  }
}
