// One distribution of each row of a block that has few codes: part of the row kernels.
//
// Of few codes, nothing is worth leaving out: all 2^bits probabilities of a row are computed, as
// products of those of the leading half of the bits and of the trailing half. Rows are lanes
// throughout, so that nothing is summed across a vector.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "cpu/carver.h"
#include "cpu/code_split.h"
#include "cpu/entropy_floor.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Arrays are [what, stride], rows being lanes. index = leading * 2^trailing_bits + trailing.
template <class T>
class DenseGroup {
 public:
  DenseGroup(int64_t bits, int64_t lanes, Carver& carver)
      : bits_(bits),
        leading_bits_(bits / 2),
        leading_(int64_t{1} << leading_bits_),
        trailing_(int64_t{1} << (bits - leading_bits_)),
        stride_(lanes),
        logit_(carver.take<T>(bits_ * stride_)),
        ratio_(carver.take<T>(bits_ * stride_)),
        one_(carver.take<T>(bits_ * stride_)),
        zero_(carver.take<T>(bits_ * stride_)),
        log_sum_(carver.take<T>(stride_)),
        leading_p_(carver.take<T>(leading_ * stride_)),
        leading_cost_(carver.take<T>(leading_ * stride_)),
        trailing_p_(carver.take<T>(trailing_ * stride_)),
        trailing_cost_(carver.take<T>(trailing_ * stride_)) {}

  // From the unit rows' components, [bits, stride]. Only clamped entropies need the costs.
  void prepare(const double* unit, int64_t rows, double logit_scale, bool costs) {
    for (int64_t r = 0; r < stride_; r += kDoubles) {
      find_ratios(unit, r, logit_scale);
    }
    for (int64_t r = 0; r < stride_; r += kWidth) {
      for (int64_t at = r; at < bits_ * stride_; at += stride_) {
        const auto ratio = load(ratio_ + at);
        const Integers<T> is_one = load(logit_ + at) > 0;
        const Vector<T> kept = 1 / (1 + ratio);
        const Vector<T> flipped = ratio * kept;
        store<T>(is_one ? kept : flipped, one_ + at);
        store<T>(is_one ? flipped : kept, zero_ + at);
      }
      expand(0, leading_bits_, r, leading_p_);
      expand(leading_bits_, bits_ - leading_bits_, r, trailing_p_);
      if (costs) {
        // -log p of the row's own code, which costs nothing else.
        expand_costs(0, leading_bits_, r, load(log_sum_ + r), leading_cost_);
        expand_costs(leading_bits_, bits_ - leading_bits_, r, splat<T>(0), trailing_cost_);
      }
    }
    // The lanes that fill up the vectors hold no rows.
    for (int64_t i = 0; i < leading_ * stride_; i += stride_) {
      std::fill(leading_p_ + i + rows, leading_p_ + i + stride_, T{0});
    }
  }

