package io.github.bsq4j;

/**
 * The losses of one forward pass, each term by itself and their weighted sum, as {@link
 * QuantizerOptions} defines them. Entropies are in nats (natural logarithm). All are 0 where no
 * rows count.
 *
 * @param auxLoss what is to be minimised: {@code entropyLossWeight · entropyLoss + commitmentWeight
 *     · commitment}, the first divided by the inverse temperature where the options say so. It can
 *     be negative
 * @param perSampleEntropy the mean over rows of the entropy of p(code | row): low where assignments
 *     are confident
 * @param codebookEntropy the entropy of the mean of p(code | row) over all rows: high where all
 *     codes are used
 * @param entropyLoss {@code sampleEntropyWeight · perSampleEntropy - diversityGamma ·
 *     codebookEntropy}, made positive where {@link QuantizerOptions#positiveOffset} is set
 * @param commitment the mean square distance of rows from their codes, without its weight; 0 where
 *     that is 0, for it is then not computed
 * @param rows how many rows count: those that no mask excludes
 * @param entropyRows how many of them the entropies are of: fewer with an {@link
 *     QuantizerOptions#entropyFraction}
 */
public record Losses(
    double auxLoss,
    double perSampleEntropy,
    double codebookEntropy,
    double entropyLoss,
    double commitment,
    long rows,
    long entropyRows) {}
