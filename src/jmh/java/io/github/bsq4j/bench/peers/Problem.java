package io.github.bsq4j.bench.peers;

import java.util.SplittableRandom;

/**
 * What a peer is to compute.
 *
 * @param codeDim the number of bits of a code
 * @param inverseTemperature β of the softmax over codes
 * @param threads how many threads to compute with
 * @param x {@code [rows, codeDim]}
 * @param gradQuantized {@code [rows, codeDim]}, the gradient of the quantized rows
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier, nobody compares two of them
record Problem(
    int codeDim, double inverseTemperature, int threads, float[] x, float[] gradQuantized) {
  /** The weight of the auxiliary loss, and of the codebook entropy in it: the defaults. */
  static final double ENTROPY_LOSS_WEIGHT = 0.1;

  /** The lower bound of a probability inside the logarithm. */
  static final float EPSILON = 1e-5f;

  /** The lower bound of a norm. */
  static final float LEAST_NORM = 1e-12f;

  private static final long SEED = 20250101;

  /** Normal numbers, the same ones each time. */
  static Problem random(int codeDim, int rows, double inverseTemperature, int threads) {
    SplittableRandom random = new SplittableRandom(SEED);
    return new Problem(
        codeDim,
        inverseTemperature,
        threads,
        normal(random, rows * codeDim),
        normal(random, rows * codeDim));
  }

  private static float[] normal(SplittableRandom random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  int rows() {
    return x.length / codeDim;
  }

  int codeCount() {
    return 1 << codeDim;
  }

  /**
   * The gradient of the auxiliary loss. It is a mean over rows: so both gradients weigh alike in
   * that of x, and a wrong one of either shows.
   */
  double gradAuxLoss() {
    return rows();
  }

  /**
   * The component of a code, ±1/√codeDim: bit 1 gives the positive one. Component 0 is the most
   * significant bit.
   */
  float codeComponent(long code, int component) {
    float size = (float) (1 / Math.sqrt(codeDim));
    return (code >> (codeDim - 1 - component) & 1) == 1 ? size : -size;
  }

  /** All codes, a column each: {@code [codeDim, codeCount]}. */
  float[] codeColumns() {
    float[] columns = new float[codeDim * codeCount()];
    for (int d = 0; d < codeDim; d++) {
      for (int code = 0; code < codeCount(); code++) {
        columns[d * codeCount() + code] = codeComponent(code, d);
      }
    }
    return columns;
  }

  /** What each component's bit adds to the index. */
  long[] placeValues() {
    long[] values = new long[codeDim];
    for (int d = 0; d < codeDim; d++) {
      values[d] = 1L << (codeDim - 1 - d);
    }
    return values;
  }
}
