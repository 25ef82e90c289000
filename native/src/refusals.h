// What is said of values that are refused, wherever they are found. Positions are those in a matrix
// of rows.
#pragma once

#include <cstdint>

namespace bsq {

[[noreturn]] void refuse_non_finite(int64_t row, int64_t column, double value);

[[noreturn]] void refuse_index(int64_t row, int64_t index, int64_t code_dim);

[[noreturn]] void refuse_code(int64_t row, int64_t column, double value);

}  // namespace bsq
