package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.TestData;
import io.github.bsq4j.parity.GoldenCase.Comparison;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The cases that SpeechBrain's own module wrote, on every path. */
@ParameterizedClass
@MethodSource("io.github.bsq4j.parity.Paths#allAndStrided")
class GoldenTest {
  @Parameter private QuantizerPath path;

  static List<Path> goldens() {
    return TestData.goldens();
  }

  @Test
  void allCasesAreThere() {
    assertEquals(15, goldens().size());
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void equalsTheReference(Path file) throws IOException {
    List<Comparison> comparisons = GoldenCase.read(file).compare(path);
    assertEquals(
        List.of("indices", "quantized", "aux_loss", "grad_quant", "grad_aux"),
        comparisons.stream().map(Comparison::field).toList());
    assertTrue(comparisons.stream().allMatch(Comparison::passed), comparisons::toString);
  }
}
