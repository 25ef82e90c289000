// What the loss kernels are told about the losses, and how they split rows, groups and codes.
#pragma once

#include <cstdint>

namespace bsq::cpu {

// Rows are worked on in blocks of at most this many.
inline constexpr int64_t kBlockRows = 64;

// Where the rows of a block are: component d of row r at offset[r] + d * step. They need not be
// next to each other, nor in order.
struct BlockRows {
  int64_t count;
  int64_t step;
  int64_t offset[kBlockRows];
};

// The rows of a block with those that fill up its vectors, whatever their width.
inline int64_t block_stride(int64_t rows) {
  constexpr int64_t kMaxWidth = 16;
  return (rows + kMaxWidth - 1) / kMaxWidth * kMaxWidth;
}

// The losses' formula. A row holds `codebooks` codes of code_dim components, and each code has
// code_dim / bits distributions over 2^bits codes.
struct LossFormula {
  int64_t codebooks;
  int64_t code_dim;
  int64_t bits;
  double logit_scale;  // the logit of a bit is logit_scale * u_d
  double code_scale;   // 1/sqrt(code_dim)
  bool zero_is_one;    // a component of 0 is quantized to +code_scale
  bool floor_adds;     // log(p + epsilon) rather than log max(p, epsilon)
  double epsilon;

  [[nodiscard]] int64_t code_distributions() const { return code_dim / bits; }
  [[nodiscard]] int64_t row_distributions() const { return codebooks * code_distributions(); }
};

// Distributions of at most so many bits are computed as they are, code by code (dense_group.h):
// with more, the kernels that leave out what hardly counts are faster.
inline constexpr int64_t kMaxDenseBits = 10;

// How the kernels split the codes of a larger distribution: index = (leading * middle() + middle) *
// kInner
// + inner. A row's probabilities over the 2^bits codes are the outer product of one short vector
// for each group of bits. The inner group, of the last bits, is what the registers of a vector unit
// hold; the others make up the outer codes, and are two groups so that both are short.
template <class T>
struct CodeSplit {
  // The inner codes: 512 bytes of numbers, eight of the widest vectors there are.
  static constexpr int64_t kInner = 512 / static_cast<int64_t>(sizeof(T));
  static constexpr int64_t kInnerBits = sizeof(T) == 4 ? 7 : 6;
  static_assert(kInner == int64_t{1} << kInnerBits);

  explicit CodeSplit(int64_t code_bits)
      : bits(code_bits),
        outer_bits(code_bits - kInnerBits),
        leading_bits(outer_bits / 2),
        middle_bits(outer_bits - leading_bits) {}

  [[nodiscard]] int64_t leading() const { return int64_t{1} << leading_bits; }
  [[nodiscard]] int64_t middle() const { return int64_t{1} << middle_bits; }
  [[nodiscard]] int64_t outer() const { return int64_t{1} << outer_bits; }
  [[nodiscard]] int64_t codes() const { return int64_t{1} << bits; }

  int64_t bits;
  int64_t outer_bits;
  int64_t leading_bits;
  int64_t middle_bits;
};

// The numbers of the factors of a block of rows, of one distribution.
template <class T>
int64_t factors_size(const CodeSplit<T>& split, int64_t stride) {
  return (split.leading() + split.middle() + CodeSplit<T>::kInner) * stride;
}

}  // namespace bsq::cpu
