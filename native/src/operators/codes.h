// Signs, indices and codes by LibTorch's operators alone, for any device. Nothing waits for it.
#pragma once

#include <memory>

#include "finding.h"
#include "operators/rows.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// What was computed, and what was found out about the values.
struct Result {
  Tensor tensor;
  std::shared_ptr<const Finding> finding;  // NULL where there is nothing to find
};

// x quantized.
struct Quantized {
  Rows rows;                               // of the type of x
  Tensor indices;                          // int64 [rows, row_indices]
  std::shared_ptr<const Finding> finding;  // about codes that are not finite
};

[[nodiscard]] Quantized quantize(const Options& options, const Rows& x);

// The finding about codes that are not finite. NULL where these are let through.
[[nodiscard]] std::shared_ptr<const Finding> find_non_finite(const Options& options, const Rows& x);

// int64 indices [rows, row_indices].
[[nodiscard]] Result encode(const Options& options, const Rows& x);

// Rows [items, positions, row_length] of int64 indices of as many rows, [rows, row_indices].
[[nodiscard]] Result decode(const Options& options, const Tensor& indices, int64_t items,
                            int64_t positions, DType dtype);

// Codes of a layout are [rows, codebooks * elements]; as results int64.
[[nodiscard]] Result pack(const Options& options, const Rows& x, cpu::CodeLayout layout);

// As decode.
[[nodiscard]] Result unpack(const Options& options, const Tensor& packed, cpu::CodeLayout layout,
                            int64_t items, int64_t positions, DType dtype);

[[nodiscard]] Result convert(const Options& from_options, const Tensor& codes,
                             cpu::CodeLayout from_layout, const Options& to_options,
                             cpu::CodeLayout to_layout);

// The bits of such codes, as int64: bool [rows, codebooks, code_dim], and the finding about
// elements that are those of no code: NULL where there are none.
[[nodiscard]] Tensor bits_of(const Options& options, const Tensor& stored, cpu::CodeLayout layout);
[[nodiscard]] std::shared_ptr<const Finding> find_no_code(const Options& options,
                                                          const Tensor& stored,
                                                          cpu::CodeLayout layout);

// Each code's min |u_d|: float64 [rows, codebooks].
[[nodiscard]] Result sign_margins(const Options& options, const Rows& x);

// 2 * bits - 1, of any shape.
[[nodiscard]] Tensor bits_to_codes(const Tensor& bits);

// int64 indices [rows, row_indices].
[[nodiscard]] Result codes_to_indices(const Options& options, const Rows& codes);

}  // namespace bsq::operators
