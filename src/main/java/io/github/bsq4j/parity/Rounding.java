package io.github.bsq4j.parity;

import io.github.bsq4j.DType;

/**
 * What rounding a result to its type may add to its error. For float32 and float64 that is nothing:
 * their tolerances contain it.
 *
 * @param precision the bits of a significand; 0 for nothing added
 * @param minExponent below 2 to this power, numbers are as far apart as there
 * @param overflow the least magnitude that becomes an infinity
 */
record Rounding(int precision, int minExponent, double overflow) {
  /** Nothing: for losses, which are of no such type, too. */
  static final Rounding NONE = new Rounding(0, 0, Double.POSITIVE_INFINITY);

  private static final Rounding FLOAT16 = new Rounding(11, -14, 0x1.FFEp15);
  private static final Rounding BFLOAT16 = new Rounding(8, -126, 0x1.FFp127);

  static Rounding of(DType dtype) {
    return switch (dtype) {
      case FLOAT16 -> FLOAT16;
      case BFLOAT16 -> BFLOAT16;
      default -> NONE;
    };
  }

  /**
   * The error of a result as a fraction of what is allowed before rounding, at most {@link
   * Double#MAX_VALUE}. Rounding may add half a unit in the last place, or make an infinity of what
   * is large enough for that.
   */
  double fraction(double actual, double expected, double allowed) {
    double largest = Math.abs(expected) + allowed;
    boolean bothNan = Double.isNaN(expected) && Double.isNaN(actual);
    boolean overflown =
        (actual == Double.POSITIVE_INFINITY && expected + allowed >= overflow)
            || (actual == Double.NEGATIVE_INFINITY && expected - allowed <= -overflow);
    double error = Math.abs(actual - expected) - halfUlp(largest);
    if (bothNan || actual == expected || overflown || error <= 0) {
      return 0;
    }
    double fraction = error / allowed;
    return Double.isNaN(fraction) ? Double.MAX_VALUE : Math.min(fraction, Double.MAX_VALUE);
  }

  private double halfUlp(double value) {
    return precision == 0
        ? 0
        : Math.scalb(1.0, Math.max(Math.getExponent(value), minExponent) - precision);
  }
}
