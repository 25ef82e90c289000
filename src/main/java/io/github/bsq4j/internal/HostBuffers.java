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

  /** For calls that copy nothing, which is why they can share it, and allocate nothing either. */
  private static final HostBuffers DIRECT = new HostBuffers();

  private Scratch scratch; // taken only if something must be copied
  private long scratchUsed;
  private Arena arena; // made only for what the scratch memory does not hold
  private List<CopiedOutput> copiedOutputs = List.of();

  private HostBuffers() {}

  /**
   * The buffers of a call.
   *
   * @param direct whether all segments are direct, by {@link #isDirect}
   */
  public static HostBuffers open(boolean direct) {
    return direct ? DIRECT : new HostBuffers();
  }

  /** Whether the native side can use the segment in place. What is null is refused later. */
  public static boolean isDirect(MemorySegment segment, ValueLayout layout) {
    return segment == null || (segment.isNative() && segment.address() % layout.byteSize() == 0);
  }

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
    requireElements(name, segment, byteSize, layout);
    return segment.asSlice(0, byteSize);
  }

  private static void requireElements(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    requireNonNull(segment, name);
    if (!segment.isNative()) {
      requireArrayOf(layout.carrier().arrayType(), name, segment);
    }
    if (segment.byteSize() < byteSize) {
      throw new IllegalArgumentException(
          name + " has " + segment.byteSize() + " bytes, expected at least " + byteSize);
    }
  }

  /** Whoever passes an array of numbers means those numbers; bytes may be anything. */
  private static void requireArrayOf(Class<?> expected, String name, MemorySegment segment) {
    Class<?> array = segment.heapBase().map(Object::getClass).orElse(null);
    if (array != null && array != byte[].class && array != expected) {
      throw new IllegalArgumentException(
          name + " is a " + array.getSimpleName() + ", expected a " + expected.getSimpleName());
    }
  }

  /**
   * An input in native memory, of {@code byteSize} bytes at least.
   *
   * @throws IllegalArgumentException if it is too short, or an array of another type
   */
  public MemorySegment input(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    requireElements(name, segment, byteSize, layout);
    return isDirect(segment, layout)
        ? segment
        : allocate(byteSize).copyFrom(segment.asSlice(0, byteSize));
  }

  /** As {@link #input}, but {@link MemorySegment#NULL} stands for none and stays as it is. */
  public MemorySegment optionalInput(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    return isNone(name, segment) ? segment : input(name, segment, byteSize, layout);
  }

  /**
   * An output in native memory, of {@code byteSize} bytes at least. {@link #requireApart} checks
   * that it overlaps nothing.
   *
   * @throws IllegalArgumentException if it is too short, an array of another type, or read-only
   */
  public MemorySegment output(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    requireElements(name, segment, byteSize, layout);
    if (segment.isReadOnly()) { // the native side would not notice
      throw new IllegalArgumentException(name + " is read-only");
    }
    if (isDirect(segment, layout)) {
      return segment;
    }
    MemorySegment copy = allocate(byteSize);
    if (copiedOutputs.isEmpty()) {
      copiedOutputs = new ArrayList<>(2);
    }
    copiedOutputs.add(new CopiedOutput(copy, segment.asSlice(0, byteSize)));
    return copy;
  }

  /** As {@link #output}, but {@link MemorySegment#NULL} stands for none and stays as it is. */
  public MemorySegment optionalOutput(
      String name, MemorySegment segment, long byteSize, ValueLayout layout) {
    return isNone(name, segment) ? segment : output(name, segment, byteSize, layout);
  }

  /**
   * Checks the first bytes of an output and of another segment, both of which have been accepted.
   * {@link MemorySegment#NULL} overlaps nothing.
   *
   * @throws IllegalArgumentException if they overlap
   */
  public static void requireApart(
      String name,
      MemorySegment output,
      long byteSize,
      String otherName,
      MemorySegment other,
      long otherByteSize) {
    if (overlap(output, byteSize, other, otherByteSize)) {
      throw new IllegalArgumentException(
          name + " overlaps " + otherName + ", expected memory of its own");
    }
  }

  private static boolean overlap(MemorySegment a, long aBytes, MemorySegment b, long bBytes) {
    if (aBytes == 0
        || bBytes == 0
        || a.equals(MemorySegment.NULL)
        || b.equals(MemorySegment.NULL)) {
      return false;
    }
    if (a.isNative() && b.isNative()) { // without slices, which would have to be allocated
      return a.address() < b.address() + bBytes && b.address() < a.address() + aBytes;
    }
    return a.asSlice(0, aBytes).asOverlappingSlice(b.asSlice(0, bBytes)).isPresent();
  }

  /** Gives the caller the outputs that were copied. Call it after the native call succeeded. */
  public void copyBack() {
    for (int i = 0; i < copiedOutputs.size(); i++) {
      CopiedOutput output = copiedOutputs.get(i);
      output.original.copyFrom(output.copy);
    }
  }

  @Override
  public void close() {
    if (scratch != null) {
      scratch.close();
    }
    if (arena != null) {
      arena.close();
    }
  }

  /** Aligned for elements of any type. */
  private MemorySegment allocate(long byteSize) {
    if (scratch == null) {
      scratch = Scratch.take();
    }
    if (byteSize <= scratch.memory().byteSize() - scratchUsed) {
      MemorySegment allocated = scratch.memory().asSlice(scratchUsed, byteSize);
      scratchUsed = Math.ceilDiv(scratchUsed + byteSize, Long.BYTES) * Long.BYTES;
      return allocated;
    }
    if (arena == null) {
      arena = Arena.ofConfined();
    }
    return arena.allocate(byteSize, Long.BYTES);
  }

  private static boolean isNone(String name, MemorySegment segment) {
    return requireNonNull(segment, name).equals(MemorySegment.NULL);
  }
}
