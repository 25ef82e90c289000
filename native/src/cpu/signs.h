// The signs of rows as indices, by the vector instructions that the file is compiled for. Included
// by row_kernels.cpp alone.
//
// Rows are D components long, which no vector is. So the signs are taken of the components one
// after the other, wherever rows begin, and packed as a string of bits; each index is then D bits
// of it. Where the first component is an index's least significant bit, the string begins with the
// first component's bit as its least significant; otherwise it ends with it as the most
// significant.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/packed_codes.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Whether a component gives a 1.
template <bool kZeroIsOne, class T>
inline bool is_one(T x) {
  return kZeroIsOne ? x >= 0 : x > 0;
}

// Bit i is set where component i gives a 1.
template <class T, bool kZeroIsOne>
inline uint64_t ones(Vector<T> x) {
#if defined(__AVX512F__)
  constexpr int kCompare = kZeroIsOne ? _CMP_GE_OQ : _CMP_GT_OQ;
  if constexpr (std::is_same_v<T, float>) {
    return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), kCompare);
  } else {
    return _mm512_cmp_pd_mask(x, _mm512_setzero_pd(), kCompare);
  }
#elif defined(__AVX2__)
  constexpr int kCompare = kZeroIsOne ? _CMP_GE_OQ : _CMP_GT_OQ;
  if constexpr (std::is_same_v<T, float>) {
    return static_cast<uint64_t>(
        _mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), kCompare)));
  } else {
    return static_cast<uint64_t>(
        _mm256_movemask_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), kCompare)));
  }
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<T, float>) {
    return static_cast<uint64_t>(_mm_movemask_ps(kZeroIsOne ? _mm_cmpge_ps(x, _mm_setzero_ps())
                                                            : _mm_cmpgt_ps(x, _mm_setzero_ps())));
  } else {
    return static_cast<uint64_t>(_mm_movemask_pd(kZeroIsOne ? _mm_cmpge_pd(x, _mm_setzero_pd())
                                                            : _mm_cmpgt_pd(x, _mm_setzero_pd())));
  }
#else
  uint64_t bits = 0;
  for (int64_t i = 0; i < Simd<T>::kWidth; ++i) {
    bits |= static_cast<uint64_t>(is_one<kZeroIsOne>(x[i])) << i;
  }
  return bits;
#endif
}

