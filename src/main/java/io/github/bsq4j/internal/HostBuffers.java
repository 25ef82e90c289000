package io.github.bsq4j.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The caller's segments made fit for one native call. Sizes are checked here, so that errors are
 * told in Java's terms. Native memory is used in place; heap memory (arrays) and memory that is not
 * aligned to its elements is copied, and outputs are copied back by {@link #copyBack()}.
 *
 * <p>For one call by one thread, in a try statement.
 */
public final class HostBuffers implements AutoCloseable {
  private record CopiedOutput(MemorySegment copy, MemorySegment original) {}

  private Arena arena; // made only if something must be copied
  private List<CopiedOutput> copiedOutputs = List.of();

  /**
   * The number of bytes of {@code rows · columns} elements.
   *
   * @throws IllegalArgumentException if rows is negative or the result does not fit into a long
   */
  public static long byteSize(long rows, long columns, long elementSize) {
    if (rows < 0) {
      throw new IllegalArgumentException("rows is " + rows + ", expected at least 0");
    }
    try {
      return Math.multiplyExact(rows, Math.multiplyExact(columns, elementSize));
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          rows + " rows of " + columns + " elements are more than 2^63 - 1 bytes", e);
    }
  }

  /**
   * The first {@code byteSize} bytes of an input, in native memory.
   *
   * @throws IllegalArgumentException if it is too short
   */
  public MemorySegment input(String name, MemorySegment segment, long byteSize, long elementSize) {
    MemorySegment needed = firstBytes(name, segment, byteSize);
    return isDirect(needed, elementSize)
        ? needed
        : arena().allocate(byteSize, elementSize).copyFrom(needed);
  }

  /** As {@link #input}, but {@link MemorySegment#NULL} stands for none and stays as it is. */
  public MemorySegment optionalInput(
      String name, MemorySegment segment, long byteSize, long elementSize) {
    return isNone(segment) ? segment : input(name, segment, byteSize, elementSize);
  }

  /** As {@link #output}, but {@link MemorySegment#NULL} stands for none and stays as it is. */
  public MemorySegment optionalOutput(
      String name, MemorySegment segment, long byteSize, long elementSize) {
    return isNone(segment) ? segment : output(name, segment, byteSize, elementSize);
  }

  /**
   * The first {@code byteSize} bytes of an output, in native memory.
   *
   * @throws IllegalArgumentException if it is too short or read-only
   */
  public MemorySegment output(String name, MemorySegment segment, long byteSize, long elementSize) {
    MemorySegment needed = firstBytes(name, segment, byteSize);
    if (segment.isReadOnly()) { // the native side would not notice
      throw new IllegalArgumentException(name + " is read-only");
    }
    if (isDirect(needed, elementSize)) {
      return needed;
    }
    MemorySegment copy = arena().allocate(byteSize, elementSize);
    if (copiedOutputs.isEmpty()) {
      copiedOutputs = new ArrayList<>(2);
    }
    copiedOutputs.add(new CopiedOutput(copy, needed));
    return copy;
  }

  /** Gives the caller the outputs that were copied. Call it after the native call succeeded. */
  public void copyBack() {
    for (CopiedOutput output : copiedOutputs) {
      output.original.copyFrom(output.copy);
    }
  }

  @Override
  public void close() {
    if (arena != null) {
      arena.close();
    }
  }

  private Arena arena() {
    if (arena == null) {
      arena = Arena.ofConfined();
    }
    return arena;
  }

  private static boolean isNone(MemorySegment segment) {
    return segment.equals(MemorySegment.NULL);
  }

  private static boolean isDirect(MemorySegment segment, long elementSize) {
    return segment.isNative() && segment.address() % elementSize == 0;
  }

  private static MemorySegment firstBytes(String name, MemorySegment segment, long byteSize) {
    if (segment.byteSize() < byteSize) {
      throw new IllegalArgumentException(
          name + " has " + segment.byteSize() + " bytes, expected at least " + byteSize);
    }
    return segment.asSlice(0, byteSize);
  }
}
