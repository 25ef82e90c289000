package io.github.bsq4j.internal;

import io.github.bsq4j.BitOrder;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.ByteForm;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.CodeScale;
import io.github.bsq4j.Commitment;
import io.github.bsq4j.Convention;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.DeviceOutOfMemoryException;
import io.github.bsq4j.EntropyFloor;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.Losses;
import io.github.bsq4j.NonFinitePolicy;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.TieRule;
import io.github.bsq4j.internal.ffi.Bsq;
import io.github.bsq4j.internal.ffi.bsq_device_info;
import io.github.bsq4j.internal.ffi.bsq_losses;
import io.github.bsq4j.internal.ffi.bsq_memory_shortage;
import io.github.bsq4j.internal.ffi.bsq_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.ToIntFunction;

/**
 * The functions of {@code bsq.h} in Java's types, but for the tensors, which {@link NativeTensors}
 * has: these two are the only classes that use the generated bindings. {@link NativeLibrary} must
 * have loaded the library before the first call. Segments must be in native memory, long enough,
 * and, for outputs, writable: {@link HostBuffers} sees to it. Shapes are those of the header.
 */
public final class NativeCalls {
  private NativeCalls() {}

  /** The version of the header that the bindings were made of. */
  static int headerAbiVersion() {
    return Bsq.BSQ_ABI_VERSION();
  }

  /**
   * Looks up all functions now. Each is otherwise looked up by its first call, in the initialiser
   * of a class; a StackOverflowError or OutOfMemoryError there would disable the function for good,
   * and those that free objects are called first when an arena closes. So for the memory that calls
   * take.
   */
  static void initialize() {
    Scratch.initialize();
    for (Method method : Bsq.class.getMethods()) {
      if (method.getName().endsWith("$handle")) {
        try {
          method.invoke(null);
        } catch (ReflectiveOperationException e) {
          throw new LinkageError(method.getName(), e);
        }
      }
    }
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
    bsq_options.codebooks(struct, options.codebooks());
    bsq_options.group_size(
        struct, options.groupSize() == options.codeDim() ? 0 : options.groupSize());
    bsq_options.inverse_temperature(struct, options.inverseTemperature());
    bsq_options.entropy_form(struct, code(options.entropyForm()));
    bsq_options.entropy_floor(struct, code(options.entropyFloor().kind()));
    bsq_options.entropy_epsilon(struct, options.entropyFloor().epsilon());
    bsq_options.entropy_loss_weight(struct, options.entropyLossWeight());
    bsq_options.sample_entropy_weight(struct, options.sampleEntropyWeight());
    bsq_options.diversity_gamma(struct, options.diversityGamma());
    bsq_options.entropy_scale(
        struct,
        options.dividedByInverseTemperature()
            ? Bsq.BSQ_ENTROPY_SCALE_TEMPERATURE()
            : Bsq.BSQ_ENTROPY_SCALE_ONE());
    bsq_options.positive(
        struct,
        options.positiveOffset().isPresent()
            ? Bsq.BSQ_POSITIVE_SOFTPLUS()
            : Bsq.BSQ_POSITIVE_NONE());
    bsq_options.positive_offset(struct, options.positiveOffset().orElse(0));
    bsq_options.entropy_fraction(struct, options.entropyFraction());
    bsq_options.entropy_seed(struct, options.entropySeed());
    bsq_options.commitment(struct, code(options.commitment()));
    bsq_options.commitment_weight(struct, options.commitmentWeight());
    bsq_options.straight_through_scale(struct, options.straightThroughScale());
    bsq_options.channel_first(struct, options.channelFirst() ? 1 : 0);
    Convention convention = options.convention();
    bsq_options.bit_order(struct, code(convention.bitOrder()));
    bsq_options.tie(struct, code(convention.tie()));
    bsq_options.code_scale(struct, code(convention.codeScale()));
    bsq_options.byte_form(struct, code(convention.byteForm()));
    bsq_options.non_finite(
        struct,
        options.nonFinitePolicy() == NonFinitePolicy.PROPAGATE
            ? Bsq.BSQ_NON_FINITE_PROPAGATE()
            : Bsq.BSQ_NON_FINITE_REFUSE());
    bsq_options.implementation(struct, code(options.implementation()));
    return struct;
  }

  // The host path. Rows are items * positions; mask, sums, and what an operation can do without are
  // MemorySegment.NULL where there is none.

