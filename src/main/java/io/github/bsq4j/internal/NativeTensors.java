package io.github.bsq4j.internal;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.Losses;
import io.github.bsq4j.internal.ffi.Bsq;
import io.github.bsq4j.internal.ffi.bsq_tensor_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/**
 * The tensor functions of {@code bsq.h} in Java's types. This class and {@link NativeCalls}, which
 * has the others, are the only ones that use the generated bindings.
 *
 * <p>Tensors and quantizations are the segments that {@link Handles#adopt} makes: each function
 * that returns one has bound it to the arena that it takes.
 */
public final class NativeTensors {
  /** The largest number of dimensions of a tensor. */
  public static final int MAX_RANK = Bsq.BSQ_MAX_RANK();

  /** The size of a DLManagedTensorVersioned of DLPack 1.x. */
  private static final long DLPACK_SIZE = 80;

  /** A native call that makes an object: it stores it in {@code out} and returns a status. */
  private interface Maker {
    MemorySegment make(SegmentAllocator scratch, MemorySegment out);
  }

  private NativeTensors() {}

  // Tensors

  /** A tensor whose elements are not set. Loads the library if nobody has. */
  public static MemorySegment empty(Arena arena, DType dtype, Device device, long[] shape) {
    NativeLibrary.require();
    return tensor(
        arena,
        (scratch, out) ->
            Bsq.bsq_tensor_empty(
                NativeCalls.code(dtype),
                NativeCalls.code(device.type()),
                device.index(),
                longs(scratch, shape),
                shape.length,
                out));
  }

  /** A tensor of zeros. Loads the library if nobody has. */
  public static MemorySegment zeros(Arena arena, DType dtype, Device device, long[] shape) {
    NativeLibrary.require();
    return tensor(
        arena,
        (scratch, out) ->
            Bsq.bsq_tensor_zeros(
                NativeCalls.code(dtype),
                NativeCalls.code(device.type()),
                device.index(),
                longs(scratch, shape),
                shape.length,
                out));
  }

  /** A tensor in the memory at data, which must outlive it. Loads the library if nobody has. */
  public static MemorySegment borrow(
      Arena arena, MemorySegment data, DType dtype, Device device, long[] shape, long[] strides) {
    NativeLibrary.require();
    return tensor(
        arena,
        (scratch, out) ->
            Bsq.bsq_tensor_borrow(
                NativeCalls.code(dtype),
                NativeCalls.code(device.type()),
                device.index(),
                longs(scratch, shape),
                longs(scratch, strides),
                shape.length,
                data,
                data.byteSize(),
                out));
  }

  /** A tensor in page-locked memory of the CPU. Loads the library if nobody has. */
  public static MemorySegment pinned(Arena arena, DType dtype, long[] shape) {
    NativeLibrary.require();
    return tensor(
        arena,
        (scratch, out) ->
            Bsq.bsq_tensor_empty_pinned(
                NativeCalls.code(dtype), longs(scratch, shape), shape.length, out));
  }

  /** A tensor that took its memory from another library, and what it is. */
  public record Taken(MemorySegment handle, TensorInfo info) {}

  /**
   * A tensor of a DLManagedTensorVersioned, which it takes; where this throws, it is still the
   * caller's. Loads the library if nobody has.
   */
  public static Taken fromDlpack(Arena arena, MemorySegment managed) {
    NativeLibrary.require();
    requireNonNull(arena, "arena");
    try (Scratch scratch = Scratch.take()) {
      MemorySegment out = scratch.memory().asSlice(0, ValueLayout.ADDRESS);
      NativeCalls.check(Bsq.bsq_tensor_from_dlpack(managed, out));
      MemorySegment raw = out.get(ValueLayout.ADDRESS, 0);
      TensorInfo info;
      try {
        info = describe(raw); // before the arena has it: then nothing more can fail
      } catch (Throwable e) {
        Bsq.bsq_tensor_disown(raw);
        throw e;
      }
      return new Taken(
          Handles.adopt(arena, raw, Bsq::bsq_tensor_free, Bsq::bsq_tensor_disown), info);
    }
  }

