// Codes of several levels, each of what the levels before it left over, on CPU memory that has been
// checked: see "Residual codes" in bsq.h. T is float or double. All functions throw Error.
#pragma once

#include <cstddef>
#include <cstdint>

#include "options.h"
#include "row_shape.h"

namespace bsq {

// quantized and indices may be NULL. Returns whether all rows are finite.
template <class T>
bool residual_quantize(const Options& options, int64_t levels, const RowShape& shape, const T* x,
                       T* quantized, int64_t* indices);

// quantized of the first `used` of the levels.
template <class T>
void residual_decode(const Options& options, int64_t levels, int64_t used, const RowShape& shape,
                     const int64_t* indices, T* quantized);

template <class T>
void residual_codes_to_indices(const Options& options, int64_t levels, const RowShape& shape,
                               const T* quantized, int64_t* indices);

// What the first `level` levels leave over of x.
template <class T>
void residual_of(const Options& options, int64_t level, const RowShape& shape, const T* x,
                 T* residual);

// mask, quantized, indices and losses[levels] may each be NULL.
template <class T>
void residual_forward(const Options& options, int64_t levels, const RowShape& shape, const T* x,
                      const uint8_t* mask, T* quantized, int64_t* indices, Losses* losses);

// The norm up to which a residual beyond the first is what rounding left over, where numbers of so
// many bytes are computed in: a few units in the last place of u.
constexpr double least_residual(size_t number_bytes) {
  return number_bytes == sizeof(float) ? 0x1p-22 : 0x1p-50;
}

// Sets the gradients of those codes to 0 whose residual is no more than that: it has no direction,
// and dividing by its norm would make the gradient as large as 1e12.
template <class T>
void drop_noise(const Options& options, const RowShape& shape, const T* residual, T* gradient);

// mask and grad_quantized may be NULL.
template <class T>
void residual_backward(const Options& options, int64_t levels, const RowShape& shape, const T* x,
                       const uint8_t* mask, const T* grad_quantized, const double* grad_aux_losses,
                       T* grad_x);

}  // namespace bsq
