// The shapes of tensors of rows, of their masks and of their indices: see bsq.h. All functions
// throw Error.
#pragma once

#include <cstdint>

#include "options.h"
#include "row_shape.h"
#include "torch_ops.h"

namespace bsq {

// The number of elements.
[[nodiscard]] int64_t count(const Shape& shape);

// Refuses what is no shape of rows. `what` names the tensor.
void check_rows_shape(const Options& options, const Shape& shape, const char* what);

// Of a tensor of rows, all dimensions but that of the components; [1] where that leaves none.
[[nodiscard]] Shape leading_shape(const Options& options, const Shape& rows);

// The shape of the codes of a tensor of rows. `what` names that.
[[nodiscard]] Shape codes_shape(const Options& options, cpu::CodeLayout layout, const Shape& rows,
                                const char* what);

// The shape of the rows that such codes decode to. Refuses what is no shape of codes. `what` names
// them.
[[nodiscard]] Shape rows_shape(const Options& options, cpu::CodeLayout layout, const Shape& codes,
                               const char* what);

// The shape of codes in another layout.
[[nodiscard]] Shape converted_shape(const Options& from_options, cpu::CodeLayout from_layout,
                                    const Options& to_options, cpu::CodeLayout to_layout,
                                    const Shape& codes, const char* what);

// The leading dimensions of codes; [1] where there are none. Refuses what is no shape of codes.
[[nodiscard]] Shape leading_codes_shape(const Options& options, cpu::CodeLayout layout,
                                        const Shape& codes, const char* what);

// The shape of the sign margins of a tensor of rows.
[[nodiscard]] Shape margins_shape(const Options& options, const Shape& rows);

// The shape of the indices of several levels, and of the rows that these decode to.
[[nodiscard]] Shape level_indices_shape(const Options& options, int64_t levels, const Shape& rows);
[[nodiscard]] Shape level_rows_shape(const Options& options, int64_t levels, const Shape& indices);

// Items and positions of a tensor of rows, whose layout is that of the host path.
[[nodiscard]] RowShape row_shape(const Options& options, const Shape& rows);

}  // namespace bsq
