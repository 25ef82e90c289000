package io.github.bsq4j.bench;

/** Something that can be timed. */
@FunctionalInterface
interface Work {
  /** Does it this often, and returns the seconds that all of them took together. */
  double seconds(int repetitions);

  /** A call as work. */
  static Work of(Runnable call) {
    return repetitions -> {
      long start = System.nanoTime();
      for (int i = 0; i < repetitions; i++) {
        call.run();
      }
      return (System.nanoTime() - start) * 1e-9;
    };
  }
}
