#include "cpu/codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <type_traits>

namespace bsq::cpu {
namespace {

// A large array is searched for what it hardly ever holds in blocks of so many values: whether
// there is any is found out by vectors, where it is only then.
constexpr int64_t kBlock = 1024;

// Without a branch, so that the compiler makes vectors of it.
template <class T>
bool all_finite(const T* values, int64_t count) {
  using Bits = std::conditional_t<sizeof(T) == sizeof(int32_t), int32_t, int64_t>;
  const auto infinity = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) {
    found |= (std::bit_cast<Bits>(values[i]) & infinity) == infinity ? 1 : 0;
  }
  return found == 0;
}

}  // namespace

template <class T>
int64_t first_non_finite(const T* row, int64_t dim) {
  const T* const end = row + dim;
  const T* const found = std::find_if(row, end, [](T value) { return !std::isfinite(value); });
  return found == end ? -1 : found - row;
}

template <class T>
int64_t first_non_finite_row(const T* x, int64_t rows, int64_t dim) {
  const int64_t size = rows * dim;
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t count = std::min(kBlock, size - begin);
    const int64_t found = all_finite(x + begin, count) ? -1 : first_non_finite(x + begin, count);
    if (found >= 0) {
      return (begin + found) / dim;
    }
  }
  return -1;
}

template <class T>
void quantize_non_finite(const T* row, int64_t dim, T* quantized) {
  const bool has_nan = std::any_of(row, row + dim, [](T value) { return std::isnan(value); });
  const auto negative = static_cast<T>(-1 / std::sqrt(static_cast<double>(dim)));
  for (int64_t d = 0; d < dim; ++d) {
    quantized[d] = has_nan || std::isinf(row[d]) ? std::numeric_limits<T>::quiet_NaN() : negative;
  }
}

int64_t first_bad_index(const int64_t* indices, int64_t rows, int64_t dim) {
  const auto is_bad = [dim](int64_t index) { return static_cast<uint64_t>(index) >> dim != 0; };
  for (int64_t begin = 0; begin < rows; begin += kBlock) {
    const int64_t* const end = indices + std::min(rows, begin + kBlock);
    // A bit that one of them has beyond dim, all of them together have.
    const int64_t* const found =
        is_bad(std::reduce(indices + begin, end, int64_t{0}, std::bit_or<>()))
            ? std::find_if(indices + begin, end, is_bad)
            : end;
    if (found != end) {
      return found - indices;
    }
  }
  return -1;
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
#define BSQ_INSTANTIATE(T)                                           \
  template int64_t first_non_finite(const T*, int64_t);              \
  template int64_t first_non_finite_row(const T*, int64_t, int64_t); \
  template void quantize_non_finite(const T*, int64_t, T*);          \
  template std::optional<Position> codes_to_indices(const T*, int64_t, int64_t, int64_t*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cpu
