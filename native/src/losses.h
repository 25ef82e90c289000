// The losses of a batch of finite rows, and their gradient: chunks of rows through the kernels of
// cpu/row_kernels.h, which also add up the average over the rows. Memory is that of 2^D numbers and
// a chunk, never of rows * 2^D. T is float or double. All functions throw Error.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

// Of x[rows, code_dim], rows > 0, code_dim <= kMaxLossCodeDim.
template <class T>
Losses compute_losses(const Options& options, const T* x, int64_t rows);

// grad_x[rows, code_dim] of <grad_quantized, quantized> + grad_aux_loss * aux_loss, straight
// through. grad_quantized may be NULL.
template <class T>
void backward_with_losses(const Options& options, const T* x, int64_t rows, const T* grad_quantized,
                          double grad_aux_loss, T* grad_x);

}  // namespace bsq
