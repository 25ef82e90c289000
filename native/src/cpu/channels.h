// Signs and codes of rows whose components are apart from each other: channel-first input. Part of
// the row kernels.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/code_split.h"
#include "cpu/packed_codes.h"
#include "cpu/signs.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// As RowKernels::encode_channels. Rows are lanes; loops have a fixed length, so that the compiler
// makes vectors of them.
template <class T, bool kZeroIsOne>
bool encode_channels(const T* x, int64_t step, int64_t count, int64_t bits, bool least_first,
                     int64_t* indices, int64_t index_step) {
  uint64_t packed[kBlockRows] = {};
  T poison[kBlockRows] = {};  // 0 * v is NaN for a v that is not finite
  T last[kBlockRows] = {};
  for (int64_t bit = 0; bit < bits; ++bit) {
    const T* components = x + bit * step;
    if (count < kBlockRows) {
      std::copy_n(components, count, last);
      components = last;
    }
    for (int64_t i = 0; i < kBlockRows; ++i) {
      packed[i] = packed[i] << 1 | static_cast<uint64_t>(is_one<kZeroIsOne>(components[i]));
      poison[i] += components[i] * 0;
    }
  }
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    indices[i * index_step] = static_cast<int64_t>(
        least_first ? reverse_bits(packed[i]) >> (kWordBits - bits) : packed[i]);
    finite = finite && poison[i] == 0;
  }
  return finite;
}

template <class T>
bool encode_channels(const T* x, int64_t step, int64_t count, int64_t bits, const BitRules& rules,
                     int64_t* indices, int64_t index_step) {
  return rules.zero_is_one ? encode_channels<T, true>(x, step, count, bits, rules.least_first,
                                                      indices, index_step)
                           : encode_channels<T, false>(x, step, count, bits, rules.least_first,
                                                       indices, index_step);
}

// As RowKernels::decode_channels.
template <class T>
void decode_channels(const int64_t* indices, int64_t index_step, int64_t count, int64_t bits,
                     bool least_first, T scale, T* quantized, int64_t step) {
  uint64_t packed[kBlockRows] = {};
  for (int64_t i = 0; i < count; ++i) {
    packed[i] = static_cast<uint64_t>(indices[i * index_step]);
  }
  T last[kBlockRows];
  for (int64_t bit = 0; bit < bits; ++bit) {
    T* const components = quantized + bit * step;
    T* const to = count < kBlockRows ? last : components;
    const int64_t shift = least_first ? bit : bits - 1 - bit;
    for (int64_t i = 0; i < kBlockRows; ++i) {
      to[i] = (packed[i] >> shift & 1) != 0 ? scale : -scale;
    }
    if (count < kBlockRows) {
      std::copy_n(last, count, components);
    }
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
