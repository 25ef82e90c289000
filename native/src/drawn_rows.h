// Which rows the entropies are of where that is a fraction of those that count
// (bsq_options.entropy_fraction): those with the largest keys. On all devices the same.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bsq {

// A bijection of the 64-bit numbers whose values look random: SplitMix64 (Steele, Lea, Flood,
// 2014).
constexpr uint64_t mix_bits(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

// The key of a row, at least 0.
constexpr int64_t row_key(int64_t seed, int64_t row) {
  const uint64_t key = mix_bits(mix_bits(static_cast<uint64_t>(seed)) +
                                static_cast<uint64_t>(row) * 0x9e3779b97f4a7c15);
  // Two rows share a key with a probability of 2^-63 each: both are then drawn, or neither.
  return static_cast<int64_t>(key >> 1);
}

// How many rows are drawn of `rows` that count, as LFQ rounds: down, but at least one.
inline int64_t drawn_row_count(int64_t rows, double fraction) {
  return std::max(std::min(rows, int64_t{1}),
                  static_cast<int64_t>(static_cast<double>(rows) * fraction));
}

}  // namespace bsq
