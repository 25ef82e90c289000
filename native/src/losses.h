// The losses of a batch of finite rows, and their gradient: chunks of rows through the kernels of
// cpu/row_kernels.h, which also add up the average over the rows. Memory is that of the average
// distributions and a chunk, never of rows * 2^bits. T is float or double. All functions throw
// Error.
#pragma once

#include <cstdint>

#include "loss_rows.h"
#include "options.h"

namespace bsq {

template <class T>
[[nodiscard]] Losses compute_losses(const Options& options, const LossRows& rows, const T* x);

template <class T>
void compute_loss_sums(const Options& options, const LossRows& rows, const T* x, double* sums);

// grad_x of straight_through_scale * <grad_quantized, u> + grad_aux_loss * aux_loss. sums, which
// have been checked, and grad_quantized may be NULL. Rows that take no part in a loss need not be
// finite; their codes that are not get NaN.
template <class T>
void backward_with_losses(const Options& options, const LossRows& rows, const T* x,
                          const double* sums, const T* grad_quantized, double grad_aux_loss,
                          T* grad_x);

// The same without a loss.
template <class T>
void backward_without_losses(const Options& options, const LossRows& rows, const T* x,
                             const T* grad_quantized, T* grad_x);

}  // namespace bsq
