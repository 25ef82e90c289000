// Vectors of numbers by the compiler's vector extensions, and the elementary functions on them. One
// source for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// The widest vectors of the instruction set.
#if defined(__AVX512F__)
constexpr int64_t kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int64_t kVectorBytes = 32;
#else
constexpr int64_t kVectorBytes = 16;
#endif

// So many vectors of sums are kept in registers at once, beside what they are made of.
constexpr int64_t kRegisterSums = 8;

template <class T>
struct Simd;

template <>
struct Simd<float> {
  static constexpr int64_t kWidth = kVectorBytes / 4;
  static constexpr int64_t kLaneBits = kWidth == 16 ? 4 : kWidth == 8 ? 3 : 2;
  using Vector = float __attribute__((vector_size(kVectorBytes)));
  using Integers = int32_t __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kExponentBias = 127;
  static constexpr float kRound = 0x1.8p23F;  // added and subtracted: rounds to an integer
  static constexpr float kLn2High = 0x1.62e4p-1F;
  static constexpr float kLn2Low = 0x1.7f7d1cp-20F;
  static constexpr float kLargestExponent = 103;  // exp(-104) is 0
  static constexpr int kLogTerms = 5;
};

template <>
struct Simd<double> {
  static constexpr int64_t kWidth = kVectorBytes / 8;
  static constexpr int64_t kLaneBits = kWidth == 8 ? 3 : kWidth == 4 ? 2 : 1;
  using Vector = double __attribute__((vector_size(kVectorBytes)));
  using Integers = int64_t __attribute__((vector_size(kVectorBytes)));
  using Floats = float __attribute__((vector_size(kVectorBytes / 2)));
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kExponentBias = 1023;
  static constexpr double kRound = 0x1.8p52;
  static constexpr double kLn2High = 0x1.62e42feep-1;
  static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kLargestExponent = 745;
  static constexpr int kLogTerms = 11;
};

template <class T>
using Vector = typename Simd<T>::Vector;
template <class T>
using Integers = typename Simd<T>::Integers;

