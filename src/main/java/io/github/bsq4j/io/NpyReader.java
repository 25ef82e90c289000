package io.github.bsq4j.io;

import java.io.Closeable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * The elements of a {@code .npy} file part by part, in this machine's byte order and C order, for
 * what need not have them all in memory. {@link NpyFile} reads a whole file, and tells of formats.
 * Files in Fortran order are such: to be had in C order, all of their elements are read by {@link
 * #open}.
 *
 * <p>Not thread-safe.
 */
public final class NpyReader implements Closeable {
  private final InputFile input;
  private final NpyHeader header;
  private final long dataStart;
  private final MemorySegment elements; // all of them, or NULL

  private NpyReader(InputFile input, NpyHeader header, long dataStart, MemorySegment elements) {
    this.input = input;
    this.header = header;
    this.dataStart = dataStart;
    this.elements = elements;
  }

  /**
   * Opens a file.
   *
   * @param arena what must be in memory is allocated from it
   * @throws FileSystemException as {@link NpyFile#read} does
   */
  public static NpyReader open(Path path, Arena arena) throws FileSystemException {
    InputFile input = InputFile.open(path);
    try {
      NpyPreamble preamble = NpyPreamble.read(input);
      NpyHeader header = NpyHeaderParser.parse(path, preamble.readHeader(input));
      NpyFile.checkSize(path, header, input.size() - preamble.dataStart());
      MemorySegment elements =
          header.isTransposed() ? NpyFile.read(path, arena).data() : MemorySegment.NULL;
      return new NpyReader(input, header, preamble.dataStart(), elements);
    } catch (Throwable e) {
      input.close();
      throw e;
    }
  }

  /** The type of the elements. */
  public NpyType type() {
    return header.type();
  }

  /** The dimensions; a copy. */
  public long[] shape() {
    return header.shape();
  }

  /**
   * Reads elements, as many as fill the target.
   *
   * @param first the number of the first one, in C order
   * @param target native memory
   * @throws FileSystemException if the file cannot be read, or has been truncated meanwhile
   */
  public void read(long first, MemorySegment target) throws FileSystemException {
    long position = first * header.type().itemSize();
    if (!elements.equals(MemorySegment.NULL)) {
      target.copyFrom(elements.asSlice(position, target.byteSize()));
      return;
    }
    input.read(dataStart + position, target);
    if (header.byteOrder() != ByteOrder.nativeOrder()) {
      Elements.reverseBytes(target, header.type().itemSize());
    }
  }

  /**
   * Reads integers, as many as fill the target, which are widened to int64 if they are smaller.
   *
   * @param first the number of the first one, in C order
   * @param target native memory
   * @throws MalformedFileException if the elements are no integers, or if one is above {@link
   *     Long#MAX_VALUE}
   * @throws FileSystemException as {@link #read} does, or if there is not enough memory
   */
  public void readInt64(long first, MemorySegment target) throws FileSystemException {
    NpyType type = header.type();
    if (type == NpyType.INT64) {
      read(first, target);
      return;
    }
    long count = target.byteSize() / Long.BYTES;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment part =
          InputFile.allocate(input.path(), arena, count * type.itemSize(), Long.BYTES);
      read(first, part);
      NpyFile.widen(input.path(), type, header.shape(), first, part, target);
    }
  }

  @Override
  public void close() throws FileSystemException {
    input.close();
  }
}
