#include "quantizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "aligned_buffer.h"
#include "cpu/codes.h"
#include "cpu/entropy.h"
#include "cpu/unit_row.h"
#include "error.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer elements or rows than this are not worth waking a second thread for.
constexpr int64_t kCodeElementGrain = int64_t{64} * 1024;
constexpr int64_t kLossRowGrain = 32;
constexpr int64_t kCodebookGrain = int64_t{16} * 1024;

// The factors of this many bytes of rows are expanded at once, which bounds the memory of a call.
constexpr int64_t kChunkBytes = int64_t{16} * 1024 * 1024;
// And at most this many rows: a matrix product may add them up one after the other, which in
// float32 loses too much of a sum of very many.
constexpr int64_t kMaxChunkRows = 1024;

int64_t code_row_grain(int64_t dim) { return std::max(int64_t{1}, kCodeElementGrain / dim); }

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

template <class T>
[[noreturn]] void refuse_non_finite(const T* x, int64_t row, int64_t dim) {
  const int64_t column = cpu::first_non_finite(x + row * dim, dim);
  fail(Code::kInvalidArgument, "x[", row, ", ", column, "] is ", x[row * dim + column],
       ", expected a finite number; the non-finite option can let such rows through");
}

// indices[rows], and whether all rows are finite. Refuses those that are not, by the policy.
template <class T>
bool encode_checked(const Options& options, const T* x, int64_t rows, int64_t* indices) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, code_row_grain(dim), [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::encode(x + begin * dim, end - begin, dim, indices + begin);
    if (row >= 0) {
      bad.report(begin + row);
    }
  });
  if (bad.found() && !options.propagate_non_finite) {
    refuse_non_finite(x, bad.row(), dim);
  }
  return !bad.found();
}

// Whether all rows are finite. Refuses those that are not, by the policy.
template <class T>
bool check_rows(const Options& options, const T* x, int64_t rows) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, code_row_grain(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (cpu::first_non_finite(x + row * dim, dim) >= 0) {
        bad.report(row);
        return;
      }
    }
  });
  if (bad.found() && !options.propagate_non_finite) {
    refuse_non_finite(x, bad.row(), dim);
  }
  return !bad.found();
}

// What the losses need of one row.
struct LossRow {
  template <class T>
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): fills the first code_dim of each array
  LossRow(const T* x, const Options& options)
      : norm(cpu::row_norm(x, options.code_dim)),
        logit_scale(4 * options.inverse_temperature /
                    std::sqrt(static_cast<double>(options.code_dim))) {
    cpu::normalize(x, options.code_dim, norm, unit);
    for (int64_t d = 0; d < options.code_dim; ++d) {
      bits[d] = cpu::Bit::from_logit(logit_scale * unit[d]);
    }
  }

  cpu::RowNorm norm;
  double logit_scale;
  double unit[kMaxLossCodeDim];
  cpu::Bit bits[kMaxLossCodeDim];
};

// The factors of a chunk of rows, and the average distribution over all rows that they add up to.
template <class T>
class Factors {
 public:
  Factors(const Options& options, int64_t rows)
      : halves_(options.code_dim),
        rows_(rows),
        chunk_rows_(chunk_rows(halves_, rows)),
        leading_(chunk_rows_ * halves_.leading(), "a chunk of leading probabilities"),
        trailing_(chunk_rows_ * halves_.trailing(), "a chunk of trailing probabilities"),
        chunk_mean_(rows > chunk_rows_ ? halves_.codes() : 0,
                    "a chunk's average distribution over the 2^code_dim codes") {}

  // Calls body(begin, end) for consecutive chunks of rows.
  template <class Body>
  void for_each_chunk(const Body& body) const {
    for (int64_t begin = 0; begin < rows_; begin += chunk_rows_) {
      body(begin, std::min(rows_, begin + chunk_rows_));
    }
  }

  [[nodiscard]] const cpu::Halves& halves() const { return halves_; }
  [[nodiscard]] int64_t max_chunk_rows() const { return chunk_rows_; }

