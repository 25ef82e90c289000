// The structs of the C interface, read and written with regard to their struct_size.
#pragma once

#include <cstdint>

#include "bsq/bsq.h"
#include "buffers.h"

namespace bsq {

inline constexpr int64_t kMaxCodeDim = 63;
// The codebook entropy needs the average distribution over all 2^D codes: 128 MB at D = 24, and
// twice that where the rows go through in more than one chunk.
inline constexpr int64_t kMaxLossCodeDim = 24;

struct Options {
  int64_t code_dim;
  double entropy_loss_weight;
  double diversity_gamma;
  double inverse_temperature;
  bool propagate_non_finite;

  // Reads and validates; throws Error.
  static Options from(const bsq_options* options);

  // Throws Error where code_dim is too large for the losses.
  void require_losses() const;
};

struct Losses {
  double aux_loss = 0;
  double per_sample_entropy = 0;
  double codebook_entropy = 0;
};

// The struct as a buffer of struct_size bytes, or an absent one for NULL. Throws Error where
// struct_size cannot be right; call it before computing what is to be stored.
[[nodiscard]] Buffer checked_losses(bsq_losses* losses);

// Fills in a struct whose struct_size checked_losses has accepted.
void store_losses(const Losses& from, bsq_losses* to, uint64_t struct_size);

}  // namespace bsq
