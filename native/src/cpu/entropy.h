// The entropy of softmax_c(2 beta u.c) over the 2^D codes of the hypercube, without the codebook.
//
// The softmax factorises into one sigmoid per bit: with the logit t_d = 4 beta u_d / sqrt(D),
// p(c|u) = prod_d sigmoid(+-t_d). So a row's 2^D probabilities are the outer product of two short
// vectors, one over the leading and one over the trailing bits, in index order:
// p[i * 2^b + j] = leading[i] * trailing[j]. The entropy's clamp at e needs the pairs whose product
// is at least e: with one vector sorted these are a prefix for each element of the other, and
// prefix sums give their share of the entropy. All of it is exact.
#pragma once

#include <cstdint>

#include "aligned_buffer.h"
#include "formula.h"

namespace bsq::cpu {

// One bit's probabilities of being 1 and 0, and their logarithms, which stay finite.
struct Bit {
  static Bit from_logit(double logit);

  double p1;
  double p0;
  double log_p1;
  double log_p0;
};

// probabilities[2^count]: the products over `count` bits in index order, the first bit being the
// most significant.
template <class T>
void expand_probabilities(const Bit* bits, int64_t count, T* probabilities);

// The per-sample entropy of one row at a time. Holds scratch memory: one object per thread.
template <class T>
class SampleEntropy {
 public:
  explicit SampleEntropy(const Halves& halves);

  // H(p) of a row with these bits, whose leading probabilities the caller has expanded already.
  double entropy(const Bit* bits, const T* leading);

  // With g_c = dH/dp_c: leading_sums[i] = sum_j g p over the codes that begin with i, and
  // trailing_sums[j] = sum_i g p over those that end with j.
  void gradient_sums(const Bit* bits, const T* leading, const T* trailing, double* leading_sums,
                     double* trailing_sums);

 private:
  // One half's probabilities in descending order, with running sums.
  class Sorted {
   public:
    explicit Sorted(int64_t size);

    void build(const Bit* bits, int64_t count);

    // What the pairs of this half with an element (p, log p) of the other half contribute.
    struct Share {
      double entropy;  // sum of -q log max(q, e) over the pairs' probabilities q
      double above;    // sum of the q >= e
    };
    [[nodiscard]] Share share(T p, T log_p) const;

   private:
    [[nodiscard]] int64_t count_at_least(T log_threshold) const;
    void merge_bit(const Bit& bit, int64_t size);

    int64_t size_;
    AlignedBuffer<T> p_;
    AlignedBuffer<T> log_p_;
    AlignedBuffer<T> merged_p_;
    AlignedBuffer<T> merged_log_p_;
    AlignedBuffer<double> sum_p_;        // [k] = sum of the k largest
    AlignedBuffer<double> sum_p_log_p_;  // [k] = their sum of p log p
    AlignedBuffer<double> rest_p_;       // [k] = sum of all but the k largest, without cancellation
  };

  Halves halves_;
  Sorted sorted_leading_;
  Sorted sorted_trailing_;
  AlignedBuffer<T> log_leading_;
  AlignedBuffer<T> log_trailing_;
};

// sum_c -q log max(q, e) over a part of the average distribution.
template <class T>
double codebook_entropy(const T* average, int64_t size);

// Replaces a part of the average distribution by d(codebook entropy)/dq = -log max(q, e) - [q >=
// e].
template <class T>
void codebook_entropy_gradient(T* average, int64_t size);

// The gradient with respect to each bit's logit from the sums of g p over the half's 2^count
// elements: sum over bit = 1, less sigmoid(logit) times the sum over all. Destroys the sums.
void logit_gradient(double* sums, const Bit* bits, int64_t count, double* grad_logits);

}  // namespace bsq::cpu
