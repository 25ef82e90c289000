package io.github.bsq4j.io;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;

/**
 * The tensors of a {@code .safetensors} file, in memory.
 *
 * <p>Immutable, so safe for concurrent use. The memory lives as long as anything refers to this
 * object or to a segment that it has returned.
 *
 * <p>Format: <a href="https://github.com/huggingface/safetensors#format">safetensors</a>. As in its
 * reference implementation, the tensors must cover everything behind the header, without holes and
 * overlaps, in any order; where they begin need not be aligned.
 */
public final class SafetensorsFile {
  /** The format's own limit. */
  private static final long MAX_HEADER_LENGTH = 100_000_000;

  /** Enough for every element type. */
  private static final long ALIGNMENT = 8;

  private final Path path;
  private final SafetensorsHeader header;
  private final Map<String, MemorySegment> data;

  private SafetensorsFile(Path path, SafetensorsHeader header, Map<String, MemorySegment> data) {
    this.path = path;
    this.header = header;
    this.data = data;
  }

  /**
   * Reads a whole file.
   *
   * @throws MalformedFileException if the file breaks a rule of the format
   * @throws FileSystemException if the file does not exist or cannot be read, or if it needs more
   *     memory than there is
   */
  public static SafetensorsFile read(Path path) throws FileSystemException {
    try (InputFile input = InputFile.open(path)) {
      long size = input.size();
      long headerLength = headerLength(input, size);
      long dataStart = Long.BYTES + headerLength;
      SafetensorsHeader header =
          SafetensorsHeaderParser.parse(
              path, input.readBytes(Long.BYTES, headerLength), size - dataStart);
      return new SafetensorsFile(path, header, readTensors(input, dataStart, header));
    }
  }

  private static long headerLength(InputFile input, long fileSize) throws FileSystemException {
    if (fileSize < Long.BYTES) {
      throw new MalformedFileException(
          input.path(),
          "not a .safetensors file: found "
              + fileSize
              + " bytes; expected at least the 8 of the header's length");
    }
    long length =
        MemorySegment.ofArray(input.readBytes(0, Long.BYTES))
            .get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
    if (length < 0 || length > MAX_HEADER_LENGTH) {
      throw new MalformedFileException(
          input.path(),
          "not a .safetensors file: it declares a header of "
              + Long.toUnsignedString(length)
              + " bytes; expected at most "
              + MAX_HEADER_LENGTH);
    }
    if (length > fileSize - Long.BYTES) {
      throw new MalformedFileException(
          input.path(),
          "truncated: it ends after "
              + fileSize
              + " bytes, before the end of its header of "
              + length
              + " bytes");
    }
    return length;
  }

  /** Copies each tensor to an aligned place of its own in one block of memory. */
  private static Map<String, MemorySegment> readTensors(
      InputFile input, long dataStart, SafetensorsHeader header) throws FileSystemException {
    long total = 0;
    for (SafetensorsEntry entry : header.tensors().values()) {
      total += aligned(entry.byteSize());
    }
    MemorySegment block = InputFile.allocate(input.path(), Arena.ofAuto(), total, ALIGNMENT);
    Map<String, MemorySegment> data = new HashMap<>();
    long offset = 0;
    for (SafetensorsEntry entry : header.tensors().values()) {
      MemorySegment tensor = block.asSlice(offset, entry.byteSize());
      input.read(dataStart + entry.begin(), tensor);
      data.put(entry.name(), tensor.asReadOnly());
      offset += aligned(entry.byteSize());
    }
    return data;
  }

  private static long aligned(long size) {
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** The free text of the file by key, in the order of the header; unmodifiable. */
  public SequencedMap<String, String> metadata() {
    return header.metadata();
  }

  /** The names of the tensors, in the order of the header; unmodifiable. */
  public SequencedSet<String> names() {
    return header.tensors().sequencedKeySet();
  }

  /**
   * The element type of a tensor.
   *
   * @throws MalformedFileException if the file has no such tensor
   */
  public SafetensorsType type(String name) throws MalformedFileException {
    return entry(name).type();
  }

  /**
   * The dimensions of a tensor; a copy. Empty for a single number without dimensions.
   *
   * @throws MalformedFileException if the file has no such tensor
   */
  public long[] shape(String name) throws MalformedFileException {
    return entry(name).shape();
  }

  /**
   * The elements of a tensor, last index fastest, little-endian as in the file; read-only, 8-byte
   * aligned.
   *
   * @throws MalformedFileException if the file has no such tensor
   */
  public MemorySegment data(String name) throws MalformedFileException {
    entry(name);
    return data.get(name);
  }

  /**
   * The elements of a float32 tensor; a copy.
   *
   * @throws MalformedFileException if the file has no such tensor, if its type is another, or if it
   *     is too large for an array
   */
  public float[] floats(String name) throws MalformedFileException {
    return data(name, SafetensorsType.F32)
        .toArray(ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN));
  }

  /**
   * The elements of a float64 tensor; a copy.
   *
   * @throws MalformedFileException if the file has no such tensor, if its type is another, or if it
   *     is too large for an array
   */
  public double[] doubles(String name) throws MalformedFileException {
    return data(name, SafetensorsType.F64)
        .toArray(ValueLayout.JAVA_DOUBLE.withOrder(ByteOrder.LITTLE_ENDIAN));
  }

  /**
   * The elements of an int64 tensor; a copy.
   *
   * @throws MalformedFileException if the file has no such tensor, if its type is another, or if it
   *     is too large for an array
   */
  public long[] longs(String name) throws MalformedFileException {
    return data(name, SafetensorsType.I64)
        .toArray(ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN));
  }

  private MemorySegment data(String name, SafetensorsType expected) throws MalformedFileException {
    SafetensorsEntry entry = entry(name);
    if (entry.type() != expected) {
      throw new MalformedFileException(
          path,
          "found the tensor "
              + Messages.quote(name)
              + " of type "
              + entry.type()
              + "; expected "
              + expected);
    }
    long count = entry.byteSize() / expected.itemSize();
    if (count > Integer.MAX_VALUE - 8) {
      throw new MalformedFileException(
          path,
          "the tensor "
              + Messages.quote(name)
              + " has "
              + count
              + " elements; expected at most "
              + (Integer.MAX_VALUE - 8)
              + ", the length of an array");
    }
    return data.get(name);
  }

  private SafetensorsEntry entry(String name) throws MalformedFileException {
    SafetensorsEntry entry = header.tensors().get(name);
    if (entry == null) {
      throw new MalformedFileException(
          path,
          "has no tensor "
              + Messages.quote(name)
              + "; found "
              + Messages.excerpt(String.join(", ", header.tensors().keySet())));
    }
    return entry;
  }
}
