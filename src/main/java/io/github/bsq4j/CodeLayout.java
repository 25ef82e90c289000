package io.github.bsq4j;

import java.lang.foreign.ValueLayout;

/**
 * How codes are stored: their elements, of the codes of a row one after the other. Bits are in the
 * order of a {@link Convention}. All but indices are for codes of any size.
 */
public enum CodeLayout {
  /** An index of each group of bits: {@code [codebooks, groups]} of {@code long}. */
  INDICES(DType.INT64),
  /**
   * {@code [codebooks, ceil(codeDim / 8)]} bytes. Component d is in byte d / 8; bits beyond the
   * last component are 0.
   */
  BYTES(DType.UINT8),
  /**
   * {@code [codebooks, ceil(codeDim / 64)]} of {@code long}. Component d is in word d / 64; bits
   * beyond the last component are 0.
   */
  WORDS(DType.INT64),
  /**
   * {@code [codebooks, codeDim]} bytes, each 0 or 1, in the order of the components whatever the
   * convention is.
   */
  BITS(DType.UINT8);

  private final DType dtype;

  CodeLayout(DType dtype) {
    this.dtype = dtype;
  }

  /** The type of an element: INT64, or UINT8. */
  public DType dtype() {
    return dtype;
  }

  /** The bytes of an element. */
  public int elementSize() {
    return dtype == DType.INT64 ? Long.BYTES : Byte.BYTES;
  }

  /** How many elements a code of these options has. */
  public int elements(QuantizerOptions options) {
    return switch (this) {
      case INDICES -> options.groups();
      case BYTES -> Math.ceilDiv(options.codeDim(), Byte.SIZE);
      case WORDS -> Math.ceilDiv(options.codeDim(), Long.SIZE);
      case BITS -> options.codeDim();
    };
  }

  /** How many elements the codes of a row have. */
  public int elementsPerRow(QuantizerOptions options) {
    return options.codebooks() * elements(options);
  }

  ValueLayout elementLayout() {
    return dtype == DType.INT64 ? ValueLayout.JAVA_LONG : ValueLayout.JAVA_BYTE;
  }
}
