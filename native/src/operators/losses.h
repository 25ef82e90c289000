// The losses and their gradient by LibTorch's operators alone, for any device, with rows as a
// dimension. Nothing waits for the device.
//
// A row's probabilities are the outer product of two factors, as in cpu/row_kernels.h. For the
// entropy's clamp at e, the pairs whose product is at least e are found by sorting one factor: they
// are a prefix of it for each element of the other, and prefix sums give their share.
#pragma once

#include <cstdint>

#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// float64 [2]: the per-sample entropy and the codebook entropy of x[rows, code_dim], rows > 0. Rows
// that are not finite make both NaN.
[[nodiscard]] Tensor losses(const Options& options, const Tensor& x);

// grad_x[rows, code_dim], of the type of x, rows > 0. grad_quantized may be NULL. With
// grad_aux_loss = 0 no loss is computed. What rows that are not finite make of it is unspecified.
[[nodiscard]] Tensor gradient(const Options& options, const Tensor& x, const Tensor* grad_quantized,
                              double grad_aux_loss);

}  // namespace bsq::operators
