package io.github.bsq4j.internal;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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

  /** No call has more segments than this. */
  private static final int MAX_SEGMENTS = 3;

  private final String[] names = new String[MAX_SEGMENTS];
  private final MemorySegment[] segments = new MemorySegment[MAX_SEGMENTS];
  private int count;
  private Arena arena; // made only if something must be copied
  private List<CopiedOutput> copiedOutputs = List.of();

  /**
   * The number of bytes of {@code rows · columns} elements.
   *
   * @throws IllegalArgumentException if rows is negative or the result does not fit into a long
   */
  public static long byteSize(long rows, long columns, long elementSize) {
    requireCount("rows", rows);
    try {
      return Math.multiplyExact(rows, Math.multiplyExact(columns, elementSize));
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          rows + " rows of " + columns + " elements are more than 2^63 - 1 bytes", e);
    }
  }

  /**
   * Checks a number of elements or rows.
   *
   * @throws IllegalArgumentException if it is negative
   */
  public static void requireCount(String name, long count) {
    if (count < 0) {
      throw new IllegalArgumentException(name + " is " + count + ", expected at least 0");
    }
  }

  /**
   * The first {@code byteSize} bytes of a segment of any kind.
   *
   * @throws IllegalArgumentException if it is too short, or an array of another type
   */
  public static MemorySegment elements(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    requireNonNull(segment, name);
    // Whoever passes an array of numbers means those numbers; bytes may be anything.
    Class<?> array = segment.heapBase().map(Object::getClass).orElse(null);
    Class<?> expected = layout.carrier().arrayType();
    if (array != null && array != byte[].class && array != expected) {
      throw new IllegalArgumentException(
          name + " is a " + array.getSimpleName() + ", expected a " + expected.getSimpleName());
    }
    if (segment.byteSize() < byteSize) {
      throw new IllegalArgumentException(
          name + " has " + segment.byteSize() + " bytes, expected at least " + byteSize);
    }
    return segment.asSlice(0, byteSize);
  }

  /**
   * The first {@code byteSize} bytes of an input, in native memory.
   *
   * @throws IllegalArgumentException if it is too short, or an array of another type
   */
  public MemorySegment input(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    MemorySegment needed = elements(name, segment, byteSize, layout);
    remember(name, needed);
    return isDirect(needed, layout)
        ? needed
        : arena().allocate(byteSize, layout.byteAlignment()).copyFrom(needed);
  }

  /** As {@link #input}, but {@link MemorySegment#NULL} stands for none and stays as it is. */
  public MemorySegment optionalInput(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    return isNone(name, segment) ? segment : input(name, segment, byteSize, layout);
  }

  /**
   * The first {@code byteSize} bytes of an output, in native memory. To be called after the inputs.
   *
   * @throws IllegalArgumentException if it is too short, an array of another type, read-only, or
   *     overlaps another segment of this call
   */
  public MemorySegment output(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    MemorySegment needed = elements(name, segment, byteSize, layout);
    if (segment.isReadOnly()) { // the native side would not notice
      throw new IllegalArgumentException(name + " is read-only");
    }
    for (int i = 0; i < count; i++) {
      if (needed.asOverlappingSlice(segments[i]).isPresent()) {
        throw new IllegalArgumentException(
            name + " overlaps " + names[i] + ", expected memory of its own");
      }
    }
    remember(name, needed);
    if (isDirect(needed, layout)) {
      return needed;
    }
    MemorySegment copy = arena().allocate(byteSize, layout.byteAlignment());
    if (copiedOutputs.isEmpty()) {
      copiedOutputs = new ArrayList<>(2);
    }
    copiedOutputs.add(new CopiedOutput(copy, needed));
    return copy;
  }

  /** As {@link #output}, but {@link MemorySegment#NULL} stands for none and stays as it is. */
  public MemorySegment optionalOutput(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    return isNone(name, segment) ? segment : output(name, segment, byteSize, layout);
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

  private void remember(String name, MemorySegment segment) {
    names[count] = name;
    segments[count] = segment;
    count++;
  }

  private static boolean isNone(String name, MemorySegment segment) {
    return requireNonNull(segment, name).equals(MemorySegment.NULL);
  }

  private static boolean isDirect(MemorySegment segment, ValueLayout layout) {
    return segment.isNative() && segment.address() % layout.byteSize() == 0;
  }
}
