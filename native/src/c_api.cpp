// The exported functions of versions, devices and the host path: check, choose the type, call. No
// arithmetic.
#include <cstdint>
#include <type_traits>

#include "bsq/bsq.h"
#include "buffers.h"
#include "device.h"
#include "live_handles.h"
#include "options.h"
#include "quantizer.h"
#include "status.h"
#include "tensor_quantizer.h"
#include "torch_runtime.h"

namespace {

using bsq::Buffer;
using bsq::Code;
using bsq::Losses;
using bsq::Options;

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

constexpr int64_t kIndexSize = sizeof(int64_t);

Options host_options(const bsq_options* options) {
  const Options opts = Options::from(options);
  if (opts.implementation == bsq::Implementation::kOperators) {
    bsq::fail(Code::kUnsupported,
              "implementation is BSQ_IMPLEMENTATION_OPERATORS, which the host functions do not "
              "offer; use tensors");
  }
  return opts;
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

const char* bsq_device_implementation(int32_t device_type) {
  return device_type == BSQ_DEVICE_CPU || device_type == BSQ_DEVICE_CUDA
             ? bsq::implementation(static_cast<bsq::DeviceType>(device_type))
             : "none";
}

int64_t bsq_debug_live_handles(void) { return bsq::live_handles(); }

bsq_status* bsq_host_encode(const bsq_options* options, int32_t dtype, int64_t rows, const void* x,
                            int64_t x_bytes, int64_t* indices, int64_t indices_bytes) {
  return bsq::guard([&] {
    const Options opts = host_options(options);
    bsq::check_count(rows, "rows");
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = bsq::checked({"x", x, x_bytes}, rows, opts.code_dim, sizeof(T));
      const Buffer out = bsq::checked({"indices", indices, indices_bytes}, rows, 1, kIndexSize);
      bsq::check_no_overlap(out, {in});
      bsq::encode(opts, static_cast<const T*>(x), rows, indices);
    });
  });
}

bsq_status* bsq_host_decode(const bsq_options* options, int32_t dtype, int64_t rows,
                            const int64_t* indices, int64_t indices_bytes, void* quantized,
                            int64_t quantized_bytes) {
  return bsq::guard([&] {
    const Options opts = host_options(options);
    bsq::check_count(rows, "rows");
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = bsq::checked({"indices", indices, indices_bytes}, rows, 1, kIndexSize);
      const Buffer out =
          bsq::checked({"quantized", quantized, quantized_bytes}, rows, opts.code_dim, sizeof(T));
      bsq::check_no_overlap(out, {in});
      bsq::decode(opts, indices, rows, static_cast<T*>(quantized));
    });
  });
}

bsq_status* bsq_host_forward(const bsq_options* options, int32_t dtype, int64_t rows, const void* x,
                             int64_t x_bytes, void* quantized, int64_t quantized_bytes,
                             int64_t* indices, int64_t indices_bytes, bsq_losses* losses) {
  return bsq::guard([&] {
    const Options opts = host_options(options);
    bsq::check_count(rows, "rows");
    const Buffer losses_out = bsq::checked_losses(losses);
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = bsq::checked({"x", x, x_bytes}, rows, opts.code_dim, sizeof(T));
      const Buffer given_quantized{"quantized", quantized, quantized_bytes};
      const Buffer given_indices{"indices", indices, indices_bytes};
      const Buffer quantized_out =
          given_quantized.absent() ? given_quantized
                                   : bsq::checked(given_quantized, rows, opts.code_dim, sizeof(T));
      const Buffer indices_out =
          given_indices.absent() ? given_indices : bsq::checked(given_indices, rows, 1, kIndexSize);
      bsq::check_no_overlap(quantized_out, {in, indices_out});
      bsq::check_no_overlap(indices_out, {in});
      bsq::check_no_overlap(losses_out, {in, quantized_out, indices_out});
      Losses computed;
      bsq::forward(opts, static_cast<const T*>(x), rows, static_cast<T*>(quantized), indices,
                   losses == nullptr ? nullptr : &computed);
      if (losses != nullptr) {
        bsq::store_losses(computed, losses, static_cast<uint64_t>(losses_out.bytes));
      }
    });
  });
}

bsq_status* bsq_host_backward(const bsq_options* options, int32_t dtype, int64_t rows,
                              const void* x, int64_t x_bytes, const void* grad_quantized,
                              int64_t grad_quantized_bytes, double grad_aux_loss, void* grad_x,
                              int64_t grad_x_bytes) {
  return bsq::guard([&] {
    const Options opts = host_options(options);
    bsq::check_count(rows, "rows");
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const auto row_buffer = [&](const Buffer& buffer) {
        return bsq::checked(buffer, rows, opts.code_dim, sizeof(T));
      };
      const Buffer in = row_buffer({"x", x, x_bytes});
      const Buffer given_gradient{"grad_quantized", grad_quantized, grad_quantized_bytes};
      const Buffer gradient_in =
          given_gradient.absent() ? given_gradient : row_buffer(given_gradient);
      const Buffer out = row_buffer({"grad_x", grad_x, grad_x_bytes});
      bsq::check_no_overlap(out, {in, gradient_in});
      bsq::backward(opts, static_cast<const T*>(x), rows, static_cast<const T*>(grad_quantized),
                    grad_aux_loss, static_cast<T*>(grad_x));
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

bsq_status* bsq_host_codes_to_indices(const bsq_options* options, int32_t dtype, int64_t rows,
                                      const void* codes, int64_t codes_bytes, int64_t* indices,
                                      int64_t indices_bytes) {
  return bsq::guard([&] {
    const Options opts = host_options(options);
    bsq::check_count(rows, "rows");
    with_dtype(dtype, [&](auto type) {
      using T = decltype(type);
      const Buffer in = bsq::checked({"codes", codes, codes_bytes}, rows, opts.code_dim, sizeof(T));
      const Buffer out = bsq::checked({"indices", indices, indices_bytes}, rows, 1, kIndexSize);
      bsq::check_no_overlap(out, {in});
      bsq::codes_to_indices(opts, static_cast<const T*>(codes), rows, indices);
    });
  });
}
