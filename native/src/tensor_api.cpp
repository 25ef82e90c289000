// The exported functions of tensors and quantizations: check, call, wrap. No arithmetic.
#include <cstdint>
#include <memory>
#include <utility>

#include "bsq/bsq.h"
#include "device.h"
#include "dlpack.h"
#include "dtype.h"
#include "live_handles.h"
#include "options.h"
#include "status.h"
#include "tensor_memory.h"
#include "tensor_quantizer.h"
#include "tensor_residual.h"

struct bsq_tensor {
  bsq::TensorValue value;
  bsq::LiveHandle live;
};

struct bsq_quantization {
  bsq::Quantization value;
  bsq::LiveHandle live;
};

struct bsq_residual_quantization {
  bsq::ResidualQuantization value;
  bsq::LiveHandle live;
};

namespace {

using bsq::Code;
using bsq::Device;
using bsq::DType;
using bsq::Options;
using bsq::Shape;
using bsq::TensorValue;

template <class T>
const auto& value_of(const T* object, const char* name) {
  if (object == nullptr) {
    bsq::fail(Code::kInvalidArgument, name, " is NULL");
  }
  return object->value;
}

// NULL for NULL.
const TensorValue* optional_value(const bsq_tensor* tensor) {
  return tensor == nullptr ? nullptr : &tensor->value;
}

// Stores what body makes in *out, in a new object. The name is the parameter's.
template <class T, class Body>
bsq_status* make(T** out, const char* name, const Body& body) {
  return bsq::guard([&] {
    if (out == nullptr) {
      bsq::fail(Code::kInvalidArgument, name, " is NULL");
    }
    *out = nullptr;
    *out = new T{body(), {}};
  });
}

}  // namespace

bsq_status* bsq_tensor_empty(int32_t dtype, int32_t device_type, int32_t device_index,
                             const int64_t* shape, int64_t rank, bsq_tensor** out) {
  return make(out, "out", [&]() -> TensorValue {
    const DType type = bsq::checked_dtype(dtype);
    const Device device = bsq::checked_device(device_type, device_index);
    return {bsq::empty(bsq::checked_shape(shape, rank, type), type, device), {}};
  });
}

bsq_status* bsq_tensor_zeros(int32_t dtype, int32_t device_type, int32_t device_index,
                             const int64_t* shape, int64_t rank, bsq_tensor** out) {
  return make(out, "out", [&]() -> TensorValue {
    const DType type = bsq::checked_dtype(dtype);
    const Device device = bsq::checked_device(device_type, device_index);
    return {bsq::zeros(bsq::checked_shape(shape, rank, type), type, device), {}};
  });
}

bsq_status* bsq_tensor_copy(int32_t dtype, int32_t device_type, int32_t device_index,
                            const int64_t* shape, int64_t rank, const void* data,
                            int64_t data_bytes, bsq_tensor** out) {
  return make(out, "out", [&] {
    const DType type = bsq::checked_dtype(dtype);
    const Device device = bsq::checked_device(device_type, device_index);
    return bsq::copy_in(type, device, bsq::checked_shape(shape, rank, type), data, data_bytes);
  });
}

bsq_status* bsq_tensor_borrow(int32_t dtype, int32_t device_type, int32_t device_index,
                              const int64_t* shape, const int64_t* strides, int64_t rank,
                              const void* data, int64_t data_bytes, bsq_tensor** out) {
  return make(out, "out", [&] {
    const DType type = bsq::checked_dtype(dtype);
    const Device device = bsq::checked_device(device_type, device_index);
    return bsq::borrow(type, device, bsq::checked_shape(shape, rank, type), strides, data,
                       data_bytes);
  });
}

void bsq_tensor_free(bsq_tensor* tensor) { delete tensor; }

bsq_status* bsq_tensor_describe(const bsq_tensor* tensor, bsq_tensor_info* info) {
  return bsq::guard([&] { bsq::describe(value_of(tensor, "tensor"), info); });
}

bsq_status* bsq_tensor_data(const bsq_tensor* tensor, const void** data) {
  return bsq::guard([&] {
    const TensorValue& value = value_of(tensor, "tensor");
    if (data == nullptr) {
      bsq::fail(Code::kInvalidArgument, "data is NULL");
    }
    *data = value.tensor.const_data_ptr();
  });
}

