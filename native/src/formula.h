// What all implementations of the quantizer share: the reference's constants, and how the codes are
// split into two halves.
#pragma once

#include <cstdint>

namespace bsq {

// The reference's clamp inside the logarithm.
inline constexpr double kEpsilon = 1e-5;
inline constexpr double kLogEpsilon = -11.512925464970229;

// The norm below which the reference treats it as a constant (torch.nn.functional.normalize).
inline constexpr double kMinNorm = 1e-12;

// Where squares of float64 components could overflow, rows are scaled by this first:
// (2^1024 * 2^-520)^2 * 63 is finite.
inline constexpr double kOverflowScale = 0x1p-520;

// The D bits of a code as leading and trailing bits: index = i * trailing() + j.
struct Halves {
  explicit Halves(int64_t dim) : leading_bits(dim / 2), trailing_bits(dim - dim / 2) {}

  [[nodiscard]] int64_t leading() const { return int64_t{1} << leading_bits; }
  [[nodiscard]] int64_t trailing() const { return int64_t{1} << trailing_bits; }
  [[nodiscard]] int64_t codes() const { return leading() * trailing(); }

  int64_t leading_bits;
  int64_t trailing_bits;
};

}  // namespace bsq
