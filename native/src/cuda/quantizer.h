// The quantizer on CUDA devices by this library's kernels: what operators/ has, of the same
// arguments and results. Nothing waits for the device; all is put on LibTorch's current stream, and
// memory comes from its caching allocator. All functions throw Error.
#pragma once

#include <optional>

#include "operators/codes.h"
#include "operators/quantizer.h"
#include "operators/rows.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::cuda {

[[nodiscard]] operators::Result encode(const Options& options, const operators::Rows& x);

[[nodiscard]] operators::Quantized quantize(const Options& options, const operators::Rows& x);

[[nodiscard]] operators::Result decode(const Options& options, const Tensor& indices, int64_t items,
                                       int64_t positions, DType dtype);

[[nodiscard]] operators::Result pack(const Options& options, const operators::Rows& x,
                                     cpu::CodeLayout layout);

[[nodiscard]] operators::Result unpack(const Options& options, const Tensor& stored,
                                       cpu::CodeLayout layout, int64_t items, int64_t positions,
                                       DType dtype);

[[nodiscard]] operators::Forward forward(const Options& options, const operators::Rows& x,
                                         const std::optional<Tensor>& mask);

[[nodiscard]] operators::Backward backward(const Options& options, const operators::Rows& x,
                                           const operators::DeviceLosses& losses,
                                           const Tensor* sums,
                                           const operators::Rows* grad_quantized,
                                           double grad_aux_loss);

}  // namespace bsq::cuda
