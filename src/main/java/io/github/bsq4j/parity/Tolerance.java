package io.github.bsq4j.parity;

import io.github.bsq4j.DType;

/**
 * How far a result may be from the reference's. A scalar v may differ by its absolute term plus
 * {@code scalarRelative · |v|}. Gradients are compared as gradients with respect to the unit
 * vector, since d/dx scales with 1/‖x‖: with n = max(‖code‖, 1e-12), {@code n · |Δ| ≤
 * gradientAbsolute + gradientRelative · (largest n · |gradient| in the code)}. A code is a row, or
 * the part of it that is one codebook's. Indices must be equal. Rounding to a 16-bit type comes on
 * top: see {@link Rounding}.
 *
 * <p>The absolute terms of the defaults hold for the usual parameters. Where rounding alone exceeds
 * them, as it does at high inverse temperatures, a case carries its own; src/test/python/parity.py
 * derives them.
 */
record Tolerance(
    double quantizedAbsolute,
    double auxLossAbsolute,
    double entropyLossAbsolute,
    double entropyAbsolute,
    double commitmentAbsolute,
    double scalarRelative,
    double gradientAbsolute,
    double gradientRelative) {

  /** What the golden files are held to: mostly the reference's own rounding in float32. */
  private static final Tolerance FLOAT32 =
      new Tolerance(1e-6, 2e-6, 2e-6, 2e-6, 2e-6, 2e-5, 1e-6, 2e-4);

  /** Rounding in float64. */
  private static final Tolerance FLOAT64 =
      new Tolerance(1e-15, 1e-10, 1e-10, 1e-10, 1e-10, 1e-9, 1e-10, 1e-9);

  static Tolerance of(DType dtype) {
    return switch (dtype) {
      case FLOAT32, FLOAT16, BFLOAT16 -> FLOAT32; // all computed in float32
      case FLOAT64 -> FLOAT64;
      case INT64, INT32, UINT8 ->
          throw new IllegalArgumentException(dtype + " is no floating-point type");
    };
  }

  /** For n · |Δ| in a code, from the code's largest n · |gradient|. */
  double gradient(double largest) {
    return gradientAbsolute + gradientRelative * largest;
  }
}
