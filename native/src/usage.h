// How often codes and pairs of bits occur, on CPU memory that has been checked, on several threads.
// Shapes and counts as in bsq.h.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

// Whether there is a counter for each code, rather than for each pair of bits.
[[nodiscard]] bool counts_codes(const Options& options);

// The counts of a codebook, and of all.
[[nodiscard]] int64_t codebook_usage_size(const Options& options);
[[nodiscard]] int64_t usage_size(const Options& options);

// Adds the codes to the counts. mask may be NULL. Throws Error before it adds anything.
void add_usage(const Options& options, cpu::CodeLayout layout, int64_t rows, const void* codes,
               const uint8_t* mask, int64_t* counts);

}  // namespace bsq
