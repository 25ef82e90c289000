// The quantizer by LibTorch's operators alone, for any device, forward and backward. Nothing waits
// for the device.
#pragma once

#include <memory>

#include "finding.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

struct Forward {
  Tensor quantized;  // [rows, code_dim], of the type of x
  Tensor indices;    // int64 [rows]
  Tensor entropies;  // float64 [2]: the per-sample entropy and the codebook entropy
  std::shared_ptr<const Finding> finding;  // NULL where there is nothing to find
};

// Of x[rows, code_dim].
[[nodiscard]] Forward forward(const Options& options, const Tensor& x);

// grad_x[rows, code_dim], of the type of x. grad_quantized may be NULL.
[[nodiscard]] Tensor backward(const Options& options, const Tensor& x, const Tensor* grad_quantized,
                              double grad_aux_loss);

}  // namespace bsq::operators
