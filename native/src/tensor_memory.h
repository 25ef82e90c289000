// Tensors from the caller's descriptions and memory, and back. All functions throw Error.
#pragma once

#include <cstdint>

#include "bsq/bsq.h"
#include "tensor_quantizer.h"

namespace bsq {

// The sizes, whose product of bytes fits into an int64, and with it every stride.
[[nodiscard]] Shape checked_shape(const int64_t* shape, int64_t rank, DType dtype);

// Page-locked memory of the CPU, whose elements are not set. It counts as borrowed, since others
// write to it, but lives as long as the tensor.
[[nodiscard]] TensorValue pinned(DType dtype, const Shape& shape);

// A contiguous tensor with a copy of data, in CPU memory.
[[nodiscard]] TensorValue copy_in(DType dtype, const Device& device, const Shape& shape,
                                  const void* data, int64_t data_bytes);

// strides may be NULL: contiguous.
[[nodiscard]] TensorValue borrow(DType dtype, const Device& device, const Shape& shape,
                                 const int64_t* strides, const void* data, int64_t data_bytes);

// The same, without an end of the memory to check against.
[[nodiscard]] TensorValue borrow_all(DType dtype, const Device& device, const Shape& shape,
                                     const int64_t* strides, const void* data);

void describe(const TensorValue& value, bsq_tensor_info* info);

// Copies all elements in row-major order to CPU memory. Waits for the device.
void copy_out(const TensorValue& value, DType dtype, void* data, int64_t data_bytes);

[[nodiscard]] TensorValue convert(const TensorValue& value, DType dtype, const Device& device);

// Contiguous, of the same type. Does not wait for a copy between devices.
[[nodiscard]] TensorValue convert_async(const TensorValue& value, const Device& device);

[[nodiscard]] TensorValue permuted(const TensorValue& value, const int64_t* dimensions,
                                   int64_t rank);

[[nodiscard]] TensorValue narrowed(const TensorValue& value, int64_t dimension, int64_t start,
                                   int64_t length);

}  // namespace bsq
