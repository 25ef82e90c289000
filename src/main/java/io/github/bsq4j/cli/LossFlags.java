package io.github.bsq4j.cli;

import io.github.bsq4j.Commitment;
import io.github.bsq4j.EntropyFloor;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.QuantizerOptions;
import java.util.Locale;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * The options of the losses on the command line: a preset, and what is other than in it. Commands
 * include it as a {@link Mixin}, beside {@link CodeFlags}.
 */
final class LossFlags {
  private static final double CLAMP_EPSILON = 1e-5;
  private static final double ADDED_EPSILON = 1e-8;

  /** Whose defaults hold for what is not given. */
  private enum Preset {
    SPEECHBRAIN,
    BSQ_VIT,
    LFQ;

    @Override
    public String toString() {
      return onCommandLine(this);
    }
  }

  private enum Floor {
    CLAMP,
    ADD;

    @Override
    public String toString() {
      return onCommandLine(this);
    }
  }

  private enum Distance {
    SQUARED_NORM(Commitment.SQUARED_NORM),
    SQUARE(Commitment.SQUARE);

    private final Commitment commitment;

    Distance(Commitment commitment) {
      this.commitment = commitment;
    }

    @Override
    public String toString() {
      return onCommandLine(this);
    }
  }

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      defaultValue = "speechbrain",
      description =
          "Whose defaults hold for what is not given: speechbrain, bsq-vit (which needs --groups)"
              + " or lfq. Default: ${DEFAULT-VALUE}, whose defaults are told here.")
  private Preset preset;

  @Option(
      names = "--inv-temperature",
      paramLabel = "B",
      description = "Inverse temperature of the losses (default: 100).")
  private Double inverseTemperature;

  @Option(
      names = "--entropy-loss-weight",
      paramLabel = "W",
      description = "Factor of the entropy loss in the auxiliary loss (default: 0.1).")
  private Double entropyLossWeight;

  @Option(
      names = "--sample-entropy-weight",
      paramLabel = "G0",
      description = "Weight of the per-sample entropy in the entropy loss (default: 1).")
  private Double sampleEntropyWeight;

  @Option(
      names = "--diversity-gamma",
      paramLabel = "G",
      description = "Weight of the codebook entropy in the entropy loss (default: 1).")
  private Double diversityGamma;

  @Option(
      names = "--divide-by-temperature",
      negatable = true,
      description = "Divide the entropy loss by the inverse temperature, as bsq-vit does.")
  private Boolean dividedByInverseTemperature;

  @Option(
      names = "--analytical",
      description = "Entropies of each bit, as if every group were one: code_dim up to 4096.")
  private boolean analytical;

  @Option(
      names = "--entropy-floor",
      paramLabel = "KIND",
      description =
          "What keeps the logarithm of a probability from 0: clamp, log(max(p, e)), or add,"
              + " log(p + e). Default: clamp.")
  private Floor floor;

  @Option(
      names = "--entropy-epsilon",
      paramLabel = "E",
      description = "The e of --entropy-floor: 1e-30 to 0.1 (default: 1e-5 to clamp, 1e-8 to add).")
  private Double epsilon;

  @Option(
      names = "--positive-offset",
      paramLabel = "O",
      description = "Make the entropy loss positive: log(1 + exp(loss + O)).")
  private Double positiveOffset;

  @Option(
      names = "--entropy-fraction",
      paramLabel = "F",
      description = "The share of the rows that the entropies are of, drawn at random.")
  private Double entropyFraction;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of --entropy-fraction: the same seed draws the same rows (default: 0).")
  private Long entropySeed;

  @Option(
      names = "--commitment-weight",
      paramLabel = "W",
      description =
          "Weight of the distance to the codes in the auxiliary loss (default: 0, which does not"
              + " compute it).")
  private Double commitmentWeight;

  @Option(
      names = "--commitment",
      paramLabel = "KIND",
      description =
          "The distance to the codes: squared-norm, of each code, or square, of each component."
              + " Default: squared-norm; with the preset lfq square.")
  private Distance commitment;

  /**
   * The quantizer's options.
   *
   * @throws InputException if the flags do not fit together
   * @throws IllegalArgumentException if a value is out of range
   */
  QuantizerOptions options(CodeFlags codes, int codeDim) {
    if (entropySeed != null && entropyFraction == null) {
      throw new InputException(
          "--seed is " + entropySeed + ", but nothing is drawn: expected --entropy-fraction, too");
    }
    QuantizerOptions.Builder builder = codes.set(preset(codes, codeDim).toBuilder(), codeDim);
    if (inverseTemperature != null) {
      builder.inverseTemperature(inverseTemperature);
    }
    if (entropyLossWeight != null) {
      builder.entropyLossWeight(entropyLossWeight);
    }
    if (sampleEntropyWeight != null) {
      builder.sampleEntropyWeight(sampleEntropyWeight);
    }
    if (diversityGamma != null) {
      builder.diversityGamma(diversityGamma);
    }
    if (dividedByInverseTemperature != null) {
      builder.dividedByInverseTemperature(dividedByInverseTemperature);
    }
    if (analytical) {
      builder.entropyForm(EntropyForm.ANALYTICAL);
    }
    setFloor(builder, codes, codeDim);
    if (positiveOffset != null) {
      builder.positiveOffset(positiveOffset);
    }
    if (entropyFraction != null) {
      builder.entropyFraction(entropyFraction);
    }
    if (entropySeed != null) {
      builder.entropySeed(entropySeed);
    }
    if (commitmentWeight != null) {
      builder.commitmentWeight(commitmentWeight);
    }
    if (commitment != null) {
      builder.commitment(commitment.commitment);
    }
    return builder.build();
  }

  /**
   * Makes sure that the losses of these options can be computed.
   *
   * @param where a prefix of the message
   * @param instead what else could be done, for the message
   */
  static void requireLosses(QuantizerOptions options, String where, String instead) {
    if (hasLosses(options)) {
      return;
    }
    String bits =
        options.groups() == 1
            ? "code_dim is " + options.codeDim()
            : "--groups " + options.groups() + " makes groups of " + options.groupSize() + " bits";
    int most =
        options.groups() == 1
            ? QuantizerOptions.MAX_LOSS_CODE_DIM
            : QuantizerOptions.MAX_LOSS_GROUP_SIZE;
    throw new InputException(
        where
            + bits
            + "; the losses need memory for 2^"
            + options.groupSize()
            + " numbers and are computed up to "
            + most
            + " bits; use "
            + instead
            + ", or another formula: more --groups, or --analytical");
  }

  /** Whether the losses of these options can be computed. */
  static boolean hasLosses(QuantizerOptions options) {
    int most =
        options.groups() == 1
            ? QuantizerOptions.MAX_LOSS_CODE_DIM
            : QuantizerOptions.MAX_LOSS_GROUP_SIZE;
    return options.entropyForm() == EntropyForm.ANALYTICAL || options.groupSize() <= most;
  }

  private QuantizerOptions preset(CodeFlags codes, int codeDim) {
    return switch (preset) {
      // With the group size that will be: codes of so many bits may have no other.
      case SPEECHBRAIN ->
          QuantizerOptions.builder(codeDim).groupSize(codes.groupSize(codeDim)).build();
      case BSQ_VIT -> {
        if (!codes.hasGroups()) {
          throw new InputException(
              "--preset is bsq-vit, which has groups; expected --groups, too: BSQ-ViT's own have 9"
                  + " bits, and code_dim is "
                  + codeDim);
        }
        yield QuantizerOptions.bsqVit(codeDim, codes.groupSize(codeDim));
      }
      case LFQ ->
          QuantizerOptions.builder(codeDim)
              .groupSize(codes.groupSize(codeDim))
              .commitment(Commitment.SQUARE)
              .build();
    };
  }

  private void setFloor(QuantizerOptions.Builder builder, CodeFlags codes, int codeDim) {
    if (floor == null && epsilon == null) {
      return;
    }
    EntropyFloor usual = preset(codes, codeDim).entropyFloor();
    boolean added = floor == null ? usual.kind() == EntropyFloor.Kind.ADD : floor == Floor.ADD;
    double e = epsilon != null ? epsilon : added ? ADDED_EPSILON : CLAMP_EPSILON;
    builder.entropyFloor(added ? EntropyFloor.add(e) : EntropyFloor.clamp(e));
  }

  private static String onCommandLine(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
