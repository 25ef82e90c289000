// The losses and their gradient on CPU memory: kernels that are compiled once for each instruction
// set, and chosen when the library is first used.
//
// The softmax over the 2^D codes factorises into one sigmoid per bit: with the logit t_d = 4 beta
// u_d / sqrt(D), p(c|u) = prod_d sigmoid(+-t_d). So a row's 2^D probabilities are the outer product
// of short vectors, its factors (code_split.h), and nothing of the size rows * 2^D is ever made.
// Rows are worked on in blocks of kBlockRows. What an outer code of a row adds to the average is
// left out where it is negligible (average.h), and what it adds to the clamped entropy where it is
// below the clamp (row_entropies.h): at the usual temperatures little is left.
#pragma once

#include <cstdint>

#include "cpu/code_split.h"

namespace bsq::cpu {

// All functions are serial. Rows are finite but for those of encode and straight_through; losses
// take at most kBlockRows of them, and workspaces are on cache lines' boundaries.
template <class T>
struct RowKernels {
  // indices[rows] from the signs of x[rows, dim], dim up to 63. Rows that are not finite get index
  // 0. Returns the first such row, or -1. Streaming goes past the caches.
  int64_t (*encode)(const T* x, int64_t rows, int64_t dim, int64_t* indices, bool streaming);

  // quantized[rows, dim] from indices[rows], dim up to 63. Bits beyond dim are ignored.
  void (*decode)(const int64_t* indices, int64_t rows, int64_t dim, T* quantized);

  // grad_x[rows, dim] of <grad_quantized, quantized>, straight through, dim up to 63.
  // grad_quantized may be NULL. Rows that are not finite get NaN.
  void (*straight_through)(const T* x, int64_t rows, int64_t dim, const T* grad_quantized,
                           T* grad_x);

  // The bytes of a workspace for expand_factors, for blocks of this stride.
  int64_t (*factors_workspace)(const CodeSplit<T>& split, int64_t stride);

  // The factors of a block of rows, factors_size() numbers, and where entropies is not NULL each
  // row's entropy.
  void (*expand_factors)(const CodeSplit<T>& split, double logit_scale, const T* x, int64_t rows,
                         void* workspace, T* factors, double* entropies);

  // Adds the distributions of a block of rows to sums, those of the outer codes [begin, end).
  void (*add_factors)(const CodeSplit<T>& split, const T* factors, int64_t rows, int64_t begin,
                      int64_t end, T* sums);

  // Takes the sums over `rows` more rows into a mean, which is then that of all_rows.
  void (*update_mean)(const T* sums, int64_t size, int64_t rows, int64_t all_rows, T* mean);

  // The bytes of a workspace for backward.
  int64_t (*backward_workspace)(const CodeSplit<T>& split, int64_t stride);

  // grad_x[rows, dim] of weight * (sample_weight * the rows' entropies + <codebook_gradient, p>),
  // and straight through of grad_quantized, which may be NULL. A sample_weight of at most 1.
  void (*backward)(const CodeSplit<T>& split, double logit_scale, double weight,
                   double sample_weight, const T* x, int64_t rows, const T* codebook_gradient,
                   const T* grad_quantized, void* workspace, T* grad_x);

  // sum_c -q log max(q, e) over a part of the average distribution, a multiple of kInner.
  double (*codebook_entropy)(const T* average, int64_t size);

  // Replaces a part of the average distribution, a multiple of kInner, by weight * d(codebook
  // entropy)/dq = -log max(q, e) - [q >= e], less the constant -log e: no gradient sees it, since
  // probabilities add up to 1.
  void (*codebook_gradient)(T* average, int64_t size, double weight);
};

// The numbers of a block's factors.
template <class T>
int64_t factors_size(const CodeSplit<T>& split, int64_t stride) {
  return (split.leading() + split.middle() + CodeSplit<T>::kInner) * stride;
}

// Those for this machine.
template <class T>
const RowKernels<T>& row_kernels();

}  // namespace bsq::cpu
