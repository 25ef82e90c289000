// The exported functions of versions, devices and the host path: check, choose the type, call. No
// arithmetic.
#include <cstdint>
#include <type_traits>

#include "bsq/bsq.h"
#include "buffers.h"
#include "codes.h"
#include "device.h"
#include "hamming.h"
#include "live_handles.h"
#include "loss_sums.h"
#include "options.h"
#include "packing.h"
#include "quantizer.h"
#include "residual.h"
#include "status.h"
#include "tensor_quantizer.h"
#include "torch_cuda.h"
#include "torch_runtime.h"
#include "usage.h"

namespace {

using bsq::Buffer;
using bsq::Code;
using bsq::Losses;
using bsq::Options;
using bsq::RowShape;
using bsq::cpu::CodeLayout;

// A device that has streams.
bsq::Device checked_cuda(int32_t device_type, int32_t device_index) {
  const bsq::Device device = bsq::checked_device(device_type, device_index);
  if (device.type != bsq::DeviceType::kCuda) {
    bsq::fail(Code::kUnsupported, bsq::name(device), " has no streams, expected a CUDA device");
  }
  return device;
}

void checked_stream_out(void** stream) {
  if (stream == nullptr) {
    bsq::fail(Code::kInvalidArgument, "stream is NULL");
  }
  *stream = nullptr;
}

// Calls body with a value of the element type's C++ type.
template <class Body>
void with_dtype(int32_t dtype, const Body& body) {
  switch (dtype) {
    case BSQ_FLOAT32:
      return body(float{});
    case BSQ_FLOAT64:
      return body(double{});
    default:
      bsq::fail(Code::kUnsupported, "dtype is ", dtype, ", expected BSQ_FLOAT32 (", BSQ_FLOAT32,
                ") or BSQ_FLOAT64 (", BSQ_FLOAT64, ")");
  }
}

// Codes of `rows` rows.
Buffer checked_codes(const Options& options, CodeLayout layout, int64_t rows,
                     const Buffer& buffer) {
  if (layout == CodeLayout::kIndices) {
    options.require_indices();
  }
  const bsq::cpu::CodeFormat format = options.code_format(layout);
  return bsq::checked(buffer, rows, options.codebooks * format.elements(), format.element_size());
}

// What all host calls on rows are given.
struct HostCall {
  HostCall(const bsq_options* given, int64_t items, int64_t positions)
      : options(Options::from(given)), shape{items, positions} {
    if (options.implementation == bsq::Implementation::kOperators) {
      bsq::fail(Code::kUnsupported,
                "implementation is BSQ_IMPLEMENTATION_OPERATORS, which the host functions do not "
                "offer; use tensors");
    }
    bsq::check_count(items, "items");
    bsq::check_count(positions, "positions");
    int64_t rows = 0;
    if (__builtin_mul_overflow(items, positions, &rows)) {
      bsq::fail(Code::kInvalidArgument, items, " items of ", positions,
                " positions are more than 2^63 - 1 rows");
    }
  }

  template <class T>
  [[nodiscard]] Buffer vectors(const Buffer& buffer) const {
    return bsq::checked(buffer, shape.rows(), options.row_length(), sizeof(T));
  }
  template <class T>
  [[nodiscard]] Buffer optional_vectors(const Buffer& buffer) const {
    return buffer.absent() ? buffer : vectors<T>(buffer);
  }
  [[nodiscard]] Buffer indices(const Buffer& buffer) const {
    options.require_indices();
    return bsq::checked(buffer, shape.rows(), options.row_indices(), sizeof(int64_t));
  }
  [[nodiscard]] Buffer level_indices(int64_t levels, const Buffer& buffer) const {
    options.require_indices();
    return bsq::checked(buffer, shape.rows(), levels * options.row_indices(), sizeof(int64_t));
  }
  [[nodiscard]] Buffer codes(CodeLayout layout, const Buffer& buffer) const {
    return checked_codes(options, layout, shape.rows(), buffer);
  }
  [[nodiscard]] Buffer mask(const Buffer& buffer) const {
    return buffer.absent() ? buffer : bsq::checked(buffer, shape.rows(), 1, sizeof(uint8_t));
  }