  // The factors of row i of the current chunk.
  [[nodiscard]] T* leading(int64_t i) const { return leading_.get() + i * halves_.leading(); }
  [[nodiscard]] T* trailing(int64_t i) const { return trailing_.get() + i * halves_.trailing(); }

  void expand(int64_t i, const LossRow& row) const {
    cpu::expand_probabilities(row.bits, halves_.leading_bits, leading(i));
    cpu::expand_probabilities(row.bits + halves_.leading_bits, halves_.trailing_bits, trailing(i));
  }

  [[nodiscard]] Matrix<T> leading_matrix(int64_t rows) const {
    return {leading_.get(), rows, halves_.leading()};
  }
  [[nodiscard]] Matrix<T> trailing_matrix(int64_t rows) const {
    return {trailing_.get(), rows, halves_.trailing()};
  }

  // Makes `average` the mean distribution of all rows up to `end`, the end of the current chunk,
  // from that of the rows up to `begin`. A running mean of the chunks' means: rounding does not add
  // up over the chunks.
  void add_to_average(int64_t begin, int64_t end, const AlignedBuffer<T>& average) const {
    const AlignedBuffer<T>& mean = begin == 0 ? average : chunk_mean_;
    matmul<T>({mean.get(), halves_.leading(), halves_.trailing()}, leading_matrix(end - begin).t(),
              trailing_matrix(end - begin), 0.0, 1.0 / static_cast<double>(end - begin));
    if (begin == 0) {
      return;
    }
    const double share = static_cast<double>(end - begin) / static_cast<double>(end);
    parallel_for(halves_.codes(), kCodebookGrain, [&](int64_t first, int64_t last) {
      for (int64_t code = first; code < last; ++code) {
        const double before = average[code];
        average[code] = static_cast<T>(before + share * (mean[code] - before));
      }
    });
  }

 private:
  static int64_t chunk_rows(const cpu::Halves& halves, int64_t rows) {
    const int64_t row_bytes =
        (halves.leading() + halves.trailing()) * static_cast<int64_t>(sizeof(T));
    const int64_t chunk = std::min({kChunkBytes / row_bytes, kMaxChunkRows, rows});
    return std::max(int64_t{1}, chunk);
  }

  cpu::Halves halves_;
  int64_t rows_;
  int64_t chunk_rows_;
  AlignedBuffer<T> leading_;
  AlignedBuffer<T> trailing_;
  AlignedBuffer<T> chunk_mean_;  // where there is more than one chunk
};

template <class T>
AlignedBuffer<T> make_average(const cpu::Halves& halves) {
  return {halves.codes(), "the average distribution over the 2^code_dim codes"};
}

// The partial sums are those of fixed blocks, so the result does not depend on the thread count.
template <class T>
double codebook_entropy(const AlignedBuffer<T>& average, int64_t codes) {
  const int64_t blocks = (codes + kCodebookGrain - 1) / kCodebookGrain;
  const AlignedBuffer<double> sums(blocks, "partial sums of the codebook entropy");
  parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kCodebookGrain;
      sums[block] =
          cpu::codebook_entropy(average.get() + first, std::min(kCodebookGrain, codes - first));
    }
  });
  return std::accumulate(sums.get(), sums.get() + blocks, 0.0);
}

template <class T>
Losses compute_losses(const Options& options, const T* x, int64_t rows) {
  const Factors<T> factors(options, rows);
  const AlignedBuffer<T> average = make_average<T>(factors.halves());
  const AlignedBuffer<double> entropies(factors.max_chunk_rows(), "a chunk of row entropies");
  double entropy_sum = 0;
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    parallel_for(end - begin, kLossRowGrain, [&](int64_t first, int64_t last) {
      cpu::SampleEntropy<T> sample(factors.halves());
      for (int64_t i = first; i < last; ++i) {
        const LossRow row(x + (begin + i) * options.code_dim, options);
        factors.expand(i, row);
        entropies[i] = sample.entropy(row.bits, factors.leading(i));
      }
    });
    // In row order, so that the sum does not depend on the thread count.
    entropy_sum = std::accumulate(entropies.get(), entropies.get() + (end - begin), entropy_sum);
    factors.add_to_average(begin, end, average);
  });
  Losses losses;
  losses.per_sample_entropy = entropy_sum / static_cast<double>(rows);
  // Rounding may take an average of equal rows past 1, but no entropy is negative.
  losses.codebook_entropy = std::max(0.0, codebook_entropy(average, factors.halves().codes()));
  losses.aux_loss = options.entropy_loss_weight *
                    (losses.per_sample_entropy - options.diversity_gamma * losses.codebook_entropy);
  return losses;
}

