// The signs of codes as packed bits, and packed bits as quantized codes. Part of the row kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cpu/decode.h"
#include "cpu/packed_codes.h"
#include "cpu/signs.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Packs adjacent codes of at least 64 bits, by blocks: the signs of a block become a string of bits
// (see signs.h), and that is cut into codes.
template <class T, bool kZeroIsOne>
class CodePacker {
 public:
  explicit CodePacker(const CodeFormat& format)
      : format_(format), size_(format.elements() * format.element_size()) {}

  // As RowKernels::pack.
  int64_t pack(const T* x, int64_t codes, uint8_t* to) {
    const int64_t block = kMax / format_.bits;
    int64_t first_bad = -1;
    for (int64_t code = 0; code < codes; code += block) {
      const int64_t count = std::min(block, codes - code);
      const T* const components = x + code * format_.bits;
      const bool finite = pack_signs(components, count * format_.bits);
      cut(count, to + code * size_);
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

  void cut(int64_t codes, uint8_t* to) const {
    if (size_ * 8 == format_.bits) {
      store_words(0, codes * format_.bits, codes * size_, to);
    } else {
      for (int64_t code = 0; code < codes; ++code) {
        store_words(code * format_.bits, format_.bits, size_, to + code * size_);
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

// Packed codes of up to 63 bits are their indices, but for where the bits are in 8 bytes.
inline uint64_t index_to_stored(const CodeFormat& format, uint64_t index) {
  if (!format.least_first) {
    index <<= kWordBits - format.bits;
    index = format.layout == CodeLayout::kBytes ? __builtin_bswap64(index) : index;
  }
  return format.layout == CodeLayout::kBytes ? index ^ format.byte_offset : index;
}

// The inverse, of what is stored as `size` bytes; the others do not matter. Sets *bad where there
// are bits beyond those of a code.
inline uint64_t stored_to_index(const CodeFormat& format, int64_t size, uint64_t stored,
                                bool* bad) {
  const uint64_t offset = format.layout == CodeLayout::kBytes ? format.byte_offset : 0;
  const uint64_t word = (stored ^ offset) & low_bits(8 * size);
  if (format.least_first) {
    *bad |= word >> format.bits != 0;
    return word;
  }
  const uint64_t bits = format.layout == CodeLayout::kBytes ? __builtin_bswap64(word) : word;
  *bad |= bits << format.bits != 0;
  return bits >> (kWordBits - format.bits);
}

// Codes of up to 63 bits: by their indices, some at a time.
template <class T, bool kZeroIsOne, bool kLeastFirst>
int64_t pack_short(const T* x, int64_t codes, const CodeFormat& format, uint8_t* to) {
  const int64_t size = format.elements() * format.element_size();
  const uint8_t* const end = to + codes * size;
  RowEncoder<T, kZeroIsOne, kLeastFirst> encoder(format.bits, false);
  int64_t indices[kPacked];
  int64_t first_bad = -1;
  for (int64_t code = 0; code < codes; code += kPacked) {
    const int64_t count = std::min(kPacked, codes - code);
    const int64_t bad = encoder.encode(x + code * format.bits, count, indices);
    first_bad = bad >= 0 && first_bad < 0 ? code + bad : first_bad;
    for (int64_t i = 0; i < count; ++i, to += size) {
      const uint64_t stored = index_to_stored(format, static_cast<uint64_t>(indices[i]));
      if (end - to >= 8) {
        std::memcpy(to, &stored, sizeof(stored));  // the next codes overwrite what is too much
      } else {
        std::memcpy(to, &stored, static_cast<size_t>(size));
      }
    }
  }
  return first_bad;
}

template <class T, bool kZeroIsOne>
int64_t pack(const T* x, int64_t codes, const CodeFormat& format, uint8_t* to) {
  if (format.bits >= kWordBits) {
    return CodePacker<T, kZeroIsOne>(format).pack(x, codes, to);
  }
  return format.least_first ? pack_short<T, kZeroIsOne, true>(x, codes, format, to)
                            : pack_short<T, kZeroIsOne, false>(x, codes, format, to);
}

template <class T>
int64_t pack(const T* x, int64_t codes, const CodeFormat& format, bool zero_is_one, uint8_t* to) {
  return zero_is_one ? pack<T, true>(x, codes, format, to) : pack<T, false>(x, codes, format, to);
}

// As RowKernels::unpack, of packed codes of up to 63 bits.
template <class T>
int64_t unpack_short(const uint8_t* from, int64_t codes, const CodeFormat& format, T scale,
                     T* quantized) {
  const int64_t size = format.elements() * format.element_size();
  const uint8_t* const end = from + codes * size;
  int64_t indices[kPacked];
  for (int64_t code = 0; code < codes; code += kPacked) {
    const int64_t count = std::min(kPacked, codes - code);
    const uint8_t* at = from + code * size;
    bool bad = false;
    for (int64_t i = 0; i < count; ++i, at += size) {
      uint64_t stored = 0;
      std::memcpy(&stored, at, static_cast<size_t>(end - at >= 8 ? 8 : size));
      indices[i] = static_cast<int64_t>(stored_to_index(format, size, stored, &bad));
    }
    if (bad) {
      uint64_t word = 0;
      at = from + code * size;
      while (load_code(format, at, &word) < 0) {
        at += size;
      }
      return (at - from) / size;
    }
    decode(indices, count, format.bits, format.least_first, scale, quantized + code * format.bits);
  }
  return -1;
}

// As RowKernels::unpack.
template <class T>
int64_t unpack(const uint8_t* from, int64_t codes, const CodeFormat& format, T scale,
               T* quantized) {
  const bool is_packed = format.layout == CodeLayout::kBytes || format.layout == CodeLayout::kWords;
  if (is_packed && format.bits < kWordBits) {
    return unpack_short(from, codes, format, scale, quantized);
  }
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
