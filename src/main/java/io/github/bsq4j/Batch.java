package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * How the rows of an input lie, and which of them count in the losses: {@code items} sequences or
 * images of {@code positions} tokens or pixels each. Immutable, and of no arena: all threads may
 * share one, for as many calls as there are inputs of this shape.
 *
 * <p>A row that does not count, padding for instance, is in no loss and gets no gradient of one. It
 * is quantized all the same, and gets the gradient of what it is quantized to.
 *
 * <p>All methods throw {@link NullPointerException} for null, which they name, and {@link
 * IllegalArgumentException} for numbers that do not fit, which they name too.
 */
public final class Batch {
  private final long items;
  private final long positions;
  private final MemorySegment mask; // of rows() bytes, read-only; NULL where all rows count

  private Batch(long items, long positions, MemorySegment mask) {
    this.items = items;
    this.positions = positions;
    this.mask = mask;
  }

  /** So many rows, all of which count: as many items of one position. */
  public static Batch of(long rows) {
    return new Batch(requireCount("rows", rows), 1, MemorySegment.NULL);
  }

  /** Rows {@code [items, positions]}, all of which count. */
  public static Batch of(long items, long positions) {
    requireCount("items", items);
    requireCount("positions", positions);
    if (Math.multiplyHigh(items, positions) != 0 || items * positions < 0) {
      throw new IllegalArgumentException(
          items + " items of " + positions + " positions are more than 2^63 - 1 rows");
    }
    return new Batch(items, positions, MemorySegment.NULL);
  }

  /**
   * These rows, of which those count whose byte is not 0.
   *
   * @param mask one byte for each row, {@code [items, positions]}; it is copied
   */
  public Batch withMask(byte... mask) {
    return withMask(MemorySegment.ofArray(requireNonNull(mask, "mask")));
  }

  /**
   * These rows, of which those count that are true.
   *
   * @param mask one element for each row, {@code [items, positions]}; it is copied
   */
  public Batch withMask(boolean... mask) {
    requireRows("mask", requireNonNull(mask, "mask").length, "elements");
    MemorySegment bytes = newMask();
    for (int row = 0; row < mask.length; row++) {
      bytes.set(ValueLayout.JAVA_BYTE, row, (byte) (mask[row] ? 1 : 0));
    }
    return masked(bytes);
  }

  /**
   * These rows, of which those count whose byte is not 0.
   *
   * @param mask one byte for each row, {@code [items, positions]}; it is copied
   */
  public Batch withMask(MemorySegment mask) {
    requireRows("mask", requireNonNull(mask, "mask").byteSize(), "bytes");
    return masked(newMask().copyFrom(mask));
  }

  /**
   * These rows, of which the first {@code lengths[i]} positions of item i count.
   *
   * @param lengths one number for each item, 0 to {@code positions}
   */
  public Batch withLengths(long... lengths) {
    requireItems("lengths", requireNonNull(lengths, "lengths").length);
    MemorySegment bytes = newMask();
    for (int item = 0; item < lengths.length; item++) {
      if (lengths[item] < 0 || lengths[item] > positions) {
        throw new IllegalArgumentException(
            "lengths[%d] is %d, expected 0 to %d positions"
                .formatted(item, lengths[item], positions));
      }
      bytes.asSlice(item * positions, lengths[item]).fill((byte) 1);
    }
    return masked(bytes);
  }

  /**
   * These rows, of which the first positions of each item count: as large a share of {@code
   * positions} as its length says, rounded to the nearest integer, halves to even, as SpeechBrain's
   * recipes do with their relative lengths.
   *
   * @param lengths one number for each item, 0 to 1
   */
  public Batch withRelativeLengths(double... lengths) {
    requireItems("lengths", requireNonNull(lengths, "lengths").length);
    long[] absolute = new long[lengths.length];
    for (int item = 0; item < lengths.length; item++) {
      if (!(lengths[item] >= 0 && lengths[item] <= 1)) {
        throw new IllegalArgumentException(
            "lengths[%d] is %s, expected 0 to 1".formatted(item, lengths[item]));
      }
      absolute[item] = (long) Math.rint(lengths[item] * positions);
    }
    return withLengths(absolute);
  }

  /** The number of sequences or images. */
  public long items() {
    return items;
  }

  /** The number of tokens or pixels of each item. */
  public long positions() {
    return positions;
  }

  /** The number of rows, counting or not: {@code items · positions}. */
  public long rows() {
    return items * positions;
  }

  /**
   * Which rows count: one byte for each, 0 where it does not, {@code [items, positions]}; nothing
   * where all do. Read-only, native, and alive as long as it is reachable.
   */
  public Optional<MemorySegment> mask() {
    return mask.equals(MemorySegment.NULL) ? Optional.empty() : Optional.of(mask);
  }

  /** As {@link #mask()}, but {@link MemorySegment#NULL} where all rows count: for native calls. */
  MemorySegment maskOrNull() {
    return mask;
  }

  /**
   * Which rows count, for {@link BinarySphericalQuantizer#forward(Arena, Tensor, Tensor)} with an x
   * of {@code [items, positions, components]}, or {@code [items, components, positions]} where
   * channels come first.
   *
   * @param arena where the result lives
   * @return {@code [items, positions]} of UINT8, on the device: 1 where a row counts, or another
   *     number that is not 0 where the mask has it
   */
  public Tensor maskTensor(Arena arena, Device device) {
    requireNonNull(device, "device");
    try (Arena temporary = Arena.ofConfined()) {
      MemorySegment bytes = mask().orElseGet(() -> newMask().fill((byte) 1));
      return Tensor.copyOf(temporary, bytes, DType.UINT8, items, positions).to(arena, device);
    }
  }

  @Override
  public String toString() {
    String counted = mask().isEmpty() ? "all" : countedRows() + " of them";
    return "Batch[items=%d, positions=%d, counting=%s]".formatted(items, positions, counted);
  }

  private long countedRows() {
    long counted = 0;
    for (long row = 0; row < rows(); row++) {
      counted += mask.get(ValueLayout.JAVA_BYTE, row) == 0 ? 0 : 1;
    }
    return counted;
  }

  /** In an automatic arena: it must live as long as this object, and be open to all threads. */
  private MemorySegment newMask() {
    return Arena.ofAuto().allocate(rows());
  }

  private Batch masked(MemorySegment bytes) {
    return new Batch(items, positions, bytes.asReadOnly());
  }

  private void requireRows(String name, long count, String unit) {
    if (count != rows()) {
      throw new IllegalArgumentException(
          "%s has %d %s, expected one for each of %d rows, %d items of %d positions"
              .formatted(name, count, unit, rows(), items, positions));
    }
  }

  private void requireItems(String name, long count) {
    if (count != items) {
      throw new IllegalArgumentException(
          "%s has %d elements, expected one for each of %d items".formatted(name, count, items));
    }
  }

  private static long requireCount(String name, long count) {
    if (count < 0) {
      throw new IllegalArgumentException(name + " is " + count + ", expected at least 0");
    }
    return count;
  }
}
