package io.github.bsq4j.cli;

import static java.util.stream.Collectors.joining;

import io.github.bsq4j.ByteForm;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyType;
import io.github.bsq4j.io.NpyWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.LongStream;

/**
 * The codes of rows in a .npy file: {@code [...]} with a dimension of codebooks, where there are
 * several, and one of a code's elements, where indices have several and packed codes in any case.
 */
record StoredCodes(QuantizerOptions options, CodeLayout layout) {
  /** The type of the elements: signed where bytes are less 128. */
  NpyType type() {
    if (layout.elementSize() == Long.BYTES) {
      return NpyType.INT64;
    }
    return layout == CodeLayout.BYTES && options.convention().byteForm() == ByteForm.OFFSET
        ? NpyType.INT8
        : NpyType.UINT8;
  }

  /** The shape of the codes of rows. */
  long[] shape(long[] rowShape) {
    return LongStream.concat(LongStream.of(rowShape), LongStream.of(inRow())).toArray();
  }

  /** The memory of the codes of so many rows. */
  MemorySegment allocate(Arena arena, long rows) {
    long elements = Math.multiplyExact(rows, (long) layout.elementsPerRow(options));
    return arena.allocate(Math.multiplyExact(elements, layout.elementSize()), Long.BYTES);
  }

  /**
   * The codes of a file.
   *
   * @throws InputException if its elements are of another type
   */
  MemorySegment read(NpyFile file, Path path, Arena arena) throws FileSystemException {
    if (layout == CodeLayout.INDICES) {
      return file.toInt64(arena);
    }
    requireForm(file.type(), path);
    boolean fits =
        layout.elementSize() == Long.BYTES
            ? file.type() == NpyType.INT64 || file.type() == NpyType.UINT64
            : file.type() == NpyType.INT8 || file.type() == NpyType.UINT8;
    if (!fits) {
      throw new InputException(
          path
              + ": found elements of type "
              + file.type()
              + "; expected "
              + (layout.elementSize() == Long.BYTES
                  ? "int64 or uint64"
                  : layout == CodeLayout.BYTES ? type().toString() : "uint8 or int8")
              + ", for packed codes");
    }
    return file.data();
  }

  /**
   * Refuses packed bytes of the other form: they would be read as other codes.
   *
   * @throws InputException if these elements are such bytes
   */
  void requireForm(NpyType found, Path path) {
    boolean bytes = found == NpyType.INT8 || found == NpyType.UINT8;
    if (layout == CodeLayout.BYTES && bytes && found != type()) {
      throw new InputException(
          path
              + ": found elements of type "
              + found
              + (found == NpyType.INT8
                  ? ", bytes less 128, which are of the convention binary; expected uint8 with this"
                      + " convention"
                  : ", plain bytes, which are of ubinary, for example; expected int8 with the"
                      + " convention binary"));
    }
  }

  /**
   * Refuses indices of more bits than one has.
   *
   * @param where a prefix of the message
   */
  void requireShortIndices(String where) {
    if (layout == CodeLayout.INDICES && options.groupSize() > QuantizerOptions.MAX_GROUP_SIZE) {
      throw new InputException(
          where
              + "code_dim is "
              + options.codeDim()
              + ", and an index has up to "
              + QuantizerOptions.MAX_GROUP_SIZE
              + " bits; expected --groups, for an index of each group, or packed bytes");
    }
  }

  /** Tells what is read as what, where indices of a file could be the groups of fewer codes. */
  void tellRows(Output out, long... shape) {
    long last = shape.length < 2 ? 1 : shape[shape.length - 1];
    if (layout == CodeLayout.INDICES && last > 1 && inRow().length == 0) {
      out.line(
          "indices",
          Arrays.toString(shape)
              + ", each a code"
              + (options.codeDim() % last == 0
                  ? "; with --groups=" + last + " each " + last + " are one"
                  : ""));
    }
  }

  /**
   * The dimensions of the rows in a file of codes.
   *
   * @throws InputException if codes of these options have another shape
   */
  long[] rowShape(long[] shape, Path path) {
    long[] inRow = inRow();
    int rank = shape.length - inRow.length;
    int least = options.channelFirst() ? 1 : 0;
    if (rank < least || !Arrays.equals(inRow, Arrays.copyOfRange(shape, rank, shape.length))) {
      throw new InputException(
          path
              + ": has shape "
              + Arrays.toString(shape)
              + "; expected "
              + (least == 0 ? "[..." : "[B, ...")
              + Arrays.stream(inRow).mapToObj(count -> ", " + count).collect(joining())
              + "] with these options");
    }
    return Arrays.copyOf(shape, rank);
  }

  /**
   * Refuses what would have more dimensions than a file can.
   *
   * @param shape what the file at this path would be turned into
   */
  static void requireRank(Path path, long... shape) {
    if (shape.length > NpyWriter.MAX_RANK) {
      throw new InputException(
          path
              + ": has too many dimensions: the result would have "
              + shape.length
              + "; expected at most "
              + NpyWriter.MAX_RANK);
    }
  }

  private long[] inRow() {
    LongStream codebooks = LongStream.of(options.codebooks()).filter(count -> count > 1);
    LongStream elements =
        LongStream.of(layout.elements(options))
            .filter(count -> count > 1 || layout != CodeLayout.INDICES);
    return LongStream.concat(codebooks, elements).toArray();
  }
}
