package io.github.bsq4j.bench.peers;

import java.util.ArrayList;
import java.util.List;

/**
 * Seconds of one call.
 *
 * @param min the smallest
 * @param median the one in the middle, or the mean of the two there
 * @param max the largest
 * @param rounds how many there were
 */
record Timing(double min, double median, double max, int rounds) {
  private static final int LEAST_ROUNDS = 3;

  /** A round lasts as long as this part of all, at least: short calls are repeated. */
  private static final int PARTS = 20;

  /** How many times as long as it should a work may take, for the sake of a few more rounds. */
  private static final int PATIENCE = 10;

  /**
   * Times a call for about this many seconds, after a warm-up of half as many. A slow call has
   * fewer rounds, but one, and no warm-up: it has been made before.
   */
  static Timing of(double seconds, Runnable call) {
    int repetitions = 1;
    double last = seconds(repetitions, call);
    for (double spent = last; spent < seconds / 2 || last < seconds / PARTS; spent += last) {
      if (last < seconds / PARTS) {
        repetitions *= 2;
      }
      last = seconds(repetitions, call);
    }
    List<Double> rounds = new ArrayList<>();
    rounds.add(last / repetitions);
    double spent = last;
    while (spent < seconds || (rounds.size() < LEAST_ROUNDS && spent < PATIENCE * seconds)) {
      last = seconds(repetitions, call);
      spent += last;
      rounds.add(last / repetitions);
    }
    return of(rounds);
  }

  private static double seconds(int repetitions, Runnable call) {
    long start = System.nanoTime();
    for (int i = 0; i < repetitions; i++) {
      call.run();
    }
    return (System.nanoTime() - start) * 1e-9;
  }

  private static Timing of(List<Double> rounds) {
    double[] sorted = rounds.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    int count = sorted.length;
    double median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    return new Timing(sorted[0], median, sorted[count - 1], count);
  }
}
