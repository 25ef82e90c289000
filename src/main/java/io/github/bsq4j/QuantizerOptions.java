package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

/**
 * What a {@link BinarySphericalQuantizer} computes. Immutable. Names and defaults are those of
 * SpeechBrain's {@code BinarySphericalQuantizer}.
 *
 * @param codeDim D, the number of components of a vector and of bits of a code: 1 to {@value
 *     #MAX_CODE_DIM}, and to {@value #MAX_LOSS_CODE_DIM} where losses are computed
 * @param entropyLossWeight the factor of the whole auxiliary loss; finite; 0.1 by default
 * @param diversityGamma the weight of the codebook entropy within it; finite; 1 by default
 * @param inverseTemperature β of the softmax over codes that the losses are made of: 0 to 1e30; 100
 *     by default
 * @param nonFinitePolicy what happens to rows with NaN or infinities; refused by default
 * @param implementation what computes; automatic by default
 */
public record QuantizerOptions(
    int codeDim,
    double entropyLossWeight,
    double diversityGamma,
    double inverseTemperature,
    NonFinitePolicy nonFinitePolicy,
    Implementation implementation) {

  /** The largest number of bits whose index fits into a non-negative {@code long}. */
  public static final int MAX_CODE_DIM = 63;

  /** The largest {@code codeDim} with losses: these need memory for 2<sup>codeDim</sup> numbers. */
  public static final int MAX_LOSS_CODE_DIM = 24;

  private static final double MAX_INVERSE_TEMPERATURE = 1e30;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is out of range; the message names it
   */
  public QuantizerOptions {
    if (codeDim < 1 || codeDim > MAX_CODE_DIM) {
      throw refused("codeDim", codeDim, "1 to " + MAX_CODE_DIM);
    }
    requireFinite("entropyLossWeight", entropyLossWeight);
    requireFinite("diversityGamma", diversityGamma);
    if (!(inverseTemperature >= 0 && inverseTemperature <= MAX_INVERSE_TEMPERATURE)) {
      throw refused("inverseTemperature", inverseTemperature, "0 to " + MAX_INVERSE_TEMPERATURE);
    }
    requireNonNull(nonFinitePolicy, "nonFinitePolicy");
    requireNonNull(implementation, "implementation");
  }

  /** Options with the reference's defaults. */
  public static QuantizerOptions of(int codeDim) {
    return builder(codeDim).build();
  }

  /** A builder that starts with the reference's defaults. */
  public static Builder builder(int codeDim) {
    return new Builder(codeDim);
  }

  /** A builder that starts with these options. */
  public Builder toBuilder() {
    return new Builder(codeDim)
        .entropyLossWeight(entropyLossWeight)
        .diversityGamma(diversityGamma)
        .inverseTemperature(inverseTemperature)
        .nonFinitePolicy(nonFinitePolicy)
        .implementation(implementation);
  }

  private static void requireFinite(String name, double value) {
    if (!Double.isFinite(value)) {
      throw refused(name, value, "a finite number");
    }
  }

  private static IllegalArgumentException refused(String name, Number value, String expected) {
    return new IllegalArgumentException(name + " is " + value + ", expected " + expected);
  }

  /** Sets options by name. Not thread-safe. Values are checked by {@link #build()}. */
  public static final class Builder {
    private final int codeDim;
    private double entropyLossWeight = 0.1;
    private double diversityGamma = 1.0;
    private double inverseTemperature = 100.0;
    private NonFinitePolicy nonFinitePolicy = NonFinitePolicy.REFUSE;
    private Implementation implementation = Implementation.AUTOMATIC;

    private Builder(int codeDim) {
      this.codeDim = codeDim;
    }

    /** Sets {@link QuantizerOptions#entropyLossWeight}. */
    public Builder entropyLossWeight(double value) {
      entropyLossWeight = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#diversityGamma}. */
    public Builder diversityGamma(double value) {
      diversityGamma = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#inverseTemperature}. */
    public Builder inverseTemperature(double value) {
      inverseTemperature = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#nonFinitePolicy}. */
    public Builder nonFinitePolicy(NonFinitePolicy value) {
      nonFinitePolicy = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#implementation}. */
    public Builder implementation(Implementation value) {
      implementation = value;
      return this;
    }

    /**
     * The options.
     *
     * @throws IllegalArgumentException if a value is out of range; the message names it
     */
    public QuantizerOptions build() {
      return new QuantizerOptions(
          codeDim,
          entropyLossWeight,
          diversityGamma,
          inverseTemperature,
          nonFinitePolicy,
          implementation);
    }
  }
}