  Options options;
  RowShape shape;
};

Buffer checked_sums(const Options& options, const double* sums, int64_t bytes) {
  return bsq::checked({"sums", sums, bytes}, options.loss_sums_size(), 1, sizeof(double));
}

// The losses of several levels, one struct after the other; NULL for none.
struct LevelLosses {
  LevelLosses(bsq_losses* losses, int64_t count) : first(losses), levels(count) {
    for (int64_t level = 0; first != nullptr && level < levels; ++level) {
      const Buffer one = bsq::checked_losses(at(level));
      if (level > 0 && one.bytes != stride) {
        bsq::fail(Code::kInvalidArgument, "losses[", level, "].struct_size is ", one.bytes,
                  ", expected ", stride, " as that of losses[0]");
      }
      stride = one.bytes;
    }
    buffer = {"losses", first, levels * stride};
  }

  void store(const Losses* from) const {
    for (int64_t level = 0; first != nullptr && level < levels; ++level) {
      bsq::store_losses(from[level], at(level), static_cast<uint64_t>(stride));
    }
  }

  [[nodiscard]] bsq_losses* at(int64_t level) const {
    return reinterpret_cast<bsq_losses*>(reinterpret_cast<char*>(first) + level * stride);
  }

  bsq_losses* first;
  int64_t levels;
  int64_t stride = 0;
  Buffer buffer{"losses", nullptr, 0};
};

Buffer required_losses(bsq_losses* losses) {
  if (losses == nullptr) {
    bsq::fail(Code::kInvalidArgument, "losses is NULL");
  }
  return bsq::checked_losses(losses);
}

}  // namespace

int32_t bsq_abi_version(void) { return BSQ_ABI_VERSION; }

uint64_t bsq_torch_version(void) { return bsq::torch_version(); }

int32_t bsq_num_threads(void) { return bsq::num_threads(); }

int32_t bsq_device_count(int32_t device_type) {
  try {
    return bsq::device_count(device_type);
  } catch (...) {  // no memory to ask
    return 0;
  }
}

bsq_status* bsq_device_check(int32_t device_type, int32_t device_index) {
  return bsq::guard([&] { static_cast<void>(bsq::checked_device(device_type, device_index)); });
}

bsq_status* bsq_device_describe(int32_t device_type, int32_t device_index, bsq_device_info* info) {
  return bsq::guard([&] { bsq::describe(bsq::checked_device(device_type, device_index), info); });
}

bsq_status* bsq_device_synchronize(int32_t device_type, int32_t device_index) {
  return bsq::guard([&] {
    const bsq::Device device = bsq::checked_device(device_type, device_index);
    if (device.type != bsq::DeviceType::kCpu) {
      bsq::synchronize_stream(device, bsq::current_stream(device));
    }
  });
}

bsq_status* bsq_stream_from_pool(int32_t device_type, int32_t device_index, void** stream) {
  return bsq::guard([&] {
    checked_stream_out(stream);
    *stream = bsq::stream_from_pool(checked_cuda(device_type, device_index));
  });
}

bsq_status* bsq_stream_current(int32_t device_type, int32_t device_index, void** stream) {
  return bsq::guard([&] {
    checked_stream_out(stream);
    *stream = bsq::current_stream(checked_cuda(device_type, device_index));
  });
}

bsq_status* bsq_stream_set_current(int32_t device_type, int32_t device_index, void* stream) {
  return bsq::guard(
      [&] { bsq::set_current_stream(checked_cuda(device_type, device_index), stream); });
}

bsq_status* bsq_stream_synchronize(int32_t device_type, int32_t device_index, void* stream) {
  return bsq::guard(
      [&] { bsq::synchronize_stream(checked_cuda(device_type, device_index), stream); });
}

const char* bsq_device_implementation(int32_t device_type) {
  return device_type == BSQ_DEVICE_CPU || device_type == BSQ_DEVICE_CUDA
             ? bsq::implementation(static_cast<bsq::DeviceType>(device_type))
             : "none";
}

int64_t bsq_debug_live_handles(void) { return bsq::live_handles(); }

bsq_status* bsq_options_init(bsq_options* options, uint64_t struct_size, int64_t code_dim) {
  return bsq::guard([&] { bsq::init_options(options, struct_size, code_dim); });
}

