// The element types of the C interface.
#pragma once

#include <cstdint>

#include "bsq/bsq.h"

namespace bsq {

enum class DType : int32_t {
  kFloat32 = BSQ_FLOAT32,
  kFloat64 = BSQ_FLOAT64,
  kFloat16 = BSQ_FLOAT16,
  kBFloat16 = BSQ_BFLOAT16,
  kInt64 = BSQ_INT64,
  kInt32 = BSQ_INT32,
  kUInt8 = BSQ_UINT8,
};

// Throws Error where the number is that of no type.
[[nodiscard]] DType checked_dtype(int32_t dtype);

// "float32".
[[nodiscard]] const char* name(DType dtype);

// In bytes.
[[nodiscard]] int64_t element_size(DType dtype);

[[nodiscard]] bool is_floating_point(DType dtype);

// float64 for itself, float32 for the other float types.
[[nodiscard]] DType compute_type(DType dtype);

}  // namespace bsq
