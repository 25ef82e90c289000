#include "quantizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "aligned_buffer.h"
#include "cpu/codes.h"
#include "cpu/row_kernels.h"
#include "error.h"
#include "losses.h"
#include "refusals.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer elements than this are not worth waking a second thread for.
constexpr int64_t kElementGrain = int64_t{64} * 1024;

// The indices of so many rows, 16 MB, are not kept in the caches.
constexpr int64_t kStreamedRows = int64_t{2} * 1024 * 1024;

int64_t row_grain(int64_t dim) { return std::max(int64_t{1}, kElementGrain / dim); }

// The smallest row that any thread reported.
class FirstRow {
 public:
  void report(int64_t row) noexcept {
    int64_t known = row_.load(std::memory_order_relaxed);
    while (row < known && !row_.compare_exchange_weak(known, row, std::memory_order_relaxed)) {
    }
  }

  [[nodiscard]] bool found() const noexcept { return row() != kNone; }
  [[nodiscard]] int64_t row() const noexcept { return row_.load(std::memory_order_relaxed); }

 private:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> row_{kNone};
};

// Refuses the first value of the row that is not finite.
template <class T>
[[noreturn]] void refuse_row(const T* x, int64_t row, int64_t dim) {
  const int64_t column = cpu::first_non_finite(x + row * dim, dim);
  if (column < 0) {
    fail(Code::kInvalidArgument, "x[", row, "] was not finite, and was changed during the call");
  }
  refuse_non_finite(row, column, x[row * dim + column]);
}

// Whether all rows are finite, from the first that is not. Refuses it, by the policy.
template <class T>
bool accept(const Options& options, const T* x, const FirstRow& bad) {
  if (bad.found() && !options.propagate_non_finite) {
    refuse_row(x, bad.row(), options.code_dim);
  }
  return !bad.found();
}

// indices[rows], and whether all rows are finite. Refuses those that are not, by the policy.
template <class T>
bool encode_checked(const Options& options, const T* x, int64_t rows, int64_t* indices) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, row_grain(dim), [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::row_kernels<T>().encode(x + begin * dim, end - begin, dim,
                                                     indices + begin, rows >= kStreamedRows);
    if (row >= 0) {
      bad.report(begin + row);
    }
  });
  return accept(options, x, bad);
}

// Whether all rows are finite. Refuses those that are not, by the policy.
template <class T>
bool check_rows(const Options& options, const T* x, int64_t rows) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, row_grain(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (cpu::first_non_finite(x + row * dim, dim) >= 0) {
        bad.report(row);
        return;
      }
    }
  });
  return accept(options, x, bad);
}

// The straight-through gradient alone. Rows that are not finite get NaN.
template <class T>
void backward_without_losses(const Options& options, const T* x, int64_t rows,
                             const T* grad_quantized, T* grad_x) {
  const int64_t dim = options.code_dim;
  parallel_for(rows, row_grain(dim), [&](int64_t begin, int64_t end) {
    cpu::row_kernels<T>().straight_through(
        x + begin * dim, end - begin, dim,
        grad_quantized == nullptr ? nullptr : grad_quantized + begin * dim, grad_x + begin * dim);
  });
}

}  // namespace

template <class T>
void encode(const Options& options, const T* x, int64_t rows, int64_t* indices) {
  encode_checked(options, x, rows, indices);
}

template <class T>
void decode(const Options& options, const int64_t* indices, int64_t rows, T* quantized) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, row_grain(dim), [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::first_bad_index(indices + begin, end - begin, dim);
    if (row >= 0) {
      bad.report(begin + row);
      return;
    }
    cpu::decode(indices + begin, end - begin, dim, quantized + begin * dim);
  });
  if (bad.found()) {
    refuse_index(bad.row(), indices[bad.row()], dim);
  }
}

template <class T>
void forward(const Options& options, const T* x, int64_t rows, T* quantized, int64_t* indices,
             Losses* losses) {
  if (losses != nullptr) {
    options.require_losses();
  }
  const int64_t dim = options.code_dim;
  // The quantized rows are decoded from the indices, so these are needed in any case.
  const AlignedBuffer<int64_t> own_indices(indices == nullptr ? rows : 0, "the indices");
  int64_t* const row_indices = indices == nullptr ? own_indices.get() : indices;
  const bool finite = encode_checked(options, x, rows, row_indices);
  if (quantized != nullptr) {
    parallel_for(rows, row_grain(dim), [&](int64_t begin, int64_t end) {
      cpu::decode(row_indices + begin, end - begin, dim, quantized + begin * dim);
      for (int64_t row = begin; row < end && !finite; ++row) {
        if (cpu::first_non_finite(x + row * dim, dim) >= 0) {
          cpu::quantize_non_finite(x + row * dim, dim, quantized + row * dim);
        }
      }
    });
  }
  if (losses == nullptr || rows == 0) {
    return;
  }
  if (finite) {
    *losses = compute_losses(options, x, rows);
  } else {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    *losses = {options, kNan, kNan};
  }
}

template <class T>
void backward(const Options& options, const T* x, int64_t rows, const T* grad_quantized,
              double grad_aux_loss, T* grad_x) {
  if (grad_aux_loss != 0) {
    options.require_losses();
  }
  const bool finite = check_rows(options, x, rows);
  if (grad_aux_loss == 0 || rows == 0) {
    backward_without_losses(options, x, rows, grad_quantized, grad_x);
  } else if (finite) {
    backward_with_losses(options, x, rows, grad_quantized, grad_aux_loss, grad_x);
  } else {  // one such row makes the loss NaN, and with it every row's gradient
    std::fill_n(grad_x, rows * options.code_dim, std::numeric_limits<T>::quiet_NaN());
  }
}

template <class T>
void bits_to_codes(const T* bits, int64_t count, T* codes) {
  parallel_for(count, kElementGrain, [&](int64_t begin, int64_t end) {
    std::transform(bits + begin, bits + end, codes + begin, [](T bit) { return bit * 2 - 1; });
  });
}

template <class T>
void codes_to_indices(const Options& options, const T* codes, int64_t rows, int64_t* indices) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, row_grain(dim), [&](int64_t begin, int64_t end) {
    const auto position =
        cpu::codes_to_indices(codes + begin * dim, end - begin, dim, indices + begin);
    if (position) {
      bad.report(begin + position->row);
    }
  });
  if (bad.found()) {
    int64_t unused = 0;
    const auto position = cpu::codes_to_indices(codes + bad.row() * dim, 1, dim, &unused);
    if (!position) {
      fail(Code::kInvalidArgument, "codes[", bad.row(),
           "] was no code, and was changed during the call");
    }
    refuse_code(bad.row(), position->column, codes[bad.row() * dim + position->column]);
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                         \
  template void encode(const Options&, const T*, int64_t, int64_t*);               \
  template void decode(const Options&, const int64_t*, int64_t, T*);               \
  template void forward(const Options&, const T*, int64_t, T*, int64_t*, Losses*); \
  template void backward(const Options&, const T*, int64_t, const T*, double, T*); \
  template void bits_to_codes(const T*, int64_t, T*);                              \
  template void codes_to_indices(const Options&, const T*, int64_t, int64_t*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
