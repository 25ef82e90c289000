#pragma once

namespace bsq::cpu {

// "CPU kernels (AVX2)": what serves this machine.
[[nodiscard]] const char* implementation();

}  // namespace bsq::cpu
