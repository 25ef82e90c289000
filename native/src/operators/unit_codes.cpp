#include "operators/unit_codes.h"

#include "formula.h"
#include "operators/constants.h"

namespace bsq::operators {
namespace {

// Only float64 has components whose squares overflow float64.
Tensor overflow_scale(const Tensor& x) {
  if (dtype(x) != DType::kFloat64) {
    return number(1, x);
  }
  const Tensor largest = amax(abs(x), -1, /*keep_dim=*/true);
  return where(greater(largest, number(1e150, x)), number(kOverflowScale, x), number(1, x));
}

}  // namespace

Tensor ones_of(const Options& options, const Tensor& components) {
  const Tensor zero = scalar(0, dtype(components), device(components));
  return options.zero_is_one ? greater_equal(components, zero) : greater(components, zero);
}

UnitCodes::UnitCodes(const Options& options, const Tensor& rows)
    : x(reshape(rows, {shape(rows)[0], options.codebooks, options.code_dim})),
      scale(overflow_scale(x)),
      scaled(mul(to(x, DType::kFloat64), scale)),
      norm(sqrt(sum(mul(scaled, scaled), -1, /*keep_dim=*/true))),
      divisor(maximum(norm, number(kMinNorm, x))),
      unit(div(scaled, divisor)) {}

Tensor UnitCodes::backward(const Tensor& grad_unit) const {
  const Tensor along = where(greater(norm, number(kMinNorm, norm)),
                             sum(mul(unit, grad_unit), -1, /*keep_dim=*/true), number(0, norm));
  return mul(div(sub(grad_unit, mul(unit, along)), divisor), scale);
}

Tensor UnitCodes::from_corners(const Options& options) const {
  const Tensor is_one = ones_of(options, x);
  return sub(unit,
             where(is_one, number(options.code_scale(), x), number(-options.code_scale(), x)));
}

}  // namespace bsq::operators