  /**
   * A new DLManagedTensorVersioned.
   *
   * @param free called with it when the arena closes
   */
  public static MemorySegment toDlpack(
      Arena arena, MemorySegment tensor, Consumer<MemorySegment> free) {
    requireNonNull(arena, "arena");
    try (Scratch scratch = Scratch.take()) {
      MemorySegment out = scratch.memory().asSlice(0, ValueLayout.ADDRESS);
      NativeCalls.check(Bsq.bsq_tensor_to_dlpack(tensor, out));
      MemorySegment raw = out.get(ValueLayout.ADDRESS, 0).reinterpret(DLPACK_SIZE);
      return Handles.adopt(arena, raw, free, NativeTensors::freeDlpack);
    }
  }

  /** Calls the deleter of a DLManagedTensorVersioned. */
  public static void freeDlpack(MemorySegment managed) {
    Bsq.bsq_dlpack_free(managed);
  }

  public static TensorInfo describe(MemorySegment tensor) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment info = scratch.memory();
      bsq_tensor_info.struct_size(info, bsq_tensor_info.sizeof());
      NativeCalls.check(Bsq.bsq_tensor_describe(tensor, info));
      int rank = bsq_tensor_info.rank(info);
      return new TensorInfo(
          NativeCalls.dtype(bsq_tensor_info.dtype(info)),
          new Device(
              NativeCalls.deviceType(bsq_tensor_info.device_type(info)),
              bsq_tensor_info.device_index(info)),
          longs(bsq_tensor_info.shape(info), rank),
          longs(bsq_tensor_info.strides(info), rank));
    }
  }

  /** The address of the first element, of zero length and unknown lifetime. */
  public static MemorySegment data(MemorySegment tensor) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment data = scratch.memory();
      NativeCalls.check(Bsq.bsq_tensor_data(tensor, data));
      return data.get(ValueLayout.ADDRESS, 0);
    }
  }

  /** Copies all elements, as {@code dtype} and in row-major order, to a segment of any kind. */
  public static void read(MemorySegment tensor, DType dtype, MemorySegment elements) {
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment copy = scratch.allocate(elements.byteSize(), dtype.byteSize());
      NativeCalls.check(
          Bsq.bsq_tensor_read(tensor, NativeCalls.code(dtype), copy, copy.byteSize()));
      elements.copyFrom(copy);
    }
  }

  public static void check(MemorySegment tensor) {
    NativeCalls.check(Bsq.bsq_tensor_check(tensor));
  }

  public static MemorySegment to(Arena arena, MemorySegment tensor, DType dtype, Device device) {
    return tensor(
        arena,
        (_, out) ->
            Bsq.bsq_tensor_to(
                tensor,
                NativeCalls.code(dtype),
                NativeCalls.code(device.type()),
                device.index(),
                out));
  }

  public static MemorySegment toAsync(Arena arena, MemorySegment tensor, Device device) {
    return tensor(
        arena,
        (_, out) ->
            Bsq.bsq_tensor_to_async(tensor, NativeCalls.code(device.type()), device.index(), out));
  }

  public static MemorySegment permute(Arena arena, MemorySegment tensor, long[] dimensions) {
    return tensor(
        arena,
        (scratch, out) ->
            Bsq.bsq_tensor_permute(tensor, longs(scratch, dimensions), dimensions.length, out));
  }

  public static MemorySegment narrow(
      Arena arena, MemorySegment tensor, int dimension, long start, long length) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_narrow(tensor, dimension, start, length, out));
  }

  // The quantizer

  public static MemorySegment encode(Arena arena, MemorySegment options, MemorySegment x) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_encode(options, x, out));
  }

  public static MemorySegment decode(
      Arena arena, MemorySegment options, MemorySegment indices, DType dtype) {
    return tensor(
        arena, (_, out) -> Bsq.bsq_tensor_decode(options, indices, NativeCalls.code(dtype), out));
  }

  public static MemorySegment bitsToCodes(Arena arena, MemorySegment bits) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_bits_to_codes(bits, out));
  }

  public static MemorySegment codesToIndices(
      Arena arena, MemorySegment options, MemorySegment codes) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_codes_to_indices(options, codes, out));
  }

  public static MemorySegment pack(
      Arena arena, MemorySegment options, MemorySegment x, CodeLayout layout) {
    return tensor(
        arena, (_, out) -> Bsq.bsq_tensor_pack(options, x, NativeCalls.code(layout), out));
  }

  public static MemorySegment unpack(
      Arena arena, MemorySegment options, MemorySegment packed, CodeLayout layout, DType dtype) {
    return tensor(
        arena,
        (_, out) ->
            Bsq.bsq_tensor_unpack(
                options, packed, NativeCalls.code(layout), NativeCalls.code(dtype), out));
  }

  public static MemorySegment convert(
      Arena arena,
      MemorySegment fromOptions,
      CodeLayout fromLayout,
      MemorySegment toOptions,
      CodeLayout toLayout,
      MemorySegment codes) {
    return tensor(
        arena,
        (_, out) ->
            Bsq.bsq_tensor_convert(
                fromOptions,
                NativeCalls.code(fromLayout),
                toOptions,
                NativeCalls.code(toLayout),
                codes,
                out));
  }

  /** {@code mask} is {@link MemorySegment#NULL} for none. */
  public static MemorySegment usage(
      Arena arena,
      MemorySegment options,
      MemorySegment codes,
      CodeLayout layout,
      MemorySegment mask) {
    return tensor(
        arena,
        (_, out) -> Bsq.bsq_tensor_usage(options, codes, NativeCalls.code(layout), mask, out));
  }

  public static MemorySegment signMargins(Arena arena, MemorySegment options, MemorySegment x) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_sign_margins(options, x, out));
  }

  /** A quantization, not a tensor; {@code mask} is {@link MemorySegment#NULL} for none. */
  public static MemorySegment forward(
      Arena arena, MemorySegment options, MemorySegment x, MemorySegment mask) {
    return make(
        arena,
        Bsq::bsq_quantization_free,
        (_, out) -> Bsq.bsq_tensor_forward(options, x, mask, out));
  }

  public static MemorySegment quantized(Arena arena, MemorySegment quantization) {
    return tensor(arena, (_, out) -> Bsq.bsq_quantization_quantized(quantization, out));
  }

  public static MemorySegment indices(Arena arena, MemorySegment quantization) {
    return tensor(arena, (_, out) -> Bsq.bsq_quantization_indices(quantization, out));
  }

  public static Losses losses(MemorySegment quantization) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment losses = NativeCalls.emptyLosses(scratch);
      NativeCalls.check(Bsq.bsq_quantization_losses(quantization, losses));
      return NativeCalls.losses(losses);
    }
  }

  public static MemorySegment lossSums(Arena arena, MemorySegment quantization) {
    return tensor(arena, (_, out) -> Bsq.bsq_quantization_loss_sums(quantization, out));
  }

  /**
   * The gradient of x; {@code sums} and {@code gradQuantized} are {@link MemorySegment#NULL} for
   * none.
   */
  public static MemorySegment backward(
      Arena arena,
      MemorySegment quantization,
      MemorySegment sums,
      MemorySegment gradQuantized,
      double gradAuxLoss) {
    return tensor(
        arena,
        (_, out) ->
            Bsq.bsq_quantization_backward(quantization, sums, gradQuantized, gradAuxLoss, out));
  }

  public static MemorySegment hamming(
      Arena arena, MemorySegment queries, MemorySegment codes, Implementation implementation) {
    return tensor(
        arena,
        (_, out) -> Bsq.bsq_tensor_hamming(queries, codes, NativeCalls.code(implementation), out));
  }

  /** Positions and distances. */
  public static MemorySegment[] nearest(
      Arena arena,
      MemorySegment queries,
      MemorySegment codes,
      long k,
      Implementation implementation) {
    requireNonNull(arena, "arena");
    try (Scratch scratch = Scratch.take()) {
      SegmentAllocator allocator = SegmentAllocator.slicingAllocator(scratch.memory());
      MemorySegment positions = allocator.allocate(ValueLayout.ADDRESS);
      MemorySegment distances = allocator.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(
          Bsq.bsq_tensor_nearest(
              queries, codes, k, NativeCalls.code(implementation), positions, distances));
      MemorySegment second = distances.get(ValueLayout.ADDRESS, 0);
      MemorySegment first;
      try {
        first = Handles.adopt(arena, positions.get(ValueLayout.ADDRESS, 0), Bsq::bsq_tensor_free);
      } catch (Throwable e) { // which has freed the one
        Bsq.bsq_tensor_free(second);
        throw e;
      }
      return new MemorySegment[] {first, Handles.adopt(arena, second, Bsq::bsq_tensor_free)};
    }
  }

  public static MemorySegment residualEncode(
      Arena arena, MemorySegment options, int levels, MemorySegment x) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_residual_encode(options, levels, x, out));
  }

  public static MemorySegment residualDecode(
      Arena arena,
      MemorySegment options,
      int levels,
      int usedLevels,
      MemorySegment indices,
      DType dtype) {
    return tensor(
        arena,
        (_, out) ->
            Bsq.bsq_tensor_residual_decode(
                options, levels, usedLevels, indices, NativeCalls.code(dtype), out));
  }

  public static MemorySegment residualCodesToIndices(
      Arena arena, MemorySegment options, int levels, MemorySegment quantized) {
    return tensor(
        arena,
        (_, out) -> Bsq.bsq_tensor_residual_codes_to_indices(options, levels, quantized, out));
  }

  public static MemorySegment residual(
      Arena arena, MemorySegment options, int level, MemorySegment x) {
    return tensor(arena, (_, out) -> Bsq.bsq_tensor_residual(options, level, x, out));
  }

  /** A residual quantization, not a tensor; {@code mask} is {@link MemorySegment#NULL} for none. */
  public static MemorySegment residualForward(
      Arena arena, MemorySegment options, int levels, MemorySegment x, MemorySegment mask) {
    return make(
        arena,
        Bsq::bsq_residual_quantization_free,
        (_, out) -> Bsq.bsq_tensor_residual_forward(options, levels, x, mask, out));
  }

  public static MemorySegment residualQuantized(Arena arena, MemorySegment quantization) {
    return tensor(arena, (_, out) -> Bsq.bsq_residual_quantization_quantized(quantization, out));
  }

  public static MemorySegment residualIndices(Arena arena, MemorySegment quantization) {
    return tensor(arena, (_, out) -> Bsq.bsq_residual_quantization_indices(quantization, out));
  }

  /** A quantization, not a tensor. */
  public static MemorySegment residualLevel(Arena arena, MemorySegment quantization, int level) {
    return make(
        arena,
        Bsq::bsq_quantization_free,
        (_, out) -> Bsq.bsq_residual_quantization_level(quantization, level, out));
  }

  /** The gradient of x; {@code gradQuantized} is {@link MemorySegment#NULL} for none. */
  public static MemorySegment residualBackward(
      Arena arena, MemorySegment quantization, MemorySegment gradQuantized, double[] weights) {
    return tensor(
        arena,
        (scratch, out) -> {
          MemorySegment copy = scratch.allocateFrom(ValueLayout.JAVA_DOUBLE, weights);
          return Bsq.bsq_residual_quantization_backward(
              quantization, gradQuantized, copy, copy.byteSize(), out);
        });
  }

  private static MemorySegment tensor(Arena arena, Maker maker) {
    return make(arena, Bsq::bsq_tensor_free, maker);
  }

  private static MemorySegment make(Arena arena, Consumer<MemorySegment> free, Maker maker) {
    requireNonNull(arena, "arena");
    try (Scratch scratch = Scratch.take()) {
      SegmentAllocator allocator = SegmentAllocator.slicingAllocator(scratch.memory());
      MemorySegment out = allocator.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(maker.make(allocator, out));
      return Handles.adopt(arena, out.get(ValueLayout.ADDRESS, 0), free);
    }
  }

  private static MemorySegment longs(SegmentAllocator scratch, long[] values) {
    return scratch.allocateFrom(ValueLayout.JAVA_LONG, values);
  }

  private static long[] longs(MemorySegment array, int count) {
    return array
        .asSlice(0, count * ValueLayout.JAVA_LONG.byteSize())
        .toArray(ValueLayout.JAVA_LONG);
  }
}