  public static void encode(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment indices) {
    check(
        Bsq.bsq_host_encode(
            options, code(dtype), items, positions, x, x.byteSize(), indices, indices.byteSize()));
  }

  public static void decode(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment indices,
      MemorySegment quantized) {
    check(
        Bsq.bsq_host_decode(
            options,
            code(dtype),
            items,
            positions,
            indices,
            indices.byteSize(),
            quantized,
            quantized.byteSize()));
  }

  public static Losses forward(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment mask,
      MemorySegment quantized,
      MemorySegment indices) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment losses = emptyLosses(scratch);
      check(
          Bsq.bsq_host_forward(
              options,
              code(dtype),
              items,
              positions,
              x,
              x.byteSize(),
              mask,
              mask.byteSize(),
              quantized,
              quantized.byteSize(),
              indices,
              indices.byteSize(),
              losses));
      return losses(losses);
    }
  }

  /** The number of doubles of loss sums. */
  public static long lossSumsSize(MemorySegment options) {
    try (Scratch scratch = Scratch.take()) {
      check(Bsq.bsq_loss_sums_size(options, scratch.memory()));
      return scratch.memory().get(ValueLayout.JAVA_LONG, 0);
    }
  }

  public static void lossSums(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment mask,
      MemorySegment sums) {
    check(
        Bsq.bsq_host_loss_sums(
            options,
            code(dtype),
            items,
            positions,
            x,
            x.byteSize(),
            mask,
            mask.byteSize(),
            sums,
            sums.byteSize()));
  }

  /** The losses of sums in memory of any kind. */
  public static Losses lossesFromSums(MemorySegment options, MemorySegment sums) {
    try (HostBuffers buffers = HostBuffers.open(false);
        Scratch scratch = Scratch.take()) {
      MemorySegment in = buffers.input("sums", sums, sums.byteSize(), ValueLayout.JAVA_DOUBLE);
      MemorySegment losses = emptyLosses(scratch);
      check(Bsq.bsq_losses_from_sums(options, in, in.byteSize(), losses));
      return losses(losses);
    }
  }

  public static void backward(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment mask,
      MemorySegment sums,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradX) {
    check(
        Bsq.bsq_host_backward(
            options,
            code(dtype),
            items,
            positions,
            x,
            x.byteSize(),
            mask,
            mask.byteSize(),
            sums,
            sums.byteSize(),
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
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment codes,
      MemorySegment indices) {
    check(
        Bsq.bsq_host_codes_to_indices(
            options,
            code(dtype),
            items,
            positions,
            codes,
            codes.byteSize(),
            indices,
            indices.byteSize()));
  }

  public static void pack(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      CodeLayout layout,
      MemorySegment packed) {
    check(
        Bsq.bsq_host_pack(
            options,
            code(dtype),
            items,
            positions,
            x,
            x.byteSize(),
            code(layout),
            packed,
            packed.byteSize()));
  }

  public static void unpack(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      CodeLayout layout,
      MemorySegment packed,
      MemorySegment quantized) {
    check(
        Bsq.bsq_host_unpack(
            options,
            code(dtype),
            items,
            positions,
            code(layout),
            packed,
            packed.byteSize(),
            quantized,
            quantized.byteSize()));
  }

  public static void convert(
      MemorySegment fromOptions,
      CodeLayout fromLayout,
      MemorySegment toOptions,
      CodeLayout toLayout,
      long rows,
      MemorySegment from,
      MemorySegment to) {
    check(
        Bsq.bsq_host_convert(
            fromOptions,
            code(fromLayout),
            toOptions,
            code(toLayout),
            rows,
            from,
            from.byteSize(),
            to,
            to.byteSize()));
  }

  /** The number of longs of usage counts. */
  public static long usageSize(MemorySegment options) {
    try (Scratch scratch = Scratch.take()) {
      check(Bsq.bsq_usage_size(options, scratch.memory()));
      return scratch.memory().get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /** Adds to the counts, or leaves them as they are. */
  public static void addUsage(
      MemorySegment options,
      CodeLayout layout,
      long rows,
      MemorySegment codes,
      MemorySegment mask,
      MemorySegment counts) {
    check(
        Bsq.bsq_host_usage_add(
            options,
            code(layout),
            rows,
            codes,
            codes.byteSize(),
            mask,
            mask.byteSize(),
            counts,
            counts.byteSize()));
  }

  public static void signMargins(
      MemorySegment options,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment margins) {
    check(
        Bsq.bsq_host_sign_margins(
            options, code(dtype), items, positions, x, x.byteSize(), margins, margins.byteSize()));
  }

  public static void residualEncode(
      MemorySegment options,
      int levels,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment indices) {
    check(
        Bsq.bsq_host_residual_encode(
            options,
            levels,
            code(dtype),
            items,
            positions,
            x,
            x.byteSize(),
            indices,
            indices.byteSize()));
  }

  public static void residualDecode(
      MemorySegment options,
      int levels,
      int usedLevels,
      DType dtype,
      long items,
      long positions,
      MemorySegment indices,
      MemorySegment quantized) {
    check(
        Bsq.bsq_host_residual_decode(
            options,
            levels,
            usedLevels,
            code(dtype),
            items,
            positions,
            indices,
            indices.byteSize(),
            quantized,
            quantized.byteSize()));
  }

  public static void residualCodesToIndices(
      MemorySegment options,
      int levels,
      DType dtype,
      long items,
      long positions,
      MemorySegment quantized,
      MemorySegment indices) {
    check(
        Bsq.bsq_host_residual_codes_to_indices(
            options,
            levels,
            code(dtype),
            items,
            positions,
            quantized,
            quantized.byteSize(),
            indices,
            indices.byteSize()));
  }

  public static void residual(
      MemorySegment options,
      int level,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment residual) {
    check(
        Bsq.bsq_host_residual(
            options,
            level,
            code(dtype),
            items,
            positions,
            x,
            x.byteSize(),
            residual,
            residual.byteSize()));
  }

  /** The losses of each level. */
  public static List<Losses> residualForward(
      MemorySegment options,
      int levels,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment mask,
      MemorySegment quantized,
      MemorySegment indices) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment losses = scratch.memory().asSlice(0, levels * bsq_losses.sizeof());
      losses.elements(bsq_losses.layout()).forEach(NativeCalls::setSize);
      check(
          Bsq.bsq_host_residual_forward(
              options,
              levels,
              code(dtype),
              items,
              positions,
              x,
              x.byteSize(),
              mask,
              mask.byteSize(),
              quantized,
              quantized.byteSize(),
              indices,
              indices.byteSize(),
              losses));
      return losses.elements(bsq_losses.layout()).map(NativeCalls::losses).toList();
    }
  }

  public static void residualBackward(
      MemorySegment options,
      int levels,
      DType dtype,
      long items,
      long positions,
      MemorySegment x,
      MemorySegment mask,
      MemorySegment gradQuantized,
      MemorySegment gradAuxLosses,
      MemorySegment gradX) {
    check(
        Bsq.bsq_host_residual_backward(
            options,
            levels,
            code(dtype),
            items,
            positions,
            x,
            x.byteSize(),
            mask,
            mask.byteSize(),
            gradQuantized,
            gradQuantized.byteSize(),
            gradAuxLosses,
            gradAuxLosses.byteSize(),
            gradX,
            gradX.byteSize()));
  }

  /** Loads the library, for what has no options. */
  public static void requireLibrary() {
    NativeLibrary.require();
  }

  public static void hamming(
      long codeBytes,
      MemorySegment query,
      long count,
      MemorySegment codes,
      MemorySegment distances) {
    check(
        Bsq.bsq_host_hamming(
            codeBytes,
            query,
            query.byteSize(),
            count,
            codes,
            codes.byteSize(),
            distances,
            distances.byteSize()));
  }

  public static void nearest(
      long codeBytes,
      long queries,
      MemorySegment query,
      long count,
      MemorySegment codes,
      long k,
      MemorySegment positions,
      MemorySegment distances) {
    check(
        Bsq.bsq_host_nearest(
            codeBytes,
            queries,
            query,
            query.byteSize(),
            count,
            codes,
            codes.byteSize(),
            k,
            positions,
            positions.byteSize(),
            distances,
            distances.byteSize()));
  }

  // What the process runs on

  /** The version of LibTorch in this process, as "2.13.0". */
  public static String torchVersion() {
    return NativeLibrary.versionName(Bsq.bsq_torch_version());
  }

  /** How many threads LibTorch uses for a call. */
  public static int threads() {
    return Bsq.bsq_num_threads();
  }

  /** How many devices of this type there are that can be used. */
  public static int deviceCount(Device.Type type) {
    return Bsq.bsq_device_count(code(type));
  }

  /**
   * Makes sure that a device can be used.
   *
   * @throws BsqException if it cannot; the message says what is missing
   */
  public static void checkDevice(Device device) {
    check(Bsq.bsq_device_check(code(device.type()), device.index()));
  }

  /** The name of what computes on devices of this type by itself. */
  public static String deviceImplementation(Device.Type type) {
    return Bsq.bsq_device_implementation(code(type)).getString(0);
  }

  /**
   * What a device is.
   *
   * @param name empty where unknown
   * @param computeCapability of a GPU: "9.0"
   */
  public record DeviceDescription(
      String name,
      OptionalLong totalMemory,
      OptionalLong freeMemory,
      Optional<String> computeCapability) {}

  public static DeviceDescription describeDevice(Device device) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment info = scratch.memory();
      bsq_device_info.struct_size(info, bsq_device_info.sizeof());
      check(Bsq.bsq_device_describe(code(device.type()), device.index(), info));
      return new DeviceDescription(
          bsq_device_info.name(info).getString(0),
          known(bsq_device_info.total_memory(info)),
          known(bsq_device_info.free_memory(info)),
          device.type() == Device.Type.CUDA
              ? Optional.of(
                  bsq_device_info.compute_major(info) + "." + bsq_device_info.compute_minor(info))
              : Optional.empty());
    }
  }

  private static OptionalLong known(long bytes) {
    return bytes < 0 ? OptionalLong.empty() : OptionalLong.of(bytes);
  }

  /** Waits for this thread's current stream. */
  public static void synchronize(Device device) {
    check(Bsq.bsq_device_synchronize(code(device.type()), device.index()));
  }

  // Streams are addresses of zero length.

  /** A stream out of LibTorch's pool. */
  public static MemorySegment streamFromPool(Device device) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment out = scratch.memory();
      check(Bsq.bsq_stream_from_pool(code(device.type()), device.index(), out));
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  /** That of this thread. */
  public static MemorySegment currentStream(Device device) {
    try (Scratch scratch = Scratch.take()) {
      MemorySegment out = scratch.memory();
      check(Bsq.bsq_stream_current(code(device.type()), device.index(), out));
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  /** Makes it that of this thread. */
  public static void setCurrentStream(Device device, MemorySegment stream) {
    check(Bsq.bsq_stream_set_current(code(device.type()), device.index(), stream));
  }

  public static void synchronizeStream(Device device, MemorySegment stream) {
    check(Bsq.bsq_stream_synchronize(code(device.type()), device.index(), stream));
  }

  /** How many native objects are alive that Java owns. For tests. */
  public static long liveHandles() {
    NativeLibrary.require();
    return Bsq.bsq_debug_live_handles();
  }

  // What both classes of calls need

  static int code(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> Bsq.BSQ_FLOAT32();
      case FLOAT64 -> Bsq.BSQ_FLOAT64();
      case FLOAT16 -> Bsq.BSQ_FLOAT16();
      case BFLOAT16 -> Bsq.BSQ_BFLOAT16();
      case INT64 -> Bsq.BSQ_INT64();
      case INT32 -> Bsq.BSQ_INT32();
      case UINT8 -> Bsq.BSQ_UINT8();
    };
  }

  static int code(Device.Type type) {
    return switch (type) {
      case CPU -> Bsq.BSQ_DEVICE_CPU();
      case CUDA -> Bsq.BSQ_DEVICE_CUDA();
    };
  }

  static int code(Implementation implementation) {
    return switch (implementation) {
      case AUTOMATIC -> Bsq.BSQ_IMPLEMENTATION_AUTOMATIC();
      case KERNELS -> Bsq.BSQ_IMPLEMENTATION_KERNELS();
      case OPERATORS -> Bsq.BSQ_IMPLEMENTATION_OPERATORS();
    };
  }

  private static int code(EntropyForm form) {
    return switch (form) {
      case EXACT -> Bsq.BSQ_ENTROPY_EXACT();
      case ANALYTICAL -> Bsq.BSQ_ENTROPY_ANALYTICAL();
    };
  }

  private static int code(EntropyFloor.Kind kind) {
    return switch (kind) {
      case CLAMP -> Bsq.BSQ_FLOOR_CLAMP();
      case ADD -> Bsq.BSQ_FLOOR_ADD();
    };
  }

  private static int code(BitOrder order) {
    return switch (order) {
      case MOST_SIGNIFICANT_FIRST -> Bsq.BSQ_ORDER_MOST_FIRST();
      case LEAST_SIGNIFICANT_FIRST -> Bsq.BSQ_ORDER_LEAST_FIRST();
    };
  }

  private static int code(TieRule tie) {
    return switch (tie) {
      case ZERO -> Bsq.BSQ_TIE_ZERO();
      case ONE -> Bsq.BSQ_TIE_ONE();
    };
  }

  private static int code(CodeScale scale) {
    return switch (scale) {
      case UNIT -> Bsq.BSQ_SCALE_UNIT();
      case ONE -> Bsq.BSQ_SCALE_ONE();
    };
  }

  private static int code(ByteForm form) {
    return switch (form) {
      case PLAIN -> Bsq.BSQ_BYTES_PLAIN();
      case OFFSET -> Bsq.BSQ_BYTES_OFFSET();
    };
  }

  static int code(CodeLayout layout) {
    return switch (layout) {
      case INDICES -> Bsq.BSQ_CODES_INDICES();
      case BYTES -> Bsq.BSQ_CODES_BYTES();
      case WORDS -> Bsq.BSQ_CODES_WORDS();
      case BITS -> Bsq.BSQ_CODES_BITS();
    };
  }

  private static int code(Commitment commitment) {
    return switch (commitment) {
      case SQUARED_NORM -> Bsq.BSQ_COMMITMENT_SQUARED_NORM();
      case SQUARE -> Bsq.BSQ_COMMITMENT_SQUARE();
    };
  }

  static DType dtype(int code) {
    return find(DType.values(), NativeCalls::code, code);
  }

  static Device.Type deviceType(int code) {
    return find(Device.Type.values(), NativeCalls::code, code);
  }

  private static <E extends Enum<E>> E find(E[] values, ToIntFunction<E> code, int wanted) {
    for (E value : values) {
      if (code.applyAsInt(value) == wanted) {
        return value;
      }
    }
    throw new AssertionError("libbsq gave " + wanted + ", which bsq.h does not have");
  }

  /** A {@code bsq_losses} for a native call to fill in. */
  static MemorySegment emptyLosses(Scratch scratch) {
    MemorySegment losses = scratch.memory();
    setSize(losses);
    return losses;
  }

  private static void setSize(MemorySegment losses) {
    bsq_losses.struct_size(losses, bsq_losses.sizeof());
  }

  /** What is in a {@code bsq_losses}. */
  static Losses losses(MemorySegment losses) {
    return new Losses(
        bsq_losses.aux_loss(losses),
        bsq_losses.per_sample_entropy(losses),
        bsq_losses.codebook_entropy(losses),
        bsq_losses.entropy_loss(losses),
        bsq_losses.commitment(losses),
        bsq_losses.rows(losses),
        bsq_losses.entropy_rows(losses));
  }

  /**
   * Frees a status.
   *
   * @throws BsqException with its message, unless it is that of a success
   */
  static void check(MemorySegment status) {
    long address = status.address();
    if (address != 0) {
      throw failure(address);
    }
  }

  /** By the address: a segment that went on from the call to here would be allocated each time. */
  private static BsqException failure(long address) {
    MemorySegment status = MemorySegment.ofAddress(address);
    try (Scratch scratch = Scratch.take()) {
      String message = Bsq.bsq_status_message(status).getString(0);
      MemorySegment shortage = scratch.memory();
      bsq_memory_shortage.struct_size(shortage, bsq_memory_shortage.sizeof());
      if (Bsq.bsq_status_shortage(status, shortage) == 0) {
        return new BsqException(javaCode(Bsq.bsq_status_code(status)), message);
      }
      return new DeviceOutOfMemoryException(
          message,
          new Device(
              deviceType(bsq_memory_shortage.device_type(shortage)),
              bsq_memory_shortage.device_index(shortage)),
          known(bsq_memory_shortage.requested_bytes(shortage)),
          known(bsq_memory_shortage.free_bytes(shortage)),
          known(bsq_memory_shortage.total_bytes(shortage)));
    } finally {
      Bsq.bsq_status_free(status);
    }
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
