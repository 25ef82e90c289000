// The quantizer by LibTorch's operators alone, for any device, forward and backward. Nothing waits
// for the device.
#pragma once

#include <memory>
#include <optional>

#include "finding.h"
#include "operators/counted_rows.h"
#include "operators/rows.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// What kernels on devices keep for backward where it is small: see Factors in cuda/kernels.h.
struct KeptFactors {
  Tensor bits;
  Tensor leading;
  Tensor trailing;
};

// What is known of the losses on the device, and backward needs.
struct DeviceLosses {
  CountedRows counted;
  Tensor sums;   // float64 [loss_sums_size]
  Tensor terms;  // float64: see loss_terms
  std::optional<KeptFactors> factors = std::nullopt;
};

struct Forward {
  Rows quantized;  // of the type of x
  Tensor indices;  // int64 [rows, row_indices]
  DeviceLosses losses;
  std::shared_ptr<const Finding> finding;  // NULL where there is nothing to find
};

// mask is uint8 [rows]; absent where all count.
[[nodiscard]] Forward forward(const Options& options, const Rows& x,
                              const std::optional<Tensor>& mask);

struct Backward {
  Rows grad_x;                             // of the type of x
  std::shared_ptr<const Finding> finding;  // NULL where there is nothing to find
};

// sums are those of all rows of the loss, NULL for those of x. grad_quantized may be NULL.
[[nodiscard]] Backward backward(const Options& options, const Rows& x, const DeviceLosses& losses,
                                const Tensor* sums, const Rows* grad_quantized,
                                double grad_aux_loss);

}  // namespace bsq::operators
