package io.github.bsq4j.bench;

import java.util.Arrays;

/**
 * What repeated measurements gave.
 *
 * @param min the smallest
 * @param median the one in the middle, or the mean of the two there
 * @param max the largest
 */
public record Spread(double min, double median, double max) {
  static Spread of(double... samples) {
    double[] sorted = samples.clone();
    Arrays.sort(sorted);
    int count = sorted.length;
    double median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    return new Spread(sorted[0], median, sorted[count - 1]);
  }

  /** The same in another unit. */
  public Spread times(double factor) {
    return new Spread(min * factor, median * factor, max * factor);
  }
}
