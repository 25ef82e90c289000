#include "losses.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <optional>
#include <type_traits>

#include "aligned_buffer.h"
#include "cpu/row_kernels.h"
#include "loss_sums.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

using cpu::CodeSplit;
using cpu::GradientWeights;
using cpu::kBlockRows;
using cpu::LossFormula;

// The factors of at most this many rows, and of about this much memory, are expanded at once, which
// bounds the memory of a call and keeps them in a cache.
constexpr int64_t kChunkRows = 16 * kBlockRows;
constexpr int64_t kChunkBytes = int64_t{16} * 1024 * 1024;

// Fewer blocks of rows, rows times outer codes, or codes than this are not worth waking a second
// thread for.
constexpr int64_t kBlockGrain = 2;
constexpr int64_t kPairGrain = int64_t{16} * 1024;
constexpr int64_t kCodebookGrain = int64_t{16} * 1024;

// So many outer codes are added up over the blocks of a chunk before they go to the average.
constexpr int64_t kOuterCodes = 256;

constexpr int64_t kSmallWorkspace = int64_t{16} * 1024;

LossFormula loss_formula(const Options& options) {
  return {options.codebooks,          options.code_dim,
          options.entropy_bits(),     options.logit_scale(),
          options.code_scale(),       options.zero_is_one,
          options.entropy_floor.adds, options.entropy_floor.epsilon};
}

