package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.LongStream;

/**
 * The sizes and shapes that go with options: of arrays and segments, whose layout is told by a
 * {@link Batch}, and of tensors, which tell their own. Methods throw {@link
 * IllegalArgumentException} for what does not fit, which they name.
 */
final class QuantizerShapes {
  private final QuantizerOptions options;

  /** Those of the options, once and for all: a division for each call would be felt. */
  private final int rowLength;

  private final int indicesPerRow;

  QuantizerShapes(QuantizerOptions options) {
    this.options = options;
    this.rowLength = options.rowLength();
    this.indicesPerRow = options.indicesPerRow();
  }

  // Arrays and segments

  /** That of the two types that arrays and segments can have. */
  ValueLayout hostLayout(DType dtype) {
    if (options.implementation() == Implementation.OPERATORS) {
      throw new BsqException(
          BsqException.Code.UNSUPPORTED,
          "Implementation.OPERATORS computes tensors alone: use a Tensor, or another"
              + " implementation for arrays and segments");
    }
    return switch (requireNonNull(dtype, "dtype")) {
      case FLOAT32, FLOAT64 -> dtype.layout();
      default ->
          throw new IllegalArgumentException(
              "dtype is " + dtype + ", expected FLOAT32 or FLOAT64 (use a Tensor for the others)");
    };
  }

  long rowBytes(long rows, ValueLayout layout) {
    return HostBuffers.byteSize(rows, rowLength, layout.byteSize());
  }

  long indexBytes(long rows) {
    options.requireIndices();
    return HostBuffers.byteSize(rows, indicesPerRow, ValueLayout.JAVA_LONG.byteSize());
  }

  /** So many whole rows as there are. */
  Batch batch(HostArray<?> array) {
    if (array.length() % rowLength != 0) {
      throw new IllegalArgumentException(
          "%s has %d elements, which are no whole rows of %s"
              .formatted(array.name(), array.length(), rowName()));
    }
    return Batch.of(array.length() / rowLength);
  }

  Batch batchOfIndices(long[] indices) {
    if (requireNonNull(indices, "indices").length % indicesPerRow != 0) {
      throw new IllegalArgumentException(
          "indices has %d elements, which are no whole rows of %s"
              .formatted(indices.length, indicesName()));
    }
    return Batch.of(indices.length / indicesPerRow);
  }

  void requireRows(HostArray<?> array, Batch batch) {
    requireRows(array.name(), array.length(), batch, rowLength, rowName());
  }

  void requireIndices(long[] indices, Batch batch) {
    requireRows(
        "indices", requireNonNull(indices, "indices").length, batch, indicesPerRow, indicesName());
  }

  /** A longer segment would do, but whoever passes an array means all of it. */
  private static void requireRows(
      String name, int length, Batch batch, int columns, String columnsName) {
    long rows = requireNonNull(batch, "batch").rows();
    if (length % columns != 0 || length / columns != rows) {
      throw new IllegalArgumentException(
          "%s has %d elements, expected %d rows of %s".formatted(name, length, rows, columnsName));
    }
  }

  long codeBytes(CodeLayout layout, long rows) {
    if (layout == CodeLayout.INDICES) {
      options.requireIndices();
    }
    return HostBuffers.byteSize(
        rows, layout.elementsPerRow(options), layout.elementLayout().byteSize());
  }

  /** So many whole rows of codes as there are. */
  Batch batchOfCodes(String name, int length, CodeLayout layout) {
    int elements = layout.elementsPerRow(options);
    if (length % elements != 0) {
      throw new IllegalArgumentException(
          "%s has %d elements, which are no whole rows of %d (%s of %s)"
              .formatted(name, length, elements, layout, rowName()));
    }
    return Batch.of(length / elements);
  }

  /** An array for the indices of vectors that are in an array. */
  long[] newIndices(Batch batch) {
    options.requireIndices();
    return new long[(int) batch.rows() * indicesPerRow];
  }

  /** The length of an array for the vectors of indices that are in an array. */
  int arrayLength(Batch batch) {
    return arrayLength(batch.rows(), rowLength);
  }

  /** The length of an array of so many rows, which are those of an array. */
  static int arrayLength(long rows, int elements) {
    long length = rows * elements;
    if (length > Integer.MAX_VALUE - 8) { // what JVMs allow
      throw new IllegalArgumentException(
          "%d rows of %d elements do not fit into an array; use segments"
              .formatted(rows, elements));
    }
    return (int) length;
  }

  // Tensors