bsq_status* bsq_tensor_read(const bsq_tensor* tensor, int32_t dtype, void* data,
                            int64_t data_bytes) {
  return bsq::guard([&] {
    bsq::copy_out(value_of(tensor, "tensor"), bsq::checked_dtype(dtype), data, data_bytes);
  });
}

bsq_status* bsq_tensor_check(const bsq_tensor* tensor) {
  return bsq::guard([&] { bsq::check(value_of(tensor, "tensor").findings); });
}

bsq_status* bsq_tensor_to(const bsq_tensor* tensor, int32_t dtype, int32_t device_type,
                          int32_t device_index, bsq_tensor** out) {
  return make(out, "out", [&] {
    return bsq::convert(value_of(tensor, "tensor"), bsq::checked_dtype(dtype),
                        bsq::checked_device(device_type, device_index));
  });
}

bsq_status* bsq_tensor_empty_pinned(int32_t dtype, const int64_t* shape, int64_t rank,
                                    bsq_tensor** out) {
  return make(out, "out", [&] {
    const DType type = bsq::checked_dtype(dtype);
    return bsq::pinned(type, bsq::checked_shape(shape, rank, type));
  });
}

bsq_status* bsq_tensor_to_async(const bsq_tensor* tensor, int32_t device_type, int32_t device_index,
                                bsq_tensor** out) {
  return make(out, "out", [&] {
    return bsq::convert_async(value_of(tensor, "tensor"),
                              bsq::checked_device(device_type, device_index));
  });
}

bsq_status* bsq_tensor_permute(const bsq_tensor* tensor, const int64_t* dimensions, int64_t rank,
                               bsq_tensor** out) {
  return make(out, "out",
              [&] { return bsq::permuted(value_of(tensor, "tensor"), dimensions, rank); });
}

bsq_status* bsq_tensor_narrow(const bsq_tensor* tensor, int64_t dimension, int64_t start,
                              int64_t length, bsq_tensor** out) {
  return make(out, "out",
              [&] { return bsq::narrowed(value_of(tensor, "tensor"), dimension, start, length); });
}

bsq_status* bsq_tensor_from_dlpack(void* managed, bsq_tensor** out) {
  bsq_status* const status = make(out, "out", [&] { return bsq::from_dlpack(managed); });
  if (status == nullptr) {
    bsq::take_dlpack((*out)->value, managed);  // now that nothing can fail
  }
  return status;
}

void bsq_tensor_disown(bsq_tensor* tensor) {
  if (tensor != nullptr) {
    bsq::give_back_dlpack(tensor->value);
  }
  delete tensor;
}

bsq_status* bsq_tensor_to_dlpack(const bsq_tensor* tensor, void** managed) {
  return bsq::guard([&] {
    if (managed == nullptr) {
      bsq::fail(Code::kInvalidArgument, "managed is NULL");
    }
    *managed = nullptr;
    *managed = bsq::to_dlpack(value_of(tensor, "tensor"));
  });
}

void bsq_dlpack_free(void* managed) { bsq::free_dlpack(managed); }

bsq_status* bsq_tensor_encode(const bsq_options* options, const bsq_tensor* x,
                              bsq_tensor** indices) {
  return make(indices, "indices",
              [&] { return bsq::encode(Options::from(options), value_of(x, "x")); });
}

bsq_status* bsq_tensor_decode(const bsq_options* options, const bsq_tensor* indices, int32_t dtype,
                              bsq_tensor** quantized) {
  return make(quantized, "quantized", [&] {
    return bsq::decode(Options::from(options), value_of(indices, "indices"),
                       bsq::checked_dtype(dtype));
  });
}

bsq_status* bsq_tensor_bits_to_codes(const bsq_tensor* bits, bsq_tensor** codes) {
  return make(codes, "codes", [&] { return bsq::bits_to_codes(value_of(bits, "bits")); });
}

bsq_status* bsq_tensor_codes_to_indices(const bsq_options* options, const bsq_tensor* codes,
                                        bsq_tensor** indices) {
  return make(indices, "indices", [&] {
    return bsq::codes_to_indices(Options::from(options), value_of(codes, "codes"));
  });
}

bsq_status* bsq_tensor_pack(const bsq_options* options, const bsq_tensor* x, int32_t layout,
                            bsq_tensor** packed) {
  return make(packed, "packed", [&] {
    return bsq::pack(Options::from(options), value_of(x, "x"), bsq::checked_packed(layout));
  });
}

