// The quantizer's passes over CPU memory that has been checked: what bsq_host_forward and the like
// do. Shapes as in bsq.h. T is float or double. All functions throw Error.
#pragma once

#include <cstdint>

#include "options.h"
#include "row_shape.h"

namespace bsq {

// mask, quantized, indices and losses may each be NULL.
template <class T>
void forward(const Options& options, const RowShape& shape, const T* x, const uint8_t* mask,
             T* quantized, int64_t* indices, Losses* losses);

// mask may be NULL.
template <class T>
void loss_sums(const Options& options, const RowShape& shape, const T* x, const uint8_t* mask,
               double* sums);

// mask, sums and grad_quantized may each be NULL.
template <class T>
void backward(const Options& options, const RowShape& shape, const T* x, const uint8_t* mask,
              const double* sums, const T* grad_quantized, double grad_aux_loss, T* grad_x);

}  // namespace bsq
