// The gradient of the losses with respect to one distribution's bits of a block's rows: part of the
// row kernels.
//
// With g = d(loss)/dp, the derivative by the logit t_d is the sum of g p over the codes whose bit d
// is 1, less sigmoid(t_d) times the sum over all codes. So what is needed of each row are the sums
// of g p over the codes that flip bit d of the row's own code, and over all. All g are taken less a
// constant that no logit sees (entropy_floor.h), so that codes below the floor's cutoff have no
// gradient of their own.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/average.h"
#include "cpu/carver.h"
#include "cpu/entropy_floor.h"
#include "cpu/row_block.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

template <class T>
class RowGradients {
 public:
  RowGradients(const RowBlock<T>& block, Carver& carver)
      : block_(block),
        inner_sums_(carver.take<T>(block.stride * kInner)),
        outer_sums_(carver.take<T>(block.stride * kOuterVectors * kWidth)),
        outer_totals_(carver.take<double>(block.stride)),
        inner_totals_(carver.take<double>(block.stride)),
        flipped_(carver.take<double>(block.split.bits * block.stride)),
        own_outer_(carver.take<int32_t>(block.stride)),
        group_ratios_(carver.take<T>(kGroup * block.stride)),
        group_costs_(carver.take<T>(kGroup * block.stride)) {}

  // grad_unit[bits, stride] += weight * the gradient of sample_weight * entropy +
  // <codebook_gradient, p> by the unit rows.
  void add_to(const Floor& floor, int64_t rows, double logit_scale, double weight,
              double sample_weight, const T* codebook_gradient, double* grad_unit) {
    if (floor.adds) {
      add_up<true>(floor, rows, static_cast<T>(sample_weight), codebook_gradient);
    } else {
      add_up<false>(floor, rows, static_cast<T>(sample_weight), codebook_gradient);
    }
    for (int64_t r = 0; r < block_.stride; r += Simd<double>::kWidth) {
      to_unit(r, weight * logit_scale, grad_unit);
    }
  }

 private:
  static constexpr int64_t kWidth = Simd<T>::kWidth;
  static constexpr int64_t kInner = CodeSplit<T>::kInner;
  static constexpr int64_t kInnerBits = CodeSplit<T>::kInnerBits;
  // Outer codes whose gradients stay in a cache, a bit of a word each.
  static constexpr int64_t kGroup = 64;
  // A lane for each outer bit of the largest code dimension with losses, 24, and one for the total.
  static constexpr int64_t kOuterVectors = (24 - kInnerBits + 1 + kWidth - 1) / kWidth;

