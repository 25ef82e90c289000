// How the kernels split the codes: index = (leading * middle() + middle) * kInner + inner.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bsq::cpu {

// A row's probabilities over the 2^D codes are the outer product of one short vector for each group
// of bits. The inner group, of the last bits, is what the registers of a vector unit hold; the
// others make up the outer codes, and are two groups so that both are short.
template <class T>
struct CodeSplit {
  // The inner codes: 512 bytes of numbers, eight of the widest vectors there are. Where D is less
  // than kInnerBits, those past 2^D do not exist, and have no probability.
  static constexpr int64_t kInner = 512 / static_cast<int64_t>(sizeof(T));
  static constexpr int64_t kInnerBits = sizeof(T) == 4 ? 7 : 6;
  static_assert(kInner == int64_t{1} << kInnerBits);

  explicit CodeSplit(int64_t code_dim)
      : dim(code_dim),
        outer_bits(std::max(int64_t{0}, code_dim - kInnerBits)),
        missing_bits(outer_bits + kInnerBits - code_dim),
        leading_bits(outer_bits / 2),
        middle_bits(outer_bits - leading_bits) {}

  [[nodiscard]] int64_t leading() const { return int64_t{1} << leading_bits; }
  [[nodiscard]] int64_t middle() const { return int64_t{1} << middle_bits; }
  [[nodiscard]] int64_t outer() const { return int64_t{1} << outer_bits; }
  // The codes with those that do not exist: the size of a distribution in memory.
  [[nodiscard]] int64_t codes() const { return outer() * kInner; }

  int64_t dim;
  int64_t outer_bits;
  int64_t missing_bits;  // of the inner codes, the first ones
  int64_t leading_bits;
  int64_t middle_bits;
};

// Rows are worked on in blocks of this many.
inline constexpr int64_t kBlockRows = 64;

// The rows of a block with those that fill up its vectors, whatever their width.
inline int64_t block_stride(int64_t rows) {
  constexpr int64_t kMaxWidth = 16;
  return (rows + kMaxWidth - 1) / kMaxWidth * kMaxWidth;
}

}  // namespace bsq::cpu
