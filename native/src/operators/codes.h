// Signs, indices and codes by LibTorch's operators alone, for any device. Nothing waits for it.
#pragma once

#include <cstdint>
#include <memory>

#include "finding.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// What was computed, and what was found out about the values.
struct Result {
  Tensor tensor;
  std::shared_ptr<const Finding> finding;  // NULL where there is nothing to find
};

// What encode computes of each row.
struct RowSigns {
  Tensor indices;        // int64 [rows]; 0 for a row that is not finite
  Tensor is_not_finite;  // uint8 [rows]
};

// Of x[rows, code_dim].
[[nodiscard]] RowSigns row_signs(const Options& options, const Tensor& x);

// The finding about rows that are not finite: NULL where the policy lets them through, or there are
// no rows.
[[nodiscard]] std::shared_ptr<const Finding> find_non_finite(const Options& options,
                                                             const Tensor& x,
                                                             const Tensor& is_not_finite);

// indices[rows] from x[rows, code_dim].
[[nodiscard]] Result encode(const Options& options, const Tensor& x);

// quantized[rows, code_dim] from int64 indices[rows], whose bits beyond code_dim are ignored.
[[nodiscard]] Tensor decode_unchecked(const Options& options, const Tensor& indices, DType dtype);

// The same, and the finding about indices out of range.
[[nodiscard]] Result decode(const Options& options, const Tensor& indices, DType dtype);

// 2 * bits - 1, of any shape.
[[nodiscard]] Tensor bits_to_codes(const Tensor& bits);

// indices[rows] from codes[rows, code_dim].
[[nodiscard]] Result codes_to_indices(const Options& options, const Tensor& codes);

}  // namespace bsq::operators
