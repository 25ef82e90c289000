package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizerOptionsTest {
  @Test
  void defaultsAreTheReferences() {
    assertEquals(
        new QuantizerOptions(13, 0.1, 1, 100, NonFinitePolicy.REFUSE, Implementation.AUTOMATIC),
        QuantizerOptions.of(13));
  }

  @Test
  void theBuilderSetsEverything() {
    QuantizerOptions options =
        QuantizerOptions.builder(7)
            .entropyLossWeight(-2)
            .diversityGamma(0)
            .inverseTemperature(5)
            .nonFinitePolicy(NonFinitePolicy.PROPAGATE)
            .implementation(Implementation.OPERATORS)
            .build();
    assertEquals(
        new QuantizerOptions(7, -2, 0, 5, NonFinitePolicy.PROPAGATE, Implementation.OPERATORS),
        options);
    assertEquals(options, options.toBuilder().build());
  }

  @ParameterizedTest
  @ValueSource(ints = {Integer.MIN_VALUE, -1, 0, 64, Integer.MAX_VALUE})
  void codeDimOutOfRange(int codeDim) {
    assertRefused(
        "codeDim is " + codeDim + ", expected 1 to 63", QuantizerOptions.builder(codeDim));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void weightsThatAreNotFinite(double value) {
    assertRefused(
        "entropyLossWeight is " + value + ", expected a finite number",
        QuantizerOptions.builder(1).entropyLossWeight(value));
    assertRefused(
        "diversityGamma is " + value + ", expected a finite number",
        QuantizerOptions.builder(1).diversityGamma(value));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, -1e-300, -1, 1.1e30, Double.POSITIVE_INFINITY})
  void inverseTemperatureOutOfRange(double value) {
    assertRefused(
        "inverseTemperature is " + value + ", expected 0 to 1.0E30",
        QuantizerOptions.builder(1).inverseTemperature(value));
  }

  @Test
  void noPolicy() {
    NullPointerException e =
        assertThrows(
            NullPointerException.class,
            () -> QuantizerOptions.builder(1).nonFinitePolicy(null).build());
    assertEquals("nonFinitePolicy", e.getMessage());
  }

  private static void assertRefused(String message, QuantizerOptions.Builder builder) {
    assertEquals(
        message, assertThrows(IllegalArgumentException.class, builder::build).getMessage());
  }
}
