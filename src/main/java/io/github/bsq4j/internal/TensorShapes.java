package io.github.bsq4j.internal;

import io.github.bsq4j.DType;
import java.util.Arrays;

/** Checks of shapes and strides, and the arithmetic on them. Strides are in elements. */
public final class TensorShapes {
  private TensorShapes() {}

  /**
   * The number of elements of a shape.
   *
   * @throws IllegalArgumentException if no tensor of this type can have this shape; dimensions of
   *     zero do not hide an overflow of the others, which strides are made of
   */
  public static long elementCount(long[] shape, DType dtype) {
    if (shape.length < 1 || shape.length > NativeTensors.MAX_RANK) {
      throw new IllegalArgumentException(
          "shape has %d dimensions, expected 1 to %d"
              .formatted(shape.length, NativeTensors.MAX_RANK));
    }
    requireNoNegative("shape", shape);
    try {
      long bytes = dtype.byteSize();
      for (long dimension : shape) {
        bytes = Math.multiplyExact(bytes, Math.max(dimension, 1));
      }
      return size(shape);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape %s of %s takes more than 2^63 - 1 bytes".formatted(Arrays.toString(shape), dtype),
          e);
    }
  }

  /** The number of elements of a tensor's shape. */
  public static long size(long[] shape) {
    long size = 1;
    for (long dimension : shape) {
      size *= dimension;
    }
    return size;
  }

  /**
   * How many elements there are from the first to the last in memory, gaps included.
   *
   * @throws IllegalArgumentException if the strides do not fit the shape, which must be a checked
   *     one
   */
  public static long extent(long[] shape, long[] strides) {
    if (strides.length != shape.length) {
      throw new IllegalArgumentException(
          "strides has %d dimensions, but shape has %d".formatted(strides.length, shape.length));
    }
    requireNoNegative("strides", strides);
    try {
      long last = 0;
      long behind = 0; // views compute positions behind the last element too
      for (int i = 0; i < shape.length; i++) {
        long reach = Math.multiplyExact(shape[i], strides[i]);
        behind = Math.addExact(behind, reach);
        last += shape[i] == 0 ? 0 : reach - strides[i];
      }
      Math.addExact(behind, 1);
      return size(shape) == 0 ? 0 : last + 1;
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape %s with strides %s reaches beyond 2^63 - 1 elements"
              .formatted(Arrays.toString(shape), Arrays.toString(strides)),
          e);
    }
  }

  /** The strides of a checked shape in row-major order, without gaps. */
  public static long[] contiguousStrides(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= Math.max(shape[i], 1);
    }
    return strides;
  }

  /** Whether the elements lie in row-major order, without gaps. */
  public static boolean isContiguous(long[] shape, long[] strides) {
    long[] contiguous = contiguousStrides(shape);
    for (int i = 0; i < shape.length; i++) {
      if (shape[i] > 1 && strides[i] != contiguous[i]) {
        return size(shape) == 0;
      }
    }
    return true;
  }

  private static void requireNoNegative(String name, long[] values) {
    for (long value : values) {
      if (value < 0) {
        throw new IllegalArgumentException(
            "%s is %s, expected no negative numbers".formatted(name, Arrays.toString(values)));
      }
    }
  }
}
