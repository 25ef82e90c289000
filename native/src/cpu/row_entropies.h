// The entropies of a block's rows, clamp included: part of the row kernels.
//
// Because probabilities add up to 1, a row's entropy is -S1 - log e * (1 - S0), where S0 sums p and
// S1 sums p log p over the codes with p >= e: those whose cost is within the row's budget. Of an
// outer code, none of the inner codes may be within it, or all, for which the sums are known, or
// some, which are then looked at one by one.
#pragma once

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
        partial_ratios_(carver.take<T>(block.stride * kWidth)),
        partial_costs_(carver.take<T>(block.stride * kWidth)) {}

  void compute(int64_t rows, double* entropies) {
    clear();
    for (int64_t outer = 0; outer < block_.split.outer(); ++outer) {
      add_outer_code(block_.leading_of(outer), block_.middle_of(outer));
    }
    for (int64_t r = 0; r < rows; ++r) {
      const double log_largest = block_.log_largest[r];
      const double largest = block_.largest[r];
      const double above = largest * (ratios_[r] + sum(load(partial_ratios_ + r * kWidth)));
      const double costs = largest * (costs_[r] + sum(load(partial_costs_ + r * kWidth)));
      entropies[r] = costs - log_largest * above - kLogEpsilon * (1 - above);
    }
  }

 private:
  static constexpr int64_t kWidth = Simd<T>::kWidth;

  void clear() {
    for (int64_t r = 0; r < block_.stride; ++r) {
      ratios_[r] = costs_[r] = 0;
      store<T>(splat<T>(0), partial_ratios_ + r * kWidth);
      store<T>(splat<T>(0), partial_costs_ + r * kWidth);
    }
  }

  // An outer code, given by its places in the leading and the middle arrays.
  void add_outer_code(int64_t leading, int64_t middle) {
    alignas(kVectorBytes) T outer_ratios[kBlockRows];
    alignas(kVectorBytes) T outer_costs[kBlockRows];
    uint64_t some = 0;  // the rows of which some inner codes are within the budget
    uint64_t all = 0;
    for (int64_t r = 0; r < block_.stride; r += kWidth) {
      const Vector<T> cost =
          load(block_.leading_cost + leading + r) + load(block_.middle_cost + middle + r);
      const auto budget = load(block_.budget + r);
      store<T>(cost, outer_costs + r);
      store<T>(load(block_.leading_ratio + leading + r) * load(block_.middle_ratio + middle + r),
               outer_ratios + r);
      some |= lanes_of<T>(cost <= budget) << r;
      all |= lanes_of<T>(cost + load(block_.inner_max_cost + r) <= budget) << r;
    }
    if (all != 0) {
      for (int64_t r = 0; r < block_.stride; r += kWidth) {
        add_all_inner_codes(r, load(outer_ratios + r), load(outer_costs + r));
      }
    }
    for (uint64_t rest = some & ~all; rest != 0; rest &= rest - 1) {
      const int64_t r = __builtin_ctzll(rest);
      add_inner_codes(r, outer_ratios[r], outer_costs[r]);
    }
  }

  // Of the rows from r on, which fill a vector, those all of whose inner codes are within it.
  void add_all_inner_codes(int64_t r, Vector<T> ratio, Vector<T> cost) {
    const Integers<T> all = cost + load(block_.inner_max_cost + r) <= load(block_.budget + r);
    const auto inner = load(block_.inner_ratio_sum + r);
    const Vector<T> inner_costs = load(block_.inner_weighted_cost + r) + cost * inner;
    store<T>(load(ratios_ + r) + (all ? ratio * inner : splat<T>(0)), ratios_ + r);
    store<T>(load(costs_ + r) + (all ? ratio * inner_costs : splat<T>(0)), costs_ + r);
  }

  // Those within the budget.
  void add_inner_codes(int64_t r, T outer_ratio, T outer_cost) {
    const T* const inner_ratio = block_.inner_ratio + r * RowBlock<T>::kInner;
    const T* const inner_cost = block_.inner_cost + r * RowBlock<T>::kInner;
    const T rest = block_.budget[r] - outer_cost;
    Vector<T> ratios{};
    Vector<T> costs{};
    for (int64_t i = 0; i < RowBlock<T>::kInner; i += kWidth) {
      const auto cost = load(inner_cost + i);
      const Vector<T> ratio = cost <= rest ? load(inner_ratio + i) : splat<T>(0);
      ratios += ratio;
      costs += ratio * cost;
    }
    T* const row_ratios = partial_ratios_ + r * kWidth;
    T* const row_costs = partial_costs_ + r * kWidth;
    store<T>(load(row_ratios) + outer_ratio * ratios, row_ratios);
    store<T>(load(row_costs) + outer_ratio * (costs + outer_cost * ratios), row_costs);
  }

  const RowBlock<T>& block_;
  T* ratios_;          // sum of p / (largest p) over the outer codes all of whose codes have p >= e
  T* costs_;           // the same, times -log(p / (largest p))
  T* partial_ratios_;  // [stride, kWidth], to be summed: over the others
  T* partial_costs_;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
