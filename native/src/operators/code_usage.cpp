#include "operators/code_usage.h"

#include <algorithm>
#include <cstdint>

#include "operators/constants.h"
#include "usage.h"

namespace bsq::operators {
namespace {

// Bits are expanded to numbers for this many elements at once, which bounds the memory of a call.
constexpr int64_t kChunkElements = int64_t{4} * 1024 * 1024;

// Calls body(first row, number of rows) for all rows, some at a time.
template <class Body>
void for_each_chunk(const Options& options, int64_t rows, const Body& body) {
  const int64_t chunk = std::max(int64_t{1}, kChunkElements / options.row_length());
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    body(begin, std::min(chunk, rows - begin));
  }
}

// bool [rows]
Tensor counted(const Tensor& mask) {
  return logical_not(equal(mask, scalar(0, DType::kUInt8, device(mask))));
}

// [codebooks, 2^code_dim]: how many codes' indices are at most as large as each, less those that
// are at most as large as the one before.
Tensor count_codes(const Options& options, const Tensor& stored, cpu::CodeLayout layout,
                   const std::optional<Tensor>& mask) {
  const Device device = bsq::device(stored);
  const int64_t rows = shape(stored)[0];
  const int64_t size = codebook_usage_size(options);
  const Tensor weights = left_shift(integer(1, device), bit_shifts(options.code_dim, device));
  const Tensor indices = empty({options.codebooks, rows}, DType::kInt64, device);
  for_each_chunk(options, rows, [&](int64_t begin, int64_t count) {
    const Tensor bits = bits_of(options, narrow(stored, 0, begin, count), layout);
    Tensor index = permute(sum(mul(bits, weights), 2), {1, 0});
    if (mask) {  // beyond all that are counted
      index = where(counted(narrow(*mask, 0, begin, count)), index, integer(size, device));
    }
    copy(index, narrow(indices, 1, begin, count));
  });
  const Tensor ascending = contiguous(flip(sort_descending(indices).first, 1));
  const Tensor codes = empty({options.codebooks, size}, DType::kInt64, device);
  copy(arange(size, device), codes);
  const Tensor at_most = to(count_at_most(ascending, codes), DType::kFloat64);
  return sub(at_most, pad(narrow(at_most, 1, 0, size - 1), 1, 0));
}

// [codebooks, 1 + pairs]. Products of matrices of float64 with elements 0 and 1 are exact.
Tensor count_pairs(const Options& options, const Tensor& stored, cpu::CodeLayout layout,
                   const std::optional<Tensor>& mask) {
  const Device device = bsq::device(stored);
  const int64_t dim = options.code_dim;
  const int64_t rows = shape(stored)[0];
  const int64_t size = codebook_usage_size(options);
  Tensor products = zeros({options.codebooks, dim, dim}, DType::kFloat64, device);
  Tensor codes = scalar(static_cast<double>(rows), DType::kFloat64, device);
  if (mask) {
    codes = sum(to(counted(*mask), DType::kFloat64));
  }
  for_each_chunk(options, rows, [&](int64_t begin, int64_t count) {
    Tensor bits = bits_of(options, narrow(stored, 0, begin, count), layout);
    if (mask) {
      bits = bitwise_and(
          bits, reshape(counted(narrow(*mask, 0, begin, count)), {count, int64_t{1}, int64_t{1}}));
    }
    const Tensor numbers = to(bits, DType::kFloat64);
    products = add(products, matmul(permute(numbers, {1, 2, 0}), permute(numbers, {1, 0, 2})));
  });
  // The pairs (a, b) with a <= b: where their number goes up.
  const Tensor d = arange(dim, device);
  const Tensor is_pair =
      reshape(to(greater_equal(unsqueeze(d, 0), unsqueeze(d, 1)), DType::kInt64), {dim * dim});
  const Tensor pairs = count_at_most(cumsum(is_pair, 0), arange(size - 1, device));
  Tensor counts = empty({options.codebooks, size}, DType::kFloat64, device);
  copy(codes, narrow(counts, 1, 0, 1));
  copy(index_select(reshape(products, {options.codebooks, dim * dim}), 1, pairs),
       narrow(counts, 1, 1, size - 1));
  return counts;
}

}  // namespace

Result usage(const Options& options, const Tensor& codes, cpu::CodeLayout layout,
             const std::optional<Tensor>& mask) {
  const Tensor stored = to(codes, DType::kInt64);
  const Tensor counts = counts_codes(options) ? count_codes(options, stored, layout, mask)
                                              : count_pairs(options, stored, layout, mask);
  return {reshape(to(counts, DType::kInt64), {usage_size(options)}),
          find_no_code(options, stored, layout)};
}

}  // namespace bsq::operators
