// Codes on the unit sphere, and the gradient back through the normalisation.
#pragma once

#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// Which components give a 1, bool.
[[nodiscard]] Tensor ones_of(const Options& options, const Tensor& components);

// In float64, [rows, codebooks, code_dim] and, of the norms, [rows, codebooks, 1].
struct UnitCodes {
  // Of rows[rows, row_length].
  UnitCodes(const Options& options, const Tensor& rows);

  // The gradient with respect to x from that with respect to the unit codes: see cpu/unit_rows.h.
  [[nodiscard]] Tensor backward(const Tensor& grad_unit) const;

  // unit - q, where q is the corner that the code is quantized to.
  [[nodiscard]] Tensor from_corners(const Options& options) const;

  Tensor x;
  Tensor scale;
  Tensor scaled;
  Tensor norm;
  Tensor divisor;
  Tensor unit;
};

}  // namespace bsq::operators
