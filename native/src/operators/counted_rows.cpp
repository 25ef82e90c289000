#include "operators/counted_rows.h"

#include <cstdint>
#include <limits>

#include "drawn_rows.h"
#include "operators/constants.h"

namespace bsq::operators {
namespace {

// The arithmetic of drawn_rows.h on the device, where integers wrap around as those of uint64 do:
// keys from the host would have to wait for the device.

// As of a uint64.
Tensor logical_right_shift(const Tensor& bits, int64_t by) {
  const Device device = bsq::device(bits);
  const int64_t kept = std::numeric_limits<int64_t>::max() >> (by - 1);
  return bitwise_and(right_shift(bits, integer(by, device)), integer(kept, device));
}

Tensor mix_bits(const Tensor& bits) {
  const Device device = bsq::device(bits);
  const auto fold = [](const Tensor& value, int64_t by) {
    return bitwise_xor(value, logical_right_shift(value, by));
  };
  const auto times = [&](const Tensor& value, uint64_t factor) {
    return mul(value, integer(static_cast<int64_t>(factor), device));
  };
  return fold(times(fold(times(fold(bits, 30), 0xbf58476d1ce4e5b9), 27), 0x94d049bb133111eb), 31);
}

// row_key of the rows 0 to rows - 1.
Tensor row_keys(int64_t seed, int64_t rows, const Device& device) {
  // Running sums of the mixed seed and, for each row after the first, the same step.
  const Tensor steps = empty({rows}, DType::kInt64, device);
  copy(integer(static_cast<int64_t>(0x9e3779b97f4a7c15), device), steps);
  copy(integer(static_cast<int64_t>(bsq::mix_bits(static_cast<uint64_t>(seed))), device),
       narrow(steps, 0, 0, 1));
  return logical_right_shift(mix_bits(cumsum(steps, 0)), 1);
}

// The rows that are drawn of the `count` ones that are counted, bool [rows].
Tensor draw(const Options& options, int64_t rows, const std::optional<Tensor>& counted,
            const Tensor& count) {
  const Device device = bsq::device(count);
  const Tensor none = integer(-1, device);
  Tensor keys = row_keys(options.entropy_seed, rows, device);
  if (counted) {
    keys = where(*counted, keys, none);
  }
  // The smallest key that is drawn is the drawn_row_count-th of the sorted ones.
  const Tensor share = mul(count, number(options.entropy_fraction, count));
  const Tensor one = number(1, count);
  const Tensor last = sub(maximum(to(to(share, DType::kInt64), DType::kFloat64), one), one);
  const Tensor smallest =
      index_select(sort_descending(keys).first, 0, unsqueeze(to(last, DType::kInt64), 0));
  return bitwise_and(greater_equal(keys, smallest), greater(keys, none));
}

// How many rows are marked, float64 of rank 0.
std::optional<Tensor> count_of(const std::optional<Tensor>& marked) {
  return marked ? std::optional(sum(to(*marked, DType::kFloat64))) : std::nullopt;
}

Tensor count_or_all(const std::optional<Tensor>& count, int64_t all, const Device& device) {
  return count ? *count : scalar(static_cast<double>(all), DType::kFloat64, device);
}

}  // namespace

CountedRows::CountedRows(const Options& options, int64_t rows, const std::optional<Tensor>& mask,
                         const Device& device)
    : counted(mask ? std::optional(logical_not(logical_not(*mask))) : std::nullopt),
      drawn(counted),
      marked_count(count_of(counted)),
      marked_drawn_count(marked_count),
      all_count(rows) {
  if (options.entropy_fraction < 1 && rows > 0) {
    drawn = draw(options, rows, counted, count(device));
    marked_drawn_count = count_of(drawn);
  }
}

Tensor CountedRows::count(const Device& device) const {
  return count_or_all(marked_count, all_count, device);
}

Tensor CountedRows::drawn_count(const Device& device) const {
  return count_or_all(marked_drawn_count, all_count, device);
}

}  // namespace bsq::operators
