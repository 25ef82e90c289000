package io.github.bsq4j.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * Native objects as segments of an arena. A handle is never a {@code long}: as an argument of a
 * native call the segment makes the JDK refuse use after close, use by the wrong thread of a
 * confined arena, and closing during the call.
 */
final class Handles {
  private Handles() {}

  /**
   * Gives a native object to an arena, which frees it when it closes; an automatic one when nothing
   * refers to it any more. Where the arena does not take it, being closed or another thread's, the
   * object is freed at once: whatever happens, it is freed exactly once.
   *
   * @param raw the object, which nobody owns yet
   * @return the object, alive as long as the arena
   */
  static MemorySegment adopt(Arena arena, MemorySegment raw, Consumer<MemorySegment> free) {
    return adopt(arena, raw, free, free);
  }

  /**
   * As {@link #adopt(Arena, MemorySegment, Consumer)}, where what the arena does not take is not to
   * be freed but undone.
   */
  static MemorySegment adopt(
      Arena arena, MemorySegment raw, Consumer<MemorySegment> free, Consumer<MemorySegment> undo) {
    // The arena may have taken it even though reinterpret fails: it could lack heap for its result.
    AtomicBoolean alive = new AtomicBoolean(true);
    Consumer<MemorySegment> freeOnce =
        object -> {
          if (alive.getAndSet(false)) {
            free.accept(object);
          }
        };
    try {
      return raw.reinterpret(arena, freeOnce);
    } catch (Throwable t) {
      if (alive.getAndSet(false)) {
        undo.accept(raw);
      }
      throw t;
    }
  }
}
