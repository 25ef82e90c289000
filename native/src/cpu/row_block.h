// One distribution of each row of a block, on the way to its losses: part of the row kernels, and
// included by them alone.
//
// With the logit t_d = 4 beta u_d / sqrt(D), p(c|u) = prod_d sigmoid(+-t_d). Seen from the row's
// own code, whose probability is the largest, flipping bit d costs |t_d|: it multiplies p by the
// ratio exp(-|t_d|). So p(c) = largest * prod of ratios, log p(c) = log largest - sum of costs, and
// what is decided has a ratio of exactly 1 and a cost of exactly 0.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cpu/carver.h"
#include "cpu/code_split.h"
#include "cpu/entropy_floor.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Up to kBlockRows rows. Arrays are [what, stride], rows being lanes, but for those of inner codes,
// which are [stride, kInner]. Lanes that fill up the last vector hold rows of zeros.
template <class T>
class RowBlock {
 public:
  static constexpr int64_t kInner = CodeSplit<T>::kInner;

  RowBlock(const CodeSplit<T>& code_split, int64_t lanes, Carver& carver)
      : split(code_split),
        stride(lanes),
        log_largest(carver.take<double>(stride)),
        largest(carver.take<double>(stride)),
        ratio1(carver.take<T>(split.bits * stride)),
        ratio0(carver.take<T>(split.bits * stride)),
        cost1(carver.take<T>(split.bits * stride)),
        cost0(carver.take<T>(split.bits * stride)),
        budget(carver.take<T>(stride)),
        leading_ratio(carver.take<T>(split.leading() * stride)),
        leading_cost(carver.take<T>(split.leading() * stride)),
        middle_ratio(carver.take<T>(split.middle() * stride)),
        middle_cost(carver.take<T>(split.middle() * stride)),
        inner_ratio(carver.take<T>(stride * kInner)),
        inner_cost(carver.take<T>(stride * kInner)),
        own_codes(carver.take<double>(stride)),
        inner_own_codes(carver.take<T>(stride)),
        inner_ratio_sum(carver.take<T>(stride)),
        inner_weighted_cost(carver.take<T>(stride)),
        inner_max_cost(carver.take<T>(stride)) {}

  // From the unit rows' components, [bits, stride]. The elementary functions are computed in
  // double, since an error of a large logit is a relative error of its probability.
  void prepare(const double* unit_bits, int64_t rows, double logit_scale, double log_cutoff) {
    unit = unit_bits;
    for (int64_t r = 0; r < stride; r += kDoubles) {
      find_flips(r, logit_scale, log_cutoff);
    }
    expand_outer(0, split.leading_bits, leading_ratio, leading_cost);
    expand_outer(split.leading_bits, split.middle_bits, middle_ratio, middle_cost);
    for (int64_t r = 0; r < rows; ++r) {
      expand_inner(r);
    }
  }

  // The ratios and costs of an outer code, [stride] each.
  void expand_outer_code(int64_t outer, T* ratios, T* costs) const {
    const int64_t leading = (outer >> split.middle_bits) * stride;
    const int64_t middle = (outer & (split.middle() - 1)) * stride;
    for (int64_t r = 0; r < stride; r += kWidth) {
      store<T>(load(leading_ratio + leading + r) * load(middle_ratio + middle + r), ratios + r);
      store<T>(load(leading_cost + leading + r) + load(middle_cost + middle + r), costs + r);
    }
  }

  CodeSplit<T> split;
  int64_t stride;
  const double* unit = nullptr;  // [bits]
  double* log_largest;           // of the largest probability
  double* largest;
  // [bits]: of a bit that is 1: 1 where that is the row's own, otherwise exp(-|t|).
  T* ratio1;
  T* ratio0;
  T* cost1;  // -log of the ratios
  T* cost0;
  T* budget;         // log(largest p / cutoff); below 0 no code reaches the floor's cutoff
  T* leading_ratio;  // [leading codes]
  T* leading_cost;
  T* middle_ratio;  // [middle codes]
  T* middle_cost;
  T* inner_ratio;  // [stride, kInner]
  T* inner_cost;
  // The row's own codes: those that cost nothing. There is one, but for bits that are on the fence.
  double* own_codes;
  T* inner_own_codes;
  T* inner_ratio_sum;      // sum over the other inner codes of the ratio
  T* inner_weighted_cost;  // ... of the ratio times the cost
  T* inner_max_cost;

 private:
  static constexpr int64_t kWidth = Simd<T>::kWidth;
  static constexpr int64_t kDoubles = Simd<double>::kWidth;
  static constexpr int kExpTerms = std::is_same_v<T, double> ? 13 : 9;

  // A cost beyond every budget.
  static constexpr double kNever = 1e30;
  static constexpr double kNothing = 1e-30;

