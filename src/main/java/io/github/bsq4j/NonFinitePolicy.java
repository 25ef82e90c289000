package io.github.bsq4j;

/** What happens to a row of the input that holds a NaN or an infinity. */
public enum NonFinitePolicy {
  /** The call fails with a {@link BsqException} that names the first such row and column. */
  REFUSE,
  /**
   * The row goes through as in SpeechBrain's module: the index of the code is 0, its quantized
   * components are NaN (beside infinities, without any NaN, the finite ones are -1/√codeDim). The
   * losses are NaN, and with them the gradients of all rows, if the row is one that the entropies
   * are of, or if it counts and there is a {@code commitmentWeight}. Other codes of the same row
   * are not touched.
   */
  PROPAGATE
}
