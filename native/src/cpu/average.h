// The sum of the rows' distributions over the codes: part of the row kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "cpu/code_split.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// The probability, relative to a row's largest, below which an outer code is left out. Of 2^bits
// codes none of which is above it, that is at most 2^-26 of the row's probability, half a unit in
// the last place of float32. At the usual temperatures it is most of them. In float64 nothing is
// left out but what is too small to be a normal number.
template <class T>
inline T negligible(int64_t bits) {
  return sizeof(T) == 4 ? static_cast<T>(std::ldexp(1.0, static_cast<int>(-26 - bits)))
                        : std::numeric_limits<T>::min();
}

// What the rows of a block are made of, to be added up: [leading codes, stride] and [middle codes,
// stride], rows being lanes, whose products are the largest probability of an outer code; and the
// ratios of the inner codes to it, [stride, kInner]. factors_size() numbers in all.
template <class T>
struct Factors {
  Factors(const CodeSplit<T>& split, int64_t stride, T* memory)
      : leading(memory),
        middle(leading + split.leading() * stride),
        inner(middle + split.middle() * stride) {}

  T* leading;
  T* middle;
  T* inner;
};

// sums[outer code - begin, inner code] += the probabilities of the block's rows.
template <class T>
void add_distributions(const CodeSplit<T>& split, const Factors<T>& factors, int64_t stride,
                       int64_t begin, int64_t end, T* sums) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  constexpr int64_t kInner = CodeSplit<T>::kInner;
  const T cutoff = negligible<T>(split.bits);
  alignas(kVectorBytes) T probabilities[kBlockRows];
  for (int64_t outer = begin; outer < end; ++outer) {
    const T* const leading = factors.leading + (outer >> split.middle_bits) * stride;
    const T* const middle = factors.middle + (outer & (split.middle() - 1)) * stride;
    uint64_t rows = 0;
    for (int64_t r = 0; r < stride; r += kWidth) {
      const Vector<T> probability = load(leading + r) * load(middle + r);
      store<T>(probability, probabilities + r);
      rows |= lanes_of<T>(probability >= cutoff) << r;
    }
    if (rows == 0) {
      continue;
    }
    // Added up from zero in registers first: rounding does not add up over the blocks.
    T* const to = sums + (outer - begin) * kInner;
    for (int64_t first = 0; first < kInner; first += kRegisterSums * kWidth) {
      Vector<T> part[kRegisterSums] = {};
      for (uint64_t rest = rows; rest != 0; rest &= rest - 1) {
        const int64_t r = __builtin_ctzll(rest);
        const Vector<T> probability = splat(probabilities[r]);
        const T* const inner = factors.inner + r * kInner + first;
        for (int64_t i = 0; i < kRegisterSums; ++i) {
          part[i] += probability * load(inner + i * kWidth);
        }
      }
      for (int64_t i = 0; i < kRegisterSums; ++i) {
        T* const at = to + first + i * kWidth;
        store<T>(load(at) + part[i], at);
      }
    }
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
