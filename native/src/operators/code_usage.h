// Usage counts by LibTorch's operators alone, for any device. Nothing waits for it.
#pragma once

#include <optional>

#include "operators/codes.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// int64 [usage_size] of codes of a layout, [rows, codebooks * elements]. mask is uint8 [rows];
// absent: all count.
[[nodiscard]] Result usage(const Options& options, const Tensor& codes, cpu::CodeLayout layout,
                           const std::optional<Tensor>& mask);

}  // namespace bsq::operators
