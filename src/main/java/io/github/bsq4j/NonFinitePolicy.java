package io.github.bsq4j;

/** What happens to a row of the input that holds a NaN or an infinity. */
public enum NonFinitePolicy {
  /** The call fails with a {@link BsqException} that names the first such row and column. */
  REFUSE,
  /**
   * The row goes through as in SpeechBrain's module: the index of the code is 0, its quantized
   * components are NaN (beside an infinity, without any NaN, they are -1/√codeDim), and the losses
   * are NaN, as are the gradients that come from them, if the row counts in them. Other codes of
   * the same row are not touched.
   */
  PROPAGATE
}
