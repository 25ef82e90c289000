// The reference's constants, which all implementations of the quantizer share.
#pragma once

namespace bsq {

// The norm below which the reference treats it as a constant (torch.nn.functional.normalize).
inline constexpr double kMinNorm = 1e-12;

// Where squares of float64 components could overflow, rows are scaled by this first:
// (2^1024 * 2^-520)^2 * 4096 is finite.
inline constexpr double kOverflowScale = 0x1p-520;

}  // namespace bsq
