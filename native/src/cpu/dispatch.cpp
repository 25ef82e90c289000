// Which build of the row kernels serves this machine.
#include "cpu/dispatch.h"

#include <cstdlib>
#include <cstring>

#include "cpu/bit_kernels.h"
#include "cpu/hamming_kernels.h"
#include "cpu/row_kernels.h"

namespace bsq::cpu {

#define BSQ_DECLARE_KERNELS(architecture)         \
  namespace architecture {                        \
  extern const RowKernels<float> kFloatKernels;   \
  extern const RowKernels<double> kDoubleKernels; \
  extern const BitKernels kBitKernels;            \
  extern const HammingKernels kHammingKernels;    \
  }
BSQ_DECLARE_KERNELS(baseline)
#if defined(__x86_64__)
BSQ_DECLARE_KERNELS(avx2)
BSQ_DECLARE_KERNELS(avx512)
#endif
#undef BSQ_DECLARE_KERNELS

namespace {

#if defined(__x86_64__)
bool supports_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif

struct Build {
  const char* name;  // as BSQ_CPU_KERNELS names it
  const char* description;
  bool is_supported;
  const RowKernels<float>& float_kernels;
  const RowKernels<double>& double_kernels;
  const BitKernels& bit_kernels;
  const HammingKernels& hamming_kernels;
};

// The best that this machine supports, or the one that the environment variable BSQ_CPU_KERNELS
// names, if it does: for tests and measurements.
Build choose() {
  const Build builds[] = {
#if defined(__x86_64__)
    {"avx512", "CPU kernels (AVX-512)",
     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && supports_avx2(),
     avx512::kFloatKernels, avx512::kDoubleKernels, avx512::kBitKernels, avx512::kHammingKernels},
    {"avx2", "CPU kernels (AVX2)", supports_avx2(), avx2::kFloatKernels, avx2::kDoubleKernels,
     avx2::kBitKernels, avx2::kHammingKernels},
#endif
    {"baseline", "CPU kernels (baseline)", true, baseline::kFloatKernels, baseline::kDoubleKernels,
     baseline::kBitKernels, baseline::kHammingKernels},
  };
  const char* const requested = std::getenv("BSQ_CPU_KERNELS");
  const Build* best = nullptr;
  for (const Build& build : builds) {
    const bool is_requested = requested != nullptr && std::strcmp(requested, build.name) == 0;
    if (build.is_supported && (best == nullptr || is_requested)) {
      best = &build;
    }
  }
  return *best;
}

const Build& choice() {
  static const Build chosen = choose();
  return chosen;
}

}  // namespace

const char* implementation() { return choice().description; }

const HammingKernels& hamming_kernels() { return choice().hamming_kernels; }

template <>
const RowKernels<float>& row_kernels<float>() {
  return choice().float_kernels;
}
template <>
const RowKernels<double>& row_kernels<double>() {
  return choice().double_kernels;
}

const BitKernels& bit_kernels() { return choice().bit_kernels; }

}  // namespace bsq::cpu
