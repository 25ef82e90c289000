// The structs of the C interface, read and written with regard to their struct_size.
#pragma once

#include <cstdint>

#include "bsq/bsq.h"
#include "buffers.h"
#include "cpu/packed_codes.h"

namespace bsq {

inline constexpr int64_t kMaxCodeDim = 4096;
inline constexpr int64_t kMaxCodebooks = 1024;
// The bits of an index that is not negative.
inline constexpr int64_t kMaxGroupSize = 63;
// The codebook entropy needs the average distribution over all 2^D codes: 128 MB at D = 24, and
// twice that where the rows go through in more than one chunk.
inline constexpr int64_t kMaxLossCodeDim = 24;
// With several groups, there is one for each.
inline constexpr int64_t kMaxLossGroupSize = 16;
// Sums of so many levels are exact in float32.
inline constexpr int64_t kMaxLevels = BSQ_MAX_LEVELS;

enum class Implementation : int32_t {
  kAutomatic = BSQ_IMPLEMENTATION_AUTOMATIC,
  kKernels = BSQ_IMPLEMENTATION_KERNELS,
  kOperators = BSQ_IMPLEMENTATION_OPERATORS,
};

// 2^-level: of a level of residual codes.
[[nodiscard]] inline double level_scale(int64_t level) {
  return 1 / static_cast<double>(int64_t{1} << level);
}

// What keeps the logarithm of a probability from 0.
struct EntropyFloor {
  bool adds;  // log(p + epsilon) rather than log max(p, epsilon)
  double epsilon;
};

struct Options {
  // Reads and validates; throws Error.
  static Options from(const bsq_options* options);

  [[nodiscard]] bool has_indices() const { return group_size <= kMaxGroupSize; }

  // Throws Error where a code has too many bits for an index.
  void require_indices() const;

  // The same with groups of bits whose indices exist, for what is computed by indices that nobody
  // sees. Not for losses.
  [[nodiscard]] Options with_indices() const;

  // Levels of residual codes, and the first of them. Throw Error.
  static void check_levels(int64_t levels);
  static void check_used_levels(int64_t used, int64_t levels);
  static void check_level(int64_t level, int64_t last);

  // quantized of several levels consists of odd multiples of this.
  [[nodiscard]] double level_step(int64_t levels) const {
    return quantized_scale() * level_scale(levels - 1);
  }

  // Throws Error where the losses need too much memory.
  void require_losses() const;

  // Components of a row.
  [[nodiscard]] int64_t row_length() const { return codebooks * code_dim; }
  [[nodiscard]] int64_t groups() const { return group_count; }
  // Indices of a row.
  [[nodiscard]] int64_t row_indices() const { return codebooks * groups(); }

  // Bits of each distribution that the entropies are of.
  [[nodiscard]] int64_t entropy_bits() const { return analytical ? 1 : group_size; }
  // Such distributions of a code, and of a row.
  [[nodiscard]] int64_t code_distributions() const { return code_dim / entropy_bits(); }
  [[nodiscard]] int64_t row_distributions() const { return codebooks * code_distributions(); }
  // The doubles of loss sums: see bsq.h.
  [[nodiscard]] int64_t loss_sums_size() const {
    return kLossSumsHeader + (row_distributions() << entropy_bits());
  }
  static constexpr int64_t kLossSumsHeader = 4;

  // t_d = logit_scale() * u_d is the logit of bit d.
  [[nodiscard]] double logit_scale() const;
  // +-1/sqrt(code_dim): the components of the corners on the unit sphere.
  [[nodiscard]] double code_scale() const;
  // The same of quantized, which need not be on it.
  [[nodiscard]] double quantized_scale() const { return scaled_to_one ? 1 : code_scale(); }
  [[nodiscard]] cpu::BitRules bit_rules() const { return {least_first, zero_is_one}; }
  // Of the codes of a row.
  [[nodiscard]] cpu::CodeFormat code_format(cpu::CodeLayout layout) const {
    return {layout, code_dim, group_size, least_first, byte_offset};
  }
  // The weight of the entropy loss within the aux loss.
  [[nodiscard]] double entropy_weight() const;
  // The factor of the mean of |u - q|^2 that makes it the commitment.
  [[nodiscard]] double commitment_scale() const;
  [[nodiscard]] bool commits() const { return commitment_weight != 0; }

  int64_t code_dim;
  int64_t codebooks;
  int64_t group_size;   // never 0; above kMaxGroupSize there are no indices
  int64_t group_count;  // groups of a code
  double inverse_temperature;
  bool analytical;
  EntropyFloor entropy_floor;
  double entropy_loss_weight;
  double sample_entropy_weight;
  double diversity_gamma;
  bool divides_by_inverse_temperature;  // the entropy loss
  bool softplus;
  double positive_offset;
  double entropy_fraction;
  int64_t entropy_seed;
  bool commitment_of_components;  // the mean over components rather than codes
  double commitment_weight;
  double straight_through_scale;
  bool channel_first;
  bool least_first;      // the first bit is the least significant
  bool zero_is_one;      // components of 0 give a 1
  bool scaled_to_one;    // quantized is +-1
  uint64_t byte_offset;  // see cpu::CodeFormat
  bool propagate_non_finite;
  Implementation implementation;
};

// What the losses are made of.
struct LossTerms {
  double per_sample_entropy = 0;
  double codebook_entropy = 0;
  double commitment = 0;
  int64_t rows = 0;
  int64_t entropy_rows = 0;
};

struct Losses {
  Losses() = default;
  Losses(const Options& options, const LossTerms& loss_terms);

  LossTerms terms;
  double entropy_loss = 0;
  double aux_loss = 0;
};

// d(entropy loss)/d(sample_entropy_weight * per_sample_entropy - diversity_gamma *
// codebook_entropy): 1 unless it is made positive.
[[nodiscard]] double entropy_loss_slope(const Options& options, const LossTerms& terms);

// Throws Error.
[[nodiscard]] Implementation checked_implementation(int32_t implementation);

// The layout, or that of packed codes alone. Throw Error.
[[nodiscard]] cpu::CodeLayout checked_layout(int32_t layout, const char* name);
[[nodiscard]] cpu::CodeLayout checked_packed(int32_t layout);

// Throws Error where rows of the one do not have as many codes, of as many bits, as of the other.
void check_same_codes(const Options& from, const Options& to);

// Sets a struct of struct_size bytes to the defaults. Throws Error.
void init_options(bsq_options* options, uint64_t struct_size, int64_t code_dim);

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
