// The quantizer on tensors: checks shapes and types, chooses between kernels and operators. Shapes
// as in bsq.h. All functions throw Error.
#pragma once

#include <variant>

#include "finding.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq {

// A tensor of the C interface.
struct TensorValue {
  Tensor tensor;
  Findings findings;
  bool borrowed = false;  // the memory is not the tensor's own
};

struct Quantization {
  Options options;
  TensorValue x;  // never borrowed
  TensorValue quantized;
  TensorValue indices;
  std::variant<Losses, Tensor> losses;  // or the two entropies on a device: float64 [2]
};

// The name of what computes on such devices unless options ask for another.
[[nodiscard]] const char* implementation(DeviceType type);

[[nodiscard]] TensorValue encode(const Options& options, const TensorValue& x);

[[nodiscard]] TensorValue decode(const Options& options, const TensorValue& indices, DType dtype);

[[nodiscard]] TensorValue bits_to_codes(const TensorValue& bits);

[[nodiscard]] TensorValue codes_to_indices(const Options& options, const TensorValue& codes);

[[nodiscard]] Quantization forward(const Options& options, const TensorValue& x);

// Waits for the device.
[[nodiscard]] Losses read_losses(const Quantization& quantization);

// grad_quantized may be NULL.
[[nodiscard]] TensorValue backward(const Quantization& quantization,
                                   const TensorValue* grad_quantized, double grad_aux_loss);

}  // namespace bsq
