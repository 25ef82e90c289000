// Small constant tensors on a device, made there.
#pragma once

#include <cstdint>

#include "torch_ops.h"

namespace bsq::operators {

// Of rank 0.
[[nodiscard]] inline Tensor scalar(double value, DType dtype, const Device& device) {
  return full({}, value, dtype, device);
}

// A float64 of rank 0, on the device of the other tensor.
[[nodiscard]] inline Tensor number(double value, const Tensor& like) {
  return scalar(value, DType::kFloat64, device(like));
}

// An int64 of rank 0: any, where a double has not all of them.
[[nodiscard]] inline Tensor integer(int64_t value, const Device& device) {
  constexpr int64_t kHalf = int64_t{1} << 32;
  const auto half = [&](int64_t bits) {
    return scalar(static_cast<double>(bits), DType::kInt64, device);
  };
  return bitwise_or(left_shift(half(value >> 32), half(32)), half(value & (kHalf - 1)));
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
