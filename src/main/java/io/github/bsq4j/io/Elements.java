package io.github.bsq4j.io;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Rearranges array elements of 1, 2, 4 or 8 bytes. */
final class Elements {
  private Elements() {}

  /** Turns the bytes of every element around. */
  static void reverseBytes(MemorySegment data, int itemSize) {
    long size = data.byteSize();
    for (long at = 0; at < size; at += itemSize) {
      switch (itemSize) {
        case 1 -> {}
        case 2 -> {
          short value = data.get(ValueLayout.JAVA_SHORT, at);
          data.set(ValueLayout.JAVA_SHORT, at, Short.reverseBytes(value));
        }
        case 4 -> {
          int value = data.get(ValueLayout.JAVA_INT, at);
          data.set(ValueLayout.JAVA_INT, at, Integer.reverseBytes(value));
        }
        case 8 -> {
          long value = data.get(ValueLayout.JAVA_LONG, at);
          data.set(ValueLayout.JAVA_LONG, at, Long.reverseBytes(value));
        }
        default -> throw new AssertionError(itemSize);
      }
    }
  }

  /**
   * Copies an array whose first index runs fastest into one whose last index does.
   *
   * @param shape at least one dimension
   */
  static void copyFortranToC(
      MemorySegment source, MemorySegment target, long[] shape, int itemSize) {
    long[] stride = new long[shape.length];
    stride[0] = itemSize;
    for (int d = 1; d < shape.length; d++) {
      stride[d] = stride[d - 1] * shape[d - 1];
    }
    long[] index = new long[shape.length];
    long from = 0;
    for (long to = 0; to < target.byteSize(); to += itemSize) {
      copy(source, from, target, to, itemSize);
      int d = shape.length - 1;
      index[d]++;
      from += stride[d];
      while (d > 0 && index[d] == shape[d]) {
        from -= stride[d] * shape[d];
        index[d] = 0;
        d--;
        index[d]++;
        from += stride[d];
      }
    }
  }

  private static void copy(
      MemorySegment source, long from, MemorySegment target, long to, int itemSize) {
    switch (itemSize) {
      case 1 -> target.set(ValueLayout.JAVA_BYTE, to, source.get(ValueLayout.JAVA_BYTE, from));
      case 2 -> target.set(ValueLayout.JAVA_SHORT, to, source.get(ValueLayout.JAVA_SHORT, from));
      case 4 -> target.set(ValueLayout.JAVA_INT, to, source.get(ValueLayout.JAVA_INT, from));
      case 8 -> target.set(ValueLayout.JAVA_LONG, to, source.get(ValueLayout.JAVA_LONG, from));
      default -> throw new AssertionError(itemSize);
    }
  }
}
