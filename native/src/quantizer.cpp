#include "quantizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "cpu/codes.h"
#include "cpu/row_kernels.h"
#include "error.h"
#include "losses.h"
#include "refusals.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer elements than this are not worth waking a second thread for, which takes some 10 us: of
// work that is as fast as the memory, and of arithmetic.
constexpr int64_t kCopyGrain = int64_t{256} * 1024;
constexpr int64_t kArithmeticGrain = int64_t{16} * 1024;

// The indices of so many rows, 16 MB, are not kept in the caches.
constexpr int64_t kStreamedRows = int64_t{2} * 1024 * 1024;

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

// Whether all rows are finite. Refuses those that are not, by the policy.
template <class T>
bool check_rows(const Options& options, const T* x, int64_t rows) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, kCopyGrain / dim, [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::first_non_finite_row(x + begin * dim, end - begin, dim);
    if (row >= 0) {
      bad.report(begin + row);
    }
  });
  return accept(options, x, bad);
}

// Indices of rows and, where quantized is not NULL, what they decode to. Returns the first row that
// is not finite, or -1.
template <class T>
int64_t quantize(const T* x, int64_t rows, int64_t dim, T* quantized, int64_t* indices) {
  const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
  const int64_t bad = kernels.encode(x, rows, dim, indices, false);
  if (quantized == nullptr) {
    return bad;
  }
  kernels.decode(indices, rows, dim, quantized);
  for (int64_t row = bad; row >= 0 && row < rows; ++row) {
    if (cpu::first_non_finite(x + row * dim, dim) >= 0) {
      cpu::quantize_non_finite(x + row * dim, dim, quantized + row * dim);
    }
  }
  return bad;
}

// The straight-through gradient alone. Rows that are not finite get NaN.
template <class T>
void backward_without_losses(const Options& options, const T* x, int64_t rows,
                             const T* grad_quantized, T* grad_x) {
  const int64_t dim = options.code_dim;
  parallel_for(rows, kArithmeticGrain / dim, [&](int64_t begin, int64_t end) {
    cpu::row_kernels<T>().straight_through(
        x + begin * dim, end - begin, dim,
        grad_quantized == nullptr ? nullptr : grad_quantized + begin * dim, grad_x + begin * dim);
  });
}

}  // namespace

template <class T>
void encode(const Options& options, const T* x, int64_t rows, int64_t* indices) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, kCopyGrain / dim, [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::row_kernels<T>().encode(x + begin * dim, end - begin, dim,
                                                     indices + begin, rows >= kStreamedRows);
    if (row >= 0) {
      bad.report(begin + row);
    }
  });
  accept(options, x, bad);
}

template <class T>
void decode(const Options& options, const int64_t* indices, int64_t rows, T* quantized) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, kCopyGrain / dim, [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::first_bad_index(indices + begin, end - begin, dim);
    if (row >= 0) {
      bad.report(begin + row);
      return;
    }
    cpu::row_kernels<T>().decode(indices + begin, end - begin, dim, quantized + begin * dim);
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
  FirstRow bad;
  parallel_for(rows, kCopyGrain / dim, [&](int64_t begin, int64_t end) {
    // By parts whose indices are still in the nearest cache when they are decoded.
    constexpr int64_t kPartRows = 256;
    int64_t own_indices[kPartRows];
    for (int64_t part = begin; part < end; part += kPartRows) {
      const int64_t row = quantize(x + part * dim, std::min(kPartRows, end - part), dim,
                                   quantized == nullptr ? nullptr : quantized + part * dim,
                                   indices == nullptr ? own_indices : indices + part);
      if (row >= 0) {
        bad.report(part + row);
      }
    }
  });
  const bool finite = accept(options, x, bad);
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
  parallel_for(count, kCopyGrain, [&](int64_t begin, int64_t end) {
    std::transform(bits + begin, bits + end, codes + begin, [](T bit) { return bit * 2 - 1; });
  });
}

template <class T>
void codes_to_indices(const Options& options, const T* codes, int64_t rows, int64_t* indices) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, kArithmeticGrain / dim, [&](int64_t begin, int64_t end) {
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
