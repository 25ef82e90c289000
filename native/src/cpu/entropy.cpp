#include "cpu/entropy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bsq::cpu {
namespace {

const double kLogEpsilon = std::log(kEpsilon);

// log_probabilities[2^count], as expand_probabilities.
template <class T>
void expand_log_probabilities(const Bit* bits, int64_t count, T* log_probabilities) {
  log_probabilities[0] = 0;
  int64_t size = 1;
  for (int64_t d = count - 1; d >= 0; --d, size *= 2) {
    const auto log_p1 = static_cast<T>(bits[d].log_p1);
    const auto log_p0 = static_cast<T>(bits[d].log_p0);
    for (int64_t i = 0; i < size; ++i) {
      log_probabilities[size + i] = log_probabilities[i] + log_p1;
      log_probabilities[i] += log_p0;
    }
  }
}

}  // namespace

Bit Bit::from_logit(double logit) {
  const double ratio = std::exp(-std::abs(logit));  // of the smaller probability to the larger
  const double larger = 1 / (1 + ratio);
  const double smaller = ratio / (1 + ratio);
  const double log_larger = -std::log1p(ratio);
  const double log_smaller = log_larger - std::abs(logit);
  return logit > 0 ? Bit{larger, smaller, log_larger, log_smaller}
                   : Bit{smaller, larger, log_smaller, log_larger};
}

template <class T>
void expand_probabilities(const Bit* bits, int64_t count, T* probabilities) {
  probabilities[0] = 1;
  int64_t size = 1;
  // From the last bit to the first: each doubles the vector by one block of contiguous products.
  for (int64_t d = count - 1; d >= 0; --d, size *= 2) {
    const auto p1 = static_cast<T>(bits[d].p1);
    const auto p0 = static_cast<T>(bits[d].p0);
    for (int64_t i = 0; i < size; ++i) {
      probabilities[size + i] = probabilities[i] * p1;
      probabilities[i] *= p0;
    }
  }
}

template <class T>
SampleEntropy<T>::Sorted::Sorted(int64_t size)
    : size_(size),
      p_(size, "a row's sorted probabilities"),
      log_p_(size, "a row's sorted probabilities"),
      merged_p_(size, "a row's sorted probabilities"),
      merged_log_p_(size, "a row's sorted probabilities"),
      sum_p_(size + 1, "a row's running sums"),
      sum_p_log_p_(size + 1, "a row's running sums"),
      rest_p_(size + 1, "a row's running sums") {}

// A sorted list times one more bit is the merge of two scaled copies of it, so sorting takes time
// linear in the result.
template <class T>
void SampleEntropy<T>::Sorted::merge_bit(const Bit& bit, int64_t size) {
  // By the logarithms, in whose order the list is: they may differ where p1 == p0.
  const bool one_is_larger = bit.log_p1 > bit.log_p0;
  const auto large = static_cast<T>(one_is_larger ? bit.p1 : bit.p0);
  const auto small = static_cast<T>(one_is_larger ? bit.p0 : bit.p1);
  const auto log_large = static_cast<T>(one_is_larger ? bit.log_p1 : bit.log_p0);
  const auto log_small = static_cast<T>(one_is_larger ? bit.log_p0 : bit.log_p1);
  int64_t i = 0;  // next of the larger copy
  int64_t j = 0;  // next of the smaller copy; never ahead of i
  for (int64_t k = 0; k < 2 * size; ++k) {
    if (i < size && log_p_[i] + log_large >= log_p_[j] + log_small) {
      merged_p_[k] = p_[i] * large;
      merged_log_p_[k] = log_p_[i] + log_large;
      ++i;
    } else {
      merged_p_[k] = p_[j] * small;
      merged_log_p_[k] = log_p_[j] + log_small;
      ++j;
    }
  }
  std::swap(p_, merged_p_);
  std::swap(log_p_, merged_log_p_);
}

template <class T>
void SampleEntropy<T>::Sorted::build(const Bit* bits, int64_t count) {
  p_[0] = 1;
  log_p_[0] = 0;
  for (int64_t d = 0; d < count; ++d) {
    merge_bit(bits[d], int64_t{1} << d);
  }
  sum_p_[0] = 0;
  sum_p_log_p_[0] = 0;
  for (int64_t k = 0; k < size_; ++k) {
    const double p = p_[k];
    sum_p_[k + 1] = sum_p_[k] + p;
    sum_p_log_p_[k + 1] = sum_p_log_p_[k] + p * log_p_[k];
  }
  rest_p_[size_] = 0;
  for (int64_t k = size_ - 1; k >= 0; --k) {
    rest_p_[k] = rest_p_[k + 1] + p_[k];
  }
}

