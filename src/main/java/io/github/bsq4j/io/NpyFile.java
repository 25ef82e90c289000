package io.github.bsq4j.io;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * An array from a NumPy {@code .npy} file, format version 1.0, 2.0 or 3.0.
 *
 * <p>The elements lie in native memory, in this machine's byte order and C order (last index
 * fastest), however the file stores them. The memory belongs to the arena that was passed to {@link
 * #read}: it is accessible as long as that arena is open, from the threads that the arena allows.
 *
 * <p>An instance is immutable but for the content of its memory, which the caller may overwrite. It
 * is safe for concurrent use as far as the arena and concurrent reads of its memory are.
 *
 * <p>Format: <a href="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html">
 * numpy.lib.format</a>.
 */
public final class NpyFile {
  /** Wide enough for every vector instruction and a cache line. */
  private static final long ALIGNMENT = 64;

  private final Path path;
  private final NpyType type;
  private final long[] shape;
  private final MemorySegment data;

  private NpyFile(Path path, NpyType type, long[] shape, MemorySegment data) {
    this.path = path;
    this.type = type;
    this.shape = shape;
    this.data = data;
  }

  /**
   * Reads a file.
   *
   * <p>A file in Fortran order takes twice its size in memory while it is being read.
   *
   * @param path the file
   * @param arena the arena to allocate the elements from
   * @return the array, of any rank; rank 0, and dimensions of 0, are legal
   * @throws MalformedFileException if the file is not a {@code .npy} file, is shorter or longer
   *     than its header declares, or holds anything but floats of 16 to 64 bits, integers of 8 to
   *     64 or booleans
   * @throws FileSystemException if the file does not exist or cannot be read, or if it needs more
   *     memory than there is
   */
  public static NpyFile read(Path path, Arena arena) throws FileSystemException {
    try (InputFile input = InputFile.open(path)) {
      NpyPreamble preamble = NpyPreamble.read(input);
      NpyHeader header = NpyHeaderParser.parse(path, preamble.readHeader(input));
      checkSize(path, header, input.size() - preamble.dataStart());
      MemorySegment data = readElements(input, preamble.dataStart(), header, arena);
      return new NpyFile(path, header.type(), header.shape(), data);
    }
  }

  /**
   * As {@link #read}, but the elements are mapped rather than read, where the file has them in this
   * machine's byte order and in C order: only what is looked at is in memory, and the file may be
   * larger than that. {@link #data} is then read-only, and aligned as the file has it.
   *
   * <p>The file is compared with its header before it is mapped, and must not be made shorter as
   * long as the arena is open: what is then looked at beyond its end is an error of the machine.
   *
   * @throws FileSystemException as {@link #read} does, or if the file cannot be mapped
   */
  public static NpyFile map(Path path, Arena arena) throws FileSystemException {
    try (InputFile input = InputFile.open(path)) {
      NpyPreamble preamble = NpyPreamble.read(input);
      NpyHeader header = NpyHeaderParser.parse(path, preamble.readHeader(input));
      checkSize(path, header, input.size() - preamble.dataStart());
      boolean isAsStored =
          !header.isTransposed()
              && (header.type().itemSize() == 1 || header.byteOrder() == ByteOrder.nativeOrder());
      MemorySegment data =
          isAsStored && header.byteSize() > 0
              ? input.map(preamble.dataStart(), header.byteSize(), arena)
              : readElements(input, preamble.dataStart(), header, arena);
      return new NpyFile(path, header.type(), header.shape(), data);
    }
  }

  /** The type of the elements. */
  public NpyType type() {
    return type;
  }

  /** The dimensions; a copy. Empty for a single number without dimensions. */
  public long[] shape() {
    return shape.clone();
  }

  /** The number of elements: the product of the dimensions, 1 if there are none. */
  public long elementCount() {
    return data.byteSize() / type.itemSize();
  }

  /**
   * The elements, {@code elementCount() * type().itemSize()} bytes, last index fastest, in this
   * machine's byte order, 64-byte aligned unless mapped. The memory lives as long as the arena
   * given to {@link #read} or {@link #map}.
   */
  public MemorySegment data() {
    return data;
  }

  /**
   * The elements as float32, widened exactly if they are float16.
   *
   * @param arena the arena to allocate the result from, if it is not {@link #data} itself
   * @return {@link #data} itself if the elements are float32, else new memory, 64-byte aligned
   * @throws MalformedFileException if the elements are neither float16 nor float32
   * @throws FileSystemException if there is not enough memory
   */
  public MemorySegment toFloat32(Arena arena) throws FileSystemException {
    if (type == NpyType.FLOAT32) {
      return data;
    }
    if (type != NpyType.FLOAT16) {
      throw new MalformedFileException(
          path, "found elements of type " + type + "; expected float16 or float32");
    }
    long count = elementCount();
    MemorySegment floats = InputFile.allocate(path, arena, count * Float.BYTES, ALIGNMENT);
    for (long i = 0; i < count; i++) {
      short half = data.getAtIndex(ValueLayout.JAVA_SHORT, i);
      floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, Float.float16ToFloat(half));
    }
    return floats;
  }

  /**
   * The elements as int64, widened if they are smaller integers.
   *
   * @param arena the arena to allocate the result from, if it is not {@link #data} itself
   * @return {@link #data} itself if the elements are int64, else new memory, 64-byte aligned
   * @throws MalformedFileException if the elements are no integers, or if one is above {@link
   *     Long#MAX_VALUE}
   * @throws FileSystemException if there is not enough memory
   */
  public MemorySegment toInt64(Arena arena) throws FileSystemException {
    if (type == NpyType.INT64) {
      return data;
    }
    MemorySegment longs = InputFile.allocate(path, arena, elementCount() * Long.BYTES, ALIGNMENT);
    widen(path, type, shape, 0, data, longs);
    return longs;
  }

  /**
   * Some elements as int64.
   *
   * @param first the number of the first one
   */
  static void widen(
      Path path, NpyType type, long[] shape, long first, MemorySegment from, MemorySegment to)
      throws MalformedFileException {
    if (!type.isInteger()) {
      throw new MalformedFileException(
          path, "found elements of type " + type + "; expected integers");
    }
    long count = to.byteSize() / Long.BYTES;
    for (long i = 0; i < count; i++) {
      long value = integerAt(type, from, i);
      if (value < 0 && type == NpyType.UINT64) {
        throw new MalformedFileException(
            path,
            "found "
                + Long.toUnsignedString(value)
                + " at index "
                + Arrays.toString(Shapes.indexAt(first + i, shape))
                + "; expected at most 9223372036854775807, the largest int64");
      }
      to.setAtIndex(ValueLayout.JAVA_LONG, i, value);
    }
  }

  private static long integerAt(NpyType type, MemorySegment data, long i) {
    return switch (type) {
      case INT8 -> data.get(ValueLayout.JAVA_BYTE, i);
      case INT16 -> data.getAtIndex(ValueLayout.JAVA_SHORT, i);
      case INT32 -> data.getAtIndex(ValueLayout.JAVA_INT, i);
      case INT64, UINT64 -> data.getAtIndex(ValueLayout.JAVA_LONG, i);
      case UINT8 -> Byte.toUnsignedLong(data.get(ValueLayout.JAVA_BYTE, i));
      case UINT16 -> Short.toUnsignedLong(data.getAtIndex(ValueLayout.JAVA_SHORT, i));
      case UINT32 -> Integer.toUnsignedLong(data.getAtIndex(ValueLayout.JAVA_INT, i));
      case FLOAT16, FLOAT32, FLOAT64, BOOL -> throw new AssertionError(type);
    };
  }

  /** Makes sure that the file holds what its header declares. */
  static void checkSize(Path path, NpyHeader header, long found) throws MalformedFileException {
    long expected = header.byteSize();
    if (found == expected) {
      return;
    }
    String difference =
        found < expected ? (expected - found) + " fewer" : (found - expected) + " more";
    throw new MalformedFileException(
        path,
        (found < expected ? "truncated" : "too long")
            + ": found "
            + found
            + " bytes after the header, "
            + difference
            + " than the "
            + expected
            + " of "
            + header);
  }

  private static MemorySegment readElements(
      InputFile input, long position, NpyHeader header, Arena arena) throws FileSystemException {
    long byteSize = header.byteSize();
    int itemSize = header.type().itemSize();
    MemorySegment data = InputFile.allocate(input.path(), arena, byteSize, ALIGNMENT);
    if (header.fortranOrder() && header.shape().length > 1) {
      try (Arena temporary = Arena.ofConfined()) {
        MemorySegment stored = InputFile.allocate(input.path(), temporary, byteSize, ALIGNMENT);
        input.read(position, stored);
        Elements.copyFortranToC(stored, data, header.shape(), itemSize);
      }
    } else {
      input.read(position, data);
    }
    if (header.byteOrder() != ByteOrder.nativeOrder()) {
      Elements.reverseBytes(data, itemSize);
    }
    return data;
  }
}