  template <bool kAdds>
  void add_up(const Floor& floor, int64_t rows, T sample_weight, const T* codebook_gradient) {
    clear();
    for (int64_t begin = 0; begin < block_.split.outer(); begin += kGroup) {
      const int64_t end = std::min(begin + kGroup, block_.split.outer());
      uint64_t outer_of_row[kBlockRows] = {};
      find_outer_codes(begin, end, outer_of_row);
      for (int64_t r = 0; r < rows; ++r) {
        if (block_.split.outer_bits < kWidth) {
          add_outer_codes<kAdds, 1>(floor, r, begin, outer_of_row[r], sample_weight,
                                    codebook_gradient);
        } else {
          add_outer_codes<kAdds, kOuterVectors>(floor, r, begin, outer_of_row[r], sample_weight,
                                                codebook_gradient);
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      sum_inner(r);
      sum_outer(r);
    }
  }

  void clear() {
    std::fill_n(inner_sums_, block_.stride * kInner, T{0});
    std::fill_n(outer_sums_, block_.stride * kOuterVectors * kWidth, T{0});
    for (int64_t r = 0; r < block_.stride; ++r) {
      int32_t own = 0;
      for (int64_t d = 0; d < block_.split.outer_bits; ++d) {
        own = own * 2 + static_cast<int32_t>(block_.unit[d * block_.stride + r] > 0);
      }
      own_outer_[r] = own;
    }
  }

  // The ratios and costs of the outer codes [begin, end), and for each row which of them are not
  // negligible.
  void find_outer_codes(int64_t begin, int64_t end, uint64_t* outer_of_row) const {
    const T cutoff = negligible<T>(block_.split.bits);
    const int64_t stride = block_.stride;
    for (int64_t outer = begin; outer < end; ++outer) {
      T* const ratios = group_ratios_ + (outer - begin) * stride;
      block_.expand_outer_code(outer, ratios, group_costs_ + (outer - begin) * stride);
      uint64_t rows = 0;
      for (int64_t r = 0; r < stride; r += kWidth) {
        rows |= lanes_of<T>(load(ratios + r) >= cutoff) << r;
      }
      for (; rows != 0; rows &= rows - 1) {
        outer_of_row[__builtin_ctzll(rows)] |= uint64_t{1} << (outer - begin);
      }
    }
  }

  // Adds g p of a row's outer codes to the sums by inner codes, and the sums over the inner codes
  // to those by outer bits; all relative to the row's largest p.
  template <bool kAdds, int64_t kVectors>
  void add_outer_codes(const Floor& floor, int64_t r, int64_t begin, uint64_t outer_codes,
                       T sample_weight, const T* codebook_gradient) {
    const T* const inner_ratio = block_.inner_ratio + r * kInner;
    const T* const inner_cost = block_.inner_cost + r * kInner;
    T* const inner_sums = inner_sums_ + r * kInner;
    OuterSums<kVectors> outer_sums(outer_sums_ + r * kOuterVectors * kWidth);
    const T* const ratios = group_ratios_ + r;
    const T* const costs = group_costs_ + r;
    const int64_t stride = block_.stride;
    const T budget = block_.budget[r];
    const auto largest = static_cast<T>(block_.largest[r]);
    const auto own_code = static_cast<T>(floor.log_epsilon - 1 - block_.log_largest[r]);
    const int64_t own_outer = own_outer_[r] ^ begin;
    const int64_t always = int64_t{1} << block_.split.outer_bits;
    for (int64_t first = 0; first < kInner; first += kRegisterSums * kWidth) {
      Vector<T> sums[kRegisterSums];
      for (int64_t i = 0; i < kRegisterSums; ++i) {
        sums[i] = load(inner_sums + first + i * kWidth);
      }
      for (uint64_t rest = outer_codes; rest != 0; rest &= rest - 1) {
        const int64_t outer = __builtin_ctzll(rest);
        const T ratio = ratios[outer * stride];
        const T cost = costs[outer * stride];
        const T* const gradient = codebook_gradient + (begin + outer) * kInner + first;
        Vector<T> total;
        if (cost > budget) {
          total = add_registers(inner_ratio + first, ratio, sums,
                                [&](int64_t i) { return load(gradient + i); });
        } else if constexpr (kAdds) {
          const T outer_largest = largest * ratio;
          total = add_registers(inner_ratio + first, ratio, sums, [&](int64_t i) {
            const Vector<T> p = load(inner_ratio + first + i) * outer_largest;
            return load(gradient + i) + sample_weight * floor.gradient_added<T>(p);
          });
        } else {  // the row's entropy: g = log e - 1 - log p where p >= e
          const T offset = sample_weight * (own_code + cost);
          const T inner_budget = budget - cost;
          total = add_registers(inner_ratio + first, ratio, sums, [&](int64_t i) {
            const auto inner = load(inner_cost + first + i);
            return load(gradient + i) +
                   (inner <= inner_budget ? inner * sample_weight + offset : splat<T>(0));
          });
        }
        outer_sums.add((outer ^ own_outer) | always, ratio * sum(total));
      }
      for (int64_t i = 0; i < kRegisterSums; ++i) {
        store<T>(sums[i], inner_sums + first + i * kWidth);
      }
    }
  }

  // Of an outer code with this ratio, adds g * ratio to the sums of as many inner codes as
  // registers hold. Returns their sum of g * inner ratio, in lanes.
  template <class Gradient>
  static Vector<T> add_registers(const T* inner_ratios, T ratio, Vector<T>* sums,
                                 const Gradient& gradient_at) {
    Vector<T> totals[2] = {};  // so that no addition waits for the last
    for (int64_t i = 0; i < kRegisterSums; ++i) {
      const Vector<T> g = gradient_at(i * kWidth);
      totals[i % 2] += g * load(inner_ratios + i * kWidth);
      sums[i] += g * ratio;
    }
    return totals[0] + totals[1];
  }

  // Sums of numbers for each bit, kept in registers as long as it lives.
  template <int64_t kVectors>
  class OuterSums {
   public:
    explicit OuterSums(T* memory) : memory_(memory) {
      for (int64_t i = 0; i < kVectors; ++i) {
        sums_[i] = load(memory + i * kWidth);
      }
    }
    ~OuterSums() {
      for (int64_t i = 0; i < kVectors; ++i) {
        store<T>(sums_[i], memory_ + i * kWidth);
      }
    }
    OuterSums(const OuterSums&) = delete;
    OuterSums& operator=(const OuterSums&) = delete;
    OuterSums(OuterSums&&) = delete;
    OuterSums& operator=(OuterSums&&) = delete;

    // Adds the value to the sum of each bit that is set, the last bit being the first.
    void add(int64_t bits, T value) {
      for (int64_t i = 0; i < kVectors; ++i) {
        const Integers<T> lane_bits = splat_integer<T>(1)
                                      << (lane_numbers<T>() + splat_integer<T>(i * kWidth));
        const Integers<T> set = (splat_integer<T>(bits) & lane_bits) != 0;
        sums_[i] += set ? splat(value) : splat<T>(0);
      }
    }

   private:
    T* memory_;
    Vector<T> sums_[kVectors];
  };

  void sum_outer(int64_t r) {
    const T* const sums = outer_sums_ + r * kOuterVectors * kWidth;
    const int64_t bits = block_.split.outer_bits;
    for (int64_t d = 0; d < bits; ++d) {
      flipped_[d * block_.stride + r] = sums[bits - 1 - d];
    }
    outer_totals_[r] = sums[bits];
  }

  void sum_inner(int64_t r) {
    const T* const ratios = block_.inner_ratio + r * kInner;
    T* const sums = inner_sums_ + r * kInner;
    for (int64_t i = 0; i < kInner; i += kWidth) {
      store<T>(load(sums + i) * load(ratios + i), sums + i);
    }
    int64_t bit = kInnerBits - 1;
    for (; bit >= Simd<T>::kLaneBits; --bit) {
      const int64_t half = int64_t{1} << bit;
      Vector<T> zeros{};
      Vector<T> ones{};
      for (int64_t i = 0; i < half; i += kWidth) {
        const auto zero = load(sums + i);
        const auto one = load(sums + half + i);
        zeros += zero;
        ones += one;
        store<T>(zero + one, sums + i);
      }
      set_inner_flips(r, bit, zeros, ones);
    }
    const auto last = load(sums);
    for (; bit >= 0; --bit) {
      const Integers<T> set = lanes_with_bit<T>(bit);
      set_inner_flips(r, bit, set ? splat<T>(0) : last, set ? last : splat<T>(0));
    }
    inner_totals_[r] = sum(last);
  }

  void set_inner_flips(int64_t r, int64_t bit, Vector<T> zeros, Vector<T> ones) {
    const int64_t at = (block_.split.bits - 1 - bit) * block_.stride + r;
    flipped_[at] = sum(block_.unit[at] > 0 ? zeros : ones);
  }

  // From the sums over the codes that flip a bit to the gradient by the unit rows.
  void to_unit(int64_t r, double weight, double* grad_unit) const {
    const Vector<double> scale = load(block_.largest + r) * weight;
    const auto outer_total = load(outer_totals_ + r);
    const auto inner_total = load(inner_totals_ + r);
    for (int64_t d = 0; d < block_.split.bits; ++d) {
      const int64_t at = d * block_.stride + r;
      const auto flipped = load(flipped_ + at);
      const Vector<double> kept =
          (d < block_.split.outer_bits ? outer_total : inner_total) - flipped;
      const Integers<double> one = load(block_.unit + at) > 0;
      const Vector<double> ratio =
          one ? load_converted(block_.ratio0 + at) : load_converted(block_.ratio1 + at);
      const Vector<double> by_magnitude = scale * (ratio * kept - flipped) / (1 + ratio);
      store<double>(load(grad_unit + at) + (one ? by_magnitude : -by_magnitude), grad_unit + at);
    }
  }

  const RowBlock<T>& block_;
  T* inner_sums_;  // [stride, kInner]: of g p over the outer codes, less the own factor
  T* outer_sums_;  // [stride, lanes]: of g p where a bit is flipped, the last first; then over all
  double* outer_totals_;  // of g p over all codes, by either way
  double* inner_totals_;
  double* flipped_;  // [bits, stride]: of g p where the bit is flipped
  int32_t* own_outer_;
  T* group_ratios_;  // [kGroup, stride]: of a group of outer codes
  T* group_costs_;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
