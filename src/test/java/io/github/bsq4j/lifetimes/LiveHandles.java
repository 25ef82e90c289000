package io.github.bsq4j.lifetimes;

import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.SymbolLookup;
import java.time.Duration;

/** How many native objects are alive that Java owns: none, after every test. */
final class LiveHandles {
  /** How long the garbage collector may take to find the next thing in an automatic arena. */
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  private static final long PAUSE_MILLIS = 10; // for the thread that frees what was collected

  private LiveHandles() {}

  /** None where the library is not loaded; does not load it. */
  static long count() {
    boolean loaded = SymbolLookup.loaderLookup().find("bsq_debug_live_handles").isPresent();
    return loaded ? NativeCalls.liveHandles() : 0;
  }

  /**
   * Collects garbage until so few are alive, or it gets no further.
   *
   * @return how many are alive
   */
  static long awaitAtMost(long expected) {
    return awaitAtMost(expected, PATIENCE);
  }

  static long awaitAtMost(long expected, Duration patience) {
    long live = count();
    long lastProgress = System.nanoTime();
    while (live > expected && System.nanoTime() - lastProgress < patience.toNanos()) {
      System.gc();
      try {
        Thread.sleep(PAUSE_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
      long before = live;
      live = count();
      if (live < before) {
        lastProgress = System.nanoTime();
      }
    }
    return live;
  }

  /**
   * Fails if there are more than before a test.
   *
   * @param test its name
   * @param before how many there were: not 0 where an earlier test left some, and failed for it
   */
  static void requireNoMore(String test, long before) {
    requireNoMore(test, before, PATIENCE);
  }

  static void requireNoMore(String test, long before, Duration patience) {
    long leaked = awaitAtMost(before, patience) - before;
    if (leaked > 0) {
      throw new AssertionError(
          "%s leaves %d native handles: close its arenas, and let go of what is in automatic ones"
              .formatted(test, leaked));
    }
  }
}
