package io.github.bsq4j;

/**
 * The results of a forward pass over Java arrays. The arrays are new and belong to the caller.
 *
 * @param <A> {@code float[]} or {@code double[]}, as the input
 * @param quantized the quantized rows, shaped as the input: every component is ±1/√codeDim
 * @param indices one index in [0, 2<sup>groupSize</sup>) for each group of bits of each row: {@code
 *     [rows, codebooks, groups]}
 * @param losses every term of the losses
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier of results, nobody compares two of them
public record HostQuantization<A>(A quantized, long[] indices, Losses losses) {
  /** See {@link Losses#auxLoss}. */
  public double auxLoss() {
    return losses.auxLoss();
  }

  /** See {@link Losses#perSampleEntropy}. */
  public double perSampleEntropy() {
    return losses.perSampleEntropy();
  }

  /** See {@link Losses#codebookEntropy}. */
  public double codebookEntropy() {
    return losses.codebookEntropy();
  }
}
