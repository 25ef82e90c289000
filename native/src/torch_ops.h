// LibTorch's tensors and the operators on them that this library uses, through the Stable ABI, with
// LibTorch's semantics: broadcasting, type promotion, negative dimensions. An operator's schema
// must not have a Scalar, which the Stable ABI cannot pass; scalars are tensors of rank 0 instead.
// All functions throw Error. None waits for a device, but for to() from a device to the CPU.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device.h"
#include "dtype.h"

namespace bsq {

using torch::stable::Tensor;
using Shape = std::vector<int64_t>;

// "[2, 13]".
[[nodiscard]] std::string to_string(const Shape& shape);

// How much memory such a tensor takes. Throws Error where that is more than 2^63 - 1 bytes; sizes
// of 0 do not hide an overflow of the others, which strides are made of.
[[nodiscard]] int64_t byte_size(const Shape& shape, DType dtype);

// Properties

[[nodiscard]] Shape shape(const Tensor& tensor);
[[nodiscard]] Shape strides(const Tensor& tensor);
[[nodiscard]] DType dtype(const Tensor& tensor);
[[nodiscard]] Device device(const Tensor& tensor);

// Making. A failed allocation is reported with its size and device.

[[nodiscard]] Tensor empty(const Shape& shape, DType dtype, const Device& device);
// In page-locked memory of the CPU.
[[nodiscard]] Tensor empty_pinned(const Shape& shape, DType dtype);
[[nodiscard]] Tensor zeros(const Shape& shape, DType dtype, const Device& device);
[[nodiscard]] Tensor full(const Shape& shape, double value, DType dtype, const Device& device);
[[nodiscard]] Tensor from_blob(const void* data, const Shape& shape, const Shape& strides,
                               DType dtype, const Device& device);
// The same tensor where nothing changes.
[[nodiscard]] Tensor to(const Tensor& tensor, DType dtype, const Device& device);
[[nodiscard]] Tensor to(const Tensor& tensor, DType dtype);
// On another device, without waiting for the copy.
[[nodiscard]] Tensor to_async(const Tensor& tensor, const Device& device);
[[nodiscard]] Tensor contiguous(const Tensor& tensor);
// A contiguous copy in new memory.
[[nodiscard]] Tensor clone(const Tensor& tensor);
void copy(const Tensor& from, const Tensor& to);

// Views

[[nodiscard]] Tensor narrow(const Tensor& tensor, int64_t dim, int64_t start, int64_t length);
[[nodiscard]] Tensor permute(const Tensor& tensor, const Shape& dims);
[[nodiscard]] Tensor unsqueeze(const Tensor& tensor, int64_t dim);
// A copy where strides do not allow a view.
[[nodiscard]] Tensor reshape(const Tensor& tensor, const Shape& shape);

// Element by element

// Of float types: LibTorch's sum and difference of integers need a Scalar.
[[nodiscard]] Tensor add(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor sub(const Tensor& a, const Tensor& b);

[[nodiscard]] Tensor mul(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor div(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor maximum(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor greater(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor greater_equal(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor equal(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor bitwise_and(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor bitwise_not(const Tensor& a);
[[nodiscard]] Tensor bitwise_or(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor bitwise_xor(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor left_shift(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor right_shift(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor where(const Tensor& condition, const Tensor& yes, const Tensor& no);
[[nodiscard]] Tensor logical_not(const Tensor& a);
[[nodiscard]] Tensor is_finite(const Tensor& a);
[[nodiscard]] Tensor is_nan(const Tensor& a);
[[nodiscard]] Tensor is_inf(const Tensor& a);
[[nodiscard]] Tensor abs(const Tensor& a);
[[nodiscard]] Tensor negative(const Tensor& a);
[[nodiscard]] Tensor sqrt(const Tensor& a);
[[nodiscard]] Tensor log(const Tensor& a);
[[nodiscard]] Tensor sigmoid(const Tensor& a);
[[nodiscard]] Tensor log_sigmoid(const Tensor& a);

// Along a dimension, or over everything

[[nodiscard]] Tensor sum(const Tensor& a);
[[nodiscard]] Tensor sum(const Tensor& a, int64_t dim, bool keep_dim = false);
[[nodiscard]] Tensor all(const Tensor& a);
[[nodiscard]] Tensor all(const Tensor& a, int64_t dim);
[[nodiscard]] Tensor any(const Tensor& a, int64_t dim, bool keep_dim = false);
[[nodiscard]] Tensor amax(const Tensor& a, int64_t dim, bool keep_dim = false);
// The first of the largest.
[[nodiscard]] Tensor argmax(const Tensor& a, int64_t dim);
[[nodiscard]] Tensor cumsum(const Tensor& a, int64_t dim);
[[nodiscard]] Tensor flip(const Tensor& a, int64_t dim);
// Adds this many zeros before and after the last dimension.
[[nodiscard]] Tensor pad(const Tensor& a, int64_t before, int64_t after);
// Values and their positions along the last dimension, the largest first.
[[nodiscard]] std::pair<Tensor, Tensor> sort_descending(const Tensor& a);
// For each value of a row, how many elements of the ascending row are at most as large.
[[nodiscard]] Tensor count_at_most(const Tensor& ascending, const Tensor& values);
[[nodiscard]] Tensor gather(const Tensor& a, int64_t dim, const Tensor& index);
[[nodiscard]] Tensor index_select(const Tensor& a, int64_t dim, const Tensor& index);
[[nodiscard]] Tensor matmul(const Tensor& a, const Tensor& b);
// Of as many matrices each: [n, i, j] and [n, j, k].
[[nodiscard]] Tensor bmm(const Tensor& a, const Tensor& b);

}  // namespace bsq
