package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.Callable;

/**
 * A queue of a GPU: what one thread puts there is done in order, and at the same time as that in
 * other queues. Without one, all threads share the device's default stream.
 *
 * <p>{@link #run} makes it the current stream of the calling thread: all that this library, and
 * LibTorch, compute on the device in {@code work} goes there. Nothing waits at its end. A tensor
 * that was made on one stream may be used or read on another, or by another library, after {@link
 * #synchronize()}: what reads values into Java waits for the current stream alone. Its arena may
 * close once the other stream has been synchronized, too: memory is reused in the order of the
 * stream that a tensor was made on.
 *
 * <p>Streams come out of a pool of LibTorch's, of 32 for each device, and are never freed; more
 * than that share them. Immutable and thread-safe.
 */
public final class CudaStream {
  private final Device device;
  private final MemorySegment pointer;

  private CudaStream(Device device, MemorySegment pointer) {
    this.device = device;
    this.pointer = pointer;
  }

  /**
   * A stream of the device.
   *
   * @throws IllegalArgumentException if the device is the CPU
   * @throws BsqException with code {@link BsqException.Code#UNSUPPORTED} if it cannot be used
   */
  public static CudaStream of(Device device) {
    requireNonNull(device, "device");
    if (device.type() != Device.Type.CUDA) {
      throw new IllegalArgumentException(
          "device is " + device + ", which has no streams, expected a CUDA device");
    }
    NativeCalls.requireLibrary();
    return new CudaStream(device, NativeCalls.streamFromPool(device));
  }

  /** The device that it is a queue of. */
  public Device device() {
    return device;
  }

  /**
   * The {@code cudaStream_t}, for other native libraries, as {@code torch.cuda.ExternalStream} for
   * example. Theirs cannot be made current here.
   */
  public MemorySegment pointer() {
    return pointer;
  }

  /**
   * Does the work with this as the calling thread's current stream of the device, and makes that
   * current again which was before, however the work ends.
   *
   * @throws IllegalStateException on a virtual thread, which may go on as another native thread
   */
  public void run(Runnable work) {
    requireNonNull(work, "work");
    MemorySegment before = enter();
    try {
      work.run();
    } finally {
      NativeCalls.setCurrentStream(device, before);
    }
  }

  /**
   * As {@link #run}, with a result.
   *
   * @throws IllegalStateException on a virtual thread, which may go on as another native thread
   * @throws Exception what the work throws
   */
  public <T> T call(Callable<T> work) throws Exception {
    requireNonNull(work, "work");
    MemorySegment before = enter();
    try {
      return work.call();
    } finally {
      NativeCalls.setCurrentStream(device, before);
    }
  }

  private MemorySegment enter() {
    if (Thread.currentThread().isVirtual()) {
      throw new IllegalStateException(
          "a virtual thread has no current stream, since it may go on as another native thread:"
              + " use a platform thread");
    }
    MemorySegment before = NativeCalls.currentStream(device);
    NativeCalls.setCurrentStream(device, pointer);
    return before;
  }

  /**
   * Waits until all that was put there is done.
   *
   * @throws BsqException with code {@link BsqException.Code#DEVICE} if that failed
   */
  public void synchronize() {
    NativeCalls.synchronizeStream(device, pointer);
  }

  /** Device and address. Never fails. */
  @Override
  public String toString() {
    return "CudaStream[%s, 0x%x]".formatted(device, pointer.address());
  }
}