bsq_status* bsq_loss_sums_size(const bsq_options* options, int64_t* size) {
  return bsq::guard([&] {
    const Options opts = Options::from(options);
    opts.require_losses();
    if (size == nullptr) {
      bsq::fail(Code::kInvalidArgument, "size is NULL");
    }
    *size = opts.loss_sums_size();
  });
}

bsq_status* bsq_losses_from_sums(const bsq_options* options, const double* sums, int64_t sums_bytes,
                                 bsq_losses* losses) {
  return bsq::guard([&] {
    const Options opts = Options::from(options);
    opts.require_losses();
    const Buffer in = checked_sums(opts, sums, sums_bytes);
    const Buffer out = required_losses(losses);
    bsq::check_no_overlap(out, {in});
    bsq::store_losses(bsq::losses_from_sums(opts, sums), losses, static_cast<uint64_t>(out.bytes));
  });
}

bsq_status* bsq_host_encode(const bsq_options* options, int32_t dtype, int64_t items,
                            int64_t positions, const void* x, int64_t x_bytes, int64_t* indices,
                            int64_t indices_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer out = call.indices({"indices", indices, indices_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::encode(call.options, call.shape, static_cast<const T*>(x), indices);
    });
  });
}

bsq_status* bsq_host_decode(const bsq_options* options, int32_t dtype, int64_t items,
                            int64_t positions, const int64_t* indices, int64_t indices_bytes,
                            void* quantized, int64_t quantized_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.indices({"indices", indices, indices_bytes});
      const Buffer out = call.vectors<T>({"quantized", quantized, quantized_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::decode(call.options, call.shape, indices, static_cast<T*>(quantized));
    });
  });
}

bsq_status* bsq_host_forward(const bsq_options* options, int32_t dtype, int64_t items,
                             int64_t positions, const void* x, int64_t x_bytes, const uint8_t* mask,
                             int64_t mask_bytes, void* quantized, int64_t quantized_bytes,
                             int64_t* indices, int64_t indices_bytes, bsq_losses* losses) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    const Buffer losses_out = bsq::checked_losses(losses);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer mask_in = call.mask({"mask", mask, mask_bytes});
      const Buffer quantized_out =
          call.optional_vectors<T>({"quantized", quantized, quantized_bytes});
      const Buffer given_indices{"indices", indices, indices_bytes};
      const Buffer indices_out =
          given_indices.absent() ? given_indices : call.indices(given_indices);
      bsq::check_no_overlap(quantized_out, {in, mask_in, indices_out});
      bsq::check_no_overlap(indices_out, {in, mask_in});
      bsq::check_no_overlap(losses_out, {in, mask_in, quantized_out, indices_out});
      Losses computed;
      bsq::forward(call.options, call.shape, static_cast<const T*>(x), mask,
                   static_cast<T*>(quantized), indices, losses == nullptr ? nullptr : &computed);
      if (losses != nullptr) {
        bsq::store_losses(computed, losses, static_cast<uint64_t>(losses_out.bytes));
      }
    });
  });
}

bsq_status* bsq_host_loss_sums(const bsq_options* options, int32_t dtype, int64_t items,
                               int64_t positions, const void* x, int64_t x_bytes,
                               const uint8_t* mask, int64_t mask_bytes, double* sums,
                               int64_t sums_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    call.options.require_losses();
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer mask_in = call.mask({"mask", mask, mask_bytes});
      const Buffer out = checked_sums(call.options, sums, sums_bytes);
      bsq::check_no_overlap(out, {in, mask_in});
      bsq::loss_sums(call.options, call.shape, static_cast<const T*>(x), mask, sums);
    });
  });
}

