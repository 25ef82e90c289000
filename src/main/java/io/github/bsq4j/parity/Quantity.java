package io.github.bsq4j.parity;

import io.github.bsq4j.Losses;

/** What a field of a golden case may hold. */
enum Quantity {
  /** The index of each group of each code. */
  INDICES(Kind.COUNTS),
  /** The index of each code as a whole. */
  UNGROUPED_INDICES(Kind.COUNTS),
  /** How many rows count. */
  ROWS(Kind.COUNTS),
  /** The quantized vectors. */
  QUANTIZED(Kind.VECTORS),
  /** What the indices decode to. */
  DECODED(Kind.VECTORS),
  AUX_LOSS(Kind.LOSS),
  PER_SAMPLE_ENTROPY(Kind.LOSS),
  CODEBOOK_ENTROPY(Kind.LOSS),
  ENTROPY_LOSS(Kind.LOSS),
  COMMITMENT(Kind.LOSS),
  /** The gradient of the cotangent times the quantized vectors. */
  GRAD_QUANT(Kind.GRADIENT),
  /** The gradient of the auxiliary loss. */
  GRAD_AUX(Kind.GRADIENT);

  /** How two values compare. */
  enum Kind {
    /** Integers that must be equal. */
    COUNTS,
    VECTORS,
    LOSS,
    GRADIENT
  }

  private final Kind kind;

  Quantity(Kind kind) {
    this.kind = kind;
  }

  Kind kind() {
    return kind;
  }

  /** This term of the losses. */
  double of(Losses losses) {
    return switch (this) {
      case AUX_LOSS -> losses.auxLoss();
      case PER_SAMPLE_ENTROPY -> losses.perSampleEntropy();
      case CODEBOOK_ENTROPY -> losses.codebookEntropy();
      case ENTROPY_LOSS -> losses.entropyLoss();
      case COMMITMENT -> losses.commitment();
      default -> throw new IllegalStateException(this + " is no loss");
    };
  }

  /** How far this term of the losses may be off. */
  double allowed(Tolerance tolerance, double expected) {
    double absolute =
        switch (this) {
          case AUX_LOSS -> tolerance.auxLossAbsolute();
          case PER_SAMPLE_ENTROPY, CODEBOOK_ENTROPY -> tolerance.entropyAbsolute();
          case ENTROPY_LOSS -> tolerance.entropyLossAbsolute();
          case COMMITMENT -> tolerance.commitmentAbsolute();
          default -> throw new IllegalStateException(this + " is no loss");
        };
    return absolute + tolerance.scalarRelative() * Math.abs(expected);
  }
}
