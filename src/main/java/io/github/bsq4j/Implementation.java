package io.github.bsq4j;

/**
 * What computes. All implementations give the same results, up to rounding; on the CPU the kernels
 * are many times as fast as the operators, and need less memory.
 */
public enum Implementation {
  /** This library's own kernels where there are some for the device, else LibTorch's operators. */
  AUTOMATIC,
  /**
   * This library's own kernels. Where there are none, calls fail with {@link
   * BsqException.Code#UNSUPPORTED}. On the CPU, a value that is refused is reported at once; on a
   * GPU they wait for nothing, as OPERATORS do.
   */
  KERNELS,
  /**
   * LibTorch's operators, on any device. For tensors only: calls on arrays and segments fail with
   * {@link BsqException.Code#UNSUPPORTED}. They wait for nothing, so a value that is refused is
   * reported by the first call that reads a result: see {@link Tensor#check()}.
   */
  OPERATORS
}
