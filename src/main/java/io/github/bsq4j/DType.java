package io.github.bsq4j;

import java.lang.foreign.ValueLayout;

/** The element type of vectors, codes and gradients. Indices are always 64-bit integers. */
public enum DType {
  /** 32-bit IEEE 754; computed in float32, with norms and sums in float64. */
  FLOAT32(ValueLayout.JAVA_FLOAT),
  /** 64-bit IEEE 754; computed in float64. */
  FLOAT64(ValueLayout.JAVA_DOUBLE);

  @SuppressWarnings("ImmutableEnumChecker") // layouts are value-based and immutable
  private final ValueLayout layout;

  DType(ValueLayout layout) {
    this.layout = layout;
  }

  /** The layout of one element, in native byte order. */
  public ValueLayout layout() {
    return layout;
  }

  /** The size of one element in bytes. */
  public long byteSize() {
    return layout.byteSize();
  }
}
