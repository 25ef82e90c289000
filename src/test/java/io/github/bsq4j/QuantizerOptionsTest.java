package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.OptionalDouble;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizerOptionsTest {
  @Test
  void defaultsAreTheReferences() {
    QuantizerOptions expected =
        new QuantizerOptions(
            13,
            1,
            13,
            100,
            EntropyForm.EXACT,
            EntropyFloor.clamp(1e-5),
            0.1,
            1,
            1,
            false,
            OptionalDouble.empty(),
            1,
            0,
            Commitment.SQUARED_NORM,
            0,
            1,
            false,
            Convention.SPEECHBRAIN,
            NonFinitePolicy.REFUSE,
            Implementation.AUTOMATIC);
    assertEquals(expected, QuantizerOptions.of(13));
    assertEquals(expected, QuantizerOptions.speechBrain(13));
  }

  @Test
  void theBuilderSetsEverything() {
    QuantizerOptions options =
        QuantizerOptions.builder(12)
            .codebooks(3)
            .groupSize(4)
            .inverseTemperature(5)
            .entropyForm(EntropyForm.ANALYTICAL)
            .entropyFloor(EntropyFloor.add(1e-8))
            .entropyLossWeight(-2)
            .sampleEntropyWeight(0.5)
            .diversityGamma(0)
            .dividedByInverseTemperature(true)
            .positiveOffset(6)
            .entropyFraction(0.25)
            .entropySeed(-7)
            .commitment(Commitment.SQUARE)
            .commitmentWeight(0.75)
            .straightThroughScale(8)
            .channelFirst(true)
            .convention(Convention.KRONOS)
            .nonFinitePolicy(NonFinitePolicy.PROPAGATE)
            .implementation(Implementation.OPERATORS)
            .build();
    assertEquals(
        new QuantizerOptions(
            12,
            3,
            4,
            5,
            EntropyForm.ANALYTICAL,
            new EntropyFloor(EntropyFloor.Kind.ADD, 1e-8),
            -2,
            0.5,
            0,
            true,
            OptionalDouble.of(6),
            0.25,
            -7,
            Commitment.SQUARE,
            0.75,
            8,
            true,
            Convention.KRONOS,
            NonFinitePolicy.PROPAGATE,
            Implementation.OPERATORS),
        options);
    assertEquals(options, options.toBuilder().build());
    assertEquals(3, options.groups());
    assertEquals(36, options.rowLength());
    assertEquals(9, options.indicesPerRow());
  }

  @Test
  void bsqVitIsWhatItsModelDoes() {
    // VITBSQModel(embed_dim=18, embed_group_size=9, l2_norm=True, post_q_l2_norm=True): beta=0.,
    // gamma0=1.0, gamma=1.0, zeta=1.0, 'group', inv_temperature=1., and log(p + 1e-8).
    assertEquals(
        QuantizerOptions.builder(18)
            .groupSize(9)
            .commitmentWeight(0)
            .sampleEntropyWeight(1)
            .diversityGamma(1)
            .entropyLossWeight(1)
            .entropyForm(EntropyForm.EXACT)
            .inverseTemperature(1)
            .dividedByInverseTemperature(true)
            .entropyFloor(EntropyFloor.add(1e-8))
            .commitment(Commitment.SQUARED_NORM)
            .straightThroughScale(1 / Math.sqrt(18))
            .build(),
        QuantizerOptions.bsqVit(18, 9));
  }

  @Test
  void lfqSphericalIsWhatItDoes() {
    assertEquals(
        QuantizerOptions.builder(10)
            .codebooks(4)
            .entropyLossWeight(0.1)
            .diversityGamma(1)
            .inverseTemperature(100)
            .entropyFloor(EntropyFloor.clamp(1e-5))
            .commitment(Commitment.SQUARE)
            .commitmentWeight(0)
            .build(),
        QuantizerOptions.lfqSpherical(10, 4));
  }

  @ParameterizedTest
  @ValueSource(ints = {Integer.MIN_VALUE, -1, 0, 4097, Integer.MAX_VALUE})
  void countsOutOfRange(int count) {
    assertRefused("codeDim is " + count + ", expected 1 to 4096", QuantizerOptions.builder(count));
    assertRefused(
        "codebooks is " + count + ", expected 1 to 1024",
        QuantizerOptions.builder(1).codebooks(count));
    assertRefused(
        "groupSize is " + count + ", expected 1 to 63",
        QuantizerOptions.builder(1).groupSize(count));
  }

  @Test
  void groupsThatMakeNoSense() {
    assertRefused(
        "groupSize is 9, which does not divide codeDim 13",
        QuantizerOptions.builder(13).groupSize(9));
    assertRefused(
        "groupSize is 26, which does not divide codeDim 13",
        QuantizerOptions.builder(13).groupSize(26));
    assertRefused("groupSize is 64, expected 1 to 63", QuantizerOptions.builder(128).groupSize(64));
  }

  @Test
  void theLargestCodes() {
    assertEquals(63, QuantizerOptions.of(63).groupSize());
    QuantizerOptions largest = QuantizerOptions.builder(4096).codebooks(1024).groupSize(32).build();
    assertEquals(1 << 22, largest.rowLength());
    assertEquals(128, largest.groups());
    assertEquals(1 << 17, largest.indicesPerRow());
    assertEquals(4096, QuantizerOptions.builder(4096).groupSize(1).build().groups());
    assertEquals(1, QuantizerOptions.of(4096).groups()); // which has no indices
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void numbersThatAreNotFinite(double value) {
    record Setter(
        String name,
        BiFunction<QuantizerOptions.Builder, Double, QuantizerOptions.Builder> function) {}
    for (Setter setter :
        List.of(
            new Setter("entropyLossWeight", QuantizerOptions.Builder::entropyLossWeight),
            new Setter("sampleEntropyWeight", QuantizerOptions.Builder::sampleEntropyWeight),
            new Setter("diversityGamma", QuantizerOptions.Builder::diversityGamma),
            new Setter("positiveOffset", QuantizerOptions.Builder::positiveOffset),
            new Setter("commitmentWeight", QuantizerOptions.Builder::commitmentWeight),
            new Setter("straightThroughScale", QuantizerOptions.Builder::straightThroughScale))) {
      assertRefused(
          setter.name() + " is " + value + ", expected a finite number",
          setter.function().apply(QuantizerOptions.builder(1), value));
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, -1e-300, -1, 1.1e30, Double.POSITIVE_INFINITY})
  void inverseTemperatureOutOfRange(double value) {
    assertRefused(
        "inverseTemperature is " + value + ", expected 0 to 1.0E30",
        QuantizerOptions.builder(1).inverseTemperature(value));
  }

  @ParameterizedTest
  @CsvSource({"0, 0.1", "0, 0", "1e-320, 0.1", "1e-200, 1e200"})
  void divisionByAnInverseTemperatureThatIsTooSmall(double inverseTemperature, double weight) {
    assertRefused(
        ("dividedByInverseTemperature is set, but entropyLossWeight %s divided by"
                + " inverseTemperature %s is not finite")
            .formatted(weight, inverseTemperature),
        QuantizerOptions.builder(1)
            .dividedByInverseTemperature(true)
            .entropyLossWeight(weight)
            .inverseTemperature(inverseTemperature));
    // Without the division it is fine.
    QuantizerOptions.builder(1)
        .entropyLossWeight(weight)
        .inverseTemperature(inverseTemperature)
        .build();
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, -0.5, 0, 1.0000001, Double.POSITIVE_INFINITY})
  void entropyFractionOutOfRange(double value) {
    assertRefused(
        "entropyFraction is " + value + ", expected above 0, up to 1",
        QuantizerOptions.builder(1).entropyFraction(value));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, -1e-5, 0, 9e-31, 0.11, Double.POSITIVE_INFINITY})
  void floorsOutOfRange(double epsilon) {
    String message = "epsilon is " + epsilon + ", expected 1.0E-30 to 0.1";
    for (Function<Double, EntropyFloor> floor :
        List.<Function<Double, EntropyFloor>>of(EntropyFloor::clamp, EntropyFloor::add)) {
      assertEquals(
          message,
          assertThrows(IllegalArgumentException.class, () -> floor.apply(epsilon)).getMessage());
    }
  }

  @Test
  void nullIsRefused() {
    QuantizerOptions.Builder builder = QuantizerOptions.builder(1);
    assertNull("entropyForm", builder.entropyForm(null));
    builder.entropyForm(EntropyForm.EXACT);
    assertNull("entropyFloor", builder.entropyFloor(null));
    builder.entropyFloor(EntropyFloor.clamp(0.1));
    assertNull("commitment", builder.commitment(null));
    builder.commitment(Commitment.SQUARE);
    assertNull("nonFinitePolicy", builder.nonFinitePolicy(null));
    builder.nonFinitePolicy(NonFinitePolicy.REFUSE);
    assertNull("implementation", builder.implementation(null));
  }

  private static void assertNull(String name, QuantizerOptions.Builder builder) {
    assertEquals(name, assertThrows(NullPointerException.class, builder::build).getMessage());
  }

  private static void assertRefused(String message, QuantizerOptions.Builder builder) {
    assertEquals(
        message, assertThrows(IllegalArgumentException.class, builder::build).getMessage());
  }
}
