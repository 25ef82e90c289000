// Signs, indices and codes on CPU memory. All functions are serial; callers split the rows.
#pragma once

#include <cstdint>

namespace bsq::cpu {

// The first of `count` components, `step` apart from each other, that is not finite, or -1.
template <class T>
int64_t first_non_finite(const T* components, int64_t count, int64_t step);

// The first of x[size] that is not finite, or -1.
template <class T>
int64_t first_non_finite(const T* x, int64_t size);

// quantized[dim] of a code that is not finite, as the reference's arithmetic makes it: NaN spreads
// over the code, an infinity becomes NaN and the components beside it vanish. Components are `step`
// apart from each other. quantized is of +-scale.
template <class T>
void quantize_non_finite(const T* code, int64_t dim, int64_t step, T scale, T* quantized);

// The first index that lies outside [0, 2^bits), or -1.
int64_t first_bad_index(const int64_t* indices, int64_t count, int64_t bits);

// The index of one group's components, `step` apart from each other. Returns the first that is zero
// or not finite, or -1.
template <class T>
int64_t code_to_index(const T* code, int64_t bits, int64_t step, bool least_first, int64_t* index);

// min |u_d| of a code, whose components are `step` apart from each other. NaN where it is not
// finite.
template <class T>
double sign_margin(const T* code, int64_t dim, int64_t step);

}  // namespace bsq::cpu
