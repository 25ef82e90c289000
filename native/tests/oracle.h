// The losses and gradients from their definition: a softmax over all codes of every distribution of
// every row, in long double. It shares no code and no formula with the library.
#pragma once

#include <cstdint>
#include <vector>

#include "bsq/bsq.h"

namespace bsq::test {

struct OracleInput {
  bsq_options options;
  // [rows, codebooks * code_dim], the values exactly as the library gets them, and one row after
  // the other whatever options.channel_first is.
  std::vector<double> x;
  std::vector<int64_t> copies;         // [rows] how many times each row occurs
  std::vector<uint8_t> counts;         // [rows] whether it counts
  std::vector<uint8_t> drawn;          // [rows] whether the entropies are of it, too
  std::vector<double> grad_quantized;  // as x, or empty
  double grad_aux_loss = 0;
  double unit_roundoff = 0;  // of the type that the library computes in
};

// A number, and how far a right computation in the library's type may be off. See oracle.cpp.
struct Approximate {
  double value = 0;
  double tolerance = 0;
};

struct OracleResult {
  Approximate per_sample_entropy;
  Approximate codebook_entropy;
  Approximate entropy_loss;
  Approximate commitment;
  Approximate aux_loss;
  int64_t rows = 0;
  int64_t entropy_rows = 0;
  std::vector<Approximate> sums;    // as bsq.h lays them out
  std::vector<Approximate> grad_x;  // as x, of one copy of each row
};

OracleResult dense_oracle(const OracleInput& input);

}  // namespace bsq::test
