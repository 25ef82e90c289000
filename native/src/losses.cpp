#include "losses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "aligned_buffer.h"
#include "cpu/entropy.h"
#include "cpu/unit_row.h"
#include "formula.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer rows, or codes, than this are not worth waking a second thread for.
constexpr int64_t kRowGrain = 32;
constexpr int64_t kCodebookGrain = int64_t{16} * 1024;

// The factors of this many bytes of rows are expanded at once, which bounds the memory of a call.
constexpr int64_t kChunkBytes = int64_t{16} * 1024 * 1024;
// And at most this many rows: a matrix product may add them up one after the other, which in
// float32 loses too much of a sum of very many.
constexpr int64_t kMaxChunkRows = 1024;

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

  [[nodiscard]] const Halves& halves() const { return halves_; }
  [[nodiscard]] int64_t max_chunk_rows() const { return chunk_rows_; }

  // The factors of row i of the current chunk.
  [[nodiscard]] T* leading(int64_t i) const { return leading_.get() + i * halves_.leading(); }
  [[nodiscard]] T* trailing(int64_t i) const { return trailing_.get() + i * halves_.trailing(); }

  void expand(int64_t i, const LossRow& row) const {
    cpu::expand_probabilities(row.bits, halves_.leading_bits, leading(i));
    cpu::expand_probabilities(row.bits + halves_.leading_bits, halves_.trailing_bits, trailing(i));
  }

  void expand_chunk(const Options& options, const T* x, int64_t begin, int64_t end) const {
    parallel_for(end - begin, kRowGrain, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        expand(i, LossRow(x + (begin + i) * options.code_dim, options));
      }
    });
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
  static int64_t chunk_rows(const Halves& halves, int64_t rows) {
    const int64_t row_bytes =
        (halves.leading() + halves.trailing()) * static_cast<int64_t>(sizeof(T));
    const int64_t chunk = std::min({kChunkBytes / row_bytes, kMaxChunkRows, rows});
    return std::max(int64_t{1}, chunk);
  }

  Halves halves_;
  int64_t rows_;
  int64_t chunk_rows_;
  AlignedBuffer<T> leading_;
  AlignedBuffer<T> trailing_;
  AlignedBuffer<T> chunk_mean_;  // where there is more than one chunk
};

template <class T>
AlignedBuffer<T> make_average(const Halves& halves) {
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

// d(codebook entropy)/dq for the mean distribution q of all rows.
template <class T>
void compute_codebook_gradient(const Options& options, const T* x, const Factors<T>& factors,
                               const AlignedBuffer<T>& gradient) {
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    factors.expand_chunk(options, x, begin, end);
    factors.add_to_average(begin, end, gradient);
  });
  parallel_for(factors.halves().codes(), kCodebookGrain, [&](int64_t begin, int64_t end) {
    cpu::codebook_entropy_gradient(gradient.get() + begin, end - begin);
  });
}

// How much the aux loss grows with each row's entropy, and with the entropy of their average.
struct Weights {
  Weights(const Options& options, int64_t rows, double grad_aux_loss)
      : sample(grad_aux_loss * options.entropy_loss_weight / static_cast<double>(rows)),
        codebook(-sample * options.diversity_gamma) {}

  double sample;
  double codebook;  // times a row's share of the average, 1 / rows
};

// The backward pass of one row at a time. Holds scratch memory: one object per thread.
template <class T>
class RowBackward {
 public:
  RowBackward(const Halves& halves, const Weights& weights)
      : halves_(halves),
        weights_(weights),
        sample_(halves),
        leading_sums_(halves.leading(), "a row's gradient sums"),
        trailing_sums_(halves.trailing(), "a row's gradient sums") {}