  void requireVectors(String name, Tensor tensor) {
    requireRows(name, tensor);
    tensor.dtype().requireFloatingPoint(name);
  }

  void requireRows(String name, Tensor tensor) {
    long[] shape = requireNonNull(tensor, name).shape();
    int dimension = options.channelFirst() ? 1 : shape.length - 1;
    if (dimension >= shape.length || shape[dimension] != rowLength) {
      throw new IllegalArgumentException(
          "%s has shape %s, expected a %s dimension of %s"
              .formatted(
                  name,
                  Arrays.toString(shape),
                  options.channelFirst() ? "second (channelFirst)" : "last",
                  rowName()));
    }
  }

  /** Of x, which must be fit, or rather of its rows. */
  void requireMask(Tensor mask, Tensor x) {
    if (requireNonNull(mask, "mask").dtype() != DType.UINT8) {
      throw new IllegalArgumentException("mask is " + mask.dtype() + ", expected UINT8");
    }
    long[] expected = rowShape(x.shape());
    if (!Arrays.equals(mask.shape(), expected)) {
      throw new IllegalArgumentException(
          "mask has shape %s, expected that of the rows of x, %s"
              .formatted(Arrays.toString(mask.shape()), Arrays.toString(expected)));
    }
    if (!mask.device().equals(x.device())) {
      throw new IllegalArgumentException(
          "mask is on %s, but x is on %s".formatted(mask.device(), x.device()));
    }
  }

  /** The shape of x but for the dimension of its components; [1] where that leaves none. */
  private long[] rowShape(long[] x) {
    if (x.length == 1) {
      return new long[] {1};
    }
    long[] rows = Arrays.copyOf(x, x.length - 1);
    if (options.channelFirst()) {
      System.arraycopy(x, 2, rows, 1, x.length - 2);
    }
    return rows;
  }

  void requireIndices(Tensor indices) {
    options.requireIndices();
    if (requireNonNull(indices, "indices").dtype().isFloatingPoint()) {
      throw new IllegalArgumentException(
          "indices is " + indices.dtype() + ", expected an integer type");
    }
    requireCodeDimensions("indices", indices, indexDimensions(), indicesName());
  }

  /** Codes of a layout; of indices, of their own type. */
  void requireCodes(String name, Tensor codes, CodeLayout layout) {
    if (requireNonNull(codes, name).dtype() != layout.dtype()) {
      throw new IllegalArgumentException(
          "%s is %s, expected %s for %s".formatted(name, codes.dtype(), layout.dtype(), layout));
    }
    if (layout == CodeLayout.INDICES) {
      options.requireIndices();
      requireCodeDimensions(name, codes, indexDimensions(), indicesName());
    } else {
      requireCodeDimensions(
          name,
          codes,
          LongStream.concat(
                  LongStream.of(options.codebooks()).filter(count -> count > 1),
                  LongStream.of(layout.elements(options)))
              .toArray(),
          "%s of %s".formatted(layout, rowName()));
    }
  }

  private void requireCodeDimensions(String name, Tensor codes, long[] last, String lastName) {
    long[] shape = codes.shape();
    int rows = shape.length - last.length;
    // Channels that come second come after the items, which may not be missing then.
    boolean rowless = options.channelFirst() && rows == 0;
    if (rows < 0
        || rowless
        || !Arrays.equals(last, Arrays.copyOfRange(shape, rows, shape.length))) {
      throw new IllegalArgumentException(
          "%s has shape %s, expected %slast dimensions %s of %s"
              .formatted(
                  name,
                  Arrays.toString(shape),
                  rowless ? "dimensions of rows and " : "",
                  Arrays.toString(last),
                  lastName));
    }
    if (rows == NativeTensors.MAX_RANK) {
      throw new IllegalArgumentException(
          "%s has %d dimensions, expected one less, for the result has one more"
              .formatted(name, shape.length));
    }
  }

  /** The last dimensions of indices: one for codebooks and one for groups, where there are some. */
  private long[] indexDimensions() {
    return LongStream.of(options.codebooks(), options.groups())
        .filter(count -> count > 1)
        .toArray();
  }

  private String rowName() {
    return options.codebooks() == 1
        ? "codeDim " + options.codeDim()
        : "%d codebooks of codeDim %d".formatted(options.codebooks(), options.codeDim());
  }

  private String indicesName() {
    return "%d indices (codebooks %d, groups %d)"
        .formatted(indicesPerRow, options.codebooks(), options.groups());
  }
}
