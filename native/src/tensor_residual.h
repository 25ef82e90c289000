// Codes of several levels on tensors: see residual.h. Shapes as in bsq.h. All functions throw
// Error.
#pragma once

#include <cstdint>
#include <vector>

#include "options.h"
#include "tensor_quantizer.h"

namespace bsq {

struct ResidualQuantization {
  DType dtype;  // of x
  TensorValue quantized;
  TensorValue indices;
  // Each of what the levels before it left over, in the type that is computed in; the first of x.
  std::vector<Quantization> levels;
};

[[nodiscard]] TensorValue residual_encode(const Options& options, int64_t levels,
                                          const TensorValue& x);

[[nodiscard]] TensorValue residual_decode(const Options& options, int64_t levels, int64_t used,
                                          const TensorValue& indices, DType dtype);

[[nodiscard]] TensorValue residual_codes_to_indices(const Options& options, int64_t levels,
                                                    const TensorValue& quantized);

[[nodiscard]] TensorValue residual_of(const Options& options, int64_t level, const TensorValue& x);

// mask may be NULL.
[[nodiscard]] ResidualQuantization residual_forward(const Options& options, int64_t levels,
                                                    const TensorValue& x, const TensorValue* mask);

// grad_quantized may be NULL; there is one of grad_aux_losses for each level.
[[nodiscard]] TensorValue residual_backward(const ResidualQuantization& quantization,
                                            const TensorValue* grad_quantized,
                                            const double* grad_aux_losses);

}  // namespace bsq
