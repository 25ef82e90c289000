// Codes in other forms than indices, and how near rows are to other codes: on CPU memory that has
// been checked, on several threads. Shapes and layouts as in bsq.h. T is float or double. All
// functions throw Error.
#pragma once

#include <cstdint>

#include "options.h"
#include "row_shape.h"

namespace bsq {

template <class T>
void pack(const Options& options, const RowShape& shape, const T* x, cpu::CodeLayout layout,
          void* packed);

template <class T>
void unpack(const Options& options, const RowShape& shape, cpu::CodeLayout layout,
            const void* packed, T* quantized);

// Of `rows` rows, one layout in another. Both options have as many codes of as many bits.
void convert(const Options& from_options, cpu::CodeLayout from_layout, const Options& to_options,
             cpu::CodeLayout to_layout, int64_t rows, const void* from, void* to);

// Refuses what convert would refuse.
void check_codes(const Options& options, cpu::CodeLayout layout, int64_t rows, const void* codes);

// Each code's min |u_d|.
template <class T>
void sign_margins(const Options& options, const RowShape& shape, const T* x, T* margins);

}  // namespace bsq
