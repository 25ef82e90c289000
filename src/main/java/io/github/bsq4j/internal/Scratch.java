package io.github.bsq4j.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * A little native memory for the length of one call, for what the call returns through pointers and
 * for copies of small arrays. An arena for each call would take longer than a call for a few rows.
 *
 * <p>The memory is one of a fixed number of pieces, made once and given back by {@link #close()}.
 * They are nobody's: a thread takes one that nobody has, near the place of its own number, so that
 * threads hardly ever meet, and it does not matter how many threads there are, or of which kind.
 * Where the near ones are taken, the call gets memory of its own.
 */
final class Scratch implements AutoCloseable {
  private static final long SIZE = 16 * 1024;
  private static final long CACHE_LINE = 64;
  private static final int TRIES = 4;

  /** A power of two. Threads that are preempted, or in long calls, keep theirs. */
  private static final int PIECES =
      Integer.highestOneBit(8 * Runtime.getRuntime().availableProcessors());

  /** So many ints that the flags of two threads are in no cache line together. */
  private static final int STRIDE = 32;

  /**
   * Whether each piece is taken. Numbers, because references that are set in long-lived objects
   * make threads write to the garbage collector's cards, which they share.
   */
  private static final AtomicIntegerArray TAKEN = new AtomicIntegerArray(PIECES * STRIDE);

  private static final Scratch[] POOL = pool();

  private final MemorySegment memory;
  private final int piece; // or -1
  private final Arena own; // or null

  private Scratch(MemorySegment memory, int piece, Arena own) {
    this.memory = memory;
    this.piece = piece;
    this.own = own;
  }

  private static Scratch[] pool() {
    MemorySegment all = Arena.global().allocate(PIECES * SIZE, CACHE_LINE);
    Scratch[] pool = new Scratch[PIECES];
    for (int i = 0; i < PIECES; i++) {
      pool[i] = new Scratch(all.asSlice(i * SIZE, SIZE), i, null);
    }
    return pool;
  }

  /** Makes the pieces now, while a failure can still be told. */
  static void initialize() {
    take().close();
  }

  /** To be closed by the same thread, once. */
  static Scratch take() {
    int first = (int) Thread.currentThread().threadId();
    for (int i = 0; i < TRIES; i++) {
      int piece = (first + i) & (PIECES - 1);
      if (TAKEN.compareAndSet(piece * STRIDE, 0, 1)) {
        return POOL[piece];
      }
    }
    Arena own = Arena.ofConfined();
    return new Scratch(own.allocate(SIZE, CACHE_LINE), -1, own);
  }

  /** Of any content. */
  MemorySegment memory() {
    return memory;
  }

  @Override
  public void close() {
    if (own == null) {
      TAKEN.setRelease(piece * STRIDE, 0);
    } else {
      own.close();
    }
  }
}
