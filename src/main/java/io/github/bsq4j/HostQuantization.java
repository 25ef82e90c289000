package io.github.bsq4j;

/**
 * The results of a forward pass over Java arrays. The arrays are new and belong to the caller.
 *
 * @param <A> {@code float[]} or {@code double[]}, as the input
 * @param quantized the quantized rows, shaped as the input: every component is ±1/√codeDim
 * @param indices one code index in [0, 2<sup>codeDim</sup>) for each row
 * @param auxLoss see {@link Losses#auxLoss}
 * @param perSampleEntropy see {@link Losses#perSampleEntropy}
 * @param codebookEntropy see {@link Losses#codebookEntropy}
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier of results, nobody compares two of them
public record HostQuantization<A>(
    A quantized, long[] indices, double auxLoss, double perSampleEntropy, double codebookEntropy) {}
