// The losses and gradients from their definition: a softmax over all 2^D codes for every row, in
// long double. It shares no code and no formula with the library.
#pragma once

#include <cstdint>
#include <vector>

#include "bsq/bsq.h"

namespace bsq::test {

struct OracleInput {
  bsq_options options;
  std::vector<double> x;        // [rows, code_dim], the values exactly as the library gets them
  std::vector<int64_t> copies;  // [rows] how many times each row occurs
  std::vector<double> grad_quantized;  // [rows, code_dim], or empty
  double grad_aux_loss = 0;
  double unit_roundoff = 0;  // of the type that the library computes in
};

struct OracleResult {
  double per_sample_entropy = 0;
  double codebook_entropy = 0;
  double aux_loss = 0;
  std::vector<double> grad_x;  // [rows, code_dim], of one copy of each row

  // How far a right computation in the library's type may be off. See oracle.cpp.
  double loss_tolerance = 0;
  std::vector<double> grad_tolerance;
};

OracleResult dense_oracle(const OracleInput& input);

}  // namespace bsq::test