  void find_flips(int64_t r, double logit_scale, double log_cutoff) {
    Vector<double> outer_sum = splat(1.0);  // of the ratios of all codes: the product of 1 + ratio
    Vector<double> inner_sum = splat(1.0);
    Vector<double> outer_own = splat(1.0);
    Vector<double> inner_own = splat(1.0);
    Vector<double> inner_mean_cost{};
    Vector<double> inner_costs{};
    for (int64_t d = 0; d < split.bits; ++d) {
      const int64_t at = d * stride + r;
      const Vector<double> t = load(unit + at) * logit_scale;
      const Integers<double> one = t > 0;
      const Vector<double> magnitude = t < 0 ? -t : t;
      // Beyond every budget is beyond, and 0 * cost stays 0; what is next to nothing is nothing.
      const Vector<double> finite = magnitude < kNever ? magnitude : splat(kNever);
      const Vector<double> cost = finite < kNothing ? splat(0.0) : finite;
      const Vector<double> ratio = exp_negative<double, kExpTerms>(cost);
      store_converted(one ? splat(1.0) : ratio, ratio1 + at);
      store_converted(one ? ratio : splat(1.0), ratio0 + at);
      store_converted(one ? splat(0.0) : cost, cost1 + at);
      store_converted(one ? cost : splat(0.0), cost0 + at);
      const Vector<double> both = 1 + ratio;
      const Vector<double> own = cost > 0 ? splat(1.0) : splat(2.0);
      if (d < split.outer_bits) {
        outer_sum *= both;
        outer_own *= own;
      } else {
        inner_sum *= both;
        inner_own *= own;
        inner_mean_cost += cost * ratio / both;
        inner_costs += cost;
      }
    }
    const Vector<double> sum = outer_sum * inner_sum;
    const Vector<double> log_of_largest = -log<double>(sum);
    store<double>(log_of_largest, log_largest + r);
    store<double>(1 / sum, largest + r);
    store_converted(log_of_largest - log_cutoff, budget + r);
    store<double>(outer_own * inner_own, own_codes + r);
    store_converted(inner_own, inner_own_codes + r);
    store_converted(inner_sum - inner_own, inner_ratio_sum + r);
    store_converted(inner_sum * inner_mean_cost, inner_weighted_cost + r);
    store_converted(inner_costs, inner_max_cost + r);
  }

  // The codes of `count` bits from `first` on, in index order, for all rows.
  void expand_outer(int64_t first, int64_t count, T* ratios, T* costs) const {
    for (int64_t r = 0; r < stride; r += kWidth) {
      store<T>(splat<T>(1), ratios + r);
      store<T>(splat<T>(0), costs + r);
    }
    // From the last bit to the first: each doubles the codes.
    int64_t size = stride;
    for (int64_t d = first + count - 1; d >= first; --d, size *= 2) {
      for (int64_t i = 0; i < size; i += stride) {
        for (int64_t r = 0; r < stride; r += kWidth) {
          const int64_t at = d * stride + r;
          const auto ratio = load(ratios + i + r);
          const auto cost = load(costs + i + r);
          store<T>(ratio * load(ratio1 + at), ratios + size + i + r);
          store<T>(ratio * load(ratio0 + at), ratios + i + r);
          store<T>(cost + load(cost1 + at), costs + size + i + r);
          store<T>(cost + load(cost0 + at), costs + i + r);
        }
      }
    }
  }

  // The inner codes of one row. The last bits make up a vector, each other one doubles the vectors.
  void expand_inner(int64_t r) const {
    constexpr int64_t kLaneBits = Simd<T>::kLaneBits;
    constexpr int64_t kInnerBits = CodeSplit<T>::kInnerBits;
    Vector<T> ratios[kInner / kWidth];
    Vector<T> costs[kInner / kWidth];
    ratios[0] = splat<T>(1);
    costs[0] = splat<T>(0);
    const int64_t last = (split.bits - 1) * stride + r;
#pragma GCC unroll 4
    for (int64_t bit = 0; bit < kLaneBits; ++bit) {
      const int64_t at = last - bit * stride;
      const Integers<T> set = lanes_with_bit<T>(bit);
      ratios[0] *= set ? splat(ratio1[at]) : splat(ratio0[at]);
      costs[0] += set ? splat(cost1[at]) : splat(cost0[at]);
    }
#pragma GCC unroll 8
    for (int64_t bit = kLaneBits; bit < kInnerBits; ++bit) {
      const int64_t at = last - bit * stride;
      const int64_t size = int64_t{1} << (bit - kLaneBits);
#pragma GCC unroll 32
      for (int64_t i = 0; i < size; ++i) {
        ratios[size + i] = ratios[i] * ratio1[at];
        ratios[i] *= ratio0[at];
        costs[size + i] = costs[i] + cost1[at];
        costs[i] += cost0[at];
      }
    }
    for (int64_t i = 0; i < kInner / kWidth; ++i) {
      store<T>(ratios[i], inner_ratio + r * kInner + i * kWidth);
      store<T>(costs[i], inner_cost + r * kInner + i * kWidth);
    }
  }
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
