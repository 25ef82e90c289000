package io.github.bsq4j.parity;

import io.github.bsq4j.DType;

/**
 * How far a result may be from the reference's. A scalar v may differ by {@code scalarAbsolute +
 * scalarRelative · |v|}. Gradients are compared as gradients with respect to the unit vector, since
 * d/dx scales with 1/‖x‖: with n = max(‖row‖, 1e-12), {@code n · |Δ| ≤ gradientAbsolute +
 * gradientRelative · (largest n · |gradient| in the row)}. Indices must be equal.
 */
record Tolerance(
    double quantizedAbsolute,
    double scalarAbsolute,
    double scalarRelative,
    double gradientAbsolute,
    double gradientRelative) {

  /** What the golden files are held to: mostly the reference's own rounding in float32. */
  private static final Tolerance FLOAT32 = new Tolerance(1e-6, 2e-6, 2e-5, 1e-6, 2e-4);

  /** Rounding in float64, summed up over 2^16 codes. */
  private static final Tolerance FLOAT64 = new Tolerance(1e-15, 1e-10, 1e-9, 1e-10, 1e-9);

  static Tolerance of(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> FLOAT32;
      case FLOAT64 -> FLOAT64;
    };
  }

  double scalar(double expected) {
    return scalarAbsolute + scalarRelative * Math.abs(expected);
  }

  /** For n · |Δ| in a row, from the row's largest n · |gradient|. */
  double gradient(double largest) {
    return gradientAbsolute + gradientRelative * largest;
  }
}
