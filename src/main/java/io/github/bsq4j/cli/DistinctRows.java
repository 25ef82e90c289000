package io.github.bsq4j.cli;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.OptionalLong;

/** How many different rows of indices there are. */
final class DistinctRows {
  private static final int MAX_ROWS = 1 << 28; // the table has up to four times as many places
  private static final int MAX_SET_BITS = 24;

  private final MemorySegment indices;
  private final int width;

  /** Row numbers plus 1 where their hashes fall, or at the next free places. */
  private final int[] table;

  private DistinctRows(MemorySegment indices, int rows, int width) {
    this.indices = indices;
    this.width = width;
    this.table = new int[Integer.highestOneBit(Math.max(rows, 1)) << 2];
  }

  /**
   * Counts them.
   *
   * @param indices {@code [rows, width]} of int64
   * @param bits how many bits an index has
   * @return empty for more rows than an array can hold
   */
  static OptionalLong count(MemorySegment indices, long rows, int width, int bits) {
    if (width == 1 && bits <= MAX_SET_BITS) {
      return OptionalLong.of(countInSet(indices, rows, bits));
    }
    if (rows > MAX_ROWS) {
      return OptionalLong.empty();
    }
    DistinctRows distinct = new DistinctRows(indices, (int) rows, width);
    long count = 0;
    for (int row = 0; row < rows; row++) {
      count += distinct.add(row) ? 1 : 0;
    }
    return OptionalLong.of(count);
  }

  private static long countInSet(MemorySegment indices, long rows, int bits) {
    BitSet seen = new BitSet(1 << bits);
    for (long row = 0; row < rows; row++) {
      seen.set((int) indices.getAtIndex(ValueLayout.JAVA_LONG, row));
    }
    return seen.cardinality();
  }

  /** Whether there was no such row before. */
  private boolean add(int row) {
    int place = hash(row) & (table.length - 1);
    while (table[place] != 0) {
      if (equal(table[place] - 1, row)) {
        return false;
      }
      place = (place + 1) & (table.length - 1);
    }
    table[place] = row + 1;
    return true;
  }

  private int hash(int row) {
    long hash = 0;
    for (int i = 0; i < width; i++) {
      hash = (hash ^ at(row, i)) * 0x9E3779B97F4A7C15L;
      hash ^= hash >>> 32;
    }
    return (int) hash;
  }

  private boolean equal(int row, int other) {
    for (int i = 0; i < width; i++) {
      if (at(row, i) != at(other, i)) {
        return false;
      }
    }
    return true;
  }

  private long at(int row, int i) {
    return indices.getAtIndex(ValueLayout.JAVA_LONG, (long) row * width + i);
  }
}
