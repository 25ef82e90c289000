// Hamming distances between packed codes on CPU memory that has been checked, on several threads:
// see "Hamming distances" in bsq.h. All functions throw Error.
#pragma once

#include <cstdint>

namespace bsq {

void hamming_distances(int64_t code_bytes, const uint8_t* query, int64_t count,
                       const uint8_t* codes, int32_t* distances);

// positions and distances are [queries, k], k from 1 to count.
void hamming_nearest(int64_t code_bytes, int64_t queries, const uint8_t* query, int64_t count,
                     const uint8_t* codes, int64_t k, int64_t* positions, int32_t* distances);

// Throws Error for a size of codes that is not served, and for a k that there are not as many codes
// for.
void check_code_bytes(int64_t code_bytes);
void check_nearest(int64_t k, int64_t count);

}  // namespace bsq
