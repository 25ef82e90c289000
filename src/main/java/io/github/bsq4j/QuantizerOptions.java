package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * What a {@link BinarySphericalQuantizer} computes. Immutable. All options compose; the defaults
 * are those of SpeechBrain's {@code BinarySphericalQuantizer}, and presets set what other projects
 * do.
 *
 * <p><b>Codes.</b> A row has {@code codebooks} = K codes of {@code codeDim} = D components, each of
 * which is normalised by itself, u = x / max(‖x‖, 1e-12), and quantized to the corner q of the
 * hypercube {-1/√D, +1/√D}<sup>D</sup> that shares its signs. Every {@code groupSize} = g
 * consecutive bits of a code make up one index: there are K·G in a row, G = D / g.
 *
 * <p><b>Losses.</b> Each group's components are compared with all 2<sup>g</sup> corners of theirs:
 * p(c|u) = softmax<sub>c</sub>(2·{@code inverseTemperature}·u·c). With H the entropy, in natural
 * logarithms with the {@code entropyFloor}, and all means over the rows that count (see {@link
 * Batch}):
 *
 * <ul>
 *   <li>perSampleEntropy = the mean over rows and codebooks of the sum over groups of H(p);
 *   <li>codebookEntropy = the mean over codebooks of the sum over groups of H(mean over rows of p);
 *   <li>commitment = the mean over rows and codebooks of ‖u - q‖², or that divided by D;
 *   <li>entropyLoss = {@code sampleEntropyWeight} · perSampleEntropy - {@code diversityGamma} ·
 *       codebookEntropy, or log(1 + exp(that + {@code positiveOffset}));
 *   <li>auxLoss = {@code entropyLossWeight} · entropyLoss + {@code commitmentWeight} · commitment,
 *       the first divided by {@code inverseTemperature} if {@code dividedByInverseTemperature}.
 * </ul>
 *
 * <p>With a single group and codebook the entropies are those of SpeechBrain's module (Della
 * Libera, 2025). Groups, additive floors and the commitment's norm are those of BSQ-ViT (Zhao,
 * Xiong, Krähenbühl: Image and Video Tokenization with Binary Spherical Quantization,
 * arXiv:2406.07548); codebooks, the commitment's square, softplus and the drawing of rows those of
 * lucidrains' LFQ with {@code spherical=True} (vector-quantize-pytorch). Sums over groups are
 * another formula than the entropy of the whole code, whose codebook entropy they bound from above:
 * nothing is grouped unless {@code groupSize} says so.
 *
 * @param codeDim D, the number of components and bits of a code: 1 to {@value #MAX_CODE_DIM}
 * @param codebooks K, the number of codes of a row, side by side: 1 to {@value #MAX_CODEBOOKS}; 1
 *     by default
 * @param groupSize g, the number of bits of an index: 1 to {@value #MAX_GROUP_SIZE}, a divisor of
 *     {@code codeDim}, and {@code codeDim} itself by default. Where that is larger, codes have no
 *     indices, and can be packed alone. For exact losses up to {@value #MAX_LOSS_CODE_DIM}, and up
 *     to {@value #MAX_LOSS_GROUP_SIZE} if there are several groups
 * @param inverseTemperature β of the softmax over codes that the losses are made of: 0 to 1e30; 100
 *     by default
 * @param entropyForm which distributions the entropies are of; exactly the groups' by default
 * @param entropyFloor what keeps logarithms from that of 0; {@code log max(p, 1e-5)} by default
 * @param entropyLossWeight the factor of the entropy loss, BSQ-ViT's ζ; finite; 0.1 by default
 * @param sampleEntropyWeight the weight of the per-sample entropy within the entropy loss,
 *     BSQ-ViT's γ0; finite; 1 by default
 * @param diversityGamma the weight of the codebook entropy within the entropy loss, BSQ-ViT's γ;
 *     finite; 1 by default
 * @param dividedByInverseTemperature whether the entropy loss is divided by the inverse
 *     temperature, which is then not 0, as BSQ-ViT does; false by default
 * @param positiveOffset the offset with which the entropy loss goes through softplus, which makes
 *     it positive, as LFQ can do (with 5); finite; none by default, and the loss as it is
 * @param entropyFraction the share of the rows that count which the entropies are of: above 0, up
 *     to 1, which is the default. At least one row is drawn, at random, without replacement
 * @param entropySeed chooses the rows that are drawn: the same seed draws the same ones of as many
 *     rows, on every device; any; 0 by default
 * @param commitment what the commitment is the mean of; the squared norm by default
 * @param commitmentWeight the weight of the commitment within the auxiliary loss, BSQ-ViT's β;
 *     finite; 0 by default, and the commitment is then not computed
 * @param straightThroughScale the factor of the gradient that goes straight through the signs;
 *     finite; 1 by default. 1/√codeDim is what comes out where codes are scaled after that step
 * @param channelFirst whether vectors come as {@code [items, codebooks·codeDim, positions]} rather
 *     than {@code [items, positions, codebooks·codeDim]}: read and written where they are; false by
 *     default
 * @param convention the order of the bits, the bit of 0, and the values and bytes of codes;
 *     SpeechBrain's by default
 * @param nonFinitePolicy what happens to rows with NaN or infinities; refused by default
 * @param implementation what computes; automatic by default
 */
public record QuantizerOptions(
    int codeDim,
    int codebooks,
    int groupSize,
    double inverseTemperature,
    EntropyForm entropyForm,
    EntropyFloor entropyFloor,
    double entropyLossWeight,
    double sampleEntropyWeight,
    double diversityGamma,
    boolean dividedByInverseTemperature,
    OptionalDouble positiveOffset,
    double entropyFraction,
    long entropySeed,
    Commitment commitment,
    double commitmentWeight,
    double straightThroughScale,
    boolean channelFirst,
    Convention convention,
    NonFinitePolicy nonFinitePolicy,
    Implementation implementation) {

  /** The largest number of components of a code. */
  public static final int MAX_CODE_DIM = 4096;

  /** The largest number of codes of a row. */
  public static final int MAX_CODEBOOKS = 1024;

  /** The largest number of bits whose index fits into a non-negative {@code long}. */
  public static final int MAX_GROUP_SIZE = 63;

  /**
   * The largest {@code codeDim} with exact losses where it is one group: these need memory for
   * 2<sup>codeDim</sup> numbers.
   */
  public static final int MAX_LOSS_CODE_DIM = 24;

  /** The largest {@code groupSize} with exact losses where there are several groups. */
  public static final int MAX_LOSS_GROUP_SIZE = 16;

  private static final double MAX_INVERSE_TEMPERATURE = 1e30;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is out of range, or several make no sense together; the
   *     message names them
   */
  public QuantizerOptions {
    requireRange("codeDim", codeDim, MAX_CODE_DIM);
    requireRange("codebooks", codebooks, MAX_CODEBOOKS);
    requireGroupSize(groupSize, codeDim);
    if (!(inverseTemperature >= 0 && inverseTemperature <= MAX_INVERSE_TEMPERATURE)) {
      throw refused("inverseTemperature", inverseTemperature, "0 to " + MAX_INVERSE_TEMPERATURE);
    }
    requireNonNull(entropyForm, "entropyForm");
    requireNonNull(entropyFloor, "entropyFloor");
    requireFinite("entropyLossWeight", entropyLossWeight);
    requireFinite("sampleEntropyWeight", sampleEntropyWeight);
    requireFinite("diversityGamma", diversityGamma);
    if (dividedByInverseTemperature && !Double.isFinite(entropyLossWeight / inverseTemperature)) {
      throw new IllegalArgumentException(
          ("dividedByInverseTemperature is set, but entropyLossWeight %s divided by"
                  + " inverseTemperature %s is not finite")
              .formatted(entropyLossWeight, inverseTemperature));
    }
    requireNonNull(positiveOffset, "positiveOffset");
    requireFinite("positiveOffset", positiveOffset.orElse(0));
    if (!(entropyFraction > 0 && entropyFraction <= 1)) {
      throw refused("entropyFraction", entropyFraction, "above 0, up to 1");
    }
    requireNonNull(commitment, "commitment");
    requireFinite("commitmentWeight", commitmentWeight);
    requireFinite("straightThroughScale", straightThroughScale);
    requireNonNull(convention, "convention");
    requireNonNull(nonFinitePolicy, "nonFinitePolicy");
    requireNonNull(implementation, "implementation");
  }

  // Presets

  /** Options with the defaults of SpeechBrain's {@code BinarySphericalQuantizer}. */
  public static QuantizerOptions of(int codeDim) {
    return builder(codeDim).build();
  }

  /** What SpeechBrain's {@code BinarySphericalQuantizer(codeDim)} does: the defaults. */
  public static QuantizerOptions speechBrain(int codeDim) {
    return of(codeDim);
  }

  /**
   * What BSQ-ViT's {@code VITBSQModel} does with {@code l2_norm=True} and {@code
   * post_q_l2_norm=True}: groups, {@code log(p + 1e-8)}, inverse temperature 1, weights 1, no
   * commitment, and a straight-through gradient that is scaled as the codes are, by 1/√codeDim.
   * BSQ-ViT's default for {@code embed_group_size} is 9.
   */
  public static QuantizerOptions bsqVit(int codeDim, int groupSize) {
    return builder(codeDim)
        .groupSize(groupSize)
        .inverseTemperature(1)
        .entropyFloor(EntropyFloor.add(1e-8))
        .entropyLossWeight(1)
        .dividedByInverseTemperature(true)
        .straightThroughScale(1 / Math.sqrt(codeDim))
        .build();
  }

  /**
   * What lucidrains' {@code LFQ(codebook_size=2**codeDim, num_codebooks=codebooks, spherical=True)}
   * does while training: the entropies of each codebook, their means, and the square as the
   * commitment, whose weight is 0 by default.
   */
  public static QuantizerOptions lfqSpherical(int codeDim, int codebooks) {
    return builder(codeDim).codebooks(codebooks).commitment(Commitment.SQUARE).build();
  }

  /** A builder that starts with the defaults. */
  public static Builder builder(int codeDim) {
    return new Builder(codeDim);
  }

  /** A builder that starts with these options. */
  public Builder toBuilder() {
    Builder builder = new Builder(codeDim);
    builder.codebooks = codebooks;
    builder.groupSize = OptionalInt.of(groupSize);
    builder.inverseTemperature = inverseTemperature;
    builder.entropyForm = entropyForm;
    builder.entropyFloor = entropyFloor;
    builder.entropyLossWeight = entropyLossWeight;
    builder.sampleEntropyWeight = sampleEntropyWeight;
    builder.diversityGamma = diversityGamma;
    builder.dividedByInverseTemperature = dividedByInverseTemperature;
    builder.positiveOffset = positiveOffset;
    builder.entropyFraction = entropyFraction;
    builder.entropySeed = entropySeed;
    builder.commitment = commitment;
    builder.commitmentWeight = commitmentWeight;
    builder.straightThroughScale = straightThroughScale;
    builder.channelFirst = channelFirst;
    builder.convention = convention;
    builder.nonFinitePolicy = nonFinitePolicy;
    builder.implementation = implementation;
    return builder;
  }

  // What follows from the options

  /** G: the number of groups of bits, and of indices, of a code. */
  public int groups() {
    return codeDim / groupSize;
  }

  /** The number of components of a row: those of all its codes. */
  public int rowLength() {
    return codebooks * codeDim;
  }

  /** The number of indices of a row: those of all groups of all its codes. */
  public int indicesPerRow() {
    return codebooks * groups();
  }

  /**
   * Makes sure that losses are served.
   *
   * @throws BsqException if they would take too much memory; the message names the option
   */
  void requireLosses() {
    if (groupSize <= MAX_LOSS_GROUP_SIZE || entropyForm == EntropyForm.ANALYTICAL) {
      return;
    }
    if (groups() == 1 && groupSize > MAX_LOSS_CODE_DIM) {
      throw new BsqException(
          BsqException.Code.UNSUPPORTED,
          ("codeDim is %d: the codebook entropy needs memory for 2^codeDim numbers and is computed"
                  + " up to codeDim %d; for larger codes use encode and decode, or another"
                  + " formula: groupSize, or EntropyForm.ANALYTICAL")
              .formatted(codeDim, MAX_LOSS_CODE_DIM));
    }
    if (groups() > 1) {
      throw new BsqException(
          BsqException.Code.UNSUPPORTED,
          ("groupSize is %d: the codebook entropy needs memory for 2^groupSize numbers for each"
                  + " group and is computed up to groupSize %d; for larger ones use encode and"
                  + " decode, or another formula: EntropyForm.ANALYTICAL")
              .formatted(groupSize, MAX_LOSS_GROUP_SIZE));
    }
  }

  /** Whether the bits of a group fit into an index. */
  boolean hasIndices() {
    return groupSize <= MAX_GROUP_SIZE;
  }

  /**
   * Makes sure that codes have indices.
   *
   * @throws IllegalArgumentException if they have too many bits
   */
  void requireIndices() {
    if (!hasIndices()) {
      throw new IllegalArgumentException(
          ("codeDim is %d, but an index has at most %d bits: set groupSize, for an index of each"
                  + " group, or pack the bits")
              .formatted(codeDim, MAX_GROUP_SIZE));
    }
  }

  private static void requireGroupSize(int groupSize, int codeDim) {
    if (groupSize == codeDim) {
      return;
    }
    requireRange("groupSize", groupSize, MAX_GROUP_SIZE);
    if (codeDim % groupSize != 0) {
      throw new IllegalArgumentException(
          "groupSize is %d, which does not divide codeDim %d".formatted(groupSize, codeDim));
    }
  }

  private static void requireRange(String name, int value, int last) {
    if (value < 1 || value > last) {
      throw refused(name, value, "1 to " + last);
    }
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
    private int codebooks = 1;
    private OptionalInt groupSize = OptionalInt.empty();
    private double inverseTemperature = 100.0;
    private EntropyForm entropyForm = EntropyForm.EXACT;
    private EntropyFloor entropyFloor = EntropyFloor.clamp(1e-5);
    private double entropyLossWeight = 0.1;
    private double sampleEntropyWeight = 1.0;
    private double diversityGamma = 1.0;
    private boolean dividedByInverseTemperature;
    private OptionalDouble positiveOffset = OptionalDouble.empty();
    private double entropyFraction = 1.0;
    private long entropySeed;
    private Commitment commitment = Commitment.SQUARED_NORM;
    private double commitmentWeight;
    private double straightThroughScale = 1.0;
    private boolean channelFirst;
    private Convention convention = Convention.SPEECHBRAIN;
    private NonFinitePolicy nonFinitePolicy = NonFinitePolicy.REFUSE;
    private Implementation implementation = Implementation.AUTOMATIC;

    private Builder(int codeDim) {
      this.codeDim = codeDim;
    }

    /** Sets {@link QuantizerOptions#codebooks}. */
    public Builder codebooks(int value) {
      codebooks = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#groupSize}. */
    public Builder groupSize(int value) {
      groupSize = OptionalInt.of(value);
      return this;
    }

    /** Sets {@link QuantizerOptions#inverseTemperature}. */
    public Builder inverseTemperature(double value) {
      inverseTemperature = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#entropyForm}. */
    public Builder entropyForm(EntropyForm value) {
      entropyForm = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#entropyFloor}. */
    public Builder entropyFloor(EntropyFloor value) {
      entropyFloor = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#entropyLossWeight}. */
    public Builder entropyLossWeight(double value) {
      entropyLossWeight = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#sampleEntropyWeight}. */
    public Builder sampleEntropyWeight(double value) {
      sampleEntropyWeight = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#diversityGamma}. */
    public Builder diversityGamma(double value) {
      diversityGamma = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#dividedByInverseTemperature}. */
    public Builder dividedByInverseTemperature(boolean value) {
      dividedByInverseTemperature = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#positiveOffset}: the entropy loss goes through softplus. */
    public Builder positiveOffset(double value) {
      positiveOffset = OptionalDouble.of(value);
      return this;
    }

    /** Sets {@link QuantizerOptions#entropyFraction}. */
    public Builder entropyFraction(double value) {
      entropyFraction = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#entropySeed}. */
    public Builder entropySeed(long value) {
      entropySeed = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#commitment}. */
    public Builder commitment(Commitment value) {
      commitment = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#commitmentWeight}. */
    public Builder commitmentWeight(double value) {
      commitmentWeight = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#straightThroughScale}. */
    public Builder straightThroughScale(double value) {
      straightThroughScale = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#channelFirst}. */
    public Builder channelFirst(boolean value) {
      channelFirst = value;
      return this;
    }

    /** Sets {@link QuantizerOptions#convention}. */
    public Builder convention(Convention value) {
      convention = value;
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
     * @throws IllegalArgumentException if a value is out of range, or several make no sense
     *     together; the message names them
     */
    public QuantizerOptions build() {
      return new QuantizerOptions(
          codeDim,
          codebooks,
          groupSize.orElse(codeDim),
          inverseTemperature,
          entropyForm,
          entropyFloor,
          entropyLossWeight,
          sampleEntropyWeight,
          diversityGamma,
          dividedByInverseTemperature,
          positiveOffset,
          entropyFraction,
          entropySeed,
          commitment,
          commitmentWeight,
          straightThroughScale,
          channelFirst,
          convention,
          nonFinitePolicy,
          implementation);
    }
  }
}
