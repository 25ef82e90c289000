// What is said of values that are refused, wherever they are found. Positions are those in a matrix
// of rows.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

[[noreturn]] void refuse_non_finite(int64_t row, int64_t column, double value);

// The column is that in the indices of a row.
[[noreturn]] void refuse_index(const Options& options, int64_t row, int64_t column, int64_t index);

// An element of packed codes, or of bits.
[[noreturn]] void refuse_packed(const Options& options, const cpu::CodeFormat& format, int64_t row,
                                int64_t column, uint64_t value);

[[noreturn]] void refuse_code(int64_t row, int64_t column, double value);

// The column is that in the indices of a row's levels.
[[noreturn]] void refuse_level_index(const Options& options, int64_t row, int64_t column,
                                     int64_t index);

// A component that no codes of so many levels give.
[[noreturn]] void refuse_level_sum(const Options& options, int64_t levels, int64_t row,
                                   int64_t column, double value);

}  // namespace bsq
