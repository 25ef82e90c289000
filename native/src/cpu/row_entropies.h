// The entropies of a block's rows in one distribution, floor included: part of the row kernels.
//
// Because probabilities add up to 1, a row's entropy is S1 - log e * (1 - S0), where S0 sums p and
// S1 sums p * loss(p) over the codes with p >= the floor's cutoff: those whose cost is within the
// row's budget. For log max(p, e), loss(p) = -log p, a sum of costs. Of an outer code, none of the
// inner codes may be within the budget, or all, for which the sums are then known, or some, which
// are looked at one by one. For log(p + e) the logarithm is taken of each. The row's own code
// counts apart: beside its 1 the small ratios of a row that is nearly certain would lose their
// digits, and 1 - S0 all of its.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/carver.h"
#include "cpu/entropy_floor.h"
#include "cpu/row_block.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

template <class T>
class RowEntropies {
 public:
  RowEntropies(const RowBlock<T>& block, Carver& carver)
      : block_(block),
        all_ratios_(carver.take<double>(block.stride)),
        all_losses_(carver.take<double>(block.stride)),
        ratios_(carver.take<T>(block.stride)),
        losses_(carver.take<T>(block.stride)),
        group_ratios_(carver.take<T>(kGroup * block.stride)),
        group_costs_(carver.take<T>(kGroup * block.stride)) {}

  // Adds to entropies[rows].
  void add_to(const Floor& floor, int64_t rows, double* entropies) {
    if (floor.adds) {
      add_up<true>(floor, rows);
    } else {
      add_up<false>(floor, rows);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const double largest = block_.largest[r];
      // If the own code is below the cutoff, all are.
      const double own = largest * (block_.budget[r] < 0 ? 0 : block_.own_codes[r]);
      const double rest = largest * all_ratios_[r];
      const double own_log = floor.adds ? std::log(largest + floor.epsilon) : block_.log_largest[r];
      // Of the rest, losses are relative to the largest probability without a floor.
      const double rest_log = floor.adds ? 0 : block_.log_largest[r];
      entropies[r] += largest * all_losses_[r] - own_log * own - rest_log * rest -
                      floor.log_epsilon * (1 - (own + rest));
    }
  }

 private:
  static constexpr int64_t kWidth = Simd<T>::kWidth;
  static constexpr int64_t kInner = CodeSplit<T>::kInner;
  // Outer codes that are looked at together, a bit of a word each.
  static constexpr int64_t kGroup = 64;

