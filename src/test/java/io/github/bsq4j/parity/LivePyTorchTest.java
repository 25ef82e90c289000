package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.bsq4j.TestData;
import io.github.bsq4j.parity.GoldenCase.Comparison;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Random cases, made anew by PyTorch in every run: shapes, types, temperatures, weights,
 * distributions. A failure names the run's seed; {@code -Dbsq4j.seed=N} runs its cases again.
 */
class LivePyTorchTest {
  private static final int CASES = 60;
  private static final int NON_FINITE_CASES = 10;
  private static final long SEED =
      Long.getLong("bsq4j.seed", System.currentTimeMillis() % 1_000_000);

  private Python python;

  // Before each, not before all: aborted as a whole, the class would not show among the skipped.
  @BeforeEach
  void findPyTorch() throws IOException {
    python =
        Python.find()
            .orElseGet(
                () ->
                    abort(
                        "no PyTorch beside this LibTorch: set BSQ4J_PYTHON to a Python with torch,"
                            + " numpy and safetensors to compare with it"));
  }

  @Test
  void theDenseModuleEqualsTheReference() throws Exception {
    String[] goldens = TestData.goldens().stream().map(Path::toString).toArray(String[]::new);
    python.run("check_dense_bsq.py", goldens);
  }

  @Test
  void randomCasesEqualTheDenseModule(@TempDir Path folder) throws Exception {
    compare(folder, CASES);
  }

  @Test
  void nonFiniteRowsPropagateAsInTheDenseModule(@TempDir Path folder) throws Exception {
    compare(folder, NON_FINITE_CASES, "--non-finite");
  }

  private void compare(Path folder, int count, String... options) throws Exception {
    Stream<String> arguments =
        Stream.of("--seed", "" + SEED, "--count", "" + count, "--out", folder.toString());
    python.run(
        "make_cases.py", Stream.concat(arguments, Stream.of(options)).toArray(String[]::new));
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> cases = files.sorted().toList();
      assertEquals(count, cases.size());
      for (Path file : cases) {
        GoldenCase golden = GoldenCase.read(file);
        List<Comparison> comparisons = golden.compare();
        assertTrue(
            comparisons.stream().allMatch(Comparison::passed),
            () ->
                "seed %d, %s, %s: %s"
                    .formatted(SEED, file.getFileName(), golden.quantizerOptions(), comparisons));
      }
    }
  }
}
