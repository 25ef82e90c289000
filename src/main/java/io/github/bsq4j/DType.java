package io.github.bsq4j;

import java.lang.foreign.ValueLayout;

/**
 * The type of a tensor's elements. The quantizer computes FLOAT64 in double precision and the other
 * floating-point types in float32, with norms and sums in double precision; results are rounded to
 * the type of the input. Indices come out as INT64.
 *
 * <p>Arrays and segments that are no {@link Tensor} are FLOAT32 or FLOAT64.
 */
public enum DType {
  /** 32-bit IEEE 754. */
  FLOAT32(ValueLayout.JAVA_FLOAT),
  /** 64-bit IEEE 754. */
  FLOAT64(ValueLayout.JAVA_DOUBLE),
  /**
   * 16-bit IEEE 754; in Java a {@code short} of these bits, for {@link
   * Float#float16ToFloat(short)}.
   */
  FLOAT16(ValueLayout.JAVA_SHORT),
  /** The upper half of a 32-bit IEEE 754 number; in Java a {@code short} of these bits. */
  BFLOAT16(ValueLayout.JAVA_SHORT),
  /** A {@code long}. */
  INT64(ValueLayout.JAVA_LONG),
  /** An {@code int}. */
  INT32(ValueLayout.JAVA_INT),
  /** 0 to 255; in Java a {@code byte} of these bits, for {@link Byte#toUnsignedInt(byte)}. */
  UINT8(ValueLayout.JAVA_BYTE);

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

  /** Whether elements are floating-point numbers rather than integers. */
  public boolean isFloatingPoint() {
    return switch (this) {
      case FLOAT32, FLOAT64, FLOAT16, BFLOAT16 -> true;
      case INT64, INT32, UINT8 -> false;
    };
  }

  /** Checks the type of the argument of this name. */
  void requireFloatingPoint(String name) {
    if (!isFloatingPoint()) {
      throw new IllegalArgumentException(name + " is " + this + ", expected a floating-point type");
    }
  }

  /** Whether every number of this type is one of the other type too. */
  boolean fitsInto(DType other) {
    return this == other
        || switch (this) {
          case FLOAT64, INT64 -> false;
          case FLOAT32 -> other == FLOAT64;
          case FLOAT16, BFLOAT16 -> other == FLOAT32 || other == FLOAT64;
          case INT32 -> other == INT64 || other == FLOAT64;
          case UINT8 -> true;
        };
  }
}
