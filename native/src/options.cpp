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

}  // namespace

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
  if (options->code_dim < 1 || options->code_dim > kMaxCodeDim) {
    fail(Code::kInvalidArgument, "code_dim is ", options->code_dim, ", expected 1 to ",
         kMaxCodeDim);
  }
  check_finite(options->entropy_loss_weight, "entropy_loss_weight");
  check_finite(options->diversity_gamma, "diversity_gamma");
  // The upper bound keeps every logit finite in float32.
  if (!(options->inverse_temperature >= 0 && options->inverse_temperature <= 1e30)) {
    fail(Code::kInvalidArgument, "inverse_temperature is ", options->inverse_temperature,
         ", expected 0 to 1e30");
  }
  if (options->non_finite != BSQ_NON_FINITE_REFUSE &&
      options->non_finite != BSQ_NON_FINITE_PROPAGATE) {
    fail(Code::kInvalidArgument, "non_finite is ", options->non_finite,
         ", expected BSQ_NON_FINITE_REFUSE (", BSQ_NON_FINITE_REFUSE,
         ") or BSQ_NON_FINITE_PROPAGATE (", BSQ_NON_FINITE_PROPAGATE, ")");
  }
  if (options->implementation < BSQ_IMPLEMENTATION_AUTOMATIC ||
      options->implementation > BSQ_IMPLEMENTATION_OPERATORS) {
    fail(Code::kInvalidArgument, "implementation is ", options->implementation,
         ", expected BSQ_IMPLEMENTATION_AUTOMATIC (", BSQ_IMPLEMENTATION_AUTOMATIC,
         ") to BSQ_IMPLEMENTATION_OPERATORS (", BSQ_IMPLEMENTATION_OPERATORS, ")");
  }
  return {options->code_dim,
          options->entropy_loss_weight,
          options->diversity_gamma,
          options->inverse_temperature,
          options->non_finite == BSQ_NON_FINITE_PROPAGATE,
          static_cast<Implementation>(options->implementation)};
}

void Options::require_losses() const {
  if (code_dim > kMaxLossCodeDim) {
    fail(Code::kUnsupported, "code_dim is ", code_dim,
         ": the codebook entropy needs memory for 2^code_dim numbers and is computed up to ",
         "code_dim ", kMaxLossCodeDim, "; for larger codes use encode and decode");
  }
}

Losses::Losses(const Options& options, double sample, double codebook)
    : aux_loss(options.entropy_loss_weight * (sample - options.diversity_gamma * codebook)),
      per_sample_entropy(sample),
      codebook_entropy(codebook) {}

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
  to->per_sample_entropy = from.per_sample_entropy;
  to->codebook_entropy = from.codebook_entropy;
}

}  // namespace bsq