// d(codebook entropy)/dq for the mean distribution q of all rows.
template <class T>
void compute_codebook_gradient(const Options& options, const T* x, const Factors<T>& factors,
                               const AlignedBuffer<T>& gradient) {
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    parallel_for(end - begin, kLossRowGrain, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        factors.expand(i, LossRow(x + (begin + i) * options.code_dim, options));
      }
    });
    factors.add_to_average(begin, end, gradient);
  });
  parallel_for(factors.halves().codes(), kCodebookGrain, [&](int64_t begin, int64_t end) {
    cpu::codebook_entropy_gradient(gradient.get() + begin, end - begin);
  });
}

// The gradient through both entropies and the straight-through estimator, for finite rows.
template <class T>
void backward_with_loss(const Options& options, const T* x, int64_t rows, const T* grad_quantized,
                        double grad_aux_loss, T* grad_x) {
  const int64_t dim = options.code_dim;
  // aux_loss is the mean of the rows' entropies less gamma times the entropy of their mean.
  const double sample_weight =
      grad_aux_loss * options.entropy_loss_weight / static_cast<double>(rows);
  const double codebook_weight = -sample_weight * options.diversity_gamma;

  const Factors<T> factors(options, rows);
  const cpu::Halves& halves = factors.halves();
  const AlignedBuffer<T> codebook_gradient = make_average<T>(halves);
  compute_codebook_gradient(options, x, factors, codebook_gradient);
  const Matrix<T> gradient{codebook_gradient.get(), halves.leading(), halves.trailing()};

  const int64_t chunk_rows = factors.max_chunk_rows();
  const AlignedBuffer<T> leading_products(chunk_rows * halves.leading(), "a chunk of gradients");
  const AlignedBuffer<T> trailing_products(chunk_rows * halves.trailing(), "a chunk of gradients");
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    const int64_t size = end - begin;
    parallel_for(size, kLossRowGrain, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        factors.expand(i, LossRow(x + (begin + i) * dim, options));
      }
    });
    // Sums of g p over one half, less the factor of the other half.
    matmul<T>({leading_products.get(), size, halves.leading()}, factors.trailing_matrix(size),
              gradient.t(), 0.0, 1.0);
    matmul<T>({trailing_products.get(), size, halves.trailing()}, factors.leading_matrix(size),
              gradient, 0.0, 1.0);
    parallel_for(size, kLossRowGrain, [&](int64_t first, int64_t last) {
      cpu::SampleEntropy<T> sample(halves);
      const AlignedBuffer<double> leading_sums(halves.leading(), "a row's gradient sums");
      const AlignedBuffer<double> trailing_sums(halves.trailing(), "a row's gradient sums");
      const auto weigh = [&](const AlignedBuffer<double>& sums, int64_t count, const T* factor,
                             const T* product) {
        for (int64_t i = 0; i < count; ++i) {
          sums[i] = sample_weight * sums[i] +
                    codebook_weight * static_cast<double>(factor[i]) * product[i];
        }
      };
      for (int64_t i = first; i < last; ++i) {
        const int64_t element = (begin + i) * dim;
        const LossRow row(x + element, options);
        sample.gradient_sums(row.bits, factors.leading(i), factors.trailing(i), leading_sums.get(),
                             trailing_sums.get());
        weigh(leading_sums, halves.leading(), factors.leading(i),
              leading_products.get() + i * halves.leading());
        weigh(trailing_sums, halves.trailing(), factors.trailing(i),
              trailing_products.get() + i * halves.trailing());
        double grad_unit[kMaxLossCodeDim];
        cpu::logit_gradient(leading_sums.get(), row.bits, halves.leading_bits, grad_unit);
        cpu::logit_gradient(trailing_sums.get(), row.bits + halves.leading_bits,
                            halves.trailing_bits, grad_unit + halves.leading_bits);
        for (int64_t d = 0; d < dim; ++d) {
          grad_unit[d] = grad_unit[d] * row.logit_scale +
                         (grad_quantized == nullptr ? 0.0 : grad_quantized[element + d]);
        }
        cpu::normalize_backward(row.unit, grad_unit, dim, row.norm, grad_x + element);
      }
    });
  });
}

