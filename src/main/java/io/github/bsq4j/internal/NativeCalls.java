package io.github.bsq4j.internal;

import io.github.bsq4j.BsqException;
import io.github.bsq4j.DType;
import io.github.bsq4j.Losses;
import io.github.bsq4j.NonFinitePolicy;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.internal.ffi.Bsq;
import io.github.bsq4j.internal.ffi.bsq_losses;
import io.github.bsq4j.internal.ffi.bsq_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The functions of {@code bsq.h} in Java's types: the only class that uses the generated bindings.
 * {@link NativeLibrary} must have loaded the library before the first call. Segments must be in
 * native memory, of the right size, and, for outputs, writable: {@link HostBuffers} sees to it.
 * Shapes are those of the header.
 */
public final class NativeCalls {
  private NativeCalls() {}

  /** The version of the header that the bindings were made of. */
  static int headerAbiVersion() {
    return Bsq.BSQ_ABI_VERSION();
  }

  /** The version of the header that the loaded library was built with. */
  static int abiVersion() {
    return Bsq.bsq_abi_version();
  }

  /**
   * The options as the native functions take them: immutable, so shared by all threads, and alive
   * as long as the segment is reachable. An automatic arena, since a shared one makes threads
   * contend.
   */
  public static MemorySegment options(QuantizerOptions options) {
    NativeLibrary.require();
    MemorySegment struct = bsq_options.allocate(Arena.ofAuto());
    bsq_options.struct_size(struct, bsq_options.sizeof());
    bsq_options.code_dim(struct, options.codeDim());
    bsq_options.entropy_loss_weight(struct, options.entropyLossWeight());
    bsq_options.diversity_gamma(struct, options.diversityGamma());
    bsq_options.inverse_temperature(struct, options.inverseTemperature());
    bsq_options.non_finite(
        struct,
        options.nonFinitePolicy() == NonFinitePolicy.PROPAGATE
            ? Bsq.BSQ_NON_FINITE_PROPAGATE()
            : Bsq.BSQ_NON_FINITE_REFUSE());
    return struct;
  }

  public static void encode(
      MemorySegment options, DType dtype, long rows, MemorySegment x, MemorySegment indices) {
    check(
        Bsq.bsq_host_encode(
            options, code(dtype), rows, x, x.byteSize(), indices, indices.byteSize()));
  }

  public static void decode(
      MemorySegment options,
      DType dtype,
      long rows,
      MemorySegment indices,
      MemorySegment quantized) {
    check(
        Bsq.bsq_host_decode(
            options,
            code(dtype),
            rows,
            indices,
            indices.byteSize(),
            quantized,
            quantized.byteSize()));
  }

  public static Losses forward(
      MemorySegment options,
      DType dtype,
      long rows,
      MemorySegment x,
      MemorySegment quantized,
      MemorySegment indices) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment losses = bsq_losses.allocate(arena);
      bsq_losses.struct_size(losses, bsq_losses.sizeof());
      check(
          Bsq.bsq_host_forward(
              options,
              code(dtype),
              rows,
              x,
              x.byteSize(),
              quantized,
              quantized.byteSize(),
              indices,
              indices.byteSize(),
              losses));
      return new Losses(
          bsq_losses.aux_loss(losses),
          bsq_losses.per_sample_entropy(losses),
          bsq_losses.codebook_entropy(losses));
    }
  }

  public static void backward(
      MemorySegment options,
      DType dtype,
      long rows,
      MemorySegment x,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradX) {
    check(
        Bsq.bsq_host_backward(
            options,
            code(dtype),
            rows,
            x,
            x.byteSize(),
            gradQuantized,
            gradQuantized.byteSize(),
            gradAuxLoss,
            gradX,
            gradX.byteSize()));
  }

  public static void bitsToCodes(DType dtype, long count, MemorySegment bits, MemorySegment codes) {
    check(
        Bsq.bsq_host_bits_to_codes(
            code(dtype), count, bits, bits.byteSize(), codes, codes.byteSize()));
  }

  public static void codesToIndices(
      MemorySegment options, DType dtype, long rows, MemorySegment codes, MemorySegment indices) {
    check(
        Bsq.bsq_host_codes_to_indices(
            options, code(dtype), rows, codes, codes.byteSize(), indices, indices.byteSize()));
  }

  /** The version of LibTorch in this process, as "2.13.0". */
  public static String torchVersion() {
    return NativeLibrary.versionName(Bsq.bsq_torch_version());
  }

  /** How many threads LibTorch uses for a call. */
  public static int threads() {
    return Bsq.bsq_num_threads();
  }

  /** The name of what serves CPU memory. */
  public static String cpuImplementation() {
    return Bsq.bsq_cpu_implementation().getString(0);
  }

  /** How many native objects are alive that Java owns. For tests. */
  public static long liveHandles() {
    return Bsq.bsq_debug_live_handles();
  }

  private static int code(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> Bsq.BSQ_FLOAT32();
      case FLOAT64 -> Bsq.BSQ_FLOAT64();
    };
  }

  private static void check(MemorySegment status) {
    if (status.address() == 0) {
      return;
    }
    int code = Bsq.bsq_status_code(status);
    String message = Bsq.bsq_status_message(status).getString(0);
    Bsq.bsq_status_free(status);
    throw new BsqException(javaCode(code), message);
  }

  private static BsqException.Code javaCode(int code) {
    if (code == Bsq.BSQ_INVALID_ARGUMENT()) {
      return BsqException.Code.INVALID_ARGUMENT;
    } else if (code == Bsq.BSQ_UNSUPPORTED()) {
      return BsqException.Code.UNSUPPORTED;
    } else if (code == Bsq.BSQ_OUT_OF_MEMORY()) {
      return BsqException.Code.OUT_OF_MEMORY;
    } else if (code == Bsq.BSQ_DEVICE_ERROR()) {
      return BsqException.Code.DEVICE;
    }
    return BsqException.Code.INTERNAL;
  }
}
