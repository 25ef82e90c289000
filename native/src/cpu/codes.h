// Signs, indices and codes on CPU memory. All functions are serial; callers split the rows.
#pragma once

#include <cstdint>
#include <optional>

namespace bsq::cpu {

// The position of a value in an array of rows.
struct Position {
  int64_t row;
  int64_t column;
};

// The first column of the row that is not finite, or -1.
template <class T>
int64_t first_non_finite(const T* row, int64_t dim);

// The first row of x[rows, dim] that is not finite, or -1.
template <class T>
int64_t first_non_finite_row(const T* x, int64_t rows, int64_t dim);

// quantized[dim] of a row that encode found not to be finite, as the reference's arithmetic makes
// it: NaN spreads over the row, an infinity becomes NaN and the components beside it vanish.
template <class T>
void quantize_non_finite(const T* row, int64_t dim, T* quantized);

// The first row whose index lies outside [0, 2^dim), or -1.
int64_t first_bad_index(const int64_t* indices, int64_t rows, int64_t dim);

// indices[rows] from codes[rows, dim]; returns the position of the first zero or non-finite value.
template <class T>
std::optional<Position> codes_to_indices(const T* codes, int64_t rows, int64_t dim,
                                         int64_t* indices);

}  // namespace bsq::cpu
