package io.github.bsq4j;

/**
 * The losses of one forward pass, in nats (natural logarithm), computed exactly over all 2<sup>D
 * </sup> codes as SpeechBrain's {@code BinarySphericalQuantizer} defines them. All are 0 for an
 * input without rows.
 *
 * @param auxLoss {@code entropyLossWeight · (perSampleEntropy - diversityGamma · codebookEntropy)},
 *     to be minimised; it can be negative
 * @param perSampleEntropy the mean over rows of the entropy of p(code | row): low where assignments
 *     are confident
 * @param codebookEntropy the entropy of the mean of p(code | row) over all rows: high where all
 *     codes are used
 */
public record Losses(double auxLoss, double perSampleEntropy, double codebookEntropy) {}
