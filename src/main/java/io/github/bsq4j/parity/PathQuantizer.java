package io.github.bsq4j.parity;

import io.github.bsq4j.Batch;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.LossSums;

/**
 * The quantizer's operations on numbers in arrays, row-major, through one path and in one element
 * type. Numbers go into that type and come out of it without a loss: double holds all types.
 * Exceptions are those of {@link io.github.bsq4j.BinarySphericalQuantizer}.
 */
public interface PathQuantizer {
  /**
   * The same quantizer, in whose losses those rows count that count in this batch.
   *
   * @param batch of as many rows as x has in each call; its items and positions are those of x
   */
  PathQuantizer counting(Batch batch);

  /** The indices of each row. */
  long[] encode(double[] x);

  /** The codes of indices. */
  double[] decode(long[] indices);

  /** The quantized rows, their indices and the losses. */
  HostQuantization<double[]> forward(double[] x);

  /** What the losses are made of. */
  LossSums lossSums(double[] x);

  /** The gradient of {@code <gradQuantized, quantized> + gradAuxLoss · auxLoss}. */
  double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss);

  /** The gradient of {@code gradAuxLoss · auxLoss}. */
  double[] backward(double[] x, double gradAuxLoss);

  /** The gradient of {@code gradAuxLoss · auxLoss} of all rows that the sums are of. */
  double[] backward(double[] x, double gradAuxLoss, LossSums sums);

  /** Codes from bits, whole rows of them. */
  double[] bitsToCodes(double[] bits);

  /** The indices of codes. */
  long[] codesToIndices(double[] codes);
}
