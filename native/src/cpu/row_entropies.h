// The entropies of a block's rows, clamp included: part of the row kernels.
//
// Because probabilities add up to 1, a row's entropy is -S1 - log e * (1 - S0), where S0 sums p and
// S1 sums p log p over the codes with p >= e: those whose cost is within the row's budget. Of an
// outer code, none of the inner codes may be within it, or all, for which the sums are known, or
// some, which are then looked at one by one. The row's own code counts apart: beside its 1 the
// small ratios of a row that is nearly certain would lose their digits, and 1 - S0 all of its.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/row_block.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

template <class T>
class RowEntropies {
 public:
  RowEntropies(const RowBlock<T>& block, Carver& carver)
      : block_(block),
        ratios_(carver.take<T>(block.stride)),
        costs_(carver.take<T>(block.stride)),
        group_ratios_(carver.take<T>(kGroup * block.stride)),
        group_costs_(carver.take<T>(kGroup * block.stride)) {}

  void compute(int64_t rows, double* entropies) {
    std::fill_n(ratios_, block_.stride, T{0});
    std::fill_n(costs_, block_.stride, T{0});
    for (int64_t begin = 0; begin < block_.split.outer(); begin += kGroup) {
      uint64_t outer_of_row[kBlockRows] = {};
      for (int64_t i = 0; i < std::min(kGroup, block_.split.outer() - begin); ++i) {
        for (uint64_t rest = add_outer_code(begin + i, i * block_.stride); rest != 0;
             rest &= rest - 1) {
          outer_of_row[__builtin_ctzll(rest)] |= uint64_t{1} << i;
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        if (outer_of_row[r] != 0) {
          add_inner_codes(r, outer_of_row[r]);
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const double log_largest = block_.log_largest[r];
      const double largest = block_.largest[r];
      // If the own code is below the clamp, all are.
      const double own_codes = block_.budget[r] < 0 ? 0 : block_.own_codes[r];
      const double above = largest * own_codes + largest * ratios_[r];
      const double costs = largest * costs_[r];
      entropies[r] = costs - log_largest * above - kLogEpsilon * (1 - above);
    }
  }

 private:
  static constexpr int64_t kWidth = Simd<T>::kWidth;
  static constexpr int64_t kInner = CodeSplit<T>::kInner;
  // Outer codes that are looked at together, a bit of a word each.
  static constexpr int64_t kGroup = 64;

  // Adds an outer code to the rows all of whose inner codes are within the budget. Returns the rows
  // of which some are, a bit each.
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
      all |= lanes_of<T>(cost + load(block_.inner_max_cost + r) <= budget) << r;
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
    store<T>(load(costs_ + r) + (all ? ratio * inner_costs : splat<T>(0)), costs_ + r);
  }

  // Sums over the inner codes within the budget, in lanes.
  struct Sums {
    Vector<T> ratios;
    Vector<T> costs;
  };

  template <bool kWithoutOwn>
  static Sums sums_within(const T* inner_ratios, const T* inner_costs, T budget) {
    Vector<T> ratios[2] = {};  // so that no addition waits for the last
    Vector<T> costs[2] = {};
    for (int64_t i = 0; i < kInner / kWidth; ++i) {
      const auto cost = load(inner_costs + i * kWidth);
      Vector<T> ratio = cost <= budget ? load(inner_ratios + i * kWidth) : splat<T>(0);
      if constexpr (kWithoutOwn) {
        ratio = cost > 0 ? ratio : splat<T>(0);
      }
      ratios[i % 2] += ratio;
      costs[i % 2] += ratio * cost;
    }
    return {ratios[0] + ratios[1], costs[0] + costs[1]};
  }

  // Of some outer codes of a row, the inner codes within the budget, without the row's own.
  void add_inner_codes(int64_t r, uint64_t outer_codes) {
    const T* const inner_ratios = block_.inner_ratio + r * kInner;
    const T* const inner_costs = block_.inner_cost + r * kInner;
    const T budget = block_.budget[r];
    Vector<T> all_ratios{};
    Vector<T> all_costs{};
    for (; outer_codes != 0; outer_codes &= outer_codes - 1) {
      const int64_t place = __builtin_ctzll(outer_codes) * block_.stride + r;
      const T outer_ratio = group_ratios_[place];
      const T outer_cost = group_costs_[place];
      const Sums sums = outer_cost > 0
                            ? sums_within<false>(inner_ratios, inner_costs, budget - outer_cost)
                            : sums_within<true>(inner_ratios, inner_costs, budget);
      all_ratios += outer_ratio * sums.ratios;
      all_costs += outer_ratio * (sums.costs + outer_cost * sums.ratios);
    }
    ratios_[r] += sum(all_ratios);
    costs_[r] += sum(all_costs);
  }

  const RowBlock<T>& block_;
  T* ratios_;        // sum of p / (largest p) over the codes with p >= e but for the own
  T* costs_;         // the same, times -log(p / (largest p))
  T* group_ratios_;  // [kGroup, stride]: of a group of outer codes
  T* group_costs_;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