bsq_status* bsq_tensor_unpack(const bsq_options* options, const bsq_tensor* packed, int32_t layout,
                              int32_t dtype, bsq_tensor** quantized) {
  return make(quantized, "quantized", [&] {
    return bsq::unpack(Options::from(options), value_of(packed, "packed"),
                       bsq::checked_layout(layout, "layout"), bsq::checked_dtype(dtype));
  });
}

bsq_status* bsq_tensor_convert(const bsq_options* from_options, int32_t from_layout,
                               const bsq_options* to_options, int32_t to_layout,
                               const bsq_tensor* from, bsq_tensor** to) {
  return make(to, "to", [&] {
    return bsq::convert(Options::from(from_options),
                        bsq::checked_layout(from_layout, "from_layout"), value_of(from, "from"),
                        Options::from(to_options), bsq::checked_layout(to_layout, "to_layout"));
  });
}

bsq_status* bsq_tensor_usage(const bsq_options* options, const bsq_tensor* codes, int32_t layout,
                             const bsq_tensor* mask, bsq_tensor** counts) {
  return make(counts, "counts", [&] {
    return bsq::usage(Options::from(options), value_of(codes, "codes"),
                      bsq::checked_layout(layout, "layout"), optional_value(mask));
  });
}

bsq_status* bsq_tensor_sign_margins(const bsq_options* options, const bsq_tensor* x,
                                    bsq_tensor** margins) {
  return make(margins, "margins",
              [&] { return bsq::sign_margins(Options::from(options), value_of(x, "x")); });
}

bsq_status* bsq_tensor_hamming(const bsq_tensor* queries, const bsq_tensor* codes,
                               int32_t implementation, bsq_tensor** distances) {
  return make(distances, "distances", [&] {
    return bsq::hamming_distances(value_of(queries, "queries"), value_of(codes, "codes"),
                                  implementation);
  });
}

bsq_status* bsq_tensor_nearest(const bsq_tensor* queries, const bsq_tensor* codes, int64_t k,
                               int32_t implementation, bsq_tensor** positions,
                               bsq_tensor** distances) {
  return bsq::guard([&] {
    for (const auto& [out, name] :
         {std::pair{positions, "positions"}, std::pair{distances, "distances"}}) {
      if (out == nullptr) {
        bsq::fail(Code::kInvalidArgument, name, " is NULL");
      }
      *out = nullptr;
    }
    auto [found, at] = bsq::hamming_nearest(value_of(queries, "queries"), value_of(codes, "codes"),
                                            k, implementation);
    std::unique_ptr<bsq_tensor> first(new bsq_tensor{std::move(found), {}});
    *distances = new bsq_tensor{std::move(at), {}};
    *positions = first.release();
  });
}

bsq_status* bsq_tensor_forward(const bsq_options* options, const bsq_tensor* x,
                               const bsq_tensor* mask, bsq_quantization** out) {
  return make(out, "out", [&] {
    return bsq::forward(Options::from(options), value_of(x, "x"), optional_value(mask));
  });
}

void bsq_quantization_free(bsq_quantization* quantization) { delete quantization; }

bsq_status* bsq_quantization_quantized(const bsq_quantization* quantization, bsq_tensor** out) {
  return make(out, "out", [&] { return value_of(quantization, "quantization").quantized; });
}

bsq_status* bsq_quantization_indices(const bsq_quantization* quantization, bsq_tensor** out) {
  return make(out, "out", [&] {
    const bsq::Quantization& value = value_of(quantization, "quantization");
    value.options.require_indices();
    return value.indices;
  });
}

bsq_status* bsq_quantization_losses(const bsq_quantization* quantization, bsq_losses* losses) {
  return bsq::guard([&] {
    const bsq::Quantization& value = value_of(quantization, "quantization");
    if (losses == nullptr) {
      bsq::fail(Code::kInvalidArgument, "losses is NULL");
    }
    const bsq::Buffer out = bsq::checked_losses(losses);
    bsq::store_losses(bsq::read_losses(value), losses, static_cast<uint64_t>(out.bytes));
  });
}

bsq_status* bsq_quantization_loss_sums(const bsq_quantization* quantization, bsq_tensor** out) {
  return make(out, "out", [&] { return bsq::loss_sums(value_of(quantization, "quantization")); });
}