  // Adds to entropies[stride].
  void add_entropies(const Floor& floor, double* entropies) const {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      if (floor.adds) {
        add_entropies<true>(floor, r, entropies);
      } else {
        add_entropies<false>(floor, r, entropies);
      }
    }
  }

  // Adds the rows' probabilities to sums[2^bits].
  void add_distributions(double* sums) const {
    if (stride_ == kBlockRows) {  // known to the compiler, which then keeps a row of factors
      add_distributions(kBlockRows, sums);
    } else {
      add_distributions(stride_, sums);
    }
  }

  // grad_unit[bits, stride] += weight * the gradient of sample_weight * entropy +
  // <codebook_gradient, p> by the unit rows.
  void add_gradient(const Floor& floor, double logit_scale, double weight, double sample_weight,
                    const T* codebook_gradient, double* grad_unit) const {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      Vector<T> leading_sums[kMaxHalf];
      Vector<T> trailing_sums[kMaxHalf];
      if (floor.adds) {
        sum_gradients<true>(floor, r, static_cast<T>(sample_weight), codebook_gradient,
                            leading_sums, trailing_sums);
      } else {
        sum_gradients<false>(floor, r, static_cast<T>(sample_weight), codebook_gradient,
                             leading_sums, trailing_sums);
      }
      add_bits(0, leading_bits_, r, weight * logit_scale, leading_sums, grad_unit);
      add_bits(leading_bits_, bits_ - leading_bits_, r, weight * logit_scale, trailing_sums,
               grad_unit);
    }
  }

 private:
  static constexpr int64_t kWidth = Simd<T>::kWidth;
  static constexpr int64_t kDoubles = Simd<double>::kWidth;
  static constexpr int kExpTerms = std::is_same_v<T, double> ? 13 : 9;
  static constexpr int64_t kMaxHalf = int64_t{1} << ((kMaxDenseBits + 1) / 2);

  // A cost beyond that of any floor.
  static constexpr double kNever = 1e30;

  // The elementary functions are computed in double, since an error of a large logit is a relative
  // error of its probability. The ratios are those to the row's own bit: see row_block.h.
  void find_ratios(const double* unit, int64_t r, double logit_scale) const {
    Vector<double> sum = splat(1.0);  // of the ratios to the largest probability
    for (int64_t at = r; at < bits_ * stride_; at += stride_) {
      const Vector<double> t = load(unit + at) * logit_scale;
      const Vector<double> magnitude = t < 0 ? -t : t;
      const Vector<double> ratio = exp_negative<double, kExpTerms>(magnitude);
      sum *= 1 + ratio;
      const Vector<double> largest = t < 0 ? splat(-kNever) : splat(kNever);
      store_converted(magnitude < kNever ? t : largest, logit_ + at);
      store_converted(ratio, ratio_ + at);
    }
    store_converted(log<double>(sum), log_sum_ + r);
  }

  // The probabilities of `count` bits from `first` on.
  void expand(int64_t first, int64_t count, int64_t r, T* p) const {
    store<T>(splat<T>(1), p + r);
    // From the last bit to the first: each doubles the codes.
    int64_t size = stride_;
    for (int64_t d = first + count - 1; d >= first; --d, size *= 2) {
      const auto one = load(one_ + d * stride_ + r);
      const auto zero = load(zero_ + d * stride_ + r);
      for (int64_t i = r; i < size; i += stride_) {
        const auto before = load(p + i);
        store<T>(before * one, p + size + i);
        store<T>(before * zero, p + i);
      }
    }
  }

  // How much smaller log p is than with the row's own bits, and `least` more.
  void expand_costs(int64_t first, int64_t count, int64_t r, Vector<T> least, T* costs) const {
    store<T>(least, costs + r);
    int64_t size = stride_;
    for (int64_t d = first + count - 1; d >= first; --d, size *= 2) {
      const auto logit = load(logit_ + d * stride_ + r);
      const Vector<T> cost1 = logit > 0 ? splat<T>(0) : -logit;
      const Vector<T> cost0 = logit > 0 ? logit : splat<T>(0);
      for (int64_t i = r; i < size; i += stride_) {
        const auto before = load(costs + i);
        store<T>(before + cost1, costs + size + i);
        store<T>(before + cost0, costs + i);
      }
    }
  }

  void add_distributions(int64_t stride, double* sums) const {
    for (int64_t i = 0; i < leading_; ++i) {
      const T* const leading_p = leading_p_ + i * stride;
      int64_t j = 0;
      for (; j + kWidth <= trailing_; j += kWidth) {
        Vector<T> totals[kWidth];
        for (int64_t k = 0; k < kWidth; ++k) {
          totals[k] = product(leading_p, trailing_p_ + (j + k) * stride, stride);
        }
        add_converted(sums_of<T>(totals), 1, sums + i * trailing_ + j);
      }
      for (; j < trailing_; ++j) {
        sums[i * trailing_ + j] += sum(product(leading_p, trailing_p_ + j * stride, stride));
      }
    }
  }

  // The sum of the products of rows, in lanes.
  static Vector<T> product(const T* a, const T* b, int64_t stride) {
    Vector<T> total{};
    for (int64_t r = 0; r < stride; r += kWidth) {
      total += load(a + r) * load(b + r);
    }
    return total;
  }

  template <bool kAdds>
  void add_entropies(const Floor& floor, int64_t r, double* entropies) const {
    const auto greatest = splat(static_cast<T>(-floor.log_epsilon));
    for (int64_t i = 0; i < leading_; ++i) {
      const auto leading_p = load(leading_p_ + i * stride_ + r);
      if constexpr (kAdds) {
        Vector<T> part{};  // in float32 a sum of many loses digits
        for (int64_t j = 0; j < trailing_; ++j) {
          const Vector<T> p = leading_p * load(trailing_p_ + j * stride_ + r);
          part += p * floor.loss_added<T>(p);
        }
        add_converted(part, 1, entropies + r);
      } else {
        const auto leading_cost = load(leading_cost_ + i * stride_ + r);
        Vector<T> part = greatest;  // where no code reaches the floor: the trailing p add up to 1
        if (lanes_of<T>(leading_cost <= greatest) != 0) {
          part = splat<T>(0);
          for (int64_t j = 0; j < trailing_; ++j) {
            const Vector<T> cost = leading_cost + load(trailing_cost_ + j * stride_ + r);
            part += load(trailing_p_ + j * stride_ + r) * (cost < greatest ? cost : greatest);
          }
        }
        add_converted(leading_p * part, 1, entropies + r);
      }
    }
  }

  // The sums of g p over the codes of each element of a half, with g = sample_weight *
  // d(entropy)/dp
  // + codebook_gradient.
  template <bool kAdds>
  void sum_gradients(const Floor& floor, int64_t r, T sample_weight, const T* codebook_gradient,
                     Vector<T>* leading_sums, Vector<T>* trailing_sums) const {
    const auto greatest = splat(static_cast<T>(-floor.log_epsilon));
    std::fill_n(trailing_sums, trailing_, Vector<T>{});
    for (int64_t i = 0; i < leading_; ++i, codebook_gradient += trailing_) {
      const auto leading_p = load(leading_p_ + i * stride_ + r);
      // Each half's sums less its own p, which comes at the end.
      Vector<T> sum{};
      const auto add = [&](int64_t j, Vector<T> g) {
        sum += g * load(trailing_p_ + j * stride_ + r);
        trailing_sums[j] += g * leading_p;
      };
      if constexpr (kAdds) {
        for (int64_t j = 0; j < trailing_; ++j) {
          const Vector<T> p = leading_p * load(trailing_p_ + j * stride_ + r);
          add(j, floor.gradient_added<T>(p) * sample_weight + codebook_gradient[j]);
        }
      } else {
        const auto leading_cost = load(leading_cost_ + i * stride_ + r);
        if (lanes_of<T>(leading_cost <= greatest) == 0) {  // no code reaches the floor
          for (int64_t j = 0; j < trailing_; ++j) {
            add(j, splat(codebook_gradient[j]));
          }
        } else {  // -log p - 1 + log e where p >= e, otherwise 0
          for (int64_t j = 0; j < trailing_; ++j) {
            const Vector<T> cost = leading_cost + load(trailing_cost_ + j * stride_ + r);
            const Vector<T> own = cost <= greatest ? cost - (greatest + 1) : splat<T>(0);
            add(j, own * sample_weight + codebook_gradient[j]);
          }
        }
      }
      leading_sums[i] = sum * leading_p;
    }
    for (int64_t j = 0; j < trailing_; ++j) {
      trailing_sums[j] *= load(trailing_p_ + j * stride_ + r);
    }
  }

  // From the sums over the codes of `count` bits from `first` on to the gradient by the unit rows:
  // for each bit, p(0) * (the sum over the codes with 1) - p(1) * (the sum over those with 0).
  void add_bits(int64_t first, int64_t count, int64_t r, double weight, Vector<T>* sums,
                double* grad_unit) const {
    int64_t half = (int64_t{1} << count) / 2;
    for (int64_t d = first; d < first + count; ++d, half /= 2) {
      Vector<T> zeros{};
      Vector<T> ones{};
      for (int64_t i = 0; i < half; ++i) {
        zeros += sums[i];
        ones += sums[half + i];
        sums[i] += sums[half + i];
      }
      const int64_t at = d * stride_ + r;
      add_converted(load(zero_ + at) * ones - load(one_ + at) * zeros, weight, grad_unit + at);
    }
  }

  int64_t bits_;
  int64_t leading_bits_;
  int64_t leading_;
  int64_t trailing_;
  int64_t stride_;
  T* logit_;         // [bits]
  T* ratio_;         // [bits]: of the probabilities of the other bit and the row's own
  T* one_;           // [bits]: the probability of being 1
  T* zero_;          // ... and 0
  T* log_sum_;       // -log of the largest probability
  T* leading_p_;     // [leading]
  T* leading_cost_;  // -log p
  T* trailing_p_;    // [trailing]
  T* trailing_cost_;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