template <class To, class From>
inline To reinterpret(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

template <class T>
inline Vector<T> load(const T* from) {
  Vector<T> vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <class T>
inline Integers<T> splat_integer(int64_t value) {
  return Integers<T>{} + static_cast<std::remove_const_t<decltype(Simd<T>::kExponentBias)>>(value);
}

template <class T>
inline void store(Vector<T> vector, T* to) {
  std::memcpy(to, &vector, sizeof(vector));
}

template <class T>
inline Vector<T> splat(T value) {
  return Vector<T>{} + value;
}

// As many numbers as a vector of double holds.
template <class T>
using DoubleLanes = std::conditional_t<sizeof(T) == 4, Simd<double>::Floats, Vector<double>>;

// Numbers of another type, converted.
inline void store_converted(Vector<double> vector, double* to) { store<double>(vector, to); }
inline void store_converted(Vector<double> vector, float* to) {
  const auto converted = __builtin_convertvector(vector, Simd<double>::Floats);
  std::memcpy(to, &converted, sizeof(converted));
}
inline Vector<double> load_converted(const double* from) { return load(from); }
inline Vector<double> load_converted(const float* from) {
  Simd<double>::Floats floats;
  std::memcpy(&floats, from, sizeof(floats));
  return __builtin_convertvector(floats, Vector<double>);
}

// Adds to numbers in double, times a factor.
inline void add_converted(Vector<double> vector, double factor, double* to) {
  store<double>(load(to) + vector * factor, to);
}
template <size_t... kLanes>
inline void add_converted(Vector<float> vector, double factor, double* to,
                          std::index_sequence<kLanes...> /*half of the lanes*/) {
  // By shuffles: through memory, compilers keep what a loop adds up there, too.
  const Simd<double>::Floats low = __builtin_shufflevector(vector, vector, kLanes...);
  const Simd<double>::Floats high =
      __builtin_shufflevector(vector, vector, kLanes + sizeof...(kLanes)...);
  add_converted(__builtin_convertvector(low, Vector<double>), factor, to);
  add_converted(__builtin_convertvector(high, Vector<double>), factor, to + sizeof...(kLanes));
}
inline void add_converted(Vector<float> vector, double factor, double* to) {
  add_converted(vector, factor, to, std::make_index_sequence<Simd<double>::kWidth>());
}

// The halves are added, until one number is left.
inline float sum(float __attribute__((vector_size(16))) v) { return (v[0] + v[2]) + (v[1] + v[3]); }
inline float sum(float __attribute__((vector_size(32))) v) {
  return sum(__builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7));
}
inline float sum(float __attribute__((vector_size(64))) v) {
  return sum(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
             __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
}
inline double sum(double __attribute__((vector_size(16))) v) { return v[0] + v[1]; }
inline double sum(double __attribute__((vector_size(32))) v) {
  return sum(__builtin_shufflevector(v, v, 0, 1) + __builtin_shufflevector(v, v, 2, 3));
}
inline double sum(double __attribute__((vector_size(64))) v) {
  return sum(__builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7));
}

// One step towards the sums of each of several vectors: adds lanes that are kDistance apart, those
// of a in the lanes without that bit, and those of b in the lanes with it.
template <class T, size_t kDistance, size_t... kLanes>
inline Vector<T> add_halves(Vector<T> a, Vector<T> b, std::index_sequence<kLanes...> /*lanes*/) {
  constexpr size_t kWidth = sizeof...(kLanes);
  return __builtin_shufflevector(
             a, b, ((kLanes & kDistance) != 0 ? kWidth + kLanes - kDistance : kLanes)...) +
         __builtin_shufflevector(
             a, b, ((kLanes & kDistance) != 0 ? kWidth + kLanes : kLanes + kDistance)...);
}

// Lane i of the result is the sum of vectors[i], of which there are as many as lanes, and which are
// overwritten. Takes a third of the instructions of as many sums one by one.
template <class T, size_t kDistance = Simd<T>::kWidth / 2>
inline Vector<T> sums_of(Vector<T>* vectors) {
  for (size_t i = 0; i < kDistance; ++i) {
    vectors[i] = add_halves<T, kDistance>(vectors[i], vectors[i + kDistance],
                                          std::make_index_sequence<Simd<T>::kWidth>());
  }
  if constexpr (kDistance == 1) {
    return vectors[0];
  } else {
    return sums_of<T, kDistance / 2>(vectors);
  }
}

// One step towards swapping rows and columns: swaps the lanes of a that have this bit with those of
// b that have not.
template <size_t kDistance, class V, size_t... kLanes>
inline void swap_lanes(V& a, V& b, std::index_sequence<kLanes...> /*lanes*/) {
  constexpr size_t kWidth = sizeof...(kLanes);
  const V low = __builtin_shufflevector(
      a, b, ((kLanes & kDistance) != 0 ? kWidth + kLanes - kDistance : kLanes)...);
  b = __builtin_shufflevector(
      a, b, ((kLanes & kDistance) != 0 ? kWidth + kLanes : kLanes + kDistance)...);
  a = low;
}

// Swaps rows and columns of as many vectors as they have lanes.
template <size_t kWidth, class V, size_t kDistance = kWidth / 2>
inline void transpose_square(V* vectors) {
  for (size_t i = 0; i < kWidth; ++i) {
    if ((i & kDistance) == 0) {
      swap_lanes<kDistance>(vectors[i], vectors[i + kDistance], std::make_index_sequence<kWidth>());
    }
  }
  if constexpr (kDistance > 1) {
    transpose_square<kWidth, V, kDistance / 2>(vectors);
  }
}

// Bit i is set where lane i of a comparison's result is.
template <class T>
inline uint64_t lanes_of(Integers<T> mask) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return _mm512_movepi32_mask(reinterpret<__m512i>(mask));
  } else {
    return _mm512_movepi64_mask(reinterpret<__m512i>(mask));
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return static_cast<uint32_t>(_mm256_movemask_ps(reinterpret<__m256>(mask)));
  } else {
    return static_cast<uint32_t>(_mm256_movemask_pd(reinterpret<__m256d>(mask)));
  }
#else
  uint64_t lanes = 0;
  for (int64_t i = 0; i < Simd<T>::kWidth; ++i) {
    lanes |= static_cast<uint64_t>(mask[i] & 1) << i;
  }
  return lanes;
#endif
}

// Lane i holds i.
template <class T>
inline Integers<T> lane_numbers() {
  using Integer = std::remove_const_t<decltype(Simd<T>::kExponentBias)>;
  alignas(64) static constexpr Integer kNumbers[] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                     8, 9, 10, 11, 12, 13, 14, 15};
  Integers<T> lanes;
  std::memcpy(&lanes, kNumbers, sizeof(lanes));
  return lanes;
}

