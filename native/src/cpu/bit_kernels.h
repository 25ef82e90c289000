// Counting the bits of codes: kernels that are compiled once for each instruction set, beside those
// of rows.
#pragma once

#include <cstdint>

namespace bsq::cpu {

// Lines of bits are padded with zeros to multiples of so many words, and begin on cache lines.
inline constexpr int64_t kLineWords = 8;

struct BitKernels {
  // counts[i * b_lines + j], of a's line i and b's line j, is in how many places both have a 1. A
  // line has `words` words, and the next begins `stride` words after it: multiples of kLineWords.
  void (*count_pairs)(const uint64_t* a, int64_t a_lines, const uint64_t* b, int64_t b_lines,
                      int64_t stride, int64_t words, int64_t* counts);
};

// Those for this machine.
const BitKernels& bit_kernels();

}  // namespace bsq::cpu
