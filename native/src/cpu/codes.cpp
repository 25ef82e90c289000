#include "cpu/codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bsq::cpu {

template <class T>
int64_t first_non_finite(const T* row, int64_t dim) {
  const T* const end = row + dim;
  const T* const found = std::find_if(row, end, [](T value) { return !std::isfinite(value); });
  return found == end ? -1 : found - row;
}

template <class T>
void quantize_non_finite(const T* row, int64_t dim, T* quantized) {
  const bool has_nan = std::any_of(row, row + dim, [](T value) { return std::isnan(value); });
  const auto negative = static_cast<T>(-1 / std::sqrt(static_cast<double>(dim)));
  for (int64_t d = 0; d < dim; ++d) {
    quantized[d] = has_nan || std::isinf(row[d]) ? std::numeric_limits<T>::quiet_NaN() : negative;
  }
}

template <class T>
void decode(const int64_t* indices, int64_t rows, int64_t dim, T* quantized) {
  const auto positive = static_cast<T>(1 / std::sqrt(static_cast<double>(dim)));
  for (int64_t row = 0; row < rows; ++row, quantized += dim) {
    const auto index = static_cast<uint64_t>(indices[row]);
    for (int64_t d = 0; d < dim; ++d) {
      quantized[d] = (index >> (dim - 1 - d) & 1) != 0 ? positive : -positive;
    }
  }
}

int64_t first_bad_index(const int64_t* indices, int64_t rows, int64_t dim) {
  const int64_t* const end = indices + rows;
  const int64_t* const found = std::find_if(
      indices, end, [dim](int64_t index) { return static_cast<uint64_t>(index) >> dim != 0; });
  return found == end ? -1 : found - indices;
}

template <class T>
std::optional<Position> codes_to_indices(const T* codes, int64_t rows, int64_t dim,
                                         int64_t* indices) {
  for (int64_t row = 0; row < rows; ++row, codes += dim) {
    uint64_t index = 0;
    for (int64_t d = 0; d < dim; ++d) {
      if (!std::isfinite(codes[d]) || codes[d] == 0) {
        return Position{row, d};
      }
      index = index << 1 | static_cast<uint64_t>(codes[d] > 0);
    }
    indices[row] = static_cast<int64_t>(index);
  }
  return std::nullopt;
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                    \
  template int64_t first_non_finite(const T*, int64_t);       \
  template void quantize_non_finite(const T*, int64_t, T*);   \
  template void decode(const int64_t*, int64_t, int64_t, T*); \
  template std::optional<Position> codes_to_indices(const T*, int64_t, int64_t, int64_t*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cpu
