// Hamming distances on CPU memory: kernels that are compiled once for each instruction set, as the
// row kernels are.
#pragma once

#include <cstdint>

namespace bsq::cpu {

inline constexpr int64_t kMaxHammingBytes = 512;

struct HammingKernels {
  // distances[count]: the bits in which codes[count, code_bytes] differ from query[code_bytes].
  // Serial. Nothing outside of the codes is read.
  void (*distances)(int64_t code_bytes, const uint8_t* query, int64_t count, const uint8_t* codes,
                    int32_t* distances);
};

// Those for this machine.
const HammingKernels& hamming_kernels();

}  // namespace bsq::cpu