// Lane i is set where bit b of i is.
template <class T>
inline Integers<T> lanes_with_bit(int64_t b) {
  return (lane_numbers<T>() >> b & 1) != 0;
}

inline Vector<double> square_root(Vector<double> vector) {
  for (int64_t i = 0; i < Simd<double>::kWidth; ++i) {
    vector[i] = __builtin_sqrt(vector[i]);
  }
  return vector;
}

// exp(-a) for a >= 0. The relative error is 2^-32 with 9 terms and double's own with 13.
template <class T, int kTerms>
inline Vector<T> exp_negative(Vector<T> a) {
  using S = Simd<T>;
  const Integers<T> tiny = a > S::kLargestExponent;
  const Vector<T> x = tiny ? splat<T>(0) : -a;
  // 2^n * exp(f), |f| <= ln(2) / 2, and the Taylor series of exp(f).
  const Vector<T> shifted = x * static_cast<T>(0x1.71547652b82fep+0) + S::kRound;
  const Vector<T> n = shifted - S::kRound;
  const Vector<T> f = (x - n * S::kLn2High) - n * S::kLn2Low;
  Vector<T> series = splat<T>(1);
  for (int i = kTerms; i > 0; --i) {
    series = series * f * static_cast<T>(1.0 / i) + 1;
  }
  // In two steps, since 2^n may be no normal number.
  const Integers<T> whole = __builtin_convertvector(n, Integers<T>);
  const Integers<T> half = whole >> 1;
  const auto power = [](Integers<T> e) {
    return reinterpret<Vector<T>>((e + S::kExponentBias) << S::kMantissaBits);
  };
  const Vector<T> result = series * power(half) * power(whole - half);
  return tiny ? splat<T>(0) : result;
}

// log((1 + s) / (1 - s)) = 2 atanh(s) by its series, for 0 <= |s| <= 1/3.
template <class T, int kTerms>
inline Vector<T> twice_atanh(Vector<T> s) {
  const Vector<T> square = s * s;
  Vector<T> series = splat<T>(static_cast<T>(1.0 / (2 * kTerms - 1)));
  for (int i = kTerms - 1; i > 0; --i) {
    series = series * square + static_cast<T>(1.0 / (2 * i - 1));
  }
  return 2 * s * series;
}

// log(1 + r) for 0 <= r <= 1. The relative error is 2^-32 with 9 terms and double's own with 17.
template <class T, int kTerms>
inline Vector<T> log1p(Vector<T> r) {
  return twice_atanh<T, kTerms>(r / (2 + r));
}

// log(x) for normal positive x.
template <class T>
inline Vector<T> log(Vector<T> x) {
  using S = Simd<T>;
  // x = 2^n * m, m in [sqrt(1/2), sqrt(2)).
  const auto bits = reinterpret<Integers<T>>(x);
  const auto root_half = reinterpret<Integers<T>>(splat<T>(static_cast<T>(0x1.6a09e667f3bcdp-1)));
  const Integers<T> n = (bits - root_half) >> S::kMantissaBits;
  const auto m = reinterpret<Vector<T>>(bits - (n << S::kMantissaBits));
  const Vector<T> exponent = __builtin_convertvector(n, Vector<T>);
  const Vector<T> mantissa = twice_atanh<T, S::kLogTerms>((m - 1) / (m + 1));
  return exponent * S::kLn2High + (exponent * S::kLn2Low + mantissa);
}

// While one lives, results in float32 that are too small to be normal numbers become 0 on this
// thread: products of many ratios are, and processors take long over them. In float64 there are
// hardly any, and they count.
template <class T>
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(control()) {
    if constexpr (sizeof(T) == 4) {
      set_control(before_ | kFlushToZero);
    }
  }
  ~FlushSubnormals() { set_control(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
  FlushSubnormals(FlushSubnormals&&) = delete;
  FlushSubnormals& operator=(FlushSubnormals&&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint32_t kFlushToZero = 0x8000;  // what is read may still be subnormal
  static uint32_t control() { return _mm_getcsr(); }
  static void set_control(uint32_t control) { _mm_setcsr(control); }
#else  // where the processor flushes what is read, too, or takes no longer
  static constexpr uint32_t kFlushToZero = 0;
  static uint32_t control() { return 0; }
  static void set_control(uint32_t /*control*/) {}
#endif
  uint32_t before_;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
