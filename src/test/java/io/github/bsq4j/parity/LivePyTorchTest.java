package io.github.bsq4j.parity;

import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.bsq4j.Commitment;
import io.github.bsq4j.DType;
import io.github.bsq4j.EntropyFloor.Kind;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.TestData;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.parity.GoldenCase.Comparison;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random cases, made anew by PyTorch in every run: shapes, types, temperatures, weights,
 * distributions, and all other options together; each on every path that serves its type. A failure
 * names the run's seed; {@code -Dbsq4j.seed=N} runs its cases again.
 */
@OnDevice
class LivePyTorchTest {
  private static final int CASES = 80;
  private static final int COMPOSED_CASES = 120;
  private static final int NON_FINITE_CASES = 24;

  /** How many composed cases have each option, at least; expected are 40 and more. */
  private static final int CASES_OF_EACH = 15;

  private static final long SEED =
      Long.getLong("bsq4j.seed", System.currentTimeMillis() % 1_000_000);

  @TempDir private static Path folder;

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
  void theDenseModuleEqualsTheReferenceAndItsPeers() throws Exception {
    String[] goldens =
        Stream.concat(TestData.goldens().stream(), Peers.goldens("").stream())
            .map(Path::toString)
            .toArray(String[]::new);
    python.run("check_dense_bsq.py", goldens);
  }

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.parity.Paths#allAndStrided")
  void randomCasesEqualTheDenseModule(QuantizerPath path) throws Exception {
    compare(path, cases("reference", CASES));
  }

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.parity.Paths#allAndStrided")
  void randomOptionsEqualTheDenseModule(QuantizerPath path) throws Exception {
    compare(path, cases("composed", COMPOSED_CASES));
  }

  @Test
  void eachOptionIsThereManyTimes() throws Exception {
    Collection<GoldenCase> cases = cases("composed", COMPOSED_CASES).values();
    assertMany("groups", cases, options -> options.groups() > 1 && isExact(options));
    assertMany("no groups", cases, options -> options.groups() == 1);
    assertMany("long codes", cases, options -> options.codeDim() > 63);
    assertMany("analytical", cases, options -> !isExact(options));
    assertMany("codebooks", cases, options -> options.codebooks() > 1);
    assertMany("added floor", cases, options -> options.entropyFloor().kind() == Kind.ADD);
    assertMany("clamp", cases, options -> options.entropyFloor().kind() == Kind.CLAMP);
    assertMany("other floor", cases, options -> options.entropyFloor().epsilon() != 1e-5);
    assertMany("sample entropy weight", cases, options -> options.sampleEntropyWeight() != 1);
    assertMany("gamma", cases, options -> options.diversityGamma() != 1);
    assertMany("temperature", cases, QuantizerOptions::dividedByInverseTemperature);
    assertMany("positive loss", cases, options -> options.positiveOffset().isPresent());
    for (Commitment commitment : Commitment.values()) {
      assertMany(
          commitment.toString(),
          cases,
          options -> options.commitmentWeight() != 0 && options.commitment() == commitment);
    }
    assertMany("straight through", cases, options -> options.straightThroughScale() != 1);
    assertMany("channel first", cases, QuantizerOptions::channelFirst);
    assertTrue(cases.stream().filter(GoldenCase::isMasked).count() >= CASES_OF_EACH, "masked");
    assertTrue(cases.stream().filter(c -> c.parts() > 1).count() >= CASES_OF_EACH, "merged");
  }

  private static void assertMany(
      String name, Collection<GoldenCase> cases, Predicate<QuantizerOptions> has) {
    long count = cases.stream().map(GoldenCase::quantizerOptions).filter(has).count();
    assertTrue(count >= CASES_OF_EACH, () -> "seed " + SEED + ", " + name + ": " + count);
  }

  private static boolean isExact(QuantizerOptions options) {
    return options.entropyForm() == EntropyForm.EXACT;
  }

  @ParameterizedTest
  @MethodSource("io.github.bsq4j.parity.Paths#allAndStrided")
  void nonFiniteRowsPropagateAsInTheDenseModule(QuantizerPath path) throws Exception {
    compare(path, cases("non-finite", NON_FINITE_CASES));
  }

  /** The same cases for all paths; some of each type. */
  private SortedMap<Path, GoldenCase> cases(String kind, int count) throws Exception {
    Path out = folder.resolve(kind);
    if (!Files.exists(out)) {
      python.run(
          "make_cases.py", "--seed=" + SEED, "--count=" + count, "--kind=" + kind, "--out=" + out);
    }
    SortedMap<Path, GoldenCase> cases = new TreeMap<>();
    try (Stream<Path> files = Files.list(out)) {
      for (Path file : files.toList()) {
        cases.put(file.getFileName(), GoldenCase.read(file));
      }
    }
    assertEquals(count, cases.size());
    assertEquals(
        Set.of(DType.FLOAT32, DType.FLOAT64, DType.FLOAT16, DType.BFLOAT16),
        cases.values().stream().map(GoldenCase::dtype).collect(toSet()));
    return cases;
  }

  private static void compare(QuantizerPath path, SortedMap<Path, GoldenCase> cases) {
    cases.forEach(
        (file, golden) -> {
          if (path.serves(golden.dtype())) {
            List<Comparison> failed =
                golden.compare(path).stream().filter(comparison -> !comparison.passed()).toList();
            assertEquals(
                List.of(),
                failed,
                () -> "seed %d, %s, %s, %s".formatted(SEED, file, path, golden.quantizerOptions()));
          }
        });
  }
}