int64_t block_count(int64_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

// The stride of blocks of `rows` rows in all.
int64_t stride_of(int64_t rows) { return cpu::block_stride(std::min(rows, kBlockRows)); }

// Calls body(workspace, first row, number of rows) for each block of the rows [begin, end), on
// several threads. Each range of blocks has a workspace of its own.
template <class Body>
void for_each_block(int64_t begin, int64_t end, int64_t workspace_bytes, const Body& body) {
  parallel_for(block_count(end - begin), kBlockGrain, [&](int64_t first, int64_t last) {
    // Of a few short rows it is small, and an allocation would take as long as the rest.
    alignas(64) std::byte small[kSmallWorkspace];
    std::optional<AlignedBuffer<std::byte>> large;
    if (workspace_bytes > kSmallWorkspace) {
      large.emplace(workspace_bytes, "a block of rows");
    }
    std::byte* const workspace = large ? large->get() : small;
    const int64_t last_row = std::min(end, begin + last * kBlockRows);
    for (int64_t row = begin + first * kBlockRows; row < last_row; row += kBlockRows) {
      body(workspace, row, std::min(kBlockRows, last_row - row));
    }
  });
}

// The sum, in row order, so that it does not depend on the thread count.
double sum_of(const AlignedBuffer<double>& values, int64_t count, double before) {
  return std::accumulate(values.get(), values.get() + count, before);
}

// The average distributions over many codes, [distributions, 2^bits].
template <class T>
class SplitAverage {
 public:
  using Number = T;

  explicit SplitAverage(const LossFormula& formula)
      : formula_(formula),
        split_(formula.bits),
        distributions_(formula.row_distributions()),
        mean_(size(), "the average distributions over the 2^group_size codes") {}

  // Of the rows that the entropies are of. Where entropy_sum is not NULL, adds their entropies.
  void compute(const LossRows& rows, const T* x, double* entropy_sum) const {
    const Chunk chunk(*this, rows.drawn());
    for (int64_t begin = 0; begin < rows.drawn(); begin += chunk.rows) {
      const int64_t count = std::min(chunk.rows, rows.drawn() - begin);
      chunk.expand(rows, x, begin, count, entropy_sum);
      chunk.add(begin, count);
    }
  }

  // From and to sums over rows.
  void load_sums(const double* sums, double rows) const {
    std::transform(sums, sums + size(), mean(),
                   [rows](double sum) { return static_cast<T>(sum / rows); });
  }
  void store_sums(double rows, double* sums) const {
    std::transform(mean(), mean() + size(), sums,
                   [rows](T value) { return static_cast<double>(value) * rows; });
  }

  [[nodiscard]] int64_t size() const { return distributions_ * split_.codes(); }
  [[nodiscard]] T* mean() const { return mean_.get(); }

  // The mean in the type that rows are computed in.
  [[nodiscard]] const T* converted_mean() const { return mean(); }

 private:
  // The factors of some rows.
  struct Chunk {
    Chunk(const SplitAverage& average, int64_t all_rows)
        : to(average),
          rows(std::clamp(kChunkBytes / average.row_bytes() / kBlockRows * kBlockRows, kBlockRows,
                          kChunkRows)),
          stride(stride_of(std::min(all_rows, rows))),
          block_size(average.distributions_ * cpu::factors_size(average.split_, stride)),
          factors(block_count(std::min(all_rows, rows)) * block_size,
                  "the factors of a chunk of rows") {}

    void expand(const LossRows& all, const T* x, int64_t first, int64_t count,
                double* entropy_sum) const {
      const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
      const AlignedBuffer<double> entropies(entropy_sum == nullptr ? 0 : count,
                                            "the entropies of a chunk of rows");
      for_each_block(0, count, kernels.expand_workspace(to.formula_, stride),
                     [&](std::byte* workspace, int64_t row, int64_t size) {
                       kernels.expand(to.formula_, x, all.block(first + row, size), workspace,
                                      factors.get() + row / kBlockRows * block_size, nullptr,
                                      entropy_sum == nullptr ? nullptr : entropies.get() + row);
                     });
      if (entropy_sum != nullptr) {
        *entropy_sum = sum_of(entropies, count, *entropy_sum);
      }
    }

    // Makes the mean that of the first `before` rows and the chunk after them. A running mean of
    // the chunks' means: rounding does not add up over the chunks. Each thread has outer codes of
    // its own, so the sum does not depend on the thread count either.
    void add(int64_t before, int64_t count) const {
      const int64_t outer = to.split_.outer();
      parallel_for(
          to.distributions_ * outer, std::max(int64_t{1}, kPairGrain / count),
          [&](int64_t begin, int64_t end) {
            const AlignedBuffer<T> sums(
                std::min(kOuterCodes, std::min(outer, end - begin)) * CodeSplit<T>::kInner,
                "a part of a chunk's distribution");
            while (begin < end) {
              const int64_t distribution = begin / outer;
              const int64_t stop = std::min({end, begin + kOuterCodes, (distribution + 1) * outer});
              add_part(distribution, begin - distribution * outer, stop - distribution * outer,
                       before, count, sums.get());
              begin = stop;
            }
          });
    }

    // Of the outer codes [begin, end) of a distribution.
    void add_part(int64_t distribution, int64_t begin, int64_t end, int64_t before, int64_t count,
                  T* sums) const {
      const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
      const int64_t size = (end - begin) * CodeSplit<T>::kInner;
      std::fill_n(sums, size, T{0});
      for (int64_t row = 0; row < count; row += kBlockRows) {
        kernels.add_factors(to.split_,
                            factors.get() + row / kBlockRows * block_size +
                                distribution * factors_of(std::min(kBlockRows, count - row)),
                            std::min(kBlockRows, count - row), begin, end, sums);
      }
      kernels.update_mean(
          sums, size, count, before + count,
          to.mean() + distribution * to.split_.codes() + begin * CodeSplit<T>::kInner);
    }

    // The numbers of one distribution's factors, in a block of so many rows.
    [[nodiscard]] int64_t factors_of(int64_t block_rows) const {
      return cpu::factors_size(to.split_, cpu::block_stride(block_rows));
    }

    const SplitAverage& to;
    int64_t rows;
    int64_t stride;
    int64_t block_size;
    AlignedBuffer<T> factors;
  };

  // About the memory of a row's factors.
  [[nodiscard]] int64_t row_bytes() const {
    return distributions_ * cpu::factors_size(split_, 1) * static_cast<int64_t>(sizeof(T));
  }

  const LossFormula& formula_;
  CodeSplit<T> split_;
  int64_t distributions_;
  AlignedBuffer<T> mean_;
};

// The average distributions over few codes, [distributions, 2^bits], in double whatever T is.
template <class T>
class DenseAverage {
 public:
  using Number = double;

  explicit DenseAverage(const LossFormula& formula)
      : formula_(formula),
        count_(formula.row_distributions() << formula.bits),
        mean_(size(), "the average distributions over the 2^group_size codes") {
    std::fill_n(mean(), size(), 0.0);
  }

  // As those of SplitAverage.
  void compute(const LossRows& rows, const T* x, double* entropy_sum) const {
    const int64_t chunk_rows = std::min(
        rows.drawn(),
        std::clamp(kChunkBytes / block_bytes(), int64_t{1}, kChunkRows / kBlockRows) * kBlockRows);
    const AlignedBuffer<double> sums(block_count(chunk_rows) * count_,
                                     "the distributions of a chunk of rows");
    for (int64_t begin = 0; begin < rows.drawn(); begin += chunk_rows) {
      const int64_t count = std::min(chunk_rows, rows.drawn() - begin);
      expand(rows, x, begin, count, sums.get(), entropy_sum);
      for (int64_t block = 0; block < block_count(count); ++block) {
        const double* const from = sums.get() + block * count_;
        std::transform(from, from + count_, mean(), mean(), std::plus<>());
      }
    }
    std::transform(mean(), mean() + count_, mean(),
                   [&](double sum) { return sum / static_cast<double>(rows.drawn()); });
  }
  void load_sums(const double* sums, double rows) const {
    std::transform(sums, sums + count_, mean(), [rows](double sum) { return sum / rows; });
  }
  void store_sums(double rows, double* sums) const {
    std::transform(mean(), mean() + count_, sums, [rows](double value) { return value * rows; });
  }

  // Zeros fill up the last inner codes.
  [[nodiscard]] int64_t size() const {
    constexpr int64_t kInner = CodeSplit<double>::kInner;
    return (count_ + kInner - 1) / kInner * kInner;
  }
  [[nodiscard]] double* mean() const { return mean_.get(); }
  [[nodiscard]] const T* converted_mean() const {
    if constexpr (std::is_same_v<T, double>) {
      return mean();
    } else {
      converted_.emplace(count_, "the codebook gradient");
      std::transform(mean(), mean() + count_, converted_->get(),
                     [](double value) { return static_cast<T>(value); });
      return converted_->get();
    }
  }

 private:
  [[nodiscard]] int64_t block_bytes() const {
    return count_ * static_cast<int64_t>(sizeof(double));
  }

  void expand(const LossRows& all, const T* x, int64_t first, int64_t count, double* sums,
              double* entropy_sum) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    const AlignedBuffer<double> entropies(entropy_sum == nullptr ? 0 : count,
                                          "the entropies of a chunk of rows");
    for_each_block(0, count, kernels.expand_workspace(formula_, stride_of(count)),
                   [&](std::byte* workspace, int64_t row, int64_t size) {
                     kernels.expand(formula_, x, all.block(first + row, size), workspace, nullptr,
                                    sums + row / kBlockRows * count_,
                                    entropy_sum == nullptr ? nullptr : entropies.get() + row);
                   });
    if (entropy_sum != nullptr) {
      *entropy_sum = sum_of(entropies, count, *entropy_sum);
    }
  }

  const LossFormula& formula_;
  int64_t count_;
  AlignedBuffer<double> mean_;
  mutable std::optional<AlignedBuffer<T>> converted_;
};

