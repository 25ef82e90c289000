package io.github.bsq4j.lifetimes;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.MemorySegment.Scope;

/** An arena that is fine until it has been used a number of times, and then fails in some way. */
final class FailingArena implements Arena {
  /** How it fails. */
  enum Way {
    /** It is closed: by another thread, say. */
    CLOSES,
    /** Its methods throw {@link Refusal}, as those of callers' own arenas may. */
    THROWS
  }

  /** What it throws. */
  static final class Refusal extends RuntimeException {
    private static final long serialVersionUID = 1;

    Refusal() {
      super("this arena has had enough");
    }
  }

  private final Arena arena;
  private final Way way;
  private int usesLeft;
  private boolean failed;

  FailingArena(Arena arena, Way way, int uses) {
    this.arena = arena;
    this.way = way;
    this.usesLeft = uses;
  }

  /** Whether it came to that. */
  boolean hasFailed() {
    return failed;
  }

  @Override
  public Scope scope() {
    use();
    return arena.scope();
  }

  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    use();
    return arena.allocate(byteSize, byteAlignment);
  }

  private void use() {
    if (usesLeft-- > 0) {
      return;
    }
    if (way == Way.THROWS) {
      failed = true;
      throw new Refusal();
    } else if (!failed) {
      failed = true;
      arena.close();
    }
  }

  @Override
  public void close() {
    if (way == Way.THROWS || !failed) {
      arena.close();
    }
  }
}
