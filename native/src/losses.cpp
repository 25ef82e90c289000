#include "losses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "aligned_buffer.h"
#include "cpu/row_kernels.h"
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

double logit_scale(const Options& options) {
  return 4 * options.inverse_temperature / std::sqrt(static_cast<double>(options.code_dim));
}

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

  // Expands the factors of the rows x[begin, end) and, where entropies is not NULL, stores each
  // row's entropy.
  void expand_chunk(const Options& options, const T* x, int64_t begin, int64_t end,
                    double* entropies) const {
    parallel_for(end - begin, kRowGrain, [&](int64_t first, int64_t last) {
      cpu::row_kernels<T>().forward(
          halves_, logit_scale(options), x + (begin + first) * options.code_dim, last - first,
          leading(first), trailing(first), entropies == nullptr ? nullptr : entropies + first);
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
      sums[block] = cpu::row_kernels<T>().codebook_entropy(average.get() + first,
                                                           std::min(kCodebookGrain, codes - first));
    }
  });
  return std::accumulate(sums.get(), sums.get() + blocks, 0.0);
}

// d(codebook entropy)/dq for the mean distribution q of all rows.
template <class T>
void compute_codebook_gradient(const Options& options, const T* x, const Factors<T>& factors,
                               const AlignedBuffer<T>& gradient) {
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    factors.expand_chunk(options, x, begin, end, nullptr);
    factors.add_to_average(begin, end, gradient);
  });
  parallel_for(factors.halves().codes(), kCodebookGrain, [&](int64_t begin, int64_t end) {
    cpu::row_kernels<T>().codebook_gradient(gradient.get() + begin, end - begin);
  });
}

cpu::RowWeights row_weights(const Options& options, int64_t rows, double grad_aux_loss) {
  const double sample = grad_aux_loss * options.entropy_loss_weight / static_cast<double>(rows);
  return {sample, -sample * options.diversity_gamma};
}

}  // namespace

template <class T>
Losses compute_losses(const Options& options, const T* x, int64_t rows) {
  const Factors<T> factors(options, rows);
  const AlignedBuffer<T> average = make_average<T>(factors.halves());
  const AlignedBuffer<double> entropies(factors.max_chunk_rows(), "a chunk of row entropies");
  double entropy_sum = 0;
  factors.for_each_chunk([&](int64_t begin, int64_t end) {
    factors.expand_chunk(options, x, begin, end, entropies.get());
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
  const cpu::RowWeights weights = row_weights(options, rows, grad_aux_loss);
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
    factors.expand_chunk(options, x, begin, end, nullptr);
    matmul<T>({leading_products.get(), size, halves.leading()}, factors.trailing_matrix(size),
              gradient.t(), 0.0, 1.0);
    matmul<T>({trailing_products.get(), size, halves.trailing()}, factors.leading_matrix(size),
              gradient, 0.0, 1.0);
    parallel_for(size, kRowGrain, [&](int64_t first, int64_t last) {
      const int64_t element = (begin + first) * dim;
      cpu::row_kernels<T>().backward(
          halves, logit_scale(options), weights, x + element, last - first, factors.leading(first),
          factors.trailing(first), leading_products.get() + first * halves.leading(),
          trailing_products.get() + first * halves.trailing(),
          grad_quantized == nullptr ? nullptr : grad_quantized + element, grad_x + element);
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
