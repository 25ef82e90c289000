package io.github.bsq4j;

/** Which distributions the entropies are of. */
public enum EntropyForm {
  /**
   * Those of each group of bits, over its 2<sup>groupSize</sup> codes, exactly: SpeechBrain's and
   * LFQ's entropies, and BSQ-ViT's with {@code persample_entropy_compute='group'}. They take memory
   * for 2<sup>groupSize</sup> numbers for each group and codebook.
   */
  EXACT,
  /**
   * Those of each bit, as if every group were one bit: O(rows · codeDim) time, and any {@code
   * codeDim}. That is what BSQ-ViT computes with {@code persample_entropy_compute='analytical'},
   * for both entropies. Indices still have {@code groupSize} bits. The floor counts for each bit;
   * without one, the per-sample entropy equals the exact one, and the codebook entropy is an upper
   * bound of it.
   */
  ANALYTICAL
}