template <class T>
inline Vector<T> reversed(Vector<T> x) {
  constexpr int64_t kLanes = Simd<T>::kWidth;
  if constexpr (kLanes == 16) {
    return __builtin_shufflevector(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  } else if constexpr (kLanes == 8) {
    return __builtin_shufflevector(x, x, 7, 6, 5, 4, 3, 2, 1, 0);
  } else if constexpr (kLanes == 4) {
    return __builtin_shufflevector(x, x, 3, 2, 1, 0);
  } else {
    return __builtin_shufflevector(x, x, 1, 0);
  }
}

// So many components are packed at once.
constexpr int64_t kPacked = 64;

// Packs the signs of components, and notes whether all components were finite.
template <class T, bool kZeroIsOne, bool kLeastFirst>
class SignPacker {
 public:
  // The signs of x[kPacked] as 8 bytes, whose least, or else most, significant bit is that of x[0].
  void pack(const T* x, uint8_t* to) {
    using Part = std::conditional_t<kLanes == 16, uint16_t, uint8_t>;
    constexpr int64_t kPartBits = sizeof(Part) * 8;
#pragma GCC unroll 16
    for (int64_t part = 0; part < kPacked / kPartBits; ++part) {
      uint64_t signs = 0;
#pragma GCC unroll 4
      for (int64_t i = 0; i < kPartBits; i += kLanes) {
        const Vector<T> values = load(x + part * kPartBits + i);
        poison_[part % kPoisons] += values * T{0};
        if constexpr (kLeastFirst) {
          signs |= ones<T, kZeroIsOne>(values) << i;
        } else {
          signs = signs << kLanes | ones<T, kZeroIsOne>(reversed<T>(values));
        }
      }
      // Part by part, since the processor joins them more cheaply in memory.
      const auto bits = static_cast<Part>(signs);
      constexpr auto kBytes = static_cast<int64_t>(sizeof(bits));
      std::memcpy(to + (kLeastFirst ? part * kBytes : kPacked / 8 - (part + 1) * kBytes), &bits,
                  sizeof(bits));
    }
  }

  [[nodiscard]] bool all_finite() const {
    const Vector<T> sum = (poison_[0] + poison_[1]) + (poison_[2] + poison_[3]);
    return ones<T, false>(sum == splat<T>(0) ? splat<T>(0) : splat<T>(1)) == 0;
  }

 private:
  static constexpr int64_t kLanes = Simd<T>::kWidth;
  static constexpr int64_t kPoisons = 4;  // so that no addition waits for the last
  Vector<T> poison_[kPoisons] = {};       // 0 * v is NaN for a v that is not finite
};

// Takes the indices of eight rows, a cache line, out of their packed signs, which are dim bytes:
// unless the least significant bits are first, those of the last row come first, and begin with its
// last component.
template <bool kLeastFirst>
class IndexUnpacker {
 public:
  explicit IndexUnpacker(int64_t dim) : mask_(Indices{} + ((uint64_t{1} << dim) - 1)) {
    for (int64_t row = 0; row < kRows; ++row) {
      const int64_t first_bit = (kLeastFirst ? row : kRows - 1 - row) * dim;
      byte_[row] = first_bit / 8;
      shift_[row / kLanes][row % kLanes] = static_cast<uint64_t>(first_bit % 8);
    }
    spills_ = dim > 57;  // with up to 7 bits before them, more than 8 bytes
  }

  // Reads up to kBeyond bytes after the dim. Streaming stores go past the caches, which pays off
  // for outputs that are larger; `to` is then on a cache line's boundary.
  void unpack(const uint8_t* packed, int64_t* to, bool streaming) const {
#pragma GCC unroll 4
    for (int64_t i = 0; i < kRows / kLanes; ++i) {
      Indices indices = words(packed, i) >> shift_[i];
      if (spills_) {
        indices |= words(packed + 1, i) << (8 - shift_[i]);
      }
      store(indices & mask_, to + i * kLanes, streaming);
    }
  }

  static constexpr int64_t kRows = 8;
  static constexpr int64_t kBeyond = 9;

 private:
  using Indices = uint64_t __attribute__((vector_size(kVectorBytes)));
  static constexpr int64_t kLanes = kVectorBytes / sizeof(uint64_t);

  [[nodiscard]] Indices words(const uint8_t* from, int64_t i) const {
    Indices words{};
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      uint64_t word = 0;
      std::memcpy(&word, from + byte_[i * kLanes + lane], sizeof(word));
      words[lane] = word;
    }
    return words;
  }

  static void store(Indices indices, int64_t* to, bool streaming) {
#if defined(__SSE2__)
    if (streaming) {
      using Stored =
          long long __attribute__((vector_size(kVectorBytes)));  // NOLINT(google-runtime-int)
#if defined(__AVX512F__)
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to), reinterpret<Stored>(indices));
#elif defined(__AVX2__)
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to), reinterpret<Stored>(indices));
#else
      _mm_stream_si128(reinterpret_cast<__m128i*>(to), reinterpret<Stored>(indices));
#endif
      return;
    }
#else
    static_cast<void>(streaming);
#endif
    std::memcpy(to, &indices, sizeof(indices));
  }

  int64_t byte_[kRows] = {};
  Indices shift_[kRows / kLanes] = {};
  Indices mask_;
  bool spills_;
};

// The index of one row, and whether it is finite; if not, its index is 0.
template <class T, bool kZeroIsOne, bool kLeastFirst>
bool encode_row(const T* x, int64_t dim, int64_t* index) {
  uint64_t bits = 0;
  bool finite = true;
  for (int64_t d = 0; d < dim; ++d) {
    const auto bit = static_cast<uint64_t>(is_one<kZeroIsOne>(x[d]));
    bits = kLeastFirst ? bits | bit << d : bits << 1 | bit;
    finite = finite && std::isfinite(x[d]);
  }
  *index = finite ? static_cast<int64_t>(bits) : 0;
  return finite;
}

// The same of a few rows. Returns the first that is not finite, or -1.
template <class T, bool kZeroIsOne, bool kLeastFirst>
int64_t encode_each(const T* x, int64_t rows, int64_t dim, int64_t* indices) {
  int64_t first_bad = -1;
  for (int64_t row = rows; row-- > 0;) {
    if (!encode_row<T, kZeroIsOne, kLeastFirst>(x + row * dim, dim, indices + row)) {
      first_bad = row;
    }
  }
  return first_bad;
}

// Asks for memory this far ahead of where it is read. What the processor asks for by itself ends
// with each page.
constexpr int64_t kPrefetchBytes = 4096;

// Asks for the components some way behind x[kPacked].
template <class T>
void prefetch_behind(const T* x) {
  constexpr int64_t kLine = 64;
  // As an integer, since the end of the memory may be nearer.
  const uintptr_t ahead = reinterpret_cast<uintptr_t>(x) + kPrefetchBytes;
  for (int64_t byte = 0; byte < kPacked * static_cast<int64_t>(sizeof(T)); byte += kLine) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): never read
    __builtin_prefetch(reinterpret_cast<const void*>(ahead + static_cast<uintptr_t>(byte)));
  }
}

