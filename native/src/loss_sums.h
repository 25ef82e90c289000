// Loss sums, as bsq.h lays them out.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

// What comes before the sums of probabilities.
struct LossSumsHeader {
  // Throws Error where the numbers of rows cannot be right.
  static LossSumsHeader from(const double* sums);

  // Throws Error where a sum is negative that cannot be: the entropies' alone can.
  static void require_not_negative(const Options& options, const double* sums);

  // From this one on.
  static constexpr int64_t kFirstNotNegative = 3;

  void store(double* sums) const;

  // Throws Error for a number that no sum of probabilities or distances can be: sums[i], negative.
  [[noreturn]] static void refuse_negative(int64_t i, double sum);

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