// The straight-through gradient alone. Rows that are not finite get NaN.
template <class T>
void backward_without_loss(const Options& options, const T* x, int64_t rows,
                           const T* grad_quantized, T* grad_x) {
  const int64_t dim = options.code_dim;
  parallel_for(rows, code_row_grain(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* const x_row = x + row * dim;
      T* const grad_row = grad_x + row * dim;
      if (cpu::first_non_finite(x_row, dim) >= 0) {
        std::fill_n(grad_row, dim, std::numeric_limits<T>::quiet_NaN());
        continue;
      }
      double unit[kMaxCodeDim];
      double grad_unit[kMaxCodeDim] = {};
      const cpu::RowNorm norm = cpu::row_norm(x_row, dim);
      cpu::normalize(x_row, dim, norm, unit);
      if (grad_quantized != nullptr) {
        std::copy_n(grad_quantized + row * dim, dim, grad_unit);
      }
      cpu::normalize_backward(unit, grad_unit, dim, norm, grad_row);
    }
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
  parallel_for(rows, code_row_grain(dim), [&](int64_t begin, int64_t end) {
    const int64_t row = cpu::first_bad_index(indices + begin, end - begin, dim);
    if (row >= 0) {
      bad.report(begin + row);
      return;
    }
    cpu::decode(indices + begin, end - begin, dim, quantized + begin * dim);
  });
  if (bad.found()) {
    fail(Code::kInvalidArgument, "indices[", bad.row(), "] is ", indices[bad.row()],
         ", expected 0 to ", (uint64_t{1} << dim) - 1, " for code_dim ", dim);
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
    parallel_for(rows, code_row_grain(dim), [&](int64_t begin, int64_t end) {
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
    *losses = {kNan, kNan, kNan};
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
    backward_without_loss(options, x, rows, grad_quantized, grad_x);
  } else if (finite) {
    backward_with_loss(options, x, rows, grad_quantized, grad_aux_loss, grad_x);
  } else {  // one such row makes the loss NaN, and with it every row's gradient
    std::fill_n(grad_x, rows * options.code_dim, std::numeric_limits<T>::quiet_NaN());
  }
}

template <class T>
void bits_to_codes(const T* bits, int64_t count, T* codes) {
  parallel_for(count, kCodeElementGrain, [&](int64_t begin, int64_t end) {
    std::transform(bits + begin, bits + end, codes + begin, [](T bit) { return bit * 2 - 1; });
  });
}

template <class T>
void codes_to_indices(const Options& options, const T* codes, int64_t rows, int64_t* indices) {
  const int64_t dim = options.code_dim;
  FirstRow bad;
  parallel_for(rows, code_row_grain(dim), [&](int64_t begin, int64_t end) {
    const auto position =
        cpu::codes_to_indices(codes + begin * dim, end - begin, dim, indices + begin);
    if (position) {
      bad.report(begin + position->row);
    }
  });
  if (bad.found()) {
    int64_t unused = 0;
    const auto position = cpu::codes_to_indices(codes + bad.row() * dim, 1, dim, &unused);
    const int64_t column = position->column;
    fail(Code::kInvalidArgument, "codes[", bad.row(), ", ", column, "] is ",
         codes[bad.row() * dim + column],
         ", expected a code value: finite and not 0 (encode takes any numbers)");
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
