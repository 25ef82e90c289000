// The losses and their gradient on CPU memory: kernels that are compiled once for each instruction
// set, and chosen when the library is first used.
//
// The softmax over the 2^bits codes of a distribution factorises into one sigmoid per bit: with the
// logit t_d = 4 beta u_d / sqrt(D), p(c|u) = prod_d sigmoid(+-t_d). So a row's 2^bits probabilities
// are the outer product of short vectors, its factors (code_split.h), and nothing of the size rows
// * 2^bits is ever made. Rows are worked on in blocks of kBlockRows. What an outer code of a row
// adds to the average is left out where it is negligible (average.h), and what it adds to the
// entropy where it is below the floor's cutoff (row_entropies.h): at the usual temperatures little
// is left. Distributions of few bits are computed as they are (dense_group.h).
#pragma once

#include <cstdint>

#include "cpu/code_split.h"
#include "cpu/packed_codes.h"

namespace bsq::cpu {

// What backward is the gradient of: straight_through * <grad_quantized, u> + entropy *
// (sample * the row's entropies + <codebook gradient, p>) + commitment / 2 * |u - q|^2.
struct GradientWeights {
  double straight_through;
  double entropy;
  double sample;  // at most 1
  double commitment;
};

// All functions are serial. Rows are finite but for those of encode, and of backward where there is
// no codebook gradient. Workspaces are on cache lines' boundaries, for blocks of the stride.
template <class T>
struct RowKernels {
  // indices[count] from the signs of x[count, bits], bits up to 63. Where a component is not
  // finite, the index is 0. Returns the first such index's position, or -1. Streaming goes past the
  // caches.
  int64_t (*encode)(const T* x, int64_t count, int64_t bits, const BitRules& rules,
                    int64_t* indices, bool streaming);

  // quantized[count, bits] of +-scale from indices[count], bits up to 63. Further bits are ignored.
  void (*decode)(const int64_t* indices, int64_t count, int64_t bits, bool least_first, T scale,
                 T* quantized);

  // The same of up to kBlockRows rows, whose components are `step` apart from each other, and next
  // to each other those of the rows: indices[i * index_step] from x[i + bit * step]. Returns
  // whether all components are finite; if not, some indices are not those of finite components.
  bool (*encode_channels)(const T* x, int64_t step, int64_t count, int64_t bits,
                          const BitRules& rules, int64_t* indices, int64_t index_step);
  void (*decode_channels)(const int64_t* indices, int64_t index_step, int64_t count, int64_t bits,
                          bool least_first, T scale, T* quantized, int64_t step);

  // Packed codes, of bytes or words, from the signs of x[codes, format.bits]. Codes that are not
  // finite have bits 0. Returns the first of them, or -1.
  int64_t (*pack)(const T* x, int64_t codes, const CodeFormat& format, bool zero_is_one,
                  uint8_t* to);

  // quantized[codes, format.bits] of +-scale from codes of any format. Returns the first that is
  // none, where it stops, or -1.
  int64_t (*unpack)(const uint8_t* from, int64_t codes, const CodeFormat& format, T scale,
                    T* quantized);

  // Quantizes residual[size] to +-magnitude, which is subtracted; signs are +-1 and sums grow by
  // +-weight. Arrays are as long as multiples of kBlockRows, and what is beyond the size is
  // changed.
  void (*take_level)(double* residual, int64_t size, double magnitude, bool zero_is_one, T weight,
                     T* signs, T* sums);

  int64_t (*expand_workspace)(const LossFormula& formula, int64_t stride);

  // Of each distribution of a block of rows: the factors, factors_size() numbers, one distribution
  // after the other, or, of at most kMaxDenseBits, the sums of the rows' probabilities, 2^bits
  // doubles each. Where entropies is not NULL, each row's entropies over all its distributions.
  void (*expand)(const LossFormula& formula, const T* x, const BlockRows& rows, void* workspace,
                 T* factors, double* sums, double* entropies);

  // Adds the distributions of a block of rows to sums, those of the outer codes [begin, end).
  void (*add_factors)(const CodeSplit<T>& split, const T* factors, int64_t rows, int64_t begin,
                      int64_t end, T* sums);

  // Takes the sums over `rows` more rows into a mean, which is then that of all_rows.
  void (*update_mean)(const T* sums, int64_t size, int64_t rows, int64_t all_rows, T* mean);

  int64_t (*distances_workspace)(const LossFormula& formula, int64_t stride);

  // Each row's |u - q|^2, over all its codes.
  void (*distances)(const LossFormula& formula, const T* x, const BlockRows& rows, void* workspace,
                    double* distances);

  int64_t (*backward_workspace)(const LossFormula& formula, int64_t stride, bool entropies);

  // grad_x of a block of rows. The codebook gradient is that of all distributions; NULL for no
  // gradient of entropies. grad_quantized may be
  // NULL. Codes that are not finite get NaN.
  void (*backward)(const LossFormula& formula, const GradientWeights& weights, const T* x,
                   const BlockRows& rows, const T* codebook_gradient, const T* grad_quantized,
                   void* workspace, T* grad_x);

  // The entropy of a part of an average distribution, a multiple of kInner.
  double (*codebook_entropy)(const LossFormula& formula, const T* average, int64_t size);

  // Replaces a part of an average distribution, a multiple of kInner, by weight * d(codebook
  // entropy)/dq, less a constant that no gradient sees, since probabilities add up to 1.
  void (*codebook_gradient)(const LossFormula& formula, T* average, int64_t size, double weight);
};

// Those for this machine.
template <class T>
const RowKernels<T>& row_kernels();

}  // namespace bsq::cpu
