// Small constant tensors on a device, made there.
#pragma once

#include <cstdint>

#include "torch_ops.h"

namespace bsq::operators {

// Of rank 0.
[[nodiscard]] inline Tensor scalar(double value, DType dtype, const Device& device) {
  return full({}, value, dtype, device);
}

// 0, 1, ..., count - 1 as int64. (LibTorch's own arange takes Scalars.)
[[nodiscard]] inline Tensor arange(int64_t count, const Device& device) {
  return cumsum(pad(full({count - 1}, 1, DType::kInt64, device), 1, 0), 0);
}

// count - 1, ..., 1, 0: how far each bit of an index is shifted, the most significant first.
[[nodiscard]] inline Tensor bit_shifts(int64_t count, const Device& device) {
  return flip(arange(count, device), 0);
}

}  // namespace bsq::operators
