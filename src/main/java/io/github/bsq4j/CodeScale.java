package io.github.bsq4j;

/** The values of quantized components. The losses and gradients are the same with both. */
public enum CodeScale {
  /** ±1/√codeDim: codes on the unit sphere. */
  UNIT,
  /** ±1. */
  ONE
}
