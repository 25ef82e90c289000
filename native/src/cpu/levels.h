// One level of residual codes. Part of the row kernels.
#pragma once

#include <cstdint>

#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Quantizes residual[size] to +-magnitude, which is subtracted; signs are +-1 and sums grow by
// +-weight. Of the arrays, whole vectors are read and written.
template <class T>
void take_level(double* residual, int64_t size, double magnitude, bool zero_is_one, T weight,
                T* signs, T* sums) {
  constexpr int64_t kWidth = Simd<double>::kWidth;
  const Vector<double> one = splat(1.0);
  for (int64_t i = 0; i < size; i += kWidth) {
    const Vector<double> r = load(residual + i);
    const Integers<double> positive = zero_is_one ? r >= 0 : r > 0;
    const Vector<double> sign = positive ? one : -one;
    store<double>(r - sign * magnitude, residual + i);
    store_converted(sign, signs + i);
    store_converted(load_converted(sums + i) + sign * static_cast<double>(weight), sums + i);
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
