// The losses and their gradient by LibTorch's operators alone, for any device, with rows as a
// dimension. Nothing waits for the device.
#pragma once

#include <memory>

#include "finding.h"
#include "operators/counted_rows.h"
#include "operators/rows.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// The loss sums of bsq.h, float64 [loss_sums_size]. Rows that do not count are not looked at; a
// code that is not finite makes the losses NaN that it counts in.
[[nodiscard]] Tensor loss_sums(const Options& options, const Rows& x, const CountedRows& counted);

// The finding about sums, float64 [loss_sums_size], that cannot be those of rows with these.
[[nodiscard]] std::shared_ptr<const Finding> find_wrong_sums(const Tensor& sums,
                                                             const CountedRows& counted);

// The members of LossTerms in their order, float64 [kLossTerms], from loss sums.
inline constexpr int64_t kLossTerms = 5;
[[nodiscard]] Tensor loss_terms(const Options& options, const Tensor& sums);

// Waits for the device.
[[nodiscard]] LossTerms read_loss_terms(const Tensor& terms);

// grad_x, of the type of x: see bsq_host_backward. sums, those of all rows of the loss, may
// be NULL where grad_aux_loss is 0. grad_quantized may be NULL.
[[nodiscard]] Rows gradient(const Options& options, const Rows& x, const CountedRows& counted,
                            const Tensor* sums, const Rows* grad_quantized, double grad_aux_loss);

}  // namespace bsq::operators
