package io.github.bsq4j.lifetimes;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A tensor of another native library, as it offers it by DLPack: a {@code DLManagedTensorVersioned}
 * of floats on the CPU, whose deleter counts its calls. Tests change fields to spoil it.
 */
final class ForeignTensor {
  static final long MAJOR = 0;
  static final long DELETER = 16;
  static final long FLAGS = 24;
  static final long DATA = 32;
  static final long DEVICE_TYPE = 40;
  static final long DEVICE_ID = 44;
  static final long RANK = 48;
  static final long TYPE_CODE = 52;
  static final long TYPE_BITS = 53;
  static final long TYPE_LANES = 54;
  static final long SHAPE = 56;
  static final long STRIDES = 64;
  static final long BYTE_OFFSET = 72;
  private static final long SIZE = 80;

  private final AtomicInteger deletions = new AtomicInteger();
  private final MemorySegment managed;
  private final MemorySegment data;

  /** Its memory lives as long as the arena, which must outlive all uses. */
  ForeignTensor(Arena arena, float[] values, long[] shape, long[] strides) {
    data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    managed = arena.allocate(SIZE, 8);
    managed.set(ValueLayout.JAVA_INT, MAJOR, 1);
    managed.set(ValueLayout.ADDRESS, DELETER, deleter(arena));
    managed.set(ValueLayout.ADDRESS, DATA, data);
    managed.set(ValueLayout.JAVA_INT, DEVICE_TYPE, 1);
    managed.set(ValueLayout.JAVA_INT, RANK, shape.length);
    managed.set(ValueLayout.JAVA_BYTE, TYPE_CODE, (byte) 2);
    managed.set(ValueLayout.JAVA_BYTE, TYPE_BITS, (byte) 32);
    managed.set(ValueLayout.JAVA_SHORT, TYPE_LANES, (short) 1);
    managed.set(ValueLayout.ADDRESS, SHAPE, arena.allocateFrom(ValueLayout.JAVA_LONG, shape));
    managed.set(
        ValueLayout.ADDRESS,
        STRIDES,
        strides == null ? MemorySegment.NULL : arena.allocateFrom(ValueLayout.JAVA_LONG, strides));
  }

  private MemorySegment deleter(Arena arena) {
    try {
      MethodHandle count =
          MethodHandles.lookup()
              .bind(this, "delete", MethodType.methodType(void.class, MemorySegment.class));
      return Linker.nativeLinker()
          .upcallStub(count, FunctionDescriptor.ofVoid(ValueLayout.ADDRESS), arena);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError("the deleter", e);
    }
  }

  @SuppressWarnings("UnusedMethod") // the deleter
  private void delete(MemorySegment self) {
    deletions.addAndGet(self.address() == managed.address() ? 1 : 1000);
  }

  /** The struct. */
  MemorySegment managed() {
    return managed;
  }

  /** The floats. */
  MemorySegment data() {
    return data;
  }

  /** How often the deleter was called. */
  int deletions() {
    return deletions.get();
  }
}
