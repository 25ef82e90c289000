// A row on the unit sphere, and the gradient back through the normalisation. Part of the row
// kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "formula.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// |x| = norm / scale. The scale is 1 but where squares of float64 components would overflow.
struct RowNorm {
  double scale;
  double norm;

  [[nodiscard]] bool constant() const { return norm <= kMinNorm; }
  [[nodiscard]] double divisor() const { return std::max(norm, kMinNorm); }
};

// Of a finite row. Squares are summed in float64, where those of float32 never overflow.
template <class T>
RowNorm row_norm(const T* x, int64_t dim) {
  double squares = 0;
  for (int64_t d = 0; d < dim; ++d) {
    const double value = x[d];
    squares += value * value;
  }
  if (std::is_same_v<T, float> || std::isfinite(squares)) {
    return {1.0, std::sqrt(squares)};
  }
  squares = 0;
  for (int64_t d = 0; d < dim; ++d) {
    const double value = x[d] * kOverflowScale;
    squares += value * value;
  }
  return {kOverflowScale, std::sqrt(squares)};
}

// unit[dim] = x / max(|x|, 1e-12).
template <class T>
void normalize(const T* x, int64_t dim, const RowNorm& norm, double* unit) {
  for (int64_t d = 0; d < dim; ++d) {
    unit[d] = x[d] * norm.scale / norm.divisor();
  }
}

// grad_x[dim] from the gradient with respect to the unit row: (g - u <u, g>) / |x|, or g / 1e-12
// where the norm counts as a constant.
template <class T>
void normalize_backward(const double* unit, const double* grad_unit, int64_t dim,
                        const RowNorm& norm, T* grad_x) {
  double along = 0;
  if (!norm.constant()) {
    for (int64_t d = 0; d < dim; ++d) {
      along += unit[d] * grad_unit[d];
    }
  }
  for (int64_t d = 0; d < dim; ++d) {
    grad_x[d] = static_cast<T>((grad_unit[d] - unit[d] * along) / norm.divisor() * norm.scale);
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
