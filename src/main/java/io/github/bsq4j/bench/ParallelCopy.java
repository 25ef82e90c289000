package io.github.bsq4j.bench;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Copies memory as the quantizer encodes it: a share of the bytes in each thread, and the threads
 * meet after each copy, for which they wait by spinning.
 */
final class ParallelCopy implements Work, AutoCloseable {
  /**
   * What copies. Which is faster depends on the processor and on the size: they decide differently
   * whether to write past the caches.
   */
  enum Method {
    /** The C library's memcpy. */
    LIBC {
      @Override
      void copy(MemorySegment from, MemorySegment to) {
        try {
          MemorySegment _ = (MemorySegment) MEMCPY.invokeExact(to, from, from.byteSize());
        } catch (Throwable e) {
          throw new AssertionError(e); // a C function throws nothing
        }
      }
    },
    /** The JVM's own. */
    JVM {
      @Override
      void copy(MemorySegment from, MemorySegment to) {
        to.copyFrom(from);
      }
    };

    abstract void copy(MemorySegment from, MemorySegment to);
  }

  private static final MethodHandle MEMCPY =
      Linker.nativeLinker()
          .downcallHandle(
              Linker.nativeLinker().defaultLookup().findOrThrow("memcpy"),
              FunctionDescriptor.of(
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_LONG));

  private record Part(MemorySegment from, MemorySegment to) {}

  private final Method method;
  private final List<Part> parts = new ArrayList<>();
  private final ExecutorService pool;

  /** Copies native memory between segments of one size, which all threads may use. */
  ParallelCopy(Method method, int threads, MemorySegment from, MemorySegment to) {
    this.method = method;
    long size = from.byteSize();
    long share = Math.max(1, Math.ceilDiv(size, threads));
    for (long start = 0; start < size; start += share) {
      long length = Math.min(share, size - start);
      parts.add(new Part(from.asSlice(start, length), to.asSlice(start, length)));
    }
    pool = Executors.newFixedThreadPool(threads);
  }

  @Override
  public double seconds(int repetitions) {
    AtomicLong copied = new AtomicLong();
    List<Callable<Void>> tasks = new ArrayList<>();
    for (Part part : parts) {
      tasks.add(
          () -> {
            for (long i = 1; i <= repetitions; i++) {
              method.copy(part.from, part.to);
              copied.getAndIncrement();
              while (copied.get() < i * parts.size()) {
                Thread.onSpinWait();
              }
            }
            return null;
          });
    }
    try {
      long start = System.nanoTime();
      for (Future<Void> done : pool.invokeAll(tasks)) {
        done.get();
      }
      return (System.nanoTime() - start) * 1e-9;
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    pool.close();
  }
}
