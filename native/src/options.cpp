#include "options.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "error.h"

namespace bsq {
namespace {

// No struct of this interface will ever be this large: a larger size is a caller's defect, and
// reading a tail of that length could leave the caller's memory.
constexpr uint64_t kMaxStructSize = 4096;

void check_finite(double value, const char* name) {
  if (!std::isfinite(value)) {
    fail(Code::kInvalidArgument, name, " is ", value, ", expected a finite number");
  }
}

void check_range(int64_t value, const char* name, int64_t first, int64_t last) {
  if (value < first || value > last) {
    fail(Code::kInvalidArgument, name, " is ", value, ", expected ", first, " to ", last);
  }
}

// One of two constants, 0 and 1. Returns whether it is the second.
bool checked_choice(int32_t value, const char* name, const char* zero, const char* one) {
  if (value != 0 && value != 1) {
    fail(Code::kInvalidArgument, name, " is ", value, ", expected ", zero, " (0) or ", one, " (1)");
  }
  return value == 1;
}

int64_t checked_group_size(const bsq_options& options) {
  const int64_t dim = options.code_dim;
  if (options.group_size == 0) {
    return dim;
  }
  check_range(options.group_size, "group_size", 1, kMaxGroupSize);
  if (dim % options.group_size != 0) {
    fail(Code::kInvalidArgument, "group_size is ", options.group_size,
         ", which does not divide code_dim ", dim);
  }
  return options.group_size;
}

// log(1 + exp(x)).
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// The entropy loss before it is made positive.
double entropy_difference(const Options& options, const LossTerms& terms) {
  return options.sample_entropy_weight * terms.per_sample_entropy -
         options.diversity_gamma * terms.codebook_entropy;
}

}  // namespace

void init_options(bsq_options* options, uint64_t struct_size, int64_t code_dim) {
  if (options == nullptr) {
    fail(Code::kInvalidArgument, "options is NULL");
  }
  if (reinterpret_cast<uintptr_t>(options) % alignof(bsq_options) != 0) {
    fail(Code::kInvalidArgument, "bsq_options is at an address not aligned to 8 bytes");
  }
  if (struct_size < sizeof(bsq_options) || struct_size > kMaxStructSize) {
    fail(Code::kInvalidArgument, "struct_size is ", struct_size, ", expected at least ",
         sizeof(bsq_options), " (sizeof(bsq_options)) and at most ", kMaxStructSize);
  }
  check_range(code_dim, "code_dim", 1, kMaxCodeDim);
  std::memset(options, 0, struct_size);
  options->struct_size = struct_size;
  options->code_dim = code_dim;
  options->codebooks = 1;
  options->inverse_temperature = 100;
  options->entropy_epsilon = 1e-5;
  options->entropy_loss_weight = 0.1;
  options->sample_entropy_weight = 1;
  options->diversity_gamma = 1;
  options->positive_offset = 5;
  options->straight_through_scale = 1;
  options->entropy_fraction = 1;
  // All else is 0: that is the default of each.
}

Implementation checked_implementation(int32_t implementation) {
  if (implementation < BSQ_IMPLEMENTATION_AUTOMATIC ||
      implementation > BSQ_IMPLEMENTATION_OPERATORS) {
    fail(Code::kInvalidArgument, "implementation is ", implementation,
         ", expected BSQ_IMPLEMENTATION_AUTOMATIC (", BSQ_IMPLEMENTATION_AUTOMATIC,
         ") to BSQ_IMPLEMENTATION_OPERATORS (", BSQ_IMPLEMENTATION_OPERATORS, ")");
  }
  return static_cast<Implementation>(implementation);
}

cpu::CodeLayout checked_layout(int32_t layout, const char* name) {
  if (layout < BSQ_CODES_INDICES || layout > BSQ_CODES_BITS) {
    fail(Code::kInvalidArgument, name, " is ", layout, ", expected BSQ_CODES_INDICES (",
         BSQ_CODES_INDICES, ") to BSQ_CODES_BITS (", BSQ_CODES_BITS, ")");
  }
  return static_cast<cpu::CodeLayout>(layout);
}

cpu::CodeLayout checked_packed(int32_t layout) {
  if (layout != BSQ_CODES_BYTES && layout != BSQ_CODES_WORDS) {
    fail(Code::kInvalidArgument, "layout is ", layout, ", expected BSQ_CODES_BYTES (",
         BSQ_CODES_BYTES, ") or BSQ_CODES_WORDS (", BSQ_CODES_WORDS, ")");
  }
  return static_cast<cpu::CodeLayout>(layout);
}

void check_same_codes(const Options& from, const Options& to) {
  if (from.code_dim != to.code_dim || from.codebooks != to.codebooks) {
    fail(Code::kInvalidArgument, "to_options has code_dim ", to.code_dim, " and codebooks ",
         to.codebooks, ", expected ", from.code_dim, " and ", from.codebooks,
         " as from_options has");
  }
}

uint64_t checked_struct_size(const void* pointer, const char* name, uint64_t known_size) {
  if (pointer == nullptr) {
    fail(Code::kInvalidArgument, name, " is NULL");
  }
  uint64_t size = 0;
  std::memcpy(&size, pointer, sizeof(size));
  if (size < known_size || size > kMaxStructSize) {
    fail(Code::kInvalidArgument, name, ".struct_size is ", size, ", expected at least ", known_size,
         " (sizeof(", name, ")) and at most ", kMaxStructSize);
  }
  if (reinterpret_cast<uintptr_t>(pointer) % alignof(uint64_t) != 0) {
    fail(Code::kInvalidArgument, name, " is at an address not aligned to 8 bytes");
  }
  return size;
}

Options Options::from(const bsq_options* options) {
  const uint64_t size = checked_struct_size(options, "bsq_options", sizeof(bsq_options));
  const auto* bytes = reinterpret_cast<const unsigned char*>(options);
  if (std::any_of(bytes + sizeof(bsq_options), bytes + size,
                  [](unsigned char byte) { return byte != 0; })) {
    fail(Code::kUnsupported, "bsq_options has ", size,
         " bytes and sets an option beyond the first ", sizeof(bsq_options),
         " bytes, which this version of libbsq does not know");
  }
  check_range(options->code_dim, "code_dim", 1, kMaxCodeDim);
  check_range(options->codebooks, "codebooks", 1, kMaxCodebooks);
  // The upper bound keeps every logit finite in float32.
  if (!(options->inverse_temperature >= 0 && options->inverse_temperature <= 1e30)) {
    fail(Code::kInvalidArgument, "inverse_temperature is ", options->inverse_temperature,
         ", expected 0 to 1e30");
  }
  // The lower bound is a normal number in float32.
  if (!(options->entropy_epsilon >= 1e-30 && options->entropy_epsilon <= 0.1)) {
    fail(Code::kInvalidArgument, "entropy_epsilon is ", options->entropy_epsilon,
         ", expected 1e-30 to 0.1");
  }
  if (!(options->entropy_fraction > 0 && options->entropy_fraction <= 1)) {
    fail(Code::kInvalidArgument, "entropy_fraction is ", options->entropy_fraction,
         ", expected above 0, up to 1");
  }
  check_finite(options->entropy_loss_weight, "entropy_loss_weight");
  check_finite(options->sample_entropy_weight, "sample_entropy_weight");
  check_finite(options->diversity_gamma, "diversity_gamma");
  check_finite(options->positive_offset, "positive_offset");
  check_finite(options->commitment_weight, "commitment_weight");
  check_finite(options->straight_through_scale, "straight_through_scale");
  const int64_t group_size = checked_group_size(*options);
  const Options result{
      .code_dim = options->code_dim,
      .codebooks = options->codebooks,
      .group_size = group_size,
      // A division takes as long as half an encoding of one row.
      .group_count = options->group_size == 0 ? 1 : options->code_dim / group_size,
      .inverse_temperature = options->inverse_temperature,
      .analytical = checked_choice(options->entropy_form, "entropy_form", "BSQ_ENTROPY_EXACT",
                                   "BSQ_ENTROPY_ANALYTICAL"),
      .entropy_floor = {.adds = checked_choice(options->entropy_floor, "entropy_floor",
                                               "BSQ_FLOOR_CLAMP", "BSQ_FLOOR_ADD"),
                        .epsilon = options->entropy_epsilon},
      .entropy_loss_weight = options->entropy_loss_weight,
      .sample_entropy_weight = options->sample_entropy_weight,
      .diversity_gamma = options->diversity_gamma,
      .divides_by_inverse_temperature =
          checked_choice(options->entropy_scale, "entropy_scale", "BSQ_ENTROPY_SCALE_ONE",
                         "BSQ_ENTROPY_SCALE_TEMPERATURE"),
      .softplus = checked_choice(options->positive, "positive", "BSQ_POSITIVE_NONE",
                                 "BSQ_POSITIVE_SOFTPLUS"),
      .positive_offset = options->positive_offset,
      .entropy_fraction = options->entropy_fraction,
      .entropy_seed = options->entropy_seed,
      .commitment_of_components =
          checked_choice(options->commitment, "commitment", "BSQ_COMMITMENT_SQUARED_NORM",
                         "BSQ_COMMITMENT_SQUARE"),
      .commitment_weight = options->commitment_weight,
      .straight_through_scale = options->straight_through_scale,
      .channel_first = checked_choice(options->channel_first, "channel_first", "no", "yes"),
      .least_first = checked_choice(options->bit_order, "bit_order", "BSQ_ORDER_MOST_FIRST",
                                    "BSQ_ORDER_LEAST_FIRST"),
      .zero_is_one = checked_choice(options->tie, "tie", "BSQ_TIE_ZERO", "BSQ_TIE_ONE"),
      .scaled_to_one =
          checked_choice(options->code_scale, "code_scale", "BSQ_SCALE_UNIT", "BSQ_SCALE_ONE"),
      .byte_offset =
          checked_choice(options->byte_form, "byte_form", "BSQ_BYTES_PLAIN", "BSQ_BYTES_OFFSET")
              ? 0x8080808080808080U
              : 0,
      .propagate_non_finite = checked_choice(options->non_finite, "non_finite",
                                             "BSQ_NON_FINITE_REFUSE", "BSQ_NON_FINITE_PROPAGATE"),
      .implementation = checked_implementation(options->implementation)};
  if (!std::isfinite(result.entropy_weight())) {
    fail(Code::kInvalidArgument, "entropy_loss_weight is ", options->entropy_loss_weight,
         " and divided by inverse_temperature, which is ", options->inverse_temperature,
         " (BSQ_ENTROPY_SCALE_TEMPERATURE), expected a finite quotient");
  }
  return result;
}

void Options::require_indices() const {
  if (!has_indices()) {
    fail(Code::kInvalidArgument, "code_dim is ", code_dim, ", but an index has at most ",
         kMaxGroupSize, " bits: set group_size, for an index of each group, or pack the bits");
  }
}

Options Options::with_indices() const {
  Options result = *this;
  if (!has_indices()) {
    result.group_size = kMaxGroupSize;
    while (code_dim % result.group_size != 0) {
      --result.group_size;
    }
    result.group_count = code_dim / result.group_size;
  }
  return result;
}

void Options::check_levels(int64_t levels) { check_range(levels, "levels", 1, kMaxLevels); }

void Options::check_used_levels(int64_t used, int64_t levels) {
  check_levels(levels);
  check_range(used, "used_levels", 1, levels);
}

void Options::check_level(int64_t level, int64_t last) { check_range(level, "level", 0, last); }

void Options::require_losses() const {
  if (analytical) {
    return;
  }
  if (groups() == 1 && group_size > kMaxLossCodeDim) {
    fail(Code::kUnsupported, "code_dim is ", code_dim,
         ": the codebook entropy needs memory for 2^code_dim numbers and is computed up to ",
         "code_dim ", kMaxLossCodeDim,
         "; for larger codes use encode and decode, or another formula: groups, or analytical "
         "entropies");
  }
  if (groups() > 1 && group_size > kMaxLossGroupSize) {
    fail(Code::kUnsupported, "group_size is ", group_size,
         ": the codebook entropy needs memory for 2^group_size numbers for each group and is "
         "computed up to group_size ",
         kMaxLossGroupSize);
  }
}

double Options::logit_scale() const {
  return 4 * inverse_temperature / std::sqrt(static_cast<double>(code_dim));
}

double Options::code_scale() const { return 1 / std::sqrt(static_cast<double>(code_dim)); }

double Options::entropy_weight() const {
  return divides_by_inverse_temperature ? entropy_loss_weight / inverse_temperature
                                        : entropy_loss_weight;
}

double Options::commitment_scale() const {
  return commitment_of_components ? 1 / static_cast<double>(code_dim) : 1.0;
}

Losses::Losses(const Options& options, const LossTerms& loss_terms)
    : terms(loss_terms), entropy_loss(entropy_difference(options, loss_terms)) {
  if (loss_terms.rows == 0) {
    entropy_loss = 0;
    return;
  }
  if (options.softplus) {
    entropy_loss = softplus(entropy_loss + options.positive_offset);
  }
  aux_loss = options.entropy_weight() * entropy_loss;
  if (options.commits()) {
    aux_loss += options.commitment_weight * loss_terms.commitment;
  }
}

double entropy_loss_slope(const Options& options, const LossTerms& terms) {
  if (!options.softplus) {
    return 1;
  }
  return 1 / (1 + std::exp(-(entropy_difference(options, terms) + options.positive_offset)));
}

Buffer checked_losses(bsq_losses* losses) {
  if (losses == nullptr) {
    return {"losses", nullptr, 0};
  }
  const uint64_t size = checked_struct_size(losses, "bsq_losses", sizeof(bsq_losses));
  return {"losses", losses, static_cast<int64_t>(size)};
}

void store_losses(const Losses& from, bsq_losses* to, uint64_t struct_size) {
  std::memset(to, 0, struct_size);
  to->struct_size = struct_size;
  to->aux_loss = from.aux_loss;
  to->per_sample_entropy = from.terms.per_sample_entropy;
  to->codebook_entropy = from.terms.codebook_entropy;
  to->entropy_loss = from.entropy_loss;
  to->commitment = from.terms.commitment;
  to->rows = from.terms.rows;
  to->entropy_rows = from.terms.entropy_rows;
}

}  // namespace bsq
