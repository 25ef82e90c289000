package io.github.bsq4j.parity;

import io.github.bsq4j.HostQuantization;

/**
 * The quantizer's operations on numbers in arrays, row-major, through one path and in one element
 * type. Numbers go into that type and come out of it without a loss: double holds all types.
 * Exceptions are those of {@link io.github.bsq4j.BinarySphericalQuantizer}.
 */
public interface PathQuantizer {
  /** The index of each row. */
  long[] encode(double[] x);

  /** The code of each index. */
  double[] decode(long[] indices);

  /** The quantized rows, their indices and the losses. */
  HostQuantization<double[]> forward(double[] x);

  /** The gradient of {@code <gradQuantized, quantized> + gradAuxLoss · auxLoss}. */
  double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss);

  /** The gradient of {@code gradAuxLoss · auxLoss}. */
  double[] backward(double[] x, double gradAuxLoss);

  /** Codes from bits, whole rows of them. */
  double[] bitsToCodes(double[] bits);

  /** The index of each code. */
  long[] codesToIndices(double[] codes);
}
