package io.github.bsq4j.bench.peers;

import java.util.Arrays;

/**
 * What a peer computes for a problem.
 *
 * @param indices {@code [rows]}
 * @param auxLoss the auxiliary loss
 * @param gradX {@code [rows, codeDim]}
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier, nobody compares two of them
record Answer(long[] indices, double auxLoss, float[] gradX) {
  /**
   * Of the loss, relative to it or, where its two entropies cancel, to the weight of a nat. It is
   * 0, exactly, for one row.
   */
  private static final double LOSS_TOLERANCE = 1e-4;

  /** Of the gradient, relative to its length. */
  private static final double GRADIENT_TOLERANCE = 1e-3;

  void requireIndices(long[] theirs) {
    if (!Arrays.equals(indices, theirs)) {
      throw new WrongAnswerException(
          "other indices, the first at row %d".formatted(Arrays.mismatch(indices, theirs)));
    }
  }

  void requireAuxLoss(double theirs) {
    double scale = Math.max(Math.abs(auxLoss), Problem.ENTROPY_LOSS_WEIGHT);
    if (!(Math.abs(theirs - auxLoss) <= LOSS_TOLERANCE * scale)) { // so that NaN is wrong, too
      throw new WrongAnswerException("aux loss %s, expected %s".formatted(theirs, auxLoss));
    }
  }

  void requireGradX(float[] theirs) {
    double difference = 0;
    double length = 0;
    for (int i = 0; i < gradX.length; i++) {
      difference = Math.hypot(difference, theirs[i] - gradX[i]);
      length = Math.hypot(length, gradX[i]);
    }
    if (!(difference <= GRADIENT_TOLERANCE * length)) {
      throw new WrongAnswerException(
          "a gradient that is off by %.3g of its length".formatted(difference / length));
    }
  }
}