  template <bool kAdds>
  void add_up(const Floor& floor, int64_t rows) {
    std::fill_n(all_ratios_, block_.stride, 0.0);
    std::fill_n(all_losses_, block_.stride, 0.0);
    for (int64_t begin = 0; begin < block_.split.outer(); begin += kGroup) {
      std::fill_n(ratios_, block_.stride, T{0});
      std::fill_n(losses_, block_.stride, T{0});
      uint64_t outer_of_row[kBlockRows] = {};
      for (int64_t i = 0; i < std::min(kGroup, block_.split.outer() - begin); ++i) {
        for (uint64_t rest = add_outer_code<kAdds>(begin + i, i * block_.stride); rest != 0;
             rest &= rest - 1) {
          outer_of_row[__builtin_ctzll(rest)] |= uint64_t{1} << i;
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        if (outer_of_row[r] != 0) {
          add_inner_codes<kAdds>(floor, r, outer_of_row[r]);
        }
        // There may be too many outer codes to add them up in float32.
        all_ratios_[r] += ratios_[r];
        all_losses_[r] += losses_[r];
      }
    }
  }

  // Adds an outer code to the rows all of whose inner codes are within the budget. Returns the rows
  // of which some are, a bit each.
  template <bool kAdds>
  uint64_t add_outer_code(int64_t outer, int64_t place) {
    T* const outer_ratios = group_ratios_ + place;
    T* const outer_costs = group_costs_ + place;
    block_.expand_outer_code(outer, outer_ratios, outer_costs);
    uint64_t some = 0;
    uint64_t all = 0;
    for (int64_t r = 0; r < block_.stride; r += kWidth) {
      const auto cost = load(outer_costs + r);
      const auto budget = load(block_.budget + r);
      some |= lanes_of<T>(cost <= budget) << r;
      if constexpr (!kAdds) {
        all |= lanes_of<T>(cost + load(block_.inner_max_cost + r) <= budget) << r;
      }
    }
    if (all != 0) {
      for (int64_t r = 0; r < block_.stride; r += kWidth) {
        add_all_inner_codes(r, load(outer_ratios + r), load(outer_costs + r));
      }
    }
    return some & ~all;
  }

  // Of the rows from r on, which fill a vector, those all of whose inner codes are within it.
  void add_all_inner_codes(int64_t r, Vector<T> ratio, Vector<T> cost) {
    const Integers<T> all = cost + load(block_.inner_max_cost + r) <= load(block_.budget + r);
    const Vector<T> own = cost > 0 ? load(block_.inner_own_codes + r) : splat<T>(0);
    const Vector<T> inner = load(block_.inner_ratio_sum + r) + own;
    const Vector<T> inner_costs = load(block_.inner_weighted_cost + r) + cost * inner;
    store<T>(load(ratios_ + r) + (all ? ratio * inner : splat<T>(0)), ratios_ + r);
    store<T>(load(losses_ + r) + (all ? ratio * inner_costs : splat<T>(0)), losses_ + r);
  }

  // Sums over the inner codes of an outer one that are within the budget, in lanes.
  struct Sums {
    Vector<T> ratios;
    Vector<T> losses;  // the ratios times the inner costs; with kAdds, times loss(p)
  };

  // `largest` is the outer code's largest p.
  template <bool kAdds, bool kWithoutOwn>
  static Sums sums_within(const Floor& floor, const T* inner_ratios, const T* inner_costs, T budget,
                          T largest) {
    Vector<T> ratios[2] = {};  // so that no addition waits for the last
    Vector<T> losses[2] = {};
    for (int64_t i = 0; i < kInner / kWidth; ++i) {
      const auto cost = load(inner_costs + i * kWidth);
      Vector<T> ratio = cost <= budget ? load(inner_ratios + i * kWidth) : splat<T>(0);
      if constexpr (kWithoutOwn) {
        ratio = cost > 0 ? ratio : splat<T>(0);
      }
      ratios[i % 2] += ratio;
      if constexpr (kAdds) {
        losses[i % 2] += ratio * floor.loss_added<T>(ratio * largest);
      } else {
        losses[i % 2] += ratio * cost;
      }
    }
    return {ratios[0] + ratios[1], losses[0] + losses[1]};
  }

  // Of some outer codes of a row, the inner codes within the budget, without the row's own.
  template <bool kAdds>
  void add_inner_codes(const Floor& floor, int64_t r, uint64_t outer_codes) {
    const T* const inner_ratios = block_.inner_ratio + r * kInner;
    const T* const inner_costs = block_.inner_cost + r * kInner;
    const T budget = block_.budget[r];
    const auto largest = static_cast<T>(block_.largest[r]);
    Vector<T> all_ratios{};
    Vector<T> all_losses{};
    for (; outer_codes != 0; outer_codes &= outer_codes - 1) {
      const int64_t place = __builtin_ctzll(outer_codes) * block_.stride + r;
      const T outer_ratio = group_ratios_[place];
      const T outer_cost = group_costs_[place];
      const Sums sums = outer_cost > 0
                            ? sums_within<kAdds, false>(floor, inner_ratios, inner_costs,
                                                        budget - outer_cost, largest * outer_ratio)
                            : sums_within<kAdds, true>(floor, inner_ratios, inner_costs, budget,
                                                       largest * outer_ratio);
      all_ratios += outer_ratio * sums.ratios;
      if constexpr (kAdds) {
        all_losses += outer_ratio * sums.losses;
      } else {
        all_losses += outer_ratio * (sums.losses + outer_cost * sums.ratios);
      }
    }
    ratios_[r] += sum(all_ratios);
    losses_[r] += sum(all_losses);
  }

  const RowBlock<T>& block_;
  double* all_ratios_;  // sum of p / (largest p) over the codes within the budget but for the own
  double* all_losses_;  // the same, times -log(p / (largest p)), or with kAdds times loss(p)
  T* ratios_;           // [stride] both, of a group of outer codes
  T* losses_;
  T* group_ratios_;  // [kGroup, stride]: of a group of outer codes
  T* group_costs_;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
