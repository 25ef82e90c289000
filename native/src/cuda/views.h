// Tensors as kernels take them.
#pragma once

#include <cstdint>

#include "cuda/kernels.h"
#include "error.h"
#include "operators/rows.h"

namespace bsq::cuda {

[[nodiscard]] inline Element element_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return Element::kFloat32;
    case DType::kFloat64:
      return Element::kFloat64;
    case DType::kFloat16:
      return Element::kFloat16;
    case DType::kBFloat16:
      return Element::kBFloat16;
    default:
      fail(Code::kInternal, "rows of ", name(dtype), " have come to a CUDA kernel");
  }
}

[[nodiscard]] inline RowsView view(const operators::Rows& rows) {
  const Shape strides = bsq::strides(rows.tensor());
  return {rows.tensor().const_data_ptr(),
          element_of(dtype(rows.tensor())),
          rows.positions(),
          strides[0],
          strides[1],
          strides[2]};
}

[[nodiscard]] inline MutableRowsView mutable_view(const operators::Rows& rows) {
  const Shape strides = bsq::strides(rows.tensor());
  return {rows.tensor().mutable_data_ptr(),
          element_of(dtype(rows.tensor())),
          rows.positions(),
          strides[0],
          strides[1],
          strides[2]};
}

// Whether rows are adjacent, in their order.
[[nodiscard]] inline bool adjacent(const operators::Rows& rows) {
  const Shape strides = bsq::strides(rows.tensor());
  return (rows.length() == 1 || strides[2] == 1) &&
         (rows.positions() == 1 || strides[1] == rows.length()) &&
         (rows.items() == 1 || strides[0] == rows.positions() * rows.length());
}

template <class T>
[[nodiscard]] const T* data(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <class T>
[[nodiscard]] T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

}  // namespace bsq::cuda
