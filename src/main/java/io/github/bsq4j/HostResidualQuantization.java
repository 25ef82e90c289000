package io.github.bsq4j;

import java.util.List;

/**
 * The results of a forward pass with several levels over Java arrays. The arrays are new and belong
 * to the caller.
 *
 * @param <A> {@code float[]} or {@code double[]}, as the input
 * @param quantized the sums over the levels, shaped as the input
 * @param indices {@code [rows, levels, codebooks, groups]}, each in [0, 2<sup>groupSize</sup>)
 * @param losses those of each level
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier of results, nobody compares two of them
public record HostResidualQuantization<A>(A quantized, long[] indices, List<Losses> losses) {
  /** The sum of the levels' {@link Losses#auxLoss}. */
  public double auxLoss() {
    return losses.stream().mapToDouble(Losses::auxLoss).sum();
  }
}
