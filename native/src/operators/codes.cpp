#include "operators/codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "operators/constants.h"
#include "refusals.h"

namespace bsq::operators {
namespace {

// Bits are expanded to int64 for this many elements at once, which bounds the memory of a call.
constexpr int64_t kChunkElements = int64_t{16} * 1024 * 1024;

// Calls body(begin, length) for consecutive chunks of rows.
template <class Body>
void for_each_chunk(int64_t rows, int64_t dim, const Body& body) {
  const int64_t chunk = std::max(int64_t{1}, kChunkElements / dim);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    body(begin, std::min(chunk, rows - begin));
  }
}

Tensor rows_of(const Tensor& matrix, int64_t begin, int64_t length) {
  return narrow(matrix, 0, begin, length);
}

// indices[rows] of bits[rows, code_dim], a bool.
Tensor indices_of(const Tensor& bits, const Tensor& weights) { return sum(mul(bits, weights), 1); }

// Calls refused_in(rows of matrix) for chunks of rows, which returns [chunk, dim] of bool, and
// makes indices of the signs and uint8 [rows] of whether a row has a refused element.
template <class RefusedIn>
RowSigns signs(const Options& options, const Tensor& matrix, const RefusedIn& refused_in) {
  const int64_t rows = shape(matrix)[0];
  const Device device = bsq::device(matrix);
  RowSigns result{empty({rows}, DType::kInt64, device), empty({rows}, DType::kUInt8, device)};
  const Tensor weights =
      left_shift(scalar(1, DType::kInt64, device), bit_shifts(options.code_dim, device));
  const Tensor zero = scalar(0, dtype(matrix), device);
  const Tensor no_index = scalar(0, DType::kInt64, device);
  for_each_chunk(rows, options.code_dim, [&](int64_t begin, int64_t length) {
    const Tensor chunk = rows_of(matrix, begin, length);
    const Tensor refused = any(refused_in(chunk), 1);
    copy(where(refused, no_index, indices_of(greater(chunk, zero), weights)),
         rows_of(result.indices, begin, length));
    copy(refused, rows_of(result.is_not_finite, begin, length));
  });
  return result;
}

Tensor not_finite(const Tensor& values) { return logical_not(is_finite(values)); }

// What there is to tell of the first row that `refused`, uint8 [rows], marks, where refused_in
// gives the elements of that row.
template <class RefusedIn>
Finding::Evidence evidence(const Tensor& matrix, const Tensor& refused,
                           const RefusedIn& refused_in) {
  const Tensor row = argmax(refused, 0);
  const Tensor values = index_select(matrix, 0, unsqueeze(row, 0));
  const Tensor column = argmax(to(refused_in(values), DType::kUInt8), 1);
  const Tensor value = gather(values, 1, unsqueeze(column, 1));
  return {amax(refused, 0), row, column, to(value, DType::kFloat64)};
}

}  // namespace

RowSigns row_signs(const Options& options, const Tensor& x) {
  return signs(options, x, not_finite);
}

std::shared_ptr<const Finding> find_non_finite(const Options& options, const Tensor& x,
                                               const Tensor& is_not_finite) {
  if (options.propagate_non_finite || shape(x)[0] == 0) {
    return nullptr;
  }
  return std::make_shared<const Finding>(
      evidence(x, is_not_finite, not_finite), [](const Finding::Refused& refused) {
        refuse_non_finite(refused.row, refused.column, refused.number);
      });
}

Result encode(const Options& options, const Tensor& x) {
  const RowSigns signs = row_signs(options, x);
  return {signs.indices, find_non_finite(options, x, signs.is_not_finite)};
}

Tensor decode_unchecked(const Options& options, const Tensor& indices, DType dtype) {
  const int64_t dim = options.code_dim;
  const int64_t rows = shape(indices)[0];
  const Device device = bsq::device(indices);
  Tensor quantized = empty({rows, dim}, dtype, device);
  const Tensor shifts = bit_shifts(dim, device);
  const Tensor one = scalar(1, DType::kInt64, device);
  const double component = 1 / std::sqrt(static_cast<double>(dim));
  const Tensor positive = scalar(component, dtype, device);
  const Tensor negative = scalar(-component, dtype, device);
  for_each_chunk(rows, dim, [&](int64_t begin, int64_t length) {
    const Tensor chunk = unsqueeze(rows_of(indices, begin, length), 1);
    const Tensor bits = bitwise_and(right_shift(chunk, shifts), one);
    copy(where(equal(bits, one), positive, negative), rows_of(quantized, begin, length));
  });
  return quantized;
}

Result decode(const Options& options, const Tensor& indices, DType dtype) {
  Tensor quantized = decode_unchecked(options, indices, dtype);
  if (shape(indices)[0] == 0) {
    return {std::move(quantized), nullptr};
  }
  const Device device = bsq::device(indices);
  // The sign is shifted in from the left, so that this is 0 for valid indices alone.
  const Tensor beyond =
      right_shift(indices, scalar(static_cast<double>(options.code_dim), DType::kInt64, device));
  const Tensor refused =
      to(logical_not(equal(beyond, scalar(0, DType::kInt64, device))), DType::kUInt8);
  const Tensor row = argmax(refused, 0);
  return {std::move(quantized),
          std::make_shared<const Finding>(
              Finding::Evidence{amax(refused, 0), row, row,
                                index_select(indices, 0, unsqueeze(row, 0))},
              [dim = options.code_dim](const Finding::Refused& refused_index) {
                refuse_index(refused_index.row, refused_index.integer, dim);
              })};
}

Tensor bits_to_codes(const Tensor& bits) {
  const Device device = bsq::device(bits);
  const Tensor twice = contiguous(mul(bits, scalar(2, dtype(bits), device)));
  return is_floating_point(dtype(bits)) ? sub(twice, scalar(1, dtype(bits), device))
                                        : bitwise_not(negative(twice));  // ~y = -y - 1
}

Result codes_to_indices(const Options& options, const Tensor& codes) {
  const Tensor zero = scalar(0, dtype(codes), device(codes));
  const auto no_code = [&zero](const Tensor& values) {
    return bitwise_or(not_finite(values), equal(values, zero));
  };
  const RowSigns result = signs(options, codes, no_code);
  if (shape(codes)[0] == 0) {
    return {result.indices, nullptr};
  }
  return {result.indices,
          std::make_shared<const Finding>(
              evidence(codes, result.is_not_finite, no_code), [](const Finding::Refused& refused) {
                refuse_code(refused.row, refused.column, refused.number);
              })};
}

}  // namespace bsq::operators