bsq_status* bsq_quantization_backward(const bsq_quantization* quantization, const bsq_tensor* sums,
                                      const bsq_tensor* grad_quantized, double grad_aux_loss,
                                      bsq_tensor** grad_x) {
  return make(grad_x, "grad_x", [&] {
    return bsq::backward(value_of(quantization, "quantization"), optional_value(sums),
                         optional_value(grad_quantized), grad_aux_loss);
  });
}

bsq_status* bsq_tensor_residual_encode(const bsq_options* options, int64_t levels,
                                       const bsq_tensor* x, bsq_tensor** indices) {
  return make(indices, "indices", [&] {
    const Options opts = Options::from(options);
    Options::check_levels(levels);
    return bsq::residual_encode(opts, levels, value_of(x, "x"));
  });
}

bsq_status* bsq_tensor_residual_decode(const bsq_options* options, int64_t levels,
                                       int64_t used_levels, const bsq_tensor* indices,
                                       int32_t dtype, bsq_tensor** quantized) {
  return make(quantized, "quantized", [&] {
    const Options opts = Options::from(options);
    Options::check_used_levels(used_levels, levels);
    return bsq::residual_decode(opts, levels, used_levels, value_of(indices, "indices"),
                                bsq::checked_dtype(dtype));
  });
}

bsq_status* bsq_tensor_residual_codes_to_indices(const bsq_options* options, int64_t levels,
                                                 const bsq_tensor* quantized,
                                                 bsq_tensor** indices) {
  return make(indices, "indices", [&] {
    const Options opts = Options::from(options);
    Options::check_levels(levels);
    return bsq::residual_codes_to_indices(opts, levels, value_of(quantized, "quantized"));
  });
}

bsq_status* bsq_tensor_residual(const bsq_options* options, int64_t level, const bsq_tensor* x,
                                bsq_tensor** residual) {
  return make(residual, "residual", [&] {
    const Options opts = Options::from(options);
    Options::check_level(level, bsq::kMaxLevels);
    return bsq::residual_of(opts, level, value_of(x, "x"));
  });
}

bsq_status* bsq_tensor_residual_forward(const bsq_options* options, int64_t levels,
                                        const bsq_tensor* x, const bsq_tensor* mask,
                                        bsq_residual_quantization** out) {
  return make(out, "out", [&] {
    const Options opts = Options::from(options);
    Options::check_levels(levels);
    return bsq::residual_forward(opts, levels, value_of(x, "x"), optional_value(mask));
  });
}

void bsq_residual_quantization_free(bsq_residual_quantization* quantization) {
  delete quantization;
}

bsq_status* bsq_residual_quantization_quantized(const bsq_residual_quantization* quantization,
                                                bsq_tensor** out) {
  return make(out, "out", [&] { return value_of(quantization, "quantization").quantized; });
}

bsq_status* bsq_residual_quantization_indices(const bsq_residual_quantization* quantization,
                                              bsq_tensor** out) {
  return make(out, "out", [&] {
    const bsq::ResidualQuantization& value = value_of(quantization, "quantization");
    value.levels.front().options.require_indices();
    return value.indices;
  });
}

bsq_status* bsq_residual_quantization_level(const bsq_residual_quantization* quantization,
                                            int64_t level, bsq_quantization** out) {
  return make(out, "out", [&] {
    const bsq::ResidualQuantization& value = value_of(quantization, "quantization");
    Options::check_level(level, static_cast<int64_t>(value.levels.size()) - 1);
    return value.levels[static_cast<size_t>(level)];
  });
}

bsq_status* bsq_residual_quantization_backward(const bsq_residual_quantization* quantization,
                                               const bsq_tensor* grad_quantized,
                                               const double* grad_aux_losses,
                                               int64_t grad_aux_losses_bytes, bsq_tensor** grad_x) {
  return make(grad_x, "grad_x", [&] {
    const bsq::ResidualQuantization& value = value_of(quantization, "quantization");
    static_cast<void>(bsq::checked({"grad_aux_losses", grad_aux_losses, grad_aux_losses_bytes},
                                   static_cast<int64_t>(value.levels.size()), 1, sizeof(double)));
    return bsq::residual_backward(value, optional_value(grad_quantized), grad_aux_losses);
  });
}
