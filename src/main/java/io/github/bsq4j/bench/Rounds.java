package io.github.bsq4j.bench;

import java.util.ArrayList;
import java.util.List;

/**
 * Works timed in alternation, so that whatever else the machine does meets them alike. Short works
 * are repeated, and the mean of the repetitions is the round's time.
 */
final class Rounds {
  private static final int LEAST_ROUNDS = 9;

  /** In how many parts the time for a work is divided. */
  private static final int PARTS = 40;

  /** Where rounds are shorter than the warm-up was, on a machine that was busy then. */
  private static final int MOST_ROUNDS = 4 * PARTS;

  private static final int MOST_REPETITIONS = 1 << 30;

  /** In seconds: what took longer was no short work that another process came between. */
  private static final double LONGEST_INTERRUPTION = 0.1;

  /**
   * The threads of LibTorch, ours or the reference's, wait for more work by spinning, for some
   * milliseconds, and would take the next one's processors meanwhile.
   */
  private static final long MILLIS_TO_SETTLE = 20;

  private final List<double[]> rounds = new ArrayList<>();

  private Rounds() {}

  /**
   * Times works, after a warm-up, for at least this many seconds each on average, in nine rounds to
   * {@value #MOST_ROUNDS}.
   */
  static Rounds of(double seconds, Work... works) {
    int[] repetitions = new int[works.length];
    for (int i = 0; i < works.length; i++) {
      repetitions[i] = warmUp(works[i], seconds / PARTS);
    }
    Rounds result = new Rounds();
    double spent = 0;
    while (result.rounds.size() < LEAST_ROUNDS
        || (spent < seconds * works.length && result.rounds.size() < MOST_ROUNDS)) {
      double[] round = new double[works.length];
      for (int i = 0; i < works.length; i++) {
        settle();
        double time = works[i].seconds(repetitions[i]);
        spent += time;
        round[i] = time / repetitions[i];
      }
      result.rounds.add(round);
    }
    return result;
  }

  /** How often the work must be repeated to last as long as that, also when nothing delays it. */
  private static int warmUp(Work work, double seconds) {
    work.seconds(1); // touches its memory, and has it compiled
    int repetitions = 1;
    while (repetitions < MOST_REPETITIONS && !lasts(work, repetitions, seconds)) {
      repetitions *= 2;
    }
    return repetitions;
  }

  private static boolean lasts(Work work, int repetitions, double seconds) {
    double once = work.seconds(repetitions);
    return once >= seconds && (once > LONGEST_INTERRUPTION || work.seconds(repetitions) >= seconds);
  }

  private static void settle() {
    try {
      Thread.sleep(MILLIS_TO_SETTLE);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt(); // for whoever asks next; the times are as good
    }
  }

  int count() {
    return rounds.size();
  }

  /** The seconds of one work. */
  Spread seconds(int work) {
    return Spread.of(rounds.stream().mapToDouble(round -> round[work]).toArray());
  }

  /** How many times as long the first took as the second, round by round. */
  Spread ratio(int work, int other) {
    return Spread.of(rounds.stream().mapToDouble(round -> round[work] / round[other]).toArray());
  }
}