// Calls body with the average distributions that the formula is about, not yet computed.
template <class T, class Body>
auto with_average(const LossFormula& formula, const Body& body) {
  if (formula.bits <= cpu::kMaxDenseBits) {
    return body(DenseAverage<T>(formula));
  }
  return body(SplitAverage<T>(formula));
}

// The entropies of all average distributions together. The partial sums are those of fixed parts,
// so the result does not depend on the thread count.
template <class Average>
double codebook_entropies(const LossFormula& formula, const Average& average) {
  using Number = typename Average::Number;
  const int64_t parts = (average.size() + kCodebookGrain - 1) / kCodebookGrain;
  const AlignedBuffer<double> sums(parts, "partial sums of the codebook entropy");
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * kCodebookGrain;
      sums[part] = cpu::row_kernels<Number>().codebook_entropy(
          formula, average.mean() + first, std::min(kCodebookGrain, average.size() - first));
    }
  });
  const double total = sum_of(sums, parts, 0.0);
  // Rounding may take an average of equal rows past 1, but no entropy with max(p, e) is negative.
  return !formula.floor_adds && total < 0 ? 0 : total;  // NaN stays
}

// Replaces the average distributions by weight * the derivative of their entropies.
template <class Average>
void derive(const LossFormula& formula, const Average& average, double weight) {
  using Number = typename Average::Number;
  constexpr int64_t kInner = CodeSplit<Number>::kInner;
  parallel_for(average.size() / kInner, kCodebookGrain / kInner, [&](int64_t begin, int64_t end) {
    cpu::row_kernels<Number>().codebook_gradient(formula, average.mean() + begin * kInner,
                                                 (end - begin) * kInner, weight);
  });
}

