// In how many places two lines of bits both have a 1. Part of the row kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/bit_kernels.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

using Words = uint64_t __attribute__((vector_size(kVectorBytes)));
constexpr int64_t kVectorWords = kVectorBytes / 8;
static_assert(kLineWords % kVectorWords == 0);

// So many words of a line at a time: of the lines of a tile they stay in the nearest cache, and
// what they add up to in a byte.
constexpr int64_t kPartWords = 256;

inline Words words_at(const uint64_t* from) {
  Words words;
  std::memcpy(&words, from, sizeof(words));
  return words;
}

// How many bits of each byte are 1.
inline Words byte_counts(Words words) {
  words -= words >> 1U & 0x5555555555555555U;
  words = (words & 0x3333333333333333U) + (words >> 2U & 0x3333333333333333U);
  return (words + (words >> 4U)) & 0x0F0F0F0F0F0F0F0FU;
}

// All bytes together.
inline int64_t sum_of_bytes(Words bytes) {
  bytes = (bytes & 0x00FF00FF00FF00FFU) + (bytes >> 8U & 0x00FF00FF00FF00FFU);
  uint64_t sum = 0;
  for (int64_t i = 0; i < kVectorWords; ++i) {
    sum += bytes[i];  // of 16 bits: at most 8 * 510
  }
  sum += sum >> 32U;
  return static_cast<int64_t>((sum + (sum >> 16U)) & 0xFFFFU);
}

// Adds two vectors of bits to a third, bit by bit: `sum` keeps what is odd, and the carry is twice
// as much.
inline Words carry(Words& sum, Words a, Words b) {
  const Words either = sum ^ a;
  const Words result = (sum & a) | (either & b);
  sum = either ^ b;
  return result;
}

// Of up to kPartWords words. Eight vectors at a time are added up as carries, by Harley and Seal's
// method, so that the bits of one in eight alone need be counted.
inline int64_t count_common(const uint64_t* a, const uint64_t* b, int64_t words) {
  constexpr int64_t kGroup = 8 * kVectorWords;
  static_assert(kPartWords / kGroup * 8 < 256);
  Words ones{};
  Words twos{};
  Words fours{};
  Words eights{};  // how many, byte by byte
  int64_t i = 0;
  for (; i + kGroup <= words; i += kGroup) {
    const auto both = [&](int64_t vector) {
      return words_at(a + i + vector * kVectorWords) & words_at(b + i + vector * kVectorWords);
    };
    const Words two_a = carry(ones, both(0), both(1));
    const Words two_b = carry(ones, both(2), both(3));
    const Words four_a = carry(twos, two_a, two_b);
    const Words two_c = carry(ones, both(4), both(5));
    const Words two_d = carry(ones, both(6), both(7));
    const Words four_b = carry(twos, two_c, two_d);
    eights += byte_counts(carry(fours, four_a, four_b));
  }
  Words rest = byte_counts(ones) + (byte_counts(twos) << 1U) + (byte_counts(fours) << 2U);
  for (; i < words; i += kVectorWords) {
    rest += byte_counts(words_at(a + i) & words_at(b + i));
  }
  return 8 * sum_of_bytes(eights) + sum_of_bytes(rest);
}

// As BitKernels::count_pairs.
inline void count_pairs(const uint64_t* a, int64_t a_lines, const uint64_t* b, int64_t b_lines,
                        int64_t stride, int64_t words, int64_t* counts) {
  std::fill_n(counts, a_lines * b_lines, 0);
  for (int64_t word = 0; word < words; word += kPartWords) {
    const int64_t part = std::min(kPartWords, words - word);
    for (int64_t i = 0; i < a_lines; ++i) {
      for (int64_t j = 0; j < b_lines; ++j) {
        counts[i * b_lines + j] += count_common(a + i * stride + word, b + j * stride + word, part);
      }
    }
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
