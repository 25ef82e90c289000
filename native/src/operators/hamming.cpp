#include "operators/hamming.h"

#include <algorithm>

#include "operators/constants.h"

namespace bsq::operators {
namespace {

// So many bytes are compared at once, which bounds the memory of a call.
constexpr int64_t kChunkBytes = int64_t{4} * 1024 * 1024;

// The numbers of ones of 0, ..., 255, int64 [256].
Tensor bit_counts(const Device& device) {
  const Tensor bytes = reshape(arange(256, device), {256, 1});
  const Tensor one = integer(1, device);
  return sum(bitwise_and(right_shift(bytes, bit_shifts(8, device)), one), 1);
}

// Of one query, uint8 [bytes]: int64 [codes].
Tensor distances_to(const Tensor& query, const Tensor& codes, const Tensor& counts) {
  const Shape shape = bsq::shape(codes);
  const int64_t part = std::max(int64_t{1}, kChunkBytes / shape[1]);
  Tensor distances = empty({shape[0]}, DType::kInt64, device(codes));
  for (int64_t begin = 0; begin < shape[0]; begin += part) {
    const int64_t count = std::min(part, shape[0] - begin);
    const Tensor differences =
        to(bitwise_xor(narrow(codes, 0, begin, count), query), DType::kInt64);
    const Tensor bits = index_select(counts, 0, reshape(differences, {count * shape[1]}));
    copy(sum(reshape(bits, {count, shape[1]}), 1), narrow(distances, 0, begin, count));
  }
  return distances;
}

}  // namespace

Tensor hamming_distances(const Tensor& queries, const Tensor& codes) {
  const int64_t count = shape(queries)[0];
  const Tensor counts = bit_counts(device(codes));
  Tensor distances = empty({count, shape(codes)[0]}, DType::kInt32, device(codes));
  for (int64_t q = 0; q < count; ++q) {
    copy(unsqueeze(distances_to(narrow(queries, 0, q, 1), codes, counts), 0),
         narrow(distances, 0, q, 1));
  }
  return distances;
}

std::pair<Tensor, Tensor> hamming_nearest(const Tensor& queries, const Tensor& codes, int64_t k) {
  const int64_t count = shape(queries)[0];
  const Device device = bsq::device(codes);
  const Tensor counts = bit_counts(device);
  const Tensor positions = empty({count, k}, DType::kInt64, device);
  const Tensor distances = empty({count, k}, DType::kInt32, device);
  // One number for both, in the order of results: no sort has to be stable.
  const Tensor position_bits = integer(48, device);
  const Tensor all = arange(shape(codes)[0], device);
  const Tensor mask = integer((int64_t{1} << 48) - 1, device);
  for (int64_t q = 0; q < count; ++q) {
    const Tensor keys = bitwise_or(
        left_shift(distances_to(narrow(queries, 0, q, 1), codes, counts), position_bits), all);
    const Tensor nearest = bitwise_not(narrow(sort_descending(bitwise_not(keys)).first, 0, 0, k));
    copy(unsqueeze(bitwise_and(nearest, mask), 0), narrow(positions, 0, q, 1));
    copy(unsqueeze(right_shift(nearest, position_bits), 0), narrow(distances, 0, q, 1));
  }
  return {positions, distances};
}

}  // namespace bsq::operators
