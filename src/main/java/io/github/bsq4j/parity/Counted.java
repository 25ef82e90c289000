package io.github.bsq4j.parity;

import io.github.bsq4j.Batch;
import java.util.Arrays;

/** Which rows of a golden case count in the losses. */
interface Counted {
  /** All of them. */
  Counted ALL = (rows, _) -> rows;

  /**
   * Some of the case's items, with those rows counting that do.
   *
   * @param rows as many items as wanted
   * @param firstItem the first of them
   */
  Batch in(Batch rows, int firstItem);

  /** The rows whose byte is not 0. */
  static Counted mask(byte[] mask) {
    return (rows, firstItem) -> {
      int first = (int) (firstItem * rows.positions());
      return rows.withMask(Arrays.copyOfRange(mask, first, first + (int) rows.rows()));
    };
  }

  /** The first positions of each item. */
  static Counted lengths(long[] lengths) {
    return (rows, firstItem) ->
        rows.withLengths(Arrays.copyOfRange(lengths, firstItem, firstItem + (int) rows.items()));
  }

  /** The first positions of each item, as a share of all. */
  static Counted relativeLengths(double[] lengths) {
    return (rows, firstItem) ->
        rows.withRelativeLengths(
            Arrays.copyOfRange(lengths, firstItem, firstItem + (int) rows.items()));
  }
}
