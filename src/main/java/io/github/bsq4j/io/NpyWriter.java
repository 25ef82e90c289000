package io.github.bsq4j.io;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * Writes NumPy {@code .npy} files, format version 1.0, byte for byte as {@code numpy.save} does.
 *
 * <p>Stateless, so safe for concurrent use.
 */
public final class NpyWriter {
  /** The most dimensions that an array may have. */
  public static final int MAX_RANK = Shapes.MAX_RANK;

  private static final int ALIGNMENT = 64;

  /** Magic, version 1.0; the length of the header follows in two bytes. */
  private static final byte[] PREFIX = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

  /**
   * The width to which NumPy pads the first dimension, so that one who appends rows to a file can
   * write a larger number in its place: the digits of 2 to the 67th.
   */
  private static final int GROWTH_WIDTH = 21;

  private NpyWriter() {}

  /**
   * Writes an array to a file, which appears only when it is complete.
   *
   * @param path the file to create or replace
   * @param type the element type
   * @param shape the dimensions; empty for a single number
   * @param data the elements, last index fastest, in this machine's byte order; native or heap
   * @throws IllegalArgumentException if {@code data} is not exactly as large as type and shape say,
   *     or a dimension is negative, or there are more than 64 of them
   * @throws FileSystemException if the file cannot be written
   */
  public static void write(Path path, NpyType type, long[] shape, MemorySegment data)
      throws FileSystemException {
    try (AtomicOutput output = AtomicOutput.open(path)) {
      write(output, type, shape, data);
      output.commit();
    }
  }

  /**
   * Writes an array to an output that the caller has opened and will commit.
   *
   * @param output the output; the array is appended to it
   * @param type the element type
   * @param shape the dimensions; empty for a single number
   * @param data the elements, last index fastest, in this machine's byte order; native or heap
   * @throws IllegalArgumentException if {@code data} is not exactly as large as type and shape say,
   *     or a dimension is negative, or there are more than 64 of them
   * @throws FileSystemException if the file cannot be written
   */
  public static void write(AtomicOutput output, NpyType type, long[] shape, MemorySegment data)
      throws FileSystemException {
    checkSize(type, shape, data.byteSize());
    output.write(MemorySegment.ofArray(header(type, shape)));
    output.write(data);
  }

  private static void checkSize(NpyType type, long[] shape, long byteSize) {
    if (shape.length > Shapes.MAX_RANK) {
      throw new IllegalArgumentException("too many dimensions: " + shape.length);
    }
    for (long dimension : shape) {
      if (dimension < 0) {
        throw new IllegalArgumentException("negative dimension in shape " + Shapes.toTuple(shape));
      }
    }
    long expected;
    try {
      expected = Shapes.byteSize(shape, type.itemSize());
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("shape too large: " + Shapes.toTuple(shape), e);
    }
    if (byteSize != expected) {
      throw new IllegalArgumentException(
          "data has "
              + byteSize
              + " bytes, but "
              + type
              + " of shape "
              + Shapes.toTuple(shape)
              + " needs "
              + expected);
    }
  }

  private static byte[] header(NpyType type, long[] shape) {
    StringBuilder text = new StringBuilder();
    text.append("{'descr': '").append(type.descr()).append("', 'fortran_order': False, 'shape': ");
    text.append(Shapes.toTuple(shape)).append(", }");
    if (shape.length > 0) {
      text.repeat(' ', GROWTH_WIDTH - Long.toString(shape[0]).length());
    }
    int start = PREFIX.length + Short.BYTES;
    int unpadded = start + text.length() + 1;
    // NumPy adds a whole block of spaces where none would be needed.
    text.repeat(' ', ALIGNMENT - unpadded % ALIGNMENT).append('\n');

    return ByteBuffer.allocate(start + text.length())
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(PREFIX)
        .putShort((short) text.length())
        .put(text.toString().getBytes(StandardCharsets.US_ASCII))
        .array();
  }
}
