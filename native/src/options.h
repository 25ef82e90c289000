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

enum class Implementation : int32_t {
  kAutomatic = BSQ_IMPLEMENTATION_AUTOMATIC,
  kKernels = BSQ_IMPLEMENTATION_KERNELS,
  kOperators = BSQ_IMPLEMENTATION_OPERATORS,
};

struct Options {
  int64_t code_dim;
  double entropy_loss_weight;
  double diversity_gamma;
  double inverse_temperature;
  bool propagate_non_finite;
  Implementation implementation;

  // Reads and validates; throws Error.
  static Options from(const bsq_options* options);

  // Throws Error where code_dim is too large for the losses.
  void require_losses() const;
};

struct Losses {
  Losses() = default;
  // With the weighted sum of the two.
  Losses(const Options& options, double sample, double codebook);

  double aux_loss = 0;
  double per_sample_entropy = 0;
  double codebook_entropy = 0;
};

// Checks the struct_size of a struct of this name that has known_size bytes in this version, and
// returns it. Throws Error where it cannot be right, or the pointer is NULL or not aligned.
[[nodiscard]] uint64_t checked_struct_size(const void* pointer, const char* name,
                                           uint64_t known_size);

// The struct as a buffer of struct_size bytes, or an absent one for NULL. Throws Error where
// struct_size cannot be right; call it before computing what is to be stored.
[[nodiscard]] Buffer checked_losses(bsq_losses* losses);

// Fills in a struct whose struct_size checked_losses has accepted.
void store_losses(const Losses& from, bsq_losses* to, uint64_t struct_size);

}  // namespace bsq
