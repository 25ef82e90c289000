// What keeps the logarithm of a probability from 0. Part of the row kernels.
#pragma once

#include <cmath>
#include <cstdint>

#include "cpu/code_split.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// An entropy is the sum of p * loss(p), loss(p) = -log max(p, e) or -log(p + e). Its gradient is
// that sum's derivative less the constant -log e, which no logit sees, since probabilities add up
// to 1: so codes that hardly have a probability hardly have a gradient.
struct Floor {
  explicit Floor(const LossFormula& formula)
      : adds(formula.floor_adds), epsilon(formula.epsilon), log_epsilon(std::log(epsilon)) {}

  // Below this, the logarithm of a probability is that of the floor. For max(p, e) that is log e.
  // For log(p + e) = log e + log1p(p / e), 2^bits codes below c have at most 2^bits c^2 / e beyond
  // it together, and c makes that 1e-10 in float32, and 1e-18 in float64.
  template <class T>
  [[nodiscard]] double log_cutoff(int64_t bits) const {
    if (!adds) {
      return log_epsilon;
    }
    const double beyond = sizeof(T) == 4 ? 1e-10 : 1e-18;
    return (std::log(beyond) + log_epsilon - static_cast<double>(bits) * std::log(2.0)) / 2;
  }

  // -log(p + e).
  template <class T>
  [[nodiscard]] Vector<T> loss_added(Vector<T> p) const {
    return -log<T>(p + static_cast<T>(epsilon));
  }
  template <class T>
  [[nodiscard]] Vector<T> gradient_added(Vector<T> p) const {
    const Vector<T> floored = p + static_cast<T>(epsilon);
    return static_cast<T>(log_epsilon) - log<T>(floored) - p / floored;
  }

  // -log max(p, e).
  template <class T>
  [[nodiscard]] Vector<T> loss_clamped(Vector<T> p) const {
    const auto e = splat(static_cast<T>(epsilon));
    return -log<T>(p > e ? p : e);
  }
  template <class T>
  [[nodiscard]] Vector<T> gradient_clamped(Vector<T> p) const {
    const Vector<T> one = p >= static_cast<T>(epsilon) ? splat<T>(1) : splat<T>(0);
    return static_cast<T>(log_epsilon) + loss_clamped<T>(p) - one;
  }

  template <class T>
  [[nodiscard]] Vector<T> loss(Vector<T> p) const {
    return adds ? loss_added<T>(p) : loss_clamped<T>(p);
  }
  template <class T>
  [[nodiscard]] Vector<T> gradient(Vector<T> p) const {
    return adds ? gradient_added<T>(p) : gradient_clamped<T>(p);
  }

  bool adds;
  double epsilon;
  double log_epsilon;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
