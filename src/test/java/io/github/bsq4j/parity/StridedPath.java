package io.github.bsq4j.parity;

import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * A tensor path whose inputs are not contiguous. Between their elements, and around them, are NaN
 * and -1: reading those gives an error or wrong results.
 */
record StridedPath(TensorPath path, Layout layout) implements QuantizerPath {
  /** Where the elements lie. */
  enum Layout {
    /** In a larger tensor with the dimensions the other way round: by permute and narrow. */
    VIEW,
    /** In borrowed memory, two steps from one another in every dimension. CPU only. */
    GAPS
  }

  @Override
  public boolean serves(DType dtype) {
    return path.serves(dtype);
  }

  @Override
  public PathQuantizer quantizer(QuantizerOptions options, DType dtype, long... shape) {
    QuantizerOptions onPath = options.toBuilder().implementation(path.implementation()).build();
    return switch (layout) {
      case VIEW -> new TensorQuantizer(onPath, dtype, shape, this::view);
      case GAPS -> new TensorQuantizer(onPath, dtype, shape, StridedPath::gaps);
    };
  }

  private Tensor view(Arena arena, MemorySegment data, DType dtype, long[] shape) {
    int rank = shape.length;
    long[] larger = Arrays.stream(shape).map(length -> length + 2).toArray();
    long[] reversed = IntStream.range(0, rank).mapToLong(d -> larger[rank - 1 - d]).toArray();
    long[] strides = new long[rank]; // of the result: the first dimension lies closest
    long count = 1;
    long first = 0;
    for (int d = 0; d < rank; d++) {
      strides[d] = count;
      first += count;
      count *= larger[d];
    }
    MemorySegment memory = scattered(arena, data, dtype, shape, strides, first, count);
    Tensor tensor =
        Tensor.copyOf(arena, memory, dtype, reversed)
            .to(arena, path.device())
            .permute(IntStream.range(0, rank).map(d -> rank - 1 - d).toArray());
    for (int d = 0; d < rank; d++) {
      tensor = tensor.narrow(d, 1, shape[d]);
    }
    return tensor;
  }

  private static Tensor gaps(Arena arena, MemorySegment data, DType dtype, long[] shape) {
    long[] strides = new long[shape.length];
    long count = 1;
    for (int d = shape.length - 1; d >= 0; d--) {
      strides[d] = 2 * count;
      count *= 2 * shape[d];
    }
    MemorySegment memory = scattered(arena, data, dtype, shape, strides, 0, count);
    return Tensor.borrow(arena, memory, dtype, Device.CPU, shape, strides);
  }

  /** Memory of {@code count} elements with the data at these strides, from {@code first} on. */
  private static MemorySegment scattered(
      Arena arena,
      MemorySegment data,
      DType dtype,
      long[] shape,
      long[] strides,
      long first,
      long count) {
    long size = dtype.byteSize();
    MemorySegment memory = arena.allocate(count * size, size).fill((byte) -1);
    for (long i = 0; i < data.byteSize() / size; i++) {
      long target = first;
      long rest = i;
      for (int d = shape.length - 1; d >= 0; d--) {
        target += rest % shape[d] * strides[d];
        rest /= shape[d];
      }
      MemorySegment.copy(data, i * size, memory, target * size, size);
    }
    return memory;
  }

  @Override
  public String toString() {
    return path + ", " + layout;
  }
}