bsq_status* bsq_host_backward(const bsq_options* options, int32_t dtype, int64_t items,
                              int64_t positions, const void* x, int64_t x_bytes,
                              const uint8_t* mask, int64_t mask_bytes, const double* sums,
                              int64_t sums_bytes, const void* grad_quantized,
                              int64_t grad_quantized_bytes, double grad_aux_loss, void* grad_x,
                              int64_t grad_x_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    if (grad_aux_loss != 0) {
      call.options.require_losses();
    }
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer mask_in = call.mask({"mask", mask, mask_bytes});
      const Buffer given_sums{"sums", sums, sums_bytes};
      const Buffer sums_in = given_sums.absent() || grad_aux_loss == 0
                                 ? given_sums
                                 : checked_sums(call.options, sums, sums_bytes);
      const Buffer gradient_in =
          call.optional_vectors<T>({"grad_quantized", grad_quantized, grad_quantized_bytes});
      const Buffer out = call.vectors<T>({"grad_x", grad_x, grad_x_bytes});
      bsq::check_no_overlap(out, {in, mask_in, sums_in, gradient_in});
      bsq::backward(call.options, call.shape, static_cast<const T*>(x), mask, sums,
                    static_cast<const T*>(grad_quantized), grad_aux_loss, static_cast<T*>(grad_x));
    });
  });
}

bsq_status* bsq_host_bits_to_codes(int32_t dtype, int64_t count, const void* bits,
                                   int64_t bits_bytes, void* codes, int64_t codes_bytes) {
  return bsq::guard([&] {
    bsq::check_count(count, "count");
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = bsq::checked({"bits", bits, bits_bytes}, count, 1, sizeof(T));
      const Buffer out = bsq::checked({"codes", codes, codes_bytes}, count, 1, sizeof(T));
      bsq::check_no_overlap(out, {in});
      bsq::bits_to_codes(static_cast<const T*>(bits), count, static_cast<T*>(codes));
    });
  });
}

bsq_status* bsq_host_codes_to_indices(const bsq_options* options, int32_t dtype, int64_t items,
                                      int64_t positions, const void* codes, int64_t codes_bytes,
                                      int64_t* indices, int64_t indices_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"codes", codes, codes_bytes});
      const Buffer out = call.indices({"indices", indices, indices_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::codes_to_indices(call.options, call.shape, static_cast<const T*>(codes), indices);
    });
  });
}

bsq_status* bsq_host_pack(const bsq_options* options, int32_t dtype, int64_t items,
                          int64_t positions, const void* x, int64_t x_bytes, int32_t layout,
                          void* packed, int64_t packed_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    const CodeLayout to = bsq::checked_packed(layout);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer out = call.codes(to, {"packed", packed, packed_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::pack(call.options, call.shape, static_cast<const T*>(x), to, packed);
    });
  });
}

bsq_status* bsq_host_unpack(const bsq_options* options, int32_t dtype, int64_t items,
                            int64_t positions, int32_t layout, const void* packed,
                            int64_t packed_bytes, void* quantized, int64_t quantized_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    const CodeLayout from = bsq::checked_layout(layout, "layout");
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.codes(from, {"packed", packed, packed_bytes});
      const Buffer out = call.vectors<T>({"quantized", quantized, quantized_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::unpack(call.options, call.shape, from, packed, static_cast<T*>(quantized));
    });
  });
}

bsq_status* bsq_host_convert(const bsq_options* from_options, int32_t from_layout,
                             const bsq_options* to_options, int32_t to_layout, int64_t rows,
                             const void* from, int64_t from_bytes, void* to, int64_t to_bytes) {
  return bsq::guard([&] {
    const HostCall source(from_options, rows, 1);
    const HostCall target(to_options, rows, 1);
    const CodeLayout in_layout = bsq::checked_layout(from_layout, "from_layout");
    const CodeLayout out_layout = bsq::checked_layout(to_layout, "to_layout");
    bsq::check_same_codes(source.options, target.options);
    const Buffer in = source.codes(in_layout, {"from", from, from_bytes});
    const Buffer out = target.codes(out_layout, {"to", to, to_bytes});
    bsq::check_no_overlap(out, {in});
    bsq::convert(source.options, in_layout, target.options, out_layout, rows, from, to);
  });
}

bsq_status* bsq_usage_size(const bsq_options* options, int64_t* size) {
  return bsq::guard([&] {
    const Options opts = Options::from(options);
    if (size == nullptr) {
      bsq::fail(Code::kInvalidArgument, "size is NULL");
    }
    *size = bsq::usage_size(opts);
  });
}