// The index of each row, by blocks of rows.
template <class T, bool kZeroIsOne, bool kLeastFirst>
class RowEncoder {
 public:
  RowEncoder(int64_t dim, bool streaming) : unpacker_(dim), dim_(dim), streaming_(streaming) {}

  // Returns the first row that is not finite, or -1; such rows get index 0.
  int64_t encode(const T* x, int64_t rows, int64_t* indices) {
    int64_t first_bad = -1;
    // The rows before the first index on a cache line's boundary are a block of their own.
    const auto offset = reinterpret_cast<uintptr_t>(indices) / sizeof(int64_t);
    const auto unaligned = static_cast<int64_t>(-offset % 8);
    int64_t count = streaming_ && unaligned > 0 ? unaligned : kBlockRows;
    for (int64_t row = 0; row < rows; row += count, count = kBlockRows) {
      count = minimum(count, rows - row);
      const T* const block_x = x + row * dim_;
      const bool finite = pack(block_x, count * dim_);
      unpack(count, indices + row, streaming_ && finite);
      if (__builtin_expect(static_cast<int64_t>(!finite), 0) != 0) {
        const int64_t bad =
            encode_each<T, kZeroIsOne, kLeastFirst>(block_x, count, dim_, indices + row);
        first_bad = first_bad < 0 ? row + bad : first_bad;
      }
    }
#if defined(__SSE2__)
    if (streaming_) {
      _mm_sfence();
    }
#endif
    return first_bad;
  }

 private:
  using Unpacker = IndexUnpacker<kLeastFirst>;

  // Whole packs, whatever dim is.
  static constexpr int64_t kBlockRows = kPacked;
  static constexpr int64_t kMaxDim = 63;

  static int64_t minimum(int64_t a, int64_t b) { return b < a ? b : a; }

  // Where a part of `bytes` of the packed signs is, after `before` bytes of them. With the most
  // significant bits first, they are filled from the end.
  [[nodiscard]] uint8_t* part(int64_t before, int64_t bytes) {
    return packed_ + (kLeastFirst ? before : kBlockRows * dim_ / 8 - before - bytes);
  }

  // Whether all of x[size] is finite.
  bool pack(const T* x, int64_t size) {
    SignPacker<T, kZeroIsOne, kLeastFirst> packer;
    int64_t i = 0;
    for (; i + kPacked <= size; i += kPacked) {
      prefetch_behind(x + i);
      packer.pack(x + i, part(i / 8, kPacked / 8));
    }
    if (i < size) {
      T last[kPacked] = {};
      std::memcpy(last, x + i, static_cast<size_t>(size - i) * sizeof(T));
      packer.pack(last, part(i / 8, kPacked / 8));
    }
    return packer.all_finite();
  }

  void unpack(int64_t rows, int64_t* indices, bool streaming) {
    int64_t row = 0;
    for (; row + Unpacker::kRows <= rows; row += Unpacker::kRows) {
      unpacker_.unpack(part(row / 8 * dim_, dim_), indices + row, streaming);
    }
    if (row < rows) {
      int64_t last[Unpacker::kRows];
      unpacker_.unpack(part(row / 8 * dim_, dim_), last, false);
      std::memcpy(indices + row, last, static_cast<size_t>(rows - row) * sizeof(int64_t));
    }
  }

  Unpacker unpacker_;
  int64_t dim_;
  bool streaming_;
  uint8_t packed_[kBlockRows * kMaxDim / 8 + Unpacker::kBeyond] = {};
};

template <class T, bool kZeroIsOne, bool kLeastFirst>
int64_t encode(const T* x, int64_t rows, int64_t dim, int64_t* indices, bool streaming) {
  if (rows * dim < kPacked) {  // for which the blocks take longer to set up
    return encode_each<T, kZeroIsOne, kLeastFirst>(x, rows, dim, indices);
  }
  return RowEncoder<T, kZeroIsOne, kLeastFirst>(dim, streaming).encode(x, rows, indices);
}

// Encodes rows of dim, at most 63.
template <class T>
int64_t encode(const T* x, int64_t rows, int64_t dim, const BitRules& rules, int64_t* indices,
               bool streaming) {
  if (rules.least_first) {
    return rules.zero_is_one ? encode<T, true, true>(x, rows, dim, indices, streaming)
                             : encode<T, false, true>(x, rows, dim, indices, streaming);
  }
  return rules.zero_is_one ? encode<T, true, false>(x, rows, dim, indices, streaming)
                           : encode<T, false, false>(x, rows, dim, indices, streaming);
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
