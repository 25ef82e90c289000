// The losses and their gradient, row by row, on CPU memory: kernels that are compiled once for each
// instruction set, and chosen when the library is first used.
//
// The softmax over the 2^D codes factorises into one sigmoid per bit: with the logit t_d = 4 beta
// u_d / sqrt(D), p(c|u) = prod_d sigmoid(+-t_d). So a row's 2^D probabilities are the outer product
// of two short vectors, its factors, one over the leading and one over the trailing bits, in index
// order: p[i * 2^b + j] = leading[i] * trailing[j].
//
// The entropy's clamp at e needs the codes with p >= e. Seen from the row's own code, whose
// probability is the largest, flipping bit d multiplies p by exp(-|t_d|): it costs |t_d|. The codes
// with p >= e are the sets of flips whose cost is at most log(largest p / e), and those are
// enumerated, the cheapest bits by vectors, the others by a search that stops where the budget
// does. All of it is exact; there are never more than 1/e of them.
#pragma once

#include <cstdint>

#include "formula.h"

namespace bsq::cpu {

// How the row kernels weigh what they compute: the gradient of the aux loss with respect to a row's
// entropy, and to the entropy of the average, times a row's share of it.
struct RowWeights {
  double sample;
  double codebook;
};

// All functions are serial. Rows are finite but for those of encode, dim is the number of bits of
// the halves.
template <class T>
struct RowKernels {
  // indices[rows] from the signs of x[rows, dim], dim up to 63. Rows that are not finite get index
  // 0. Returns the first such row, or -1. Streaming stores go past the caches.
  int64_t (*encode)(const T* x, int64_t rows, int64_t dim, int64_t* indices, bool streaming);

  // grad_x[rows, dim] of <grad_quantized, quantized>, straight through, dim up to 63.
  // grad_quantized may be NULL. Rows that are not finite get NaN.
  void (*straight_through)(const T* x, int64_t rows, int64_t dim, const T* grad_quantized,
                           T* grad_x);

  // The factors, [rows, leading] and [rows, trailing], and where entropies is not NULL each row's
  // entropy.
  void (*forward)(const Halves& halves, double logit_scale, const T* x, int64_t rows, T* leading,
                  T* trailing, double* entropies);

  // grad_x[rows, dim] straight through. The products are the sums of (codebook gradient) * p over
  // the other half, less the own factor. grad_quantized may be NULL.
  void (*backward)(const Halves& halves, double logit_scale, const RowWeights& weights, const T* x,
                   int64_t rows, const T* leading, const T* trailing, const T* leading_products,
                   const T* trailing_products, const T* grad_quantized, T* grad_x);

  // sum_c -q log max(q, e) over a part of the average distribution.
  double (*codebook_entropy)(const T* average, int64_t size);

  // Replaces a part of the average distribution by d(codebook entropy)/dq = -log max(q, e) -
  // [q >= e], less the constant -log e: no gradient sees it, since probabilities add up to 1.
  void (*codebook_gradient)(T* average, int64_t size);
};

// Those for this machine.
template <class T>
const RowKernels<T>& row_kernels();

}  // namespace bsq::cpu
