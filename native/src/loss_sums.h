// Loss sums, as bsq.h lays them out.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

// What comes before the sums of probabilities.
struct LossSumsHeader {
  // Throws Error where the numbers of rows cannot be right.
  static LossSumsHeader from(const double* sums);

  void store(double* sums) const;

  // Throws Error where so many rows cannot be among those of the sums.
  void require_rows(int64_t counted, int64_t drawn) const;

  // With the codebook entropies of all codebooks and groups together.
  [[nodiscard]] LossTerms terms(const Options& options, double codebook_entropies) const;

  double rows = 0;
  double entropy_rows = 0;
  double entropies = 0;
  double distances = 0;
};

// The losses of the rows that the sums are of. Throws Error.
[[nodiscard]] Losses losses_from_sums(const Options& options, const double* sums);

}  // namespace bsq