// The sum of |u - q|^2 over the rows that count and their codes.
template <class T>
double distance_sum(const LossFormula& formula, const LossRows& rows, const T* x) {
  const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
  const int64_t chunk_rows = std::min(rows.counted(), kChunkRows);
  const AlignedBuffer<double> distances(chunk_rows, "the distances of a chunk of rows");
  double sum = 0;
  for (int64_t begin = 0; begin < rows.counted(); begin += chunk_rows) {
    const int64_t end = std::min(rows.counted(), begin + chunk_rows);
    for_each_block(begin, end, kernels.distances_workspace(formula, stride_of(chunk_rows)),
                   [&](std::byte* workspace, int64_t row, int64_t size) {
                     kernels.distances(formula, x, rows.block(row, size), workspace,
                                       distances.get() + (row - begin));
                   });
    sum = sum_of(distances, end - begin, sum);
  }
  return sum;
}

// What comes before the sums of probabilities, of rows of which some count.
template <class T>
LossSumsHeader header(const Options& options, const LossFormula& formula, const LossRows& rows,
                      const T* x, double entropy_sum) {
  return {static_cast<double>(rows.counted()), static_cast<double>(rows.drawn()), entropy_sum,
          options.commits() ? distance_sum(formula, rows, x) : 0};
}

// The gradient of rows, by blocks.
template <class T>
class RowGradient {
 public:
  RowGradient(const LossFormula& formula, const LossRows& rows, const T* x, const T* grad_quantized,
              T* grad_x)
      : formula_(formula), rows_(rows), x_(x), grad_quantized_(grad_quantized), grad_x_(grad_x) {}

  // Of the rows from the begin-th to the end-th. The codebook gradient is NULL for none of
  // entropies.
  void compute(int64_t begin, int64_t end, const GradientWeights& weights,
               const T* codebook_gradient) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    for_each_block(
        begin, end,
        kernels.backward_workspace(formula_, stride_of(end - begin), codebook_gradient != nullptr),
        [&](std::byte* workspace, int64_t row, int64_t size) {
          kernels.backward(formula_, weights, x_, rows_.block(row, size), codebook_gradient,
                           grad_quantized_, workspace, grad_x_);
        });
  }

 private:
  const LossFormula& formula_;
  const LossRows& rows_;
  const T* x_;
  const T* grad_quantized_;
  T* grad_x_;
};

}  // namespace

template <class T>
Losses compute_losses(const Options& options, const LossRows& rows, const T* x) {
  if (rows.counted() == 0) {
    return {};
  }
  const LossFormula formula = loss_formula(options);
  return with_average<T>(formula, [&](const auto& average) -> Losses {
    double entropy_sum = 0;
    average.compute(rows, x, &entropy_sum);
    return {options, header(options, formula, rows, x, entropy_sum)
                         .terms(options, codebook_entropies(formula, average))};
  });
}