template <class T>
int64_t SampleEntropy<T>::Sorted::count_at_least(T log_threshold) const {
  // At the usual temperatures most elements end here: none of their pairs, or all, reach e.
  if (log_p_[0] < log_threshold) {
    return 0;
  }
  if (log_p_[size_ - 1] >= log_threshold) {
    return size_;
  }
  const T* const begin = log_p_.get();
  return std::partition_point(begin, begin + size_,
                              [log_threshold](T log_p) { return log_p >= log_threshold; }) -
         begin;
}

// Over the pairs q = p r with r in this half: those with q >= e are the k largest r and give
// -p (log p sum r + sum r log r); the others give -log e times their sum.
template <class T>
typename SampleEntropy<T>::Sorted::Share SampleEntropy<T>::Sorted::share(T p, T log_p) const {
  const int64_t k = count_at_least(static_cast<T>(kLogEpsilon) - log_p);
  return {-p * (log_p * sum_p_[k] + sum_p_log_p_[k] + kLogEpsilon * rest_p_[k]), p * sum_p_[k]};
}

template <class T>
SampleEntropy<T>::SampleEntropy(const Halves& halves)
    : halves_(halves),
      sorted_leading_(halves.leading()),
      sorted_trailing_(halves.trailing()),
      log_leading_(halves.leading(), "a row's log-probabilities"),
      log_trailing_(halves.trailing(), "a row's log-probabilities") {}

template <class T>
double SampleEntropy<T>::entropy(const Bit* bits, const T* leading) {
  expand_log_probabilities(bits, halves_.leading_bits, log_leading_.get());
  sorted_trailing_.build(bits + halves_.leading_bits, halves_.trailing_bits);
  double sum = 0;
  for (int64_t i = 0; i < halves_.leading(); ++i) {
    sum += sorted_trailing_.share(leading[i], log_leading_[i]).entropy;
  }
  return sum;
}

template <class T>
void SampleEntropy<T>::gradient_sums(const Bit* bits, const T* leading, const T* trailing,
                                     double* leading_sums, double* trailing_sums) {
  const Bit* const trailing_bits = bits + halves_.leading_bits;
  expand_log_probabilities(bits, halves_.leading_bits, log_leading_.get());
  expand_log_probabilities(trailing_bits, halves_.trailing_bits, log_trailing_.get());
  sorted_leading_.build(bits, halves_.leading_bits);
  sorted_trailing_.build(trailing_bits, halves_.trailing_bits);
  // g = -log max(p, e) - [p >= e], so g p is the entropy's term less p where p >= e.
  for (int64_t i = 0; i < halves_.leading(); ++i) {
    const auto share = sorted_trailing_.share(leading[i], log_leading_[i]);
    leading_sums[i] = share.entropy - share.above;
  }
  for (int64_t j = 0; j < halves_.trailing(); ++j) {
    const auto share = sorted_leading_.share(trailing[j], log_trailing_[j]);
    trailing_sums[j] = share.entropy - share.above;
  }
}

template <class T>
double codebook_entropy(const T* average, int64_t size) {
  return std::accumulate(average, average + size, 0.0, [](double sum, double q) {
    return sum - q * std::log(std::max(q, kEpsilon));
  });
}

template <class T>
void codebook_entropy_gradient(T* average, int64_t size) {
  std::transform(average, average + size, average, [](double q) {
    return static_cast<T>(-std::log(std::max(q, kEpsilon)) - (q >= kEpsilon ? 1 : 0));
  });
}

void logit_gradient(double* sums, const Bit* bits, int64_t count, double* grad_logits) {
  int64_t half = int64_t{1} << count >> 1;
  for (int64_t d = 0; d < count; ++d, half /= 2) {
    const double zeros = std::accumulate(sums, sums + half, 0.0);
    const double ones = std::accumulate(sums + half, sums + 2 * half, 0.0);
    // ones - p1 (ones + zeros), written so that a p1 near 1 cancels nothing.
    grad_logits[d] = bits[d].p0 * ones - bits[d].p1 * zeros;
    for (int64_t i = 0; i < half; ++i) {
      sums[i] += sums[half + i];
    }
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                     \
  template void expand_probabilities(const Bit*, int64_t, T*); \
  template class SampleEntropy<T>;                             \
  template double codebook_entropy(const T*, int64_t);         \
  template void codebook_entropy_gradient(T*, int64_t);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cpu
