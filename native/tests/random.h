// Numbers for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace bsq::test {

// Numbers that are the same everywhere, unlike those of the standard distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 1) {}

  uint64_t bits() {  // SplitMix64
    uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30U) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27U) * 0x94D049BB133111EBU;
    return z ^ z >> 31U;
  }

  double uniform() { return static_cast<double>(bits() >> 11U) * 0x1p-53; }

  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * 3.14159265358979323846 * uniform());
  }

  template <class T>
  std::vector<T> normals(int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) {
      value = static_cast<T>(normal());
    }
    return values;
  }

 private:
  uint64_t state_;
};

}  // namespace bsq::test
