// Vectors of numbers by the compiler's vector extensions, and the elementary functions on them. One
// source for every instruction set: vectors wider than the machine's are split by the compiler.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

template <class T>
struct Simd;

template <>
struct Simd<float> {
  static constexpr int64_t kWidth = 16;
  using Vector = float __attribute__((vector_size(64)));
  using Integers = int32_t __attribute__((vector_size(64)));
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
  static constexpr int64_t kWidth = 8;
  using Vector = double __attribute__((vector_size(64)));
  using Integers = int64_t __attribute__((vector_size(64)));
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
inline void store(Vector<T> vector, T* to) {
  std::memcpy(to, &vector, sizeof(vector));
}

template <class T>
inline Vector<T> splat(T value) {
  return Vector<T>{} + value;
}

template <class T>
inline T sum(Vector<T> vector) {
  // Pairs of halves, so that the additions are as few steps deep as possible.
  T parts[Simd<T>::kWidth];
  store<T>(vector, parts);
  for (int64_t half = Simd<T>::kWidth / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) {
      parts[i] += parts[half + i];
    }
  }
  return parts[0];
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

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
