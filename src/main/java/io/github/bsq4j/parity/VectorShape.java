package io.github.bsq4j.parity;

import io.github.bsq4j.Batch;
import io.github.bsq4j.QuantizerOptions;
import java.util.Arrays;
import java.util.stream.LongStream;

/**
 * The shape of an array of vectors, {@code [..., codebooks · codeDim]}, or {@code [items, codebooks
 * · codeDim, ...]} where channels come first: which shapes go with it, and where it has its codes,
 * the parts of rows that are one codebook's. Immutable.
 */
public final class VectorShape {
  private final QuantizerOptions options;
  private final long[] rowShape;
  private final long items;
  private final long positions; // many where there are no items

  /** A shape that {@link #fits}. */
  public VectorShape(QuantizerOptions options, long... shape) {
    this.options = options;
    int components = componentDimension(options.channelFirst(), shape);
    rowShape = Arrays.copyOf(shape, shape.length - 1);
    System.arraycopy(shape, components + 1, rowShape, components, rowShape.length - components);
    items = rowShape.length == 0 ? 1 : rowShape[0];
    positions = LongStream.of(rowShape).skip(1).reduce(1, Math::multiplyExact);
  }

  /** Whether this is a shape of vectors of these options. */
  public static boolean fits(QuantizerOptions options, long... shape) {
    int components = componentDimension(options.channelFirst(), shape);
    return components >= 0 && components < shape.length && shape[components] == options.rowLength();
  }

  /** The dimension that has the components, which may be none of the shape's. */
  public static int componentDimension(boolean channelFirst, long... shape) {
    return channelFirst ? 1 : shape.length - 1;
  }

  /** What it goes with. */
  QuantizerOptions options() {
    return options;
  }

  /** The rows: items are the first dimension, positions all others but that of the components. */
  public Batch batch() {
    return Batch.of(items, positions);
  }

  /** The dimensions of rows, and of masks: none for a single vector. */
  public long[] rowShape() {
    return rowShape.clone();
  }

  /** The dimensions of indices: those of rows, and of codebooks and groups where there are some. */
  public long[] indexShape() {
    return LongStream.concat(
            LongStream.of(rowShape),
            LongStream.of(options.codebooks(), options.groups()).filter(count -> count > 1))
        .toArray();
  }

  /** How many codes there are. */
  int codes() {
    return Math.toIntExact(items * positions * options.codebooks());
  }

  /** The place of a code's component. */
  int at(int code, int component) {
    int row = code / options.codebooks();
    int column = code % options.codebooks() * options.codeDim() + component;
    if (!options.channelFirst()) {
      return row * options.rowLength() + column;
    }
    int wide = (int) positions;
    return (row / wide * options.rowLength() + column) * wide + row % wide;
  }

  /** The code that the element at this place belongs to. */
  int codeOf(int place) {
    if (!options.channelFirst()) {
      return place / options.codeDim();
    }
    int wide = (int) positions;
    int column = place / wide % options.rowLength();
    int row = place / wide / options.rowLength() * wide + place % wide;
    return row * options.codebooks() + column / options.codeDim();
  }
}
