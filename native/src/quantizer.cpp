#include "quantizer.h"

#include <algorithm>
#include <limits>

#include "codes.h"
#include "cpu/codes.h"
#include "loss_rows.h"
#include "loss_sums.h"
#include "losses.h"

namespace bsq {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Whether the rows that take part in the losses are finite, of rows that are not all.
template <class T>
bool losses_are_finite(const Options& options, const LossRows& rows, const T* x) {
  const int64_t count = options.commits() ? rows.counted() : rows.drawn();
  for (int64_t i = 0; i < count; ++i) {
    const T* const row = x + rows.layout().offset(rows.row(i));
    if (cpu::first_non_finite(row, options.row_length(), rows.layout().step()) >= 0) {
      return false;
    }
  }
  return true;
}

Losses nan_losses(const Options& options, const LossRows& rows) {
  LossTerms terms;
  terms.per_sample_entropy = kNan;
  terms.codebook_entropy = kNan;
  terms.commitment = options.commits() ? kNan : 0;
  terms.rows = rows.counted();
  terms.entropy_rows = rows.drawn();
  return {options, terms};
}

}  // namespace

template <class T>
void forward(const Options& options, const RowShape& shape, const T* x, const uint8_t* mask,
             T* quantized, int64_t* indices, Losses* losses) {
  if (losses != nullptr) {
    options.require_losses();
  }
  const bool finite = quantize(options, shape, x, quantized, indices);
  if (losses != nullptr) {
    const LossRows rows(options, shape, mask);
    *losses = finite || losses_are_finite(options, rows, x) ? compute_losses(options, rows, x)
                                                            : nan_losses(options, rows);
  }
}

template <class T>
void loss_sums(const Options& options, const RowShape& shape, const T* x, const uint8_t* mask,
               double* sums) {
  options.require_losses();
  const bool finite = check_rows(options, shape, x);
  const LossRows rows(options, shape, mask);
  if (finite || losses_are_finite(options, rows, x)) {
    compute_loss_sums(options, rows, x, sums);
  } else {
    std::fill_n(sums, options.loss_sums_size(), kNan);
    sums[0] = static_cast<double>(rows.counted());
    sums[1] = static_cast<double>(rows.drawn());
  }
}

template <class T>
void backward(const Options& options, const RowShape& shape, const T* x, const uint8_t* mask,
              const double* sums, const T* grad_quantized, double grad_aux_loss, T* grad_x) {
  if (grad_aux_loss != 0) {
    options.require_losses();
  }
  const bool finite = check_rows(options, shape, x);
  if (grad_aux_loss == 0) {
    // Which rows count does not matter then.
    backward_without_losses(options, LossRows(options, shape, nullptr), x, grad_quantized, grad_x);
    return;
  }
  const LossRows rows(options, shape, mask);
  if (sums != nullptr) {
    LossSumsHeader::from(sums).require_rows(rows.counted(), rows.drawn());
    LossSumsHeader::require_not_negative(options, sums);
  }
  // Those of a batch with a row that is not finite are not either.
  const bool finite_sums =
      sums == nullptr || cpu::first_non_finite(sums, options.loss_sums_size()) < 0;
  if (finite_sums && (finite || losses_are_finite(options, rows, x))) {
    backward_with_losses(options, rows, x, sums, grad_quantized, grad_aux_loss, grad_x);
  } else {  // one such row makes the loss NaN, and with it every row's gradient
    std::fill_n(grad_x, shape.rows() * options.row_length(), std::numeric_limits<T>::quiet_NaN());
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                                         \
  template void forward(const Options&, const RowShape&, const T*, const uint8_t*, T*, int64_t*,   \
                        Losses*);                                                                  \
  template void loss_sums(const Options&, const RowShape&, const T*, const uint8_t*, double*);     \
  template void backward(const Options&, const RowShape&, const T*, const uint8_t*, const double*, \
                         const T*, double, T*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
