// The quantizer on CPU memory that has been checked: what the bsq_host_* functions do. Shapes as in
// bsq.h. T is float or double. All functions throw Error.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

template <class T>
void encode(const Options& options, const T* x, int64_t rows, int64_t* indices);

template <class T>
void decode(const Options& options, const int64_t* indices, int64_t rows, T* quantized);

// quantized, indices and losses may each be NULL.
template <class T>
void forward(const Options& options, const T* x, int64_t rows, T* quantized, int64_t* indices,
             Losses* losses);

// grad_quantized may be NULL.
template <class T>
void backward(const Options& options, const T* x, int64_t rows, const T* grad_quantized,
              double grad_aux_loss, T* grad_x);

template <class T>
void bits_to_codes(const T* bits, int64_t count, T* codes);

template <class T>
void codes_to_indices(const Options& options, const T* codes, int64_t rows, int64_t* indices);

}  // namespace bsq
