// The quantizer on tensors, for tests: failures are thrown.
#pragma once

#include <cstdint>

#include "bsq/bsq.h"
#include "tensor.h"

namespace bsq::test {

inline Tensor encode(const bsq_options& options, const Tensor& x) {
  return make(bsq_tensor_encode, &options, x.get());
}

inline Tensor decode(const bsq_options& options, const Tensor& indices, int32_t dtype) {
  return make(bsq_tensor_decode, &options, indices.get(), dtype);
}

inline Tensor codes_to_indices(const bsq_options& options, const Tensor& codes) {
  return make(bsq_tensor_codes_to_indices, &options, codes.get());
}

inline Tensor bits_to_codes(const Tensor& bits) {
  return make(bsq_tensor_bits_to_codes, bits.get());
}

inline Quantization forward(const bsq_options& options, const Tensor& x) {
  return make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor);
}

inline Quantization forward(const bsq_options& options, const Tensor& x, const Tensor& mask) {
  return make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), mask.get());
}

inline Tensor quantized_of(const Quantization& quantization) {
  return make(bsq_quantization_quantized, quantization.get());
}

inline Tensor indices_of(const Quantization& quantization) {
  return make(bsq_quantization_indices, quantization.get());
}

inline Tensor loss_sums_of(const Quantization& quantization) {
  return make(bsq_quantization_loss_sums, quantization.get());
}

// Without sums or a gradient of the quantized rows: NULL.
inline Tensor backward(const Quantization& quantization, const Tensor& sums,
                       const Tensor& grad_quantized, double grad) {
  return make(bsq_quantization_backward, quantization.get(), sums.get(), grad_quantized.get(),
              grad);
}

// The same of x's own losses.
inline Tensor backward(const Quantization& quantization, const Tensor& grad_quantized,
                       double grad) {
  return make(bsq_quantization_backward, quantization.get(), kNoTensor, grad_quantized.get(), grad);
}

}  // namespace bsq::test
