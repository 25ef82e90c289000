// One distribution of few bits of each row of a block: part of the row kernels.
//
// With fewer codes than registers hold, nothing is worth leaving out: rows are lanes throughout,
// all 2^bits probabilities of a row are computed, and in double, since they are few.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "cpu/carver.h"
#include "cpu/entropy_floor.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Arrays are [what, stride], rows being lanes. T is the type of the rows' components.
template <class T>
class NarrowGroup {
 public:
  NarrowGroup(int64_t bits, int64_t lanes, Carver& carver)
      : bits_(bits),
        codes_(int64_t{1} << bits),
        stride_(lanes),
        one_(carver.take<double>(bits_ * stride_)),
        zero_(carver.take<double>(bits_ * stride_)),
        p_(carver.take<double>(codes_ * stride_)),
        cost_(carver.take<double>(codes_ * stride_)) {}

  // From the unit rows' components, [bits, stride].
  void prepare(const double* unit, int64_t rows, double logit_scale) {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      expand(unit, r, logit_scale);
    }
    // The lanes that fill up the vectors hold no rows.
    for (int64_t i = 0; i < codes_ * stride_; i += stride_) {
      std::fill(p_ + i + rows, p_ + i + stride_, 0.0);
    }
  }

  // Adds to entropies[stride].
  void add_entropies(const Floor& floor, double* entropies) const {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      Vector<double> sum = load(entropies + r);
      for (int64_t i = r; i < codes_ * stride_; i += stride_) {
        sum += load(p_ + i) * loss(floor, i);
      }
      store<double>(sum, entropies + r);
    }
  }

  // Adds the rows' probabilities to sums[2^bits].
  void add_distributions(double* sums) const {
    for (int64_t code = 0; code < codes_; ++code) {
      Vector<double> total{};
      for (int64_t r = 0; r < stride_; r += kWidth) {
        total += load(p_ + code * stride_ + r);
      }
      sums[code] += sum(total);
    }
  }

  // grad_unit[bits, stride] += weight * the gradient of sample_weight * entropy +
  // <codebook_gradient, p> by the unit rows. Overwrites the probabilities.
  void add_gradient(const Floor& floor, double logit_scale, double weight, double sample_weight,
                    const double* codebook_gradient, double* grad_unit) {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      for (int64_t code = 0; code < codes_; ++code) {
        const int64_t i = code * stride_ + r;
        const auto p = load(p_ + i);
        const Vector<double> g = sample_weight * gradient(floor, p, i) + codebook_gradient[code];
        store<double>(g * p, p_ + i);
      }
      // Of bit d = 1: p(d = 0) * (the sum over the codes with it) - p(d = 1) * (over the others).
      int64_t half = codes_ / 2 * stride_;
      for (int64_t d = 0; d < bits_; ++d, half /= 2) {
        Vector<double> zeros{};
        Vector<double> ones{};
        for (int64_t i = r; i < half; i += stride_) {
          const auto zero = load(p_ + i);
          const auto one = load(p_ + half + i);
          zeros += zero;
          ones += one;
          store<double>(zero + one, p_ + i);
        }
        const int64_t at = d * stride_ + r;
        const Vector<double> by_logit = load(zero_ + at) * ones - load(one_ + at) * zeros;
        store<double>(load(grad_unit + at) + weight * logit_scale * by_logit, grad_unit + at);
      }
    }
  }

 private:
  static constexpr int64_t kWidth = Simd<double>::kWidth;
  static constexpr int kExpTerms = std::is_same_v<T, double> ? 13 : 9;

  // The probabilities of the rows from r on, which fill a vector, and their costs, -log p.
  void expand(const double* unit, int64_t r, double logit_scale) const {
    store<double>(splat(1.0), p_ + r);
    store<double>(splat(0.0), cost_ + r);
    Vector<double> sum = splat(1.0);
    // From the last bit to the first: each doubles the codes.
    int64_t size = stride_;
    for (int64_t d = bits_ - 1; d >= 0; --d, size *= 2) {
      const int64_t at = d * stride_ + r;
      const Vector<double> t = load(unit + at) * logit_scale;
      const Integers<double> is_one = t > 0;
      const Vector<double> magnitude = t < 0 ? -t : t;
      const Vector<double> ratio = exp_negative<double, kExpTerms>(magnitude);
      const Vector<double> kept = 1 / (1 + ratio);
      const Vector<double> flipped = ratio * kept;
      const Vector<double> one = is_one ? kept : flipped;
      const Vector<double> zero = is_one ? flipped : kept;
      store<double>(one, one_ + at);
      store<double>(zero, zero_ + at);
      sum *= 1 + ratio;
      const Vector<double> cost1 = is_one ? splat(0.0) : magnitude;
      const Vector<double> cost0 = is_one ? magnitude : splat(0.0);
      for (int64_t i = r; i < size; i += stride_) {
        const auto p = load(p_ + i);
        const auto cost = load(cost_ + i);
        store<double>(p * one, p_ + size + i);
        store<double>(p * zero, p_ + i);
        store<double>(cost + cost1, cost_ + size + i);
        store<double>(cost + cost0, cost_ + i);
      }
    }
    const Vector<double> log_sum = log<double>(sum);
    for (int64_t i = r; i < codes_ * stride_; i += stride_) {
      store<double>(load(cost_ + i) + log_sum, cost_ + i);
    }
  }

  // -log of the floored probability at i.
  [[nodiscard]] Vector<double> loss(const Floor& floor, int64_t i) const {
    if (floor.adds) {
      return floor.loss<double>(load(p_ + i));
    }
    const auto cost = load(cost_ + i);
    const Vector<double> greatest = splat(-floor.log_epsilon);
    return cost < greatest ? cost : greatest;
  }

  // Of p * loss(p), less the constant -log e.
  [[nodiscard]] Vector<double> gradient(const Floor& floor, Vector<double> p, int64_t i) const {
    if (floor.adds) {
      return floor.gradient<double>(p);
    }
    const Vector<double> one = p >= floor.epsilon ? splat(1.0) : splat(0.0);
    return loss(floor, i) + floor.log_epsilon - one;
  }

  int64_t bits_;
  int64_t codes_;
  int64_t stride_;
  double* one_;   // [bits]: the probability of being 1
  double* zero_;  // ... and 0
  double* p_;     // [2^bits]
  double* cost_;  // [2^bits]: -log p
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
