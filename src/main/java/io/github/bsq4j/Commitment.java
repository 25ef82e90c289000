package io.github.bsq4j;

/** What the commitment is the mean of; u is the normalised row, and q its code. */
public enum Commitment {
  /** ‖u - q‖² of each code, as BSQ-ViT does. */
  SQUARED_NORM,
  /** (u<sub>d</sub> - q<sub>d</sub>)² of each component, as LFQ does: 1/codeDim of the other. */
  SQUARE
}
