// Signs, indices and codes on CPU memory that has been checked, on several threads. Shapes as in
// bsq.h. T is float or double. All functions throw Error.
#pragma once

#include <cstdint>

#include "options.h"
#include "row_shape.h"

namespace bsq {

template <class T>
void encode(const Options& options, const RowShape& shape, const T* x, int64_t* indices);

template <class T>
void decode(const Options& options, const RowShape& shape, const int64_t* indices, T* quantized);

// indices and quantized of x, either of which may be NULL. Refuses rows that are not finite, by the
// policy. Returns whether all are finite.
template <class T>
bool quantize(const Options& options, const RowShape& shape, const T* x, T* quantized,
              int64_t* indices);

// The same of nothing: checks the rows.
template <class T>
bool check_rows(const Options& options, const RowShape& shape, const T* x);

// Refuses the first value of the row that is not finite.
template <class T>
[[noreturn]] void refuse_non_finite_row(const Options& options, const RowShape& shape, const T* x,
                                        int64_t row);

template <class T>
void bits_to_codes(const T* bits, int64_t count, T* codes);

template <class T>
void codes_to_indices(const Options& options, const RowShape& shape, const T* codes,
                      int64_t* indices);

}  // namespace bsq
