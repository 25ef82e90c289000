// The signs of a row as an index, by the vector instructions that the file is compiled for.
// Included by row_kernels.cpp alone.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

#if defined(__AVX2__)

// One vector of up to kLanes components, turned round so that component 0 comes last: its signs are
// then the bits of the index. AVX-512 has nothing faster: its mask registers are slow to read.
template <class T>
class Piece;

template <>
class Piece<float> {
 public:
  static constexpr int64_t kLanes = 8;
  explicit Piece(int64_t lanes)
      : order_(_mm256_sub_epi32(_mm256_set1_epi32(static_cast<int>(lanes - 1)),
                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
        loaded_(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(lanes)),
                                   _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) {}

  // The bits; adds to `bad` what is not finite. kWhole: all kLanes components can be read, which is
  // several times as fast as a masked load.
  template <bool kWhole>
  uint64_t signs(const float* x, uint32_t* bad) const {
    const __m256 values = kWhole ? _mm256_and_ps(_mm256_loadu_ps(x), _mm256_castsi256_ps(loaded_))
                                 : _mm256_maskload_ps(x, loaded_);
    // 0 * v is NaN for a v that is not finite.
    const __m256 poison = _mm256_mul_ps(values, _mm256_setzero_ps());
    *bad |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(poison, poison, _CMP_UNORD_Q)));
    // Negative lane numbers wrap round to lanes that were not loaded: 0.
    const __m256 turned = _mm256_permutevar8x32_ps(values, order_);
    return static_cast<uint64_t>(
        _mm256_movemask_ps(_mm256_cmp_ps(turned, _mm256_setzero_ps(), _CMP_GT_OQ)));
  }

 private:
  __m256i order_;
  __m256i loaded_;
};

template <>
class Piece<double> {
 public:
  static constexpr int64_t kLanes = 4;
  explicit Piece(int64_t lanes)
      : shift_(static_cast<int>(4 - lanes)),
        loaded_(_mm256_cmpgt_epi64(_mm256_set1_epi64x(lanes), _mm256_setr_epi64x(0, 1, 2, 3))) {}

  template <bool kWhole>
  uint64_t signs(const double* x, uint32_t* bad) const {
    const __m256d values = kWhole ? _mm256_and_pd(_mm256_loadu_pd(x), _mm256_castsi256_pd(loaded_))
                                  : _mm256_maskload_pd(x, loaded_);
    const __m256d poison = _mm256_mul_pd(values, _mm256_setzero_pd());
    *bad |= static_cast<uint32_t>(_mm256_movemask_pd(_mm256_cmp_pd(poison, poison, _CMP_UNORD_Q)));
    const __m256d turned = _mm256_permute4x64_pd(values, 0x1B);
    return static_cast<uint64_t>(
               _mm256_movemask_pd(_mm256_cmp_pd(turned, _mm256_setzero_pd(), _CMP_GT_OQ))) >>
           shift_;
  }

 private:
  int shift_;
  __m256i loaded_;
};

#else

template <class T>
class Piece {
 public:
  static constexpr int64_t kLanes = 63;
  explicit Piece(int64_t lanes) : lanes_(lanes) {}

  template <bool kWhole>
  uint64_t signs(const T* x, uint32_t* bad) const {
    uint64_t bits = 0;
    T poison = 0;  // 0 * v is NaN for a v that is not finite
    for (int64_t d = 0; d < lanes_; ++d) {
      bits = bits << 1 | static_cast<uint64_t>(x[d] > 0);
      poison += x[d] * 0;
    }
    *bad |= static_cast<uint32_t>(std::isnan(poison));
    return bits;
  }

 private:
  int64_t lanes_;
};

#endif

// Stores past the caches, which pays off for outputs that are larger.
inline void store_index(int64_t index, int64_t* to, bool streaming) {
#if defined(__x86_64__) && defined(__AVX2__)
  if (streaming) {
    // NOLINTNEXTLINE(google-runtime-int): the intrinsic's type
    _mm_stream_si64(reinterpret_cast<long long*>(to), index);
    return;
  }
#else
  static_cast<void>(streaming);
#endif
  *to = index;
}

// The index of each row, whose components take kPieces whole pieces and a last one.
template <class T, int kPieces>
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): one object, on the stack
class RowEncoder {
 public:
  RowEncoder(const T* x, int64_t rows, int64_t dim, int64_t* indices, bool streaming)
      : x_(x),
        rows_(rows),
        dim_(dim),
        indices_(indices),
        streaming_(streaming),
        whole_(kLanes),
        last_lanes_(dim - kPieces * kLanes),
        last_(last_lanes_) {}

  // Returns the first row that is not finite, or -1.
  int64_t encode() {
    // Rows from whose beginning whole pieces can be read, into the next rows.
    const int64_t beyond = rows_ * dim_ - (kPieces + 1) * kLanes;
    const int64_t whole_rows = beyond < 0 ? 0 : beyond / dim_ + 1;
    encode<true>(0, whole_rows);
    encode<false>(whole_rows, rows_);
#if defined(__x86_64__) && defined(__AVX2__)
    if (streaming_) {
      _mm_sfence();
    }
#endif
    return first_bad_;
  }

 private:
  static constexpr int64_t kLanes = Piece<T>::kLanes;

  template <bool kWhole>
  void encode(int64_t begin, int64_t end) {
    const T* row_x = x_ + begin * dim_;
    for (int64_t row = begin; row < end; ++row, row_x += dim_) {
      uint64_t index = 0;
      uint32_t bad = 0;
      for (int piece = 0; piece < kPieces; ++piece) {
        index = index << kLanes | whole_.template signs<true>(row_x + piece * kLanes, &bad);
      }
      index = index << last_lanes_ | last_.template signs<kWhole>(row_x + kPieces * kLanes, &bad);
      if (__builtin_expect(bad != 0, 0)) {
        index = 0;
        first_bad_ = first_bad_ < 0 ? row : first_bad_;
      }
      store_index(static_cast<int64_t>(index), indices_ + row, streaming_);
    }
  }

  const T* x_;
  int64_t rows_;
  int64_t dim_;
  int64_t* indices_;
  bool streaming_;
  Piece<T> whole_;
  int64_t last_lanes_;
  Piece<T> last_;
  int64_t first_bad_ = -1;
};

// Encodes with the number of pieces that dim, at most 63, takes.
template <class T, int kPieces = 0>
int64_t encode(const T* x, int64_t rows, int64_t dim, int64_t* indices, bool streaming) {
  constexpr int64_t kLanes = Piece<T>::kLanes;
  if constexpr ((kPieces + 1) * kLanes >= 63) {
    return RowEncoder<T, kPieces>(x, rows, dim, indices, streaming).encode();
  } else {
    return dim <= (kPieces + 1) * kLanes
               ? RowEncoder<T, kPieces>(x, rows, dim, indices, streaming).encode()
               : encode<T, kPieces + 1>(x, rows, dim, indices, streaming);
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
