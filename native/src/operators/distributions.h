// The distributions of a chunk of unit codes over their groups' corners, and the entropies of each:
// of rows * row_distributions() distributions, one after the other.
//
// The probabilities of one are the outer product of two factors, as in cpu/row_kernels.h, those of
// its leading and of its trailing bits: index = i * trailing + j.
#pragma once

#include <cstdint>

#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// The sizes of the factors.
struct Halves {
  explicit Halves(int64_t bits) : leading_bits(bits / 2), trailing_bits(bits - bits / 2) {}

  [[nodiscard]] int64_t leading() const { return int64_t{1} << leading_bits; }
  [[nodiscard]] int64_t trailing() const { return int64_t{1} << trailing_bits; }

  int64_t leading_bits;
  int64_t trailing_bits;
};

// The probabilities over one half of the bits, [distributions, size].
struct Factor {
  Tensor p;
  Tensor log_p;
};

struct Distributions {
  // Of unit[rows, codebooks, code_dim]. Factors are of type `type`, that which losses are computed
  // in.
  Distributions(const Options& options, const Tensor& unit, DType type);

  // The probabilities of the bits to be 0 and to be 1, float64 [distributions, bits, 2].
  Tensor bits;
  Factor leading;
  Factor trailing;

 private:
  struct BitFactors;
  Distributions(const Options& options, const BitFactors& bit_factors, DType type);
};

// -log of what the floor makes of probabilities.
[[nodiscard]] Tensor surprise(const EntropyFloor& floor, const Tensor& p);

// The derivative of the entropy by each probability.
[[nodiscard]] Tensor entropy_slope(const EntropyFloor& floor, const Tensor& p);

// The entropies, float64 [distributions].
[[nodiscard]] Tensor entropies(const Options& options, const Distributions& distributions);

// Sums of gradients times probabilities over one half of the bits for each element of the other:
// float64 [distributions, size].
struct GradientSums {
  Tensor leading;
  Tensor trailing;
};

// Of the entropies' gradients.
[[nodiscard]] GradientSums entropy_gradients(const Options& options,
                                             const Distributions& distributions);

// The gradient with respect to each bit's logit, [distributions, bits], from the sums of gradients
// by the probabilities.
[[nodiscard]] Tensor logit_gradient(const GradientSums& sums, const Distributions& distributions);

}  // namespace bsq::operators
