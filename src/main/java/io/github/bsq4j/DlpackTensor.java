package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * A tensor on its way to another native library, as a {@code DLManagedTensorVersioned} of <a
 * href="https://dmlc.github.io/dlpack">DLPack</a> 1.0: what Python calls a capsule named {@code
 * dltensor_versioned}. {@link Tensor#toDlpack} makes one.
 *
 * <p>It belongs to its arena, which frees it, until {@link #give} passes it on; from then on to
 * whoever took it, who calls its deleter. It keeps the memory of the tensor alive by itself, longer
 * than the tensor's arena. Thread-safe, as far as the arena admits threads.
 */
public final class DlpackTensor {
  private final MemorySegment managed;
  private final AtomicBoolean held;

  private DlpackTensor(MemorySegment managed, AtomicBoolean held) {
    this.managed = managed;
    this.held = held;
  }

  static DlpackTensor of(Arena arena, MemorySegment tensor) {
    AtomicBoolean held = new AtomicBoolean(true);
    return new DlpackTensor(
        NativeTensors.toDlpack(arena, tensor, unneeded -> freeIfHeld(unneeded, held)), held);
  }

  private static void freeIfHeld(MemorySegment managed, AtomicBoolean held) {
    if (held.compareAndSet(true, false)) {
      NativeTensors.freeDlpack(managed);
    }
  }

  /**
   * Passes it on, once. {@code taker} gets the address of the {@code DLManagedTensorVersioned}, of
   * 80 bytes and no arena. Where it returns, it has taken that, and sees to its deleter; where it
   * throws, it has not, and this tensor is as before.
   *
   * @throws IllegalStateException if somebody has taken it or is about to, or the arena is closed
   * @throws WrongThreadException if the arena belongs to another thread
   */
  public void give(Consumer<? super MemorySegment> taker) {
    requireNonNull(taker, "taker");
    managed.get(ValueLayout.JAVA_INT, 0); // fails as all use of what is closed does
    if (!held.compareAndSet(true, false)) {
      throw new IllegalStateException("the tensor has been given to somebody already");
    }
    try {
      taker.accept(MemorySegment.ofAddress(managed.address()).reinterpret(managed.byteSize()));
    } catch (Throwable e) {
      held.set(true);
      if (!managed.scope().isAlive()) { // closed meanwhile, which freed nothing
        freeIfHeld(MemorySegment.ofAddress(managed.address()), held);
      }
      throw e;
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Whether somebody has taken it. Never fails. */
  public boolean isGiven() {
    return !held.get() && managed.scope().isAlive();
  }
}