bsq_status* bsq_host_usage_add(const bsq_options* options, int32_t layout, int64_t rows,
                               const void* codes, int64_t codes_bytes, const uint8_t* mask,
                               int64_t mask_bytes, int64_t* counts, int64_t counts_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, rows, 1);
    const CodeLayout from = bsq::checked_layout(layout, "layout");
    const Buffer in = call.codes(from, {"codes", codes, codes_bytes});
    const Buffer counted = call.mask({"mask", mask, mask_bytes});
    const Buffer out = bsq::checked({"counts", counts, counts_bytes}, bsq::usage_size(call.options),
                                    1, sizeof(int64_t));
    bsq::check_no_overlap(out, {in, counted});
    bsq::add_usage(call.options, from, rows, codes, mask, counts);
  });
}

bsq_status* bsq_host_sign_margins(const bsq_options* options, int32_t dtype, int64_t items,
                                  int64_t positions, const void* x, int64_t x_bytes, void* margins,
                                  int64_t margins_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer out = bsq::checked({"margins", margins, margins_bytes}, call.shape.rows(),
                                      call.options.codebooks, sizeof(T));
      bsq::check_no_overlap(out, {in});
      bsq::sign_margins(call.options, call.shape, static_cast<const T*>(x),
                        static_cast<T*>(margins));
    });
  });
}

bsq_status* bsq_host_residual_encode(const bsq_options* options, int64_t levels, int32_t dtype,
                                     int64_t items, int64_t positions, const void* x,
                                     int64_t x_bytes, int64_t* indices, int64_t indices_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    Options::check_levels(levels);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer out = call.level_indices(levels, {"indices", indices, indices_bytes});
      bsq::check_no_overlap(out, {in});
      static_cast<void>(bsq::residual_quantize<T>(call.options, levels, call.shape,
                                                  static_cast<const T*>(x), nullptr, indices));
    });
  });
}

bsq_status* bsq_host_residual_decode(const bsq_options* options, int64_t levels,
                                     int64_t used_levels, int32_t dtype, int64_t items,
                                     int64_t positions, const int64_t* indices,
                                     int64_t indices_bytes, void* quantized,
                                     int64_t quantized_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    Options::check_used_levels(used_levels, levels);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.level_indices(levels, {"indices", indices, indices_bytes});
      const Buffer out = call.vectors<T>({"quantized", quantized, quantized_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::residual_decode(call.options, levels, used_levels, call.shape, indices,
                           static_cast<T*>(quantized));
    });
  });
}

bsq_status* bsq_host_residual_codes_to_indices(const bsq_options* options, int64_t levels,
                                               int32_t dtype, int64_t items, int64_t positions,
                                               const void* quantized, int64_t quantized_bytes,
                                               int64_t* indices, int64_t indices_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    Options::check_levels(levels);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"quantized", quantized, quantized_bytes});
      const Buffer out = call.level_indices(levels, {"indices", indices, indices_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::residual_codes_to_indices(call.options, levels, call.shape,
                                     static_cast<const T*>(quantized), indices);
    });
  });
}

bsq_status* bsq_host_residual(const bsq_options* options, int64_t level, int32_t dtype,
                              int64_t items, int64_t positions, const void* x, int64_t x_bytes,
                              void* residual, int64_t residual_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    Options::check_level(level, bsq::kMaxLevels);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer out = call.vectors<T>({"residual", residual, residual_bytes});
      bsq::check_no_overlap(out, {in});
      bsq::residual_of(call.options, level, call.shape, static_cast<const T*>(x),
                       static_cast<T*>(residual));
    });
  });
}

bsq_status* bsq_host_residual_forward(const bsq_options* options, int64_t levels, int32_t dtype,
                                      int64_t items, int64_t positions, const void* x,
                                      int64_t x_bytes, const uint8_t* mask, int64_t mask_bytes,
                                      void* quantized, int64_t quantized_bytes, int64_t* indices,
                                      int64_t indices_bytes, bsq_losses* losses) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    Options::check_levels(levels);
    const LevelLosses losses_out(losses, levels);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer mask_in = call.mask({"mask", mask, mask_bytes});
      const Buffer quantized_out =
          call.optional_vectors<T>({"quantized", quantized, quantized_bytes});
      const Buffer given_indices{"indices", indices, indices_bytes};
      const Buffer indices_out =
          given_indices.absent() ? given_indices : call.level_indices(levels, given_indices);
      bsq::check_no_overlap(quantized_out, {in, mask_in, indices_out});
      bsq::check_no_overlap(indices_out, {in, mask_in});
      bsq::check_no_overlap(losses_out.buffer, {in, mask_in, quantized_out, indices_out});
      Losses computed[bsq::kMaxLevels];
      bsq::residual_forward(call.options, levels, call.shape, static_cast<const T*>(x), mask,
                            static_cast<T*>(quantized), indices,
                            losses == nullptr ? nullptr : computed);
      losses_out.store(computed);
    });
  });
}

