// Codes of several levels by LibTorch's operators alone: see residual.h. Nothing waits for the
// device. Indices are int64 [rows, levels * row_indices].
#pragma once

#include "operators/codes.h"
#include "operators/rows.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

[[nodiscard]] Result residual_encode(const Options& options, int64_t levels, const Rows& x);

// quantized is of the type of x.
[[nodiscard]] Quantized residual_quantize(const Options& options, int64_t levels, const Rows& x);

// Rows [items, positions, row_length] of the first `used` of the levels.
[[nodiscard]] Result residual_decode(const Options& options, int64_t used, const Tensor& indices,
                                     int64_t items, int64_t positions, DType dtype);

[[nodiscard]] Result residual_codes_to_indices(const Options& options, int64_t levels,
                                               const Rows& quantized);

// What the first `level` levels leave over of x, by their signs alone: nothing is refused.
[[nodiscard]] Rows residual_of(const Options& options, int64_t level, const Rows& x, DType dtype);

// The gradient of a level beyond the first, but 0 for codes whose residual has no more than this
// norm: see bsq::drop_noise.
[[nodiscard]] Rows drop_noise(const Options& options, const Rows& residual, const Rows& gradient,
                              double least_norm);

}  // namespace bsq::operators