  // grad_unit[code_dim] of the aux loss with respect to the unit row. The products are the row's
  // sums of (codebook gradient) * p over the other half, less the own factor.
  void operator()(const LossRow& row, const T* leading, const T* trailing, const T* leading_product,
                  const T* trailing_product, double* grad_unit) {
    const cpu::Bit* const trailing_bits = row.bits + halves_.leading_bits;
    sample_.gradient_sums(row.bits, leading, trailing, leading_sums_.get(), trailing_sums_.get());
    weigh(leading_sums_, halves_.leading(), leading, leading_product);
    weigh(trailing_sums_, halves_.trailing(), trailing, trailing_product);
    cpu::logit_gradient(leading_sums_.get(), row.bits, halves_.leading_bits, grad_unit);
    cpu::logit_gradient(trailing_sums_.get(), trailing_bits, halves_.trailing_bits,
                        grad_unit + halves_.leading_bits);
    const int64_t dim = halves_.leading_bits + halves_.trailing_bits;
    std::transform(grad_unit, grad_unit + dim, grad_unit,
                   [&row](double grad_logit) { return grad_logit * row.logit_scale; });
  }

 private:
  // From the sums of the sample entropy alone to those of the aux loss.
  void weigh(const AlignedBuffer<double>& sums, int64_t count, const T* factor,
             const T* product) const {
    for (int64_t i = 0; i < count; ++i) {
      sums[i] = weights_.sample * sums[i] +
                weights_.codebook * static_cast<double>(factor[i]) * product[i];
    }
  }

  Halves halves_;
  Weights weights_;
  cpu::SampleEntropy<T> sample_;
  AlignedBuffer<double> leading_sums_;
  AlignedBuffer<double> trailing_sums_;
};

}  // namespace

template <class T>
Losses compute_losses(const Options& options, const T* x, int64_t rows) {
  const Factors<T> factors(options, rows);
  const AlignedBuffer<T> average = make_average<T>(factors.halves());
  const AlignedBuffer<double> entropies(factors.max_chunk_rows(), "a chunk of row entropies");
  double entropy_sum = 0;
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    parallel_for(end - begin, kRowGrain, [&](int64_t first, int64_t last) {
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
  // Rounding may take an average of equal rows past 1, but no entropy is negative.
  return {options, entropy_sum / static_cast<double>(rows),
          std::max(0.0, codebook_entropy(average, factors.halves().codes()))};
}

template <class T>
void backward_with_losses(const Options& options, const T* x, int64_t rows, const T* grad_quantized,
                          double grad_aux_loss, T* grad_x) {
  const int64_t dim = options.code_dim;
  const Weights weights(options, rows, grad_aux_loss);
  const Factors<T> factors(options, rows);
  const Halves& halves = factors.halves();
  const AlignedBuffer<T> codebook_gradient = make_average<T>(halves);
  compute_codebook_gradient(options, x, factors, codebook_gradient);
  const Matrix<T> gradient{codebook_gradient.get(), halves.leading(), halves.trailing()};

  const int64_t chunk_rows = factors.max_chunk_rows();
  const AlignedBuffer<T> leading_products(chunk_rows * halves.leading(), "a chunk of gradients");
  const AlignedBuffer<T> trailing_products(chunk_rows * halves.trailing(), "a chunk of gradients");
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    const int64_t size = end - begin;
    factors.expand_chunk(options, x, begin, end);
    matmul<T>({leading_products.get(), size, halves.leading()}, factors.trailing_matrix(size),
              gradient.t(), 0.0, 1.0);
    matmul<T>({trailing_products.get(), size, halves.trailing()}, factors.leading_matrix(size),
              gradient, 0.0, 1.0);
    parallel_for(size, kRowGrain, [&](int64_t first, int64_t last) {
      RowBackward<T> row_backward(halves, weights);
      for (int64_t i = first; i < last; ++i) {
        const int64_t element = (begin + i) * dim;
        const LossRow row(x + element, options);
        double grad_unit[kMaxLossCodeDim];
        row_backward(row, factors.leading(i), factors.trailing(i),
                     leading_products.get() + i * halves.leading(),
                     trailing_products.get() + i * halves.trailing(), grad_unit);
        for (int64_t d = 0; d < dim && grad_quantized != nullptr; ++d) {
          grad_unit[d] += grad_quantized[element + d];
        }
        cpu::normalize_backward(row.unit, grad_unit, dim, row.norm, grad_x + element);
      }
    });
  });
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                           \
  template Losses compute_losses(const Options&, const T*, int64_t); \
  template void backward_with_losses(const Options&, const T*, int64_t, const T*, double, T*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