bsq_status* bsq_host_residual_backward(const bsq_options* options, int64_t levels, int32_t dtype,
                                       int64_t items, int64_t positions, const void* x,
                                       int64_t x_bytes, const uint8_t* mask, int64_t mask_bytes,
                                       const void* grad_quantized, int64_t grad_quantized_bytes,
                                       const double* grad_aux_losses, int64_t grad_aux_losses_bytes,
                                       void* grad_x, int64_t grad_x_bytes) {
  return bsq::guard([&] {
    const HostCall call(options, items, positions);
    Options::check_levels(levels);
    const Buffer weights = bsq::checked({"grad_aux_losses", grad_aux_losses, grad_aux_losses_bytes},
                                        levels, 1, sizeof(double));
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = call.vectors<T>({"x", x, x_bytes});
      const Buffer mask_in = call.mask({"mask", mask, mask_bytes});
      const Buffer gradient_in =
          call.optional_vectors<T>({"grad_quantized", grad_quantized, grad_quantized_bytes});
      const Buffer out = call.vectors<T>({"grad_x", grad_x, grad_x_bytes});
      bsq::check_no_overlap(out, {in, mask_in, gradient_in, weights});
      bsq::residual_backward(call.options, levels, call.shape, static_cast<const T*>(x), mask,
                             static_cast<const T*>(grad_quantized), grad_aux_losses,
                             static_cast<T*>(grad_x));
    });
  });
}

bsq_status* bsq_host_hamming(int64_t code_bytes, const uint8_t* query, int64_t query_bytes,
                             int64_t count, const uint8_t* codes, int64_t codes_bytes,
                             int32_t* distances, int64_t distances_bytes) {
  return bsq::guard([&] {
    bsq::check_code_bytes(code_bytes);
    bsq::check_count(count, "count");
    const Buffer query_in = bsq::checked({"query", query, query_bytes}, 1, code_bytes, 1);
    const Buffer codes_in = bsq::checked({"codes", codes, codes_bytes}, count, code_bytes, 1);
    const Buffer out =
        bsq::checked({"distances", distances, distances_bytes}, count, 1, sizeof(int32_t));
    bsq::check_no_overlap(out, {query_in, codes_in});
    bsq::hamming_distances(code_bytes, query, count, codes, distances);
  });
}

bsq_status* bsq_host_nearest(int64_t code_bytes, int64_t queries, const uint8_t* query,
                             int64_t query_bytes, int64_t count, const uint8_t* codes,
                             int64_t codes_bytes, int64_t k, int64_t* positions,
                             int64_t positions_bytes, int32_t* distances, int64_t distances_bytes) {
  return bsq::guard([&] {
    bsq::check_code_bytes(code_bytes);
    bsq::check_count(queries, "queries");
    bsq::check_count(count, "count");
    bsq::check_nearest(k, count);
    const Buffer query_in = bsq::checked({"query", query, query_bytes}, queries, code_bytes, 1);
    const Buffer codes_in = bsq::checked({"codes", codes, codes_bytes}, count, code_bytes, 1);
    const Buffer positions_out =
        bsq::checked({"positions", positions, positions_bytes}, queries, k, sizeof(int64_t));
    const Buffer distances_out =
        bsq::checked({"distances", distances, distances_bytes}, queries, k, sizeof(int32_t));
    bsq::check_no_overlap(positions_out, {query_in, codes_in});
    bsq::check_no_overlap(distances_out, {query_in, codes_in, positions_out});
    bsq::hamming_nearest(code_bytes, queries, query, count, codes, k, positions, distances);
  });
}
