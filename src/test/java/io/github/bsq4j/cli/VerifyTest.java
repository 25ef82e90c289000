package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.bsq4j.TestData;
import io.github.bsq4j.parity.Peers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class VerifyTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden");
  private static final Path SMALL = GOLDEN.resolve("d13_one_row.safetensors");
  private static final Path BSQ_VIT =
      GOLDEN.resolve("peers/bsqvit_1_d18_g9_analytical.safetensors");
  private static final Path LFQ = GOLDEN.resolve("peers/lfq_2_d8_c2.safetensors");
  private static final Path LFQ_MASKED = GOLDEN.resolve("peers/lfq_1_d13_c1_mask.safetensors");
  private static final Set<String> FIELDS =
      Set.of("indices", "quantized", "aux_loss", "grad_quant", "grad_aux");

  @TempDir private Path folder;

  @Test
  void allGoldensPass() throws IOException {
    List<Path> files = TestData.goldens();
    Cli.Result result = Cli.run(arguments(files));
    List<String> lines = result.assertText().lines().toList();
    assertEquals(15, files.size());
    assertEquals("15 passed, 0 failed", lines.getLast());
    assertTrue(lines.getFirst().matches("case +indices +quantized +aux_loss .* result"));
    assertEquals(files.size(), lines.stream().filter(line -> line.endsWith("  PASS")).count());
    // Every column ends below the end of its title.
    assertEquals(Set.of(lines.getFirst().length() - 2), lengths(lines.subList(1, 16)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"host", "tensor", "operators"})
  void jsonHasEveryCaseAndFieldOnEveryPath(String path) throws IOException {
    List<Path> files = TestData.goldens();
    Cli.Result result = Cli.run(arguments(files, "--json", "--path", path));
    JsonObject json = result.assertJson(0);
    assertEquals(path, json.get("path").getAsString());
    assertEquals(0, json.get("failed").getAsLong());
    assertEquals(0, json.getAsJsonArray("unreadable").size());
    assertEquals(files.size(), json.getAsJsonArray("cases").size());
    for (JsonElement element : json.getAsJsonArray("cases")) {
      JsonObject golden = element.getAsJsonObject();
      assertTrue(Files.exists(GOLDEN.resolve(golden.get("name").getAsString() + ".safetensors")));
      assertTrue(golden.get("passed").getAsBoolean());
      JsonObject errors = golden.getAsJsonObject("max_error");
      assertEquals(FIELDS, errors.keySet());
      assertEquals(0, errors.get("indices").getAsDouble());
      errors
          .asMap()
          .values()
          .forEach(error -> assertTrue(error.getAsDouble() <= 1, error::toString));
    }
    assertTrue(result.err().endsWith("15 passed, 0 failed\n"), result::toString);
  }

  @ParameterizedTest
  @ValueSource(strings = {"host", "tensor", "operators"})
  void peersPassOnEveryPath(String path) {
    List<Path> files = Peers.goldens("");
    JsonObject json = Cli.run(arguments(files, "--json", "--path", path)).assertJson(0);
    assertEquals(10, json.getAsJsonArray("cases").size());
    for (JsonElement element : json.getAsJsonArray("cases")) {
      JsonObject golden = element.getAsJsonObject();
      assertTrue(golden.get("passed").getAsBoolean(), golden::toString);
      JsonObject errors = golden.getAsJsonObject("max_error");
      String name = golden.get("name").getAsString();
      boolean bsqVit = name.startsWith("bsqvit");
      assertEquals(bsqVit, errors.has("group_indices") && errors.has("grad_loss"), name);
      assertEquals(bsqVit && !name.contains("_d36_"), bsqVit && errors.has("indices"), name);
      assertEquals(!bsqVit, errors.has("codes_from_indices") && errors.has("commitment"), name);
      boolean right = !bsqVit && !name.endsWith("_mask");
      assertEquals(right, errors.has("batch_entropy") && errors.has("grad_aux"), name);
    }
  }

  @Test
  void changedPeersFail() throws Exception {
    assertPeerFails(BSQ_VIT, "group_indices", data -> data.putLong(0, data.getLong(0) ^ 1));
    assertPeerFails(BSQ_VIT, "indices", data -> data.putLong(8, data.getLong(8) + 1));
    assertPeerFails(BSQ_VIT, "loss", data -> data.putFloat(0, data.getFloat(0) + 1e-4f));
    assertPeerFails(BSQ_VIT, "codebook_entropy", data -> data.putFloat(0, 9));
    assertPeerFails(BSQ_VIT, "grad_loss", data -> data.putFloat(4, data.getFloat(4) + 1));
    assertPeerFails(LFQ, "codes_from_indices", data -> data.putFloat(4, -data.getFloat(4)));
    assertPeerFails(LFQ, "commitment", data -> data.putFloat(0, 0));
    assertPeerFails(LFQ, "batch_entropy", data -> data.putFloat(0, data.getFloat(0) + 1e-3f));
    assertPeerFails(LFQ, "grad_aux", data -> data.putFloat(0, data.getFloat(0) + 1e-3f));
    assertPeerFails(LFQ_MASKED, "per_sample_entropy", data -> data.putFloat(0, 1));
    // Which rows count decides what the losses are.
    Path masked = corrupted(LFQ_MASKED, "mask", data -> data.put(0, (byte) (1 - data.get(0))));
    assertEquals(1, Cli.run("verify", masked).status());
  }

  private void assertPeerFails(Path golden, String field, Change change) throws IOException {
    JsonObject json = Cli.run("verify", corrupted(golden, field, change), "--json").assertJson(1);
    JsonObject bad = json.getAsJsonArray("cases").get(0).getAsJsonObject();
    for (var error : bad.getAsJsonObject("max_error").entrySet()) {
      assertEquals(
          error.getKey().equals(field), error.getValue().getAsDouble() > 0.9, error::toString);
    }
  }

  /** Only along the unit vector do a peer's gradient and ours differ; there all is right. */
  @Test
  void gradientsByUnitVectorsHaveAPartOfNoMeaning() throws Exception {
    double[] unit = new double[18];
    corrupted(BSQ_VIT, "x", data -> Arrays.setAll(unit, d -> data.getFloat(Float.BYTES * d)));
    Path along =
        corrupted(
            BSQ_VIT,
            "grad_quant",
            data -> {
              for (int d = 0; d < unit.length; d++) {
                int at = Float.BYTES * d;
                data.putFloat(at, (float) (data.getFloat(at) + 5 * unit[d]));
              }
            });
    assertTrue(Cli.run("verify", along).assertText().endsWith("1 passed, 0 failed\n"));
  }

  @ParameterizedTest
  @CsvSource({
    "bsqvit, per_sample_entropy, exact, 'per_sample_entropy is ''exact''; expected analytical or',",
    "bsqvit, group_size, 5, 'bad metadata: groupSize is 5, which does not divide codeDim 18'",
    "bsqvit, group_size, 6, 'group_indices has shape [2, 32, 2]; expected [2, 32, 3]'",
    "bsqvit, zeta, much, zeta is no number: 'much'",
    "bsqvit, gamma0, , is no golden case of BSQ-ViT's quantizer: its metadata has no gamma0",
    "bsqvit, code_dim, 36, 'x has shape [2, 32, 18], but code_dim is 36'",
    "lfq, num_codebooks, 4, 'x has shape [2, 24, 16], but code_dim is 4 codebooks of 8'",
    "lfq, num_codebooks, 1.5, num_codebooks is no integer: 1.5",
    "lfq, commitment_loss_weight, , is no golden case of LFQ: its metadata has no commitment_loss",
    "small, entropy_form, both, entropy_form is 'both'; expected analytical or exact",
    "small, entropy_floor, none, entropy_floor is 'none'; expected add or clamp",
    "small, entropy_epsilon, 1, 'bad metadata: epsilon is 1.0, expected 1.0E-30 to 0.1'",
    "small, commitment, cube, commitment is 'cube'; expected square or squared_norm",
    "small, channel_first, yes, channel_first is 'yes'; expected 0 or 1",
    "small, channel_first, 1, 'x has shape [1, 1, 13], but code_dim is 13'",
    "small, codebooks, 0, bad metadata: codebooks is 0",
    "small, positive_offset, NaN, bad metadata: positiveOffset is NaN",
    "small, non_finite, ignore, non_finite is 'ignore'; expected propagate or refuse",
    "small, parts, 0, parts is 0; expected 1 to 1000",
    "small, parts, 1001, parts is 1001; expected 1 to 1000",
    "small, num_codebooks, 1, is no golden case of LFQ: its metadata has no commitment_loss_weight",
  })
  void metadataOfPeersThatMakeNoSense(String golden, String key, String value, String problem)
      throws Exception {
    Path file =
        switch (golden) {
          case "bsqvit" -> BSQ_VIT;
          case "lfq" -> LFQ;
          default -> SMALL;
        };
    Path changed = withMetadata(file, key, value);
    Cli.Result result = Cli.run("verify", changed);
    assertEquals(2, result.status(), result::toString);
    assertEquals(1, result.err().lines().count(), result::toString);
    assertTrue(result.err().startsWith("bsq: " + changed + ": "), result::toString);
    assertTrue(result.err().contains(problem), result::toString);
  }

  @Test
  void peersWithoutAField() throws Exception {
    for (String field : List.of("group_indices", "cotangent", "grad_loss", "loss")) {
      Path file = renamed(BSQ_VIT, field, "other");
      Cli.Result result = Cli.run("verify", file);
      assertEquals(2, result.status(), result::toString);
      assertTrue(result.err().contains(file + ": has no tensor '" + field + "'"), result::err);
    }
    Path file = renamed(LFQ_MASKED, "mask", "lengths");
    Cli.Result result = Cli.run("verify", file);
    assertEquals(2, result.status(), result::toString);
    assertTrue(result.err().contains("found the tensor 'lengths' of type U8"), result::err);
  }

  @Test
  void aChangedLossFails() throws Exception {
    Path file = corrupted("aux_loss", data -> data.putFloat(0, data.getFloat(0) + 0.001f));
    assertFails(file, "aux_loss", 1, 1e9);
  }

  @Test
  void aChangedIndexFails() throws Exception {
    Path file = corrupted("indices", data -> data.putLong(0, data.getLong(0) ^ 1));
    assertFails(file, "indices", 1, 2); // by encode and by forward
  }

  @Test
  void aChangedGradientFails() throws Exception {
    Path file = corrupted("grad_aux", data -> data.putFloat(4, data.getFloat(4) + 1));
    assertFails(file, "grad_aux", 1, 1e30);
  }

  @Test
  void anExpectedNanFails() throws Exception {
    Path file = corrupted("quantized", data -> data.putFloat(8, Float.NaN));
    assertFails(file, "quantized", Double.MAX_VALUE, Double.MAX_VALUE);
    String text = Cli.run("verify", file).out();
    assertTrue(text.lines().allMatch(line -> line.length() < 100), text);
    assertTrue(text.contains(" inf "), text);
  }

  private void assertFails(Path file, String field, double least, double most) {
    Cli.Result result = Cli.run("verify", SMALL, file, "--json");
    JsonObject json = result.assertJson(1);
    assertEquals(1, json.get("failed").getAsLong());
    JsonObject good = json.getAsJsonArray("cases").get(0).getAsJsonObject();
    assertTrue(good.get("passed").getAsBoolean());
    JsonObject bad = json.getAsJsonArray("cases").get(1).getAsJsonObject();
    assertEquals("bad", bad.get("name").getAsString());
    assertFalse(bad.get("passed").getAsBoolean());
    for (var error : bad.getAsJsonObject("max_error").entrySet()) {
      double value = error.getValue().getAsDouble();
      if (error.getKey().equals(field)) {
        assertTrue(value >= least && value <= most, error::toString);
      } else {
        assertTrue(value <= 1, error::toString);
      }
    }
    Cli.Result text = Cli.run("verify", SMALL, file);
    assertEquals(1, text.status());
    assertTrue(text.out().matches("(?s).*bad .*  FAIL\n1 passed, 1 failed\n"), text::toString);
    assertEquals("", text.err());
  }

  @Test
  void unreadableFilesAreToldAndTheOthersRun() throws Exception {
    Path broken = Files.writeString(folder.resolve("broken.safetensors"), "nonsense");
    Path none = folder.resolve("none.safetensors");
    Path peer = folder.resolve("peer.safetensors");
    String header =
        "{\"__metadata__\":{\"source\":\"bsqvit\"},"
            + "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    writeSafetensors(peer, header, new byte[4]);
    Path changed = corrupted("aux_loss", data -> data.putFloat(0, 7));

    Cli.Result text = Cli.run("verify", broken, SMALL, none, peer, changed);
    assertEquals(2, text.status());
    assertTrue(text.out().contains("d13_one_row"), text::toString);
    assertTrue(text.out().endsWith("1 passed, 1 failed, 3 could not be read\n"), text::toString);
    List<String> problems = text.err().lines().toList();
    assertEquals(3, problems.size());
    assertTrue(problems.get(0).startsWith("bsq: " + broken + ": "), text::toString);
    assertTrue(problems.get(1).startsWith("bsq: " + none + ": "), text::toString);
    assertTrue(problems.get(2).startsWith("bsq: " + peer + ": "), text::toString);

    JsonObject json = Cli.run("verify", broken, SMALL, none, peer, changed, "--json").assertJson(2);
    assertEquals(2, json.getAsJsonArray("cases").size());
    assertEquals(1, json.get("failed").getAsLong());
    assertEquals(3, json.getAsJsonArray("unreadable").size());
    JsonObject first = json.getAsJsonArray("unreadable").get(0).getAsJsonObject();
    assertEquals(broken.toString(), first.get("file").getAsString());
    assertEquals(problems.get(0), "bsq: " + first.get("problem").getAsString());
  }

  @Test
  void nothingButUnreadableFiles() {
    Cli.Result result = Cli.run("verify", folder.resolve("none.safetensors"));
    assertEquals(2, result.status());
    assertEquals("0 passed, 0 failed, 1 could not be read\n", result.out());
  }

  @Test
  void aHalfPrecisionCaseNeedsTensors() throws Exception {
    Path file = halfPrecision(1);
    for (String path : List.of("tensor", "OPERATORS")) {
      Cli.Result result = Cli.run("verify", "--path", path, file);
      assertTrue(result.assertText().endsWith("\n1 passed, 0 failed\n"), result::toString);
    }
    Cli.Result result = Cli.run("verify", file, SMALL);
    assertEquals(2, result.status());
    assertTrue(result.out().endsWith("\n1 passed, 0 failed, 1 could not be read\n"));
    assertEquals("bsq: " + file + ": x is FLOAT16; use --path tensor or operators\n", result.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"tensor", "operators"})
  void aWrongHalfPrecisionCaseFails(String path) throws Exception {
    JsonObject json =
        Cli.run("verify", "--path", path, halfPrecision(1.0005), "--json").assertJson(1);
    JsonObject errors =
        json.getAsJsonArray("cases").get(0).getAsJsonObject().getAsJsonObject("max_error");
    // The next float16 after 1 is 1 + 1 / 1024, so 1 is right for what is at most half of that
    // more.
    assertEquals((0.0005 - 0x1p-11) / 1e-6, errors.get("quantized").getAsDouble(), 1e-6);
    assertTrue(errors.get("aux_loss").getAsDouble() < 1e-3, errors::toString);
  }

  /** What the quantizer refuses is the fault of the file, too. */
  @Test
  void aCaseWithNanInItsInput() throws Exception {
    Path file = corrupted("x", data -> data.putFloat(4, Float.NaN));
    Cli.Result result = Cli.run("verify", file, SMALL);
    assertEquals(2, result.status());
    assertTrue(result.out().endsWith("1 passed, 0 failed, 1 could not be read\n"));
    assertTrue(result.err().startsWith("bsq: " + file + ": "), result::toString);
    assertTrue(result.err().contains("x[0, 1] is nan"), result::toString);
  }

  @ParameterizedTest
  @CsvSource({
    "gradient_absolute, -1, expected a number of at least 0",
    "gradient_absolute, NaN, expected a number of at least 0",
    "aux_loss_absolute, Infinity, expected a number of at least 0",
    "entropy_absolute, wide, entropy_absolute is no number: 'wide'",
    "code_dim, 1e9, bad metadata: codeDim is 1000000000",
    "code_dim, 2.5, bad metadata: code_dim is no integer: 2.5",
    "code_dim, '3\n\033[31mPASS', code_dim is no number: '3\\x0a\\x1b[31mPASS'",
    "inv_temperature, NaN, bad metadata: inverseTemperature is NaN",
  })
  void metadataThatMakeNoSense(String key, String value, String problem) throws Exception {
    Path file = withMetadata(key, value);
    Cli.Result result = Cli.run("verify", file);
    assertEquals(2, result.status());
    assertEquals(1, result.err().lines().count(), result::toString);
    assertTrue(result.err().contains(problem), result::toString);
  }

  @Test
  void theRootFolderIsNoCase() {
    assertEquals(2, Cli.run("verify", "/").status());
  }

  @Test
  void wrongCommandLines() {
    Cli.run("verify").assertMisused("FILE.safetensors");
    Cli.run("verify", SMALL, "--tolerance=2").assertMisused("--tolerance=2");
    Cli.run("verify", SMALL, "--path", "gpu")
        .assertMisused("--path", "one of host, tensor, operators, but was 'gpu'");
    String help = Cli.run("verify", "--help").assertText();
    assertTrue(help.contains("\nUsage: bsq verify [OPTIONS] FILE.safetensors...\n"), help);
    assertTrue(help.lines().allMatch(line -> line.length() <= 80), help);
  }

  // Helpers

  private interface Change {
    void to(ByteBuffer data);
  }

  /** A copy of a small golden in which the data of one tensor is changed. */
  private Path corrupted(String tensor, Change change) throws IOException {
    return corrupted(SMALL, tensor, change);
  }

  private Path corrupted(Path golden, String tensor, Change change) throws IOException {
    byte[] bytes = Files.readAllBytes(golden);
    ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = Math.toIntExact(file.getLong(0));
    JsonObject header =
        JsonParser.parseString(new String(bytes, 8, headerLength, StandardCharsets.UTF_8))
            .getAsJsonObject();
    var offsets = header.getAsJsonObject(tensor).getAsJsonArray("data_offsets");
    int begin = offsets.get(0).getAsInt();
    int end = offsets.get(1).getAsInt();
    change.to(file.slice(8 + headerLength + begin, end - begin).order(ByteOrder.LITTLE_ENDIAN));
    return Files.write(folder.resolve("bad.safetensors"), bytes);
  }

  /** One component, 1 in float16, at an inverse temperature at which both entropies are ln 2. */
  private Path halfPrecision(double quantized) throws IOException {
    String header =
        """
        {"__metadata__": {"code_dim": "1", "inv_temperature": "0", "entropy_loss_weight": "0.1",
         "diversity_gamma": "1"},
         "quantized": {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]},
         "indices": {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]},
         "aux_loss": {"dtype": "F64", "shape": [], "data_offsets": [16, 24]},
         "x": {"dtype": "F16", "shape": [1, 1], "data_offsets": [24, 26]}}\
        """;
    ByteBuffer data = ByteBuffer.allocate(26).order(ByteOrder.LITTLE_ENDIAN);
    data.putDouble(quantized).putLong(1).putDouble(0).putShort(Float.floatToFloat16(1));
    Path file = folder.resolve("half.safetensors");
    writeSafetensors(file, header, data.array());
    return file;
  }

  /** A copy of a small golden with one more, or another, metadata entry. */
  private Path withMetadata(String key, String value) throws IOException {
    return withMetadata(SMALL, key, value);
  }

  /** The same of any golden; null for no such entry. */
  private Path withMetadata(Path golden, String key, String value) throws IOException {
    return withHeader(
        golden,
        header -> {
          JsonObject metadata = header.getAsJsonObject("__metadata__");
          metadata.remove(key);
          if (value != null) {
            metadata.addProperty(key, value);
          }
        });
  }

  /** A copy of a golden in which a tensor has another name. */
  private Path renamed(Path golden, String tensor, String name) throws IOException {
    return withHeader(golden, header -> header.add(name, header.remove(tensor)));
  }

  private Path withHeader(Path golden, Consumer<JsonObject> change) throws IOException {
    byte[] bytes = Files.readAllBytes(golden);
    ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = Math.toIntExact(file.getLong(0));
    JsonObject header =
        JsonParser.parseString(new String(bytes, 8, headerLength, StandardCharsets.UTF_8))
            .getAsJsonObject();
    change.accept(header);
    Path changed = folder.resolve("header.safetensors");
    writeSafetensors(
        changed, header.toString(), Arrays.copyOfRange(bytes, 8 + headerLength, bytes.length));
    return changed;
  }

  private static void writeSafetensors(Path file, String header, byte[] data) throws IOException {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + text.length + data.length);
    bytes.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(data);
    Files.write(file, bytes.array());
  }

  private static Object[] arguments(List<Path> files, String... options) {
    return Stream.of(Stream.of("verify"), files.stream(), Stream.of(options))
        .flatMap(part -> part)
        .toArray();
  }

  private static Set<Integer> lengths(List<String> lines) {
    return Set.copyOf(lines.stream().map(String::length).distinct().toList());
  }
}
