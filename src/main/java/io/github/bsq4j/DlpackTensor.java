package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicReference;
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
  private enum State {
    HELD,
    BEING_GIVEN,
    GIVEN,
    FREED
  }

  private final MemorySegment managed;
  private final AtomicReference<State> state;

  private DlpackTensor(MemorySegment managed, AtomicReference<State> state) {
    this.managed = managed;
    this.state = state;
  }

  static DlpackTensor of(Arena arena, MemorySegment tensor) {
    AtomicReference<State> state = new AtomicReference<>(State.HELD);
    return new DlpackTensor(
        NativeTensors.toDlpack(arena, tensor, unneeded -> freeIfHeld(unneeded, state)), state);
  }

  private static void freeIfHeld(MemorySegment managed, AtomicReference<State> state) {
    if (state.compareAndSet(State.HELD, State.FREED)) {
      NativeTensors.freeDlpack(managed);
    }
  }

  /**
   * Passes it on, once. {@code taker} gets the address of the {@code DLManagedTensorVersioned}, of
   * 80 bytes and no arena. Where it returns, it has taken that, and sees to its deleter; where it
   * throws, it has not, and this tensor is as before. So taking must be the last thing that it
   * does: if something throws after that, both free the tensor, which can end the JVM.
   *
   * @throws IllegalStateException if somebody has taken it or is about to, or the arena is closed
   * @throws WrongThreadException if the arena belongs to another thread
   */
  public void give(Consumer<? super MemorySegment> taker) {
    requireNonNull(taker, "taker");
    // The struct itself may be gone, where somebody has taken it: no access may tell.
    if (!managed.scope().isAlive()) {
      throw new IllegalStateException("Already closed");
    }
    if (!managed.isAccessibleBy(Thread.currentThread())) {
      throw new WrongThreadException("the tensor's arena belongs to another thread");
    }
    if (!state.compareAndSet(State.HELD, State.BEING_GIVEN)) {
      throw new IllegalStateException("the tensor has been given to somebody already");
    }
    try {
      taker.accept(MemorySegment.ofAddress(managed.address()).reinterpret(managed.byteSize()));
      state.set(State.GIVEN);
    } catch (Throwable e) {
      state.set(State.HELD);
      if (!managed.scope().isAlive()) { // closed meanwhile, which freed nothing
        freeIfHeld(MemorySegment.ofAddress(managed.address()), state);
      }
      throw e;
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Whether somebody has taken it. Never fails. */
  public boolean isGiven() {
    return state.get() == State.GIVEN;
  }
}
