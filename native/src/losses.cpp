#include "losses.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "aligned_buffer.h"
#include "cpu/row_kernels.h"
#include "formula.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

using cpu::CodeSplit;
using cpu::kBlockRows;

// The factors of this many rows are expanded at once, which bounds the memory of a call and keeps
// them in a cache.
constexpr int64_t kChunkRows = 16 * kBlockRows;

// Fewer blocks of rows, rows times outer codes, or codes than this are not worth waking a second
// thread for.
constexpr int64_t kBlockGrain = 2;
constexpr int64_t kPairGrain = int64_t{16} * 1024;
constexpr int64_t kCodebookGrain = int64_t{16} * 1024;

// So many outer codes are added up over the blocks of a chunk before they go to the average.
constexpr int64_t kOuterCodes = 256;

double logit_scale(const Options& options) {
  return 4 * options.inverse_temperature / std::sqrt(static_cast<double>(options.code_dim));
}

int64_t block_count(int64_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

// Calls body(workspace, first row, number of rows) for each block of rows, on several threads. Each
// range of blocks has a workspace of its own.
template <class Body>
void for_each_block(int64_t rows, int64_t workspace_bytes, const Body& body) {
  parallel_for(block_count(rows), kBlockGrain, [&](int64_t first, int64_t last) {
    const AlignedBuffer<std::byte> workspace(workspace_bytes, "a block of rows");
    for (int64_t begin = first * kBlockRows; begin < std::min(rows, last * kBlockRows);
         begin += kBlockRows) {
      body(workspace.get(), begin, std::min(kBlockRows, rows - begin));
    }
  });
}

// The average distribution of rows over the codes, chunk by chunk.
template <class T>
class Average {
 public:
  Average(const Options& options, int64_t rows)
      : options_(options),
        split_(options.code_dim),
        rows_(rows),
        chunk_rows_(std::min(rows, kChunkRows)),
        stride_(cpu::block_stride(std::min(rows, kBlockRows))),
        factors_(block_count(chunk_rows_) * cpu::factors_size(split_, stride_),
                 "the factors of a chunk of rows"),
        distribution_(split_.codes(), "the average distribution over the 2^code_dim codes") {}

  // Computes it, and where entropy_sum is not NULL the sum of the rows' entropies.
  void compute(const T* x, double* entropy_sum) const {
    const AlignedBuffer<double> entropies(entropy_sum == nullptr ? 0 : chunk_rows_,
                                          "the entropies of a chunk of rows");
    for (int64_t begin = 0; begin < rows_; begin += chunk_rows_) {
      const int64_t size = std::min(chunk_rows_, rows_ - begin);
      expand(x + begin * options_.code_dim, size,
             entropy_sum == nullptr ? nullptr : entropies.get());
      add(begin, size);
      if (entropy_sum != nullptr) {
        // In row order, so that the sum does not depend on the thread count.
        *entropy_sum = std::accumulate(entropies.get(), entropies.get() + size, *entropy_sum);
      }
    }
  }

  [[nodiscard]] const CodeSplit<T>& split() const { return split_; }
  [[nodiscard]] T* distribution() const { return distribution_.get(); }

 private:
  // The factors of the block that begins at this row of the chunk.
  [[nodiscard]] T* factors(int64_t row) const {
    return factors_.get() + row / kBlockRows * cpu::factors_size(split_, stride_);
  }

  void expand(const T* x, int64_t rows, double* entropies) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    for_each_block(rows, kernels.factors_workspace(split_, stride_),
                   [&](std::byte* workspace, int64_t begin, int64_t size) {
                     kernels.expand_factors(split_, logit_scale(options_),
                                            x + begin * options_.code_dim, size, workspace,
                                            factors(begin),
                                            entropies == nullptr ? nullptr : entropies + begin);
                   });
  }

  // Makes the distribution the mean of the first `before` rows and the chunk after them. A running
  // mean of the chunks' means: rounding does not add up over the chunks. Each thread has outer
  // codes of its own, so the sum does not depend on the thread count either.
  void add(int64_t before, int64_t rows) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    parallel_for(split_.outer(), std::max(int64_t{1}, kPairGrain / rows),
                 [&](int64_t first, int64_t last) {
                   const AlignedBuffer<T> sums(std::min(kOuterCodes, last - first) * split_.kInner,
                                               "a part of a chunk's distribution");
                   for (int64_t begin = first; begin < last; begin += kOuterCodes) {
                     const int64_t end = std::min(last, begin + kOuterCodes);
                     const int64_t size = (end - begin) * split_.kInner;
                     std::fill_n(sums.get(), size, T{0});
                     for (int64_t row = 0; row < rows; row += kBlockRows) {
                       kernels.add_factors(split_, factors(row), std::min(kBlockRows, rows - row),
                                           begin, end, sums.get());
                     }
                     kernels.update_mean(sums.get(), size, rows, before + rows,
                                         distribution() + begin * split_.kInner);
                   }
                 });
  }

  const Options& options_;
  CodeSplit<T> split_;
  int64_t rows_;
  int64_t chunk_rows_;
  int64_t stride_;
  AlignedBuffer<T> factors_;
  AlignedBuffer<T> distribution_;
};

// The partial sums are those of fixed parts, so the result does not depend on the thread count.
template <class T>
double codebook_entropy(const Average<T>& average) {
  const int64_t codes = average.split().codes();
  const int64_t parts = (codes + kCodebookGrain - 1) / kCodebookGrain;
  const AlignedBuffer<double> sums(parts, "partial sums of the codebook entropy");
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * kCodebookGrain;
      sums[part] = cpu::row_kernels<T>().codebook_entropy(average.distribution() + first,
                                                          std::min(kCodebookGrain, codes - first));
    }
  });
  return std::accumulate(sums.get(), sums.get() + parts, 0.0);
}

}  // namespace

template <class T>
Losses compute_losses(const Options& options, const T* x, int64_t rows) {
  const Average<T> average(options, rows);
  double entropy_sum = 0;
  average.compute(x, &entropy_sum);
  // Rounding may take an average of equal rows past 1, but no entropy is negative.
  return {options, entropy_sum / static_cast<double>(rows),
          std::max(0.0, codebook_entropy(average))};
}

template <class T>
void backward_with_losses(const Options& options, const T* x, int64_t rows, const T* grad_quantized,
                          double grad_aux_loss, T* grad_x) {
  const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
  const Average<T> average(options, rows);
  average.compute(x, nullptr);
  // Of the two entropies' weights, 1 and gamma: float32 may not hold gamma, so the larger is left
  // to double.
  const double larger = std::max(1.0, std::abs(options.diversity_gamma));
  // The average is no longer needed: its gradient takes its place.
  T* const gradient = average.distribution();
  const CodeSplit<T>& split = average.split();
  parallel_for(split.outer(), kCodebookGrain / split.kInner, [&](int64_t begin, int64_t end) {
    kernels.codebook_gradient(gradient + begin * split.kInner, (end - begin) * split.kInner,
                              -options.diversity_gamma / larger);
  });
  const double weight =
      grad_aux_loss * options.entropy_loss_weight * larger / static_cast<double>(rows);
  const int64_t stride = cpu::block_stride(std::min(rows, kBlockRows));
  for_each_block(rows, kernels.backward_workspace(split, stride),
                 [&](std::byte* workspace, int64_t begin, int64_t size) {
                   const int64_t element = begin * options.code_dim;
                   kernels.backward(split, logit_scale(options), weight, 1 / larger, x + element,
                                    size, gradient,
                                    grad_quantized == nullptr ? nullptr : grad_quantized + element,
                                    workspace, grad_x + element);
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