template <class T>
void compute_loss_sums(const Options& options, const LossRows& rows, const T* x, double* sums) {
  if (rows.counted() == 0) {
    std::fill_n(sums, options.loss_sums_size(), 0.0);
    return;
  }
  const LossFormula formula = loss_formula(options);
  with_average<T>(formula, [&](const auto& average) {
    double entropy_sum = 0;
    average.compute(rows, x, &entropy_sum);
    header(options, formula, rows, x, entropy_sum).store(sums);
    average.store_sums(static_cast<double>(rows.drawn()), sums + Options::kLossSumsHeader);
  });
}

Losses losses_from_sums(const Options& options, const double* sums) {
  const LossSumsHeader header = LossSumsHeader::from(sums);
  LossSumsHeader::require_not_negative(options, sums);
  if (header.rows == 0) {
    return {};
  }
  const LossFormula formula = loss_formula(options);
  return with_average<double>(formula, [&](const auto& average) -> Losses {
    average.load_sums(sums + Options::kLossSumsHeader, header.entropy_rows);
    return {options, header.terms(options, codebook_entropies(formula, average))};
  });
}

template <class T>
void backward_with_losses(const Options& options, const LossRows& rows, const T* x,
                          const double* sums, const T* grad_quantized, double grad_aux_loss,
                          T* grad_x) {
  if (rows.counted() == 0) {
    backward_without_losses(options, rows, x, grad_quantized, grad_x);
    return;
  }
  const LossFormula formula = loss_formula(options);
  with_average<T>(formula, [&](const auto& average) {
    LossSumsHeader totals;
    if (sums == nullptr) {
      totals = {static_cast<double>(rows.counted()), static_cast<double>(rows.drawn()), 0, 0};
      average.compute(rows, x, options.softplus ? &totals.entropies : nullptr);
    } else {
      totals = LossSumsHeader::from(sums);
      average.load_sums(sums + Options::kLossSumsHeader, totals.entropy_rows);
    }
    const double slope =
        options.softplus ? entropy_loss_slope(
                               options, totals.terms(options, codebook_entropies(formula, average)))
                         : 1.0;
    // float32 may not hold the entropies' weights, so the larger one is left to double.
    const double larger =
        std::max(std::abs(options.sample_entropy_weight), std::abs(options.diversity_gamma));
    const double unit = larger == 0 ? 1 : larger;
    const auto codebooks = static_cast<double>(options.codebooks);
    const double entropy =
        grad_aux_loss * options.entropy_weight() * slope * unit / (totals.entropy_rows * codebooks);
    const double commitment = 2 * grad_aux_loss * options.commitment_weight *
                              options.commitment_scale() / (totals.rows * codebooks);
    // The average is no longer needed: its gradient takes its place.
    derive(formula, average, -options.diversity_gamma / unit);
    const GradientWeights weights{options.straight_through_scale, entropy,
                                  options.sample_entropy_weight / unit,
                                  options.commits() ? commitment : 0};
    const RowGradient<T> gradient(formula, rows, x, grad_quantized, grad_x);
    gradient.compute(0, rows.drawn(), weights, average.converted_mean());
    gradient.compute(rows.drawn(), rows.counted(), weights, nullptr);
    gradient.compute(rows.counted(), rows.rows(), {options.straight_through_scale, 0, 0, 0},
                     nullptr);
  });
}

template <class T>
void backward_without_losses(const Options& options, const LossRows& rows, const T* x,
                             const T* grad_quantized, T* grad_x) {
  const LossFormula formula = loss_formula(options);
  RowGradient<T>(formula, rows, x, grad_quantized, grad_x)
      .compute(0, rows.rows(), {options.straight_through_scale, 0, 0, 0}, nullptr);
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                                     \
  template Losses compute_losses(const Options&, const LossRows&, const T*);                   \
  template void compute_loss_sums(const Options&, const LossRows&, const T*, double*);         \
  template void backward_with_losses(const Options&, const LossRows&, const T*, const double*, \
                                     const T*, double, T*);                                    \
  template void backward_without_losses(const Options&, const LossRows&, const T*, const T*, T*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
