// The signs of codes as packed bits, and packed bits as quantized codes. Part of the row kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cpu/packed_codes.h"
#include "cpu/signs.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Packs adjacent codes, by blocks: the signs of a block become a string of bits (see signs.h), and
// that is cut into codes.
template <class T, bool kZeroIsOne>
class CodePacker {
 public:
  explicit CodePacker(const CodeFormat& format)
      : format_(format), size_(format.elements() * format.element_size()) {}

  // As RowKernels::pack.
  int64_t pack(const T* x, int64_t codes, uint8_t* to) {
    // Whole strings of kPacked, where the codes are short.
    const int64_t block =
        format_.bits <= kPacked ? kPacked : std::max(int64_t{1}, kMax / format_.bits);
    const uint8_t* const end = to + codes * size_;
    int64_t first_bad = -1;
    for (int64_t code = 0; code < codes; code += block) {
      const int64_t count = std::min(block, codes - code);
      const T* const components = x + code * format_.bits;
      const bool finite = pack_signs(components, count * format_.bits);
      cut(count, to + code * size_, end);
      if (__builtin_expect(static_cast<int64_t>(!finite), 0) != 0) {
        const int64_t bad = clear_non_finite(components, count, to + code * size_);
        first_bad = first_bad < 0 ? code + bad : first_bad;
      }
    }
    return first_bad;
  }

 private:
  static constexpr int64_t kMax = kMaxCodeWords * kWordBits;
  static_assert(kMax >= kPacked * kPacked);

  bool pack_signs(const T* x, int64_t size) {
    SignPacker<T, kZeroIsOne, true> packer;
    int64_t i = 0;
    for (; i + kPacked <= size; i += kPacked) {
      prefetch_behind(x + i);
      packer.pack(x + i, signs_ + i / 8);
    }
    if (i < size) {
      T last[kPacked] = {};
      std::memcpy(last, x + i, static_cast<size_t>(size - i) * sizeof(T));
      packer.pack(last, signs_ + i / 8);
    }
    return packer.all_finite();
  }

  // 64 bits of the string.
  [[nodiscard]] uint64_t bits_at(int64_t first) const {
    uint64_t word = 0;
    std::memcpy(&word, signs_ + first / 8, sizeof(word));
    if (first % 8 == 0) {
      return word;
    }
    return word >> first % 8 | static_cast<uint64_t>(signs_[first / 8 + 8]) << (64 - first % 8);
  }

  void cut(int64_t codes, uint8_t* to, const uint8_t* end) const {
    if (size_ * 8 == format_.bits) {
      store_words(0, codes * format_.bits, codes * size_, to);
    } else if (format_.bits <= kWordBits - 7 && size_ <= 8) {
      cut_short(codes, to, end);
    } else {
      for (int64_t code = 0; code < codes; ++code) {
        store_words(code * format_.bits, format_.bits, size_, to + code * size_);
      }
    }
  }

  // Codes that 8 bytes of the string hold, wherever they begin.
  void cut_short(int64_t codes, uint8_t* to, const uint8_t* end) const {
    const uint64_t mask = low_bits(format_.bits);
    for (int64_t code = 0; code < codes; ++code, to += size_) {
      const int64_t first = code * format_.bits;
      uint64_t word = 0;
      std::memcpy(&word, signs_ + first / 8, sizeof(word));
      const uint64_t stored = to_stored(format_, word >> first % 8 & mask);
      if (end - to >= 8) {
        std::memcpy(to, &stored, sizeof(stored));  // the next codes overwrite what is too much
      } else {
        std::memcpy(to, &stored, static_cast<size_t>(size_));
      }
    }
  }

  // `bits` of the string from `first` on, as `size` bytes.
  void store_words(int64_t first, int64_t bits, int64_t size, uint8_t* to) const {
    for (int64_t i = 0; i * 8 < size; ++i) {
      const uint64_t word = bits_at(first + i * kWordBits) & low_bits(bits - i * kWordBits);
      const uint64_t stored = to_stored(format_, word);
      std::memcpy(to + i * 8, &stored, static_cast<size_t>(std::min<int64_t>(8, size - i * 8)));
    }
  }

  // Returns the first code that is not finite.
  int64_t clear_non_finite(const T* x, int64_t codes, uint8_t* to) const {
    const uint64_t zeros[kMaxCodeWords] = {};
    int64_t first_bad = -1;
    for (int64_t code = codes; code-- > 0;) {
      bool finite = true;
      for (int64_t d = 0; d < format_.bits; ++d) {
        finite = finite && std::isfinite(x[code * format_.bits + d]);
      }
      if (!finite) {
        store_code(format_, zeros, to + code * size_);
        first_bad = code;
      }
    }
    return first_bad;
  }

  const CodeFormat& format_;
  int64_t size_;                                         // bytes of a code
  uint8_t signs_[kMax / 8 + 2 * sizeof(uint64_t)] = {};  // with what is read beyond the last code
};

template <class T>
int64_t pack(const T* x, int64_t codes, const CodeFormat& format, bool zero_is_one, uint8_t* to) {
  return zero_is_one ? CodePacker<T, true>(format).pack(x, codes, to)
                     : CodePacker<T, false>(format).pack(x, codes, to);
}

// As RowKernels::unpack.
template <class T>
int64_t unpack(const uint8_t* from, int64_t codes, const CodeFormat& format, T scale,
               T* quantized) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  const auto positive = splat(scale);
  Integers<T> lane_bits{};
  for (int64_t lane = 0; lane < kWidth; ++lane) {
    lane_bits[lane] = 1 << lane;
  }
  const int64_t size = format.elements() * format.element_size();
  const int64_t dim = format.bits;
  uint64_t words[kMaxCodeWords];
  for (int64_t code = 0; code < codes; ++code) {
    if (load_code(format, from + code * size, words) >= 0) {
      return code;
    }
    T* const to = quantized + code * dim;
    for (int64_t d = 0; d < dim; d += kWidth) {
      const auto bits = static_cast<int>(words[d / kWordBits] >> d % kWordBits & low_bits(kWidth));
      const Integers<T> ones = (Integers<T>{} + bits) & lane_bits;
      const Vector<T> values = ones != 0 ? positive : -positive;
      if (code * dim + d + kWidth <= codes * dim) {
        store<T>(values, to + d);  // the next codes overwrite what is too much
      } else {
        std::memcpy(to + d, &values, static_cast<size_t>(dim - d) * sizeof(T));
      }
    }
  }
  return -1;
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
