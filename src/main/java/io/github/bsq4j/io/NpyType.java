package io.github.bsq4j.io;

import java.nio.ByteOrder;
import java.util.Locale;

/** The element types of {@code .npy} files that this package reads and writes. */
public enum NpyType {
  FLOAT16("f2", 2),
  FLOAT32("f4", 4),
  FLOAT64("f8", 8),
  INT8("i1", 1),
  INT16("i2", 2),
  INT32("i4", 4),
  INT64("i8", 8),
  UINT8("u1", 1),
  UINT16("u2", 2),
  UINT32("u4", 4),
  UINT64("u8", 8),
  /** A byte that is 0 for false. */
  BOOL("b1", 1);

  private final String code;
  private final int itemSize;

  NpyType(String code, int itemSize) {
    this.code = code;
    this.itemSize = itemSize;
  }

  /** The number of bytes of one element. */
  public int itemSize() {
    return itemSize;
  }

  /** Whether this is one of the signed or unsigned integer types. */
  public boolean isInteger() {
    return code.charAt(0) == 'i' || code.charAt(0) == 'u';
  }

  /** NumPy's code without the byte order, such as {@code f4}. */
  String code() {
    return code;
  }

  /** NumPy's {@code dtype.str} for arrays in this machine's byte order, such as {@code <f4}. */
  String descr() {
    char order = '|';
    if (itemSize > 1) {
      order = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? '<' : '>';
    }
    return order + code;
  }

  /** NumPy's name of the type, such as {@code float32}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
