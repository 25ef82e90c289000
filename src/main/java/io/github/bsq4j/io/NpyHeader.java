package io.github.bsq4j.io;

import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * What the header of a {@code .npy} file declares: the element type and byte order, the order of
 * the dimensions, and the shape.
 *
 * <p>Immutable, so safe for concurrent use.
 */
final class NpyHeader {
  private final NpyType type;
  private final ByteOrder byteOrder;
  private final boolean fortranOrder;
  private final long[] shape;
  private final long byteSize;

  /**
   * Creates a header.
   *
   * @param shape the dimensions, none negative; copied
   * @throws ArithmeticException if the size of the array in bytes does not fit a long
   */
  NpyHeader(NpyType type, ByteOrder byteOrder, boolean fortranOrder, long[] shape) {
    this.type = type;
    this.byteOrder = byteOrder;
    this.fortranOrder = fortranOrder;
    this.shape = shape.clone();
    this.byteSize = Shapes.byteSize(shape, type.itemSize());
  }

  NpyType type() {
    return type;
  }

  ByteOrder byteOrder() {
    return byteOrder;
  }

  /** Whether the first index is the one that runs fastest in the file. */
  boolean fortranOrder() {
    return fortranOrder;
  }

  /** Whether the elements of the file are in another order than C's. */
  boolean isTransposed() {
    return fortranOrder && Arrays.stream(shape).filter(size -> size != 1).count() > 1;
  }

  /** The dimensions; a copy. */
  long[] shape() {
    return shape.clone();
  }

  /** The number of bytes that the elements occupy. */
  long byteSize() {
    return byteSize;
  }

  /** The array in words for a message: {@code float32 of shape (2, 3)}. */
  @Override
  public String toString() {
    return type + " of shape " + Messages.excerpt(Shapes.toTuple(shape));
  }
}
