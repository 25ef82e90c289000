#include "cpu/codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <type_traits>

#include "cpu/packed_codes.h"
#include "formula.h"

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
int64_t first_non_finite(const T* components, int64_t count, int64_t step) {
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(components[i * step])) {
      return i;
    }
  }
  return -1;
}

template <class T>
int64_t first_non_finite(const T* x, int64_t size) {
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t count = std::min(kBlock, size - begin);
    if (!all_finite(x + begin, count)) {
      return begin + first_non_finite(x + begin, count, 1);
    }
  }
  return -1;
}

template <class T>
void quantize_non_finite(const T* code, int64_t dim, int64_t step, T scale, T* quantized) {
  bool has_nan = false;
  for (int64_t i = 0; i < dim * step; i += step) {
    has_nan = has_nan || std::isnan(code[i]);
  }
  for (int64_t i = 0; i < dim * step; i += step) {
    quantized[i] = has_nan || std::isinf(code[i]) ? std::numeric_limits<T>::quiet_NaN() : -scale;
  }
}

int64_t first_bad_index(const int64_t* indices, int64_t count, int64_t bits) {
  const auto is_bad = [bits](int64_t index) { return static_cast<uint64_t>(index) >> bits != 0; };
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t* const end = indices + std::min(count, begin + kBlock);
    // A bit that one of them has beyond these, all of them together have.
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
int64_t code_to_index(const T* code, int64_t bits, int64_t step, bool least_first, int64_t* index) {
  uint64_t result = 0;
  for (int64_t bit = 0; bit < bits; ++bit) {
    const T value = code[bit * step];
    if (!std::isfinite(value) || value == 0) {
      return bit;
    }
    result = result << 1 | static_cast<uint64_t>(value > 0);
  }
  *index = static_cast<int64_t>(least_first ? reverse_bits(result) >> (kWordBits - bits) : result);
  return -1;
}

template <class T>
double sign_margin(const T* code, int64_t dim, int64_t step) {
  double squares = 0;
  double least = std::numeric_limits<double>::infinity();
  double largest = 0;
  for (int64_t i = 0; i < dim * step; i += step) {
    const double magnitude = std::abs(static_cast<double>(code[i]));
    squares += magnitude * magnitude;
    least = magnitude < least ? magnitude : least;
    largest = magnitude > largest ? magnitude : largest;
  }
  double scale = 1;
  if (squares > std::numeric_limits<double>::max() &&
      largest <= std::numeric_limits<double>::max()) {
    scale = kOverflowScale;
    squares = 0;
    for (int64_t i = 0; i < dim * step; i += step) {
      const double value = static_cast<double>(code[i]) * scale;
      squares += value * value;
    }
  }
  if (!std::isfinite(squares)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return least * scale / std::max(std::sqrt(squares), kMinNorm);
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                    \
  template int64_t first_non_finite(const T*, int64_t, int64_t);              \
  template int64_t first_non_finite(const T*, int64_t);                       \
  template void quantize_non_finite(const T*, int64_t, int64_t, T, T*);       \
  template int64_t code_to_index(const T*, int64_t, int64_t, bool, int64_t*); \
  template double sign_margin(const T*, int64_t, int64_t);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cpu
