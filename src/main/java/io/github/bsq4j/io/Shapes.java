package io.github.bsq4j.io;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Arithmetic on array shapes, which both formats share. */
final class Shapes {
  /** NumPy's and PyTorch's own limit. */
  static final int MAX_RANK = 64;

  private Shapes() {}

  /**
   * The number of bytes that an array occupies.
   *
   * <p>Dimensions of zero do not hide an overflow of the others: whatever passes here can be
   * multiplied in any order.
   *
   * @throws ArithmeticException if the number does not fit a long
   */
  static long byteSize(long[] shape, int itemSize) {
    long size = itemSize;
    boolean empty = false;
    for (long dimension : shape) {
      empty |= dimension == 0;
      size = Math.multiplyExact(size, Math.max(dimension, 1));
    }
    return empty ? 0 : size;
  }

  /** A shape as Python writes a tuple: {@code ()}, {@code (3,)}, {@code (2, 3)}. */
  static String toTuple(long[] shape) {
    String dimensions =
        Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(", "));
    return shape.length == 1 ? "(" + dimensions + ",)" : "(" + dimensions + ")";
  }

  /**
   * The index of the element that comes {@code position}-th, counting from 0, last index fastest.
   */
  static long[] indexAt(long position, long[] shape) {
    long[] index = new long[shape.length];
    long rest = position;
    for (int d = shape.length - 1; d >= 0; d--) {
      index[d] = rest % shape[d];
      rest /= shape[d];
    }
    return index;
  }
}
