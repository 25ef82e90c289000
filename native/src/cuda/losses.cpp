#include "operators/losses.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "cuda/quantizer.h"
#include "cuda/scope.h"
#include "cuda/views.h"

namespace bsq::cuda {
namespace {

using operators::CountedRows;
using operators::Rows;

#ifdef BSQ_CUDA_EMULATED  // so few that tests have several chunks
constexpr int64_t kElements = int64_t{512} * 1024;
#else
constexpr int64_t kElements = int64_t{32} * 1024 * 1024;
#endif
// The factors of this many elements are expanded at once, which bounds the memory of a call.
constexpr int64_t kChunkElements = kElements;
// And the sums of products of this many.
constexpr int64_t kProductElements = kElements;
// Forward keeps the factors for backward where they are of no more elements than this.
constexpr int64_t kKeptElements = kElements / 8;
// A matrix product adds up so many rows at most, where memory allows: in float32 it would lose too
// much of a sum of very many. Of few rows it adds up fewer: several products keep all of a GPU
// busy.
constexpr int64_t kSplitRows = 512;
constexpr int64_t kLeastSplitRows = 128;
constexpr int64_t kSplits = 64;

// Chunks share the memory of their tensors, one after the other on the stream.
struct Sizes {
  Sizes(const Options& options, int64_t rows)
      : row_length(options.row_length()),
        distributions(options.row_distributions()),
        bits(options.entropy_bits()),
        leading(int64_t{1} << (bits / 2)),
        trailing(int64_t{1} << (bits - bits / 2)) {
    const int64_t fitting = kChunkElements / (distributions * (leading + trailing));
    const int64_t whole = fitting / kSplitRows * kSplitRows;
    const int64_t most_rows = std::max(whole > 0 ? whole : fitting, int64_t{1});
    // As equal as can be: the last chunk takes as long as the others.
    const int64_t chunks = std::max(int64_t{1}, (rows + most_rows - 1) / most_rows);
    chunk_rows = std::max(int64_t{1}, (rows + chunks - 1) / chunks);
    const int64_t most_splits =
        std::max(int64_t{1}, kProductElements / (distributions * leading * trailing));
    const int64_t rows_of_split = std::clamp(chunk_rows / kSplits, kLeastSplitRows, kSplitRows);
    splits = std::min((chunk_rows + rows_of_split - 1) / rows_of_split, most_splits);
  }

  [[nodiscard]] int64_t split_rows() const { return (chunk_rows + splits - 1) / splits; }
  [[nodiscard]] int64_t padded_rows() const { return splits * split_rows(); }
  // Of a chunk's factors.
  [[nodiscard]] int64_t elements() const {
    return chunk_rows * row_length * 2 + distributions * padded_rows() * (leading + trailing);
  }

  int64_t row_length;
  int64_t distributions;
  int64_t bits;
  int64_t leading;
  int64_t trailing;
  int64_t chunk_rows;
  int64_t splits;
};

double cutoff_of(const EntropyFloor& floor, int64_t bits, bool is_float) {
  if (!floor.adds) {
    return floor.epsilon;
  }
  // As cpu/entropy_floor.h: what 2^bits codes below it have beyond log e together is nothing.
  const double beyond = is_float ? 1e-10 : 1e-18;
  return std::exp((std::log(beyond * floor.epsilon) - static_cast<double>(bits) * std::log(2.0)) /
                  2);
}

template <class C>
Floor floor_of(const Options& options) {
  const EntropyFloor& floor = options.entropy_floor;
  return {floor.adds, floor.epsilon, std::log(floor.epsilon),
          cutoff_of(floor, options.entropy_bits(), std::is_same_v<C, float>)};
}

LossFormula formula_of(const Options& options) {
  LossFormula formula{};
  formula.sums_size = options.loss_sums_size();
  formula.codebooks = options.codebooks;
  formula.entropy_weight = options.entropy_weight();
  formula.sample_entropy_weight = options.sample_entropy_weight;
  formula.diversity_gamma = options.diversity_gamma;
  const double largest =
      std::max(std::abs(options.sample_entropy_weight), std::abs(options.diversity_gamma));
  formula.weight_scale = largest > 0 ? largest : 1;
  formula.softplus = options.softplus;
  formula.positive_offset = options.positive_offset;
  formula.commitment_weight = options.commitment_weight;
  formula.commitment_scale = options.commitment_scale();
  formula.commits = options.commits();
  return formula;
}

const bool* marks(const std::optional<Tensor>& marked) {
  return marked ? data<bool>(*marked) : nullptr;
}

template <class C>
constexpr DType dtype_of() {
  return std::is_same_v<C, double> ? DType::kFloat64 : DType::kFloat32;
}

// All rows as one chunk.
Chunk chunk_of(const Options& options, const Rows& x, const CountedRows& counted) {
  Chunk chunk{};
  chunk.x = view(x);
  chunk.rows = x.count();
  chunk.padded_rows = x.count();
  chunk.counted = marks(counted.counted);
  chunk.drawn = marks(counted.drawn);
  chunk.codebooks = options.codebooks;
  chunk.code_dim = options.code_dim;
  chunk.distributions = options.row_distributions();
  chunk.bits = options.entropy_bits();
  chunk.logit_scale = options.logit_scale();
  chunk.code_scale = options.code_scale();
  chunk.zero_is_one = options.zero_is_one;
  chunk.commits = options.commits();
  return chunk;
}

// The memory of a chunk's factors.
template <class C>
class FactorTensors {
 public:
  FactorTensors(const Sizes& sizes, const Device& device)
      : tensors_{make({sizes.chunk_rows * sizes.row_length, 2}, device),
                 make({sizes.distributions, sizes.padded_rows(), sizes.leading}, device),
                 make({sizes.distributions, sizes.padded_rows(), sizes.trailing}, device)} {}
  explicit FactorTensors(operators::KeptFactors kept) : tensors_(std::move(kept)) {}

  [[nodiscard]] Factors<C> get() const {
    return {mutable_data<C>(tensors_.bits), mutable_data<C>(tensors_.leading),
            mutable_data<C>(tensors_.trailing)};
  }
  // [distributions, padded_rows, size]
  [[nodiscard]] const Tensor& leading() const { return tensors_.leading; }
  [[nodiscard]] const Tensor& trailing() const { return tensors_.trailing; }
  [[nodiscard]] const operators::KeptFactors& tensors() const { return tensors_; }

 private:
  static Tensor make(const Shape& shape, const Device& device) {
    return empty(shape, dtype_of<C>(), device);
  }

  operators::KeptFactors tensors_;
};

// The memory of the partial sums that kernels leave for a chunk of the most rows.
class Partials {
 public:
  Partials(const Chunk& chunk, const Device& device)
      : distances_(factor_partials(chunk)),
        entropies_(entropy_partials(chunk)),
        values_(empty({distances_ + entropies_ + single_bits(chunk)}, DType::kFloat64, device)) {}

  [[nodiscard]] double* distances() const { return mutable_data<double>(values_); }
  [[nodiscard]] double* entropies() const { return distances() + distances_; }
  [[nodiscard]] double* single_bits() const { return entropies() + entropies_; }

 private:
  static int64_t single_bits(const Chunk& chunk) {
    return chunk.bits == 1 ? chunk.distributions * single_bit_splits(chunk) * 2 : 0;
  }

  int64_t distances_;
  int64_t entropies_;
  Tensor values_;
};

// Calls body(chunk) for all rows.
template <class Body>
void for_each_chunk(const Chunk& all, const Sizes& sizes, const Body& body) {
  for (int64_t begin = 0; begin < all.rows; begin += sizes.chunk_rows) {
    Chunk chunk = all;
    chunk.begin = begin;
    chunk.rows = std::min(sizes.chunk_rows, all.rows - begin);
    chunk.padded_rows = sizes.padded_rows();
    body(chunk);
  }
}

Tensor transposed(const Tensor& matrices) { return permute(matrices, {0, 2, 1}); }

RowCount row_count(const CountedRows& counted, const std::optional<Tensor>& marked) {
  return {static_cast<double>(counted.all_count), marked ? data<double>(*marked) : nullptr};
}

struct LossSums {
  Tensor sums;  // of bsq.h, float64 [loss_sums_size]
  std::optional<operators::KeptFactors> factors = std::nullopt;
};

template <class C>
LossSums loss_sums(const Options& options, const Rows& x, const CountedRows& counted) {
  const Device device = bsq::device(x.tensor());
  if (x.count() == 0) {
    return {zeros({options.loss_sums_size()}, DType::kFloat64, device)};
  }
  const Sizes sizes(options, x.count());
  const Floor floor = floor_of<C>(options);
  const Tensor sums = empty({options.loss_sums_size()}, DType::kFloat64, device);
  auto* const to = mutable_data<double>(sums);
  const Scope scope(device);
  const Chunk all = chunk_of(options, x, counted);
  const FactorTensors<C> factors(sizes, device);
  Chunk largest = all;
  largest.rows = sizes.chunk_rows;
  largest.padded_rows = sizes.padded_rows();
  const Partials partials(largest, device);
  for_each_chunk(all, sizes, [&](const Chunk& chunk) {
    const auto check = [&](const Failure& failure) { scope.check(failure, "the losses"); };
    check(expand(chunk, floor, factors.get(), partials.distances(), partials.entropies(),
                 scope.stream()));
    HeaderSums header{};
    header.entropies = {partials.entropies(), entropy_partials(chunk)};
    if (chunk.commits) {
      header.distances = {partials.distances(), factor_partials(chunk)};
    }
    header.rows = row_count(counted, counted.marked_count);
    header.entropy_rows = row_count(counted, counted.marked_drawn_count);
    const bool is_first = chunk.begin == 0;
    if (sizes.bits == 1) {
      check(add_single_bits(header, chunk, data<C>(factors.trailing()), partials.single_bits(),
                            is_first, to, scope.stream()));
      return;
    }
    const int64_t matrices = sizes.distributions * sizes.splits;
    const Tensor products =
        bmm(transposed(reshape(factors.leading(), {matrices, sizes.split_rows(), sizes.leading})),
            reshape(factors.trailing(), {matrices, sizes.split_rows(), sizes.trailing}));
    check(add_to_sums(header, data<C>(products), sizes.distributions, sizes.splits,
                      sizes.leading * sizes.trailing, is_first, to, scope.stream()));
  });
  if (options.propagate_non_finite) {
    scope.check(propagate_nan(options.loss_sums_size(), to, scope.stream()), "the loss sums");
  }
  const bool keeps = sizes.chunk_rows == x.count() && sizes.elements() <= kKeptElements;
  return {sums, keeps ? std::optional(factors.tensors()) : std::nullopt};
}

// See operators::loss_terms.
Tensor loss_terms(const Options& options, const Tensor& sums) {
  const Device device = bsq::device(sums);
  Tensor terms = empty({operators::kLossTerms}, DType::kFloat64, device);
  const Tensor partials = empty({term_partials(options.loss_sums_size())}, DType::kFloat64, device);
  const Scope scope(device);
  scope.check(
      cuda::loss_terms(formula_of(options), floor_of<double>(options), data<double>(sums),
                       mutable_data<double>(partials), mutable_data<double>(terms), scope.stream()),
      "the loss terms");
  return terms;
}

// The gradient of the losses as rows_backward takes it, chunk by chunk.
template <class C>
class LossGradient {
 public:
  // kept: the factors of x, if there are some.
  LossGradient(const Options& options, const Rows& x, const Tensor& sums,
               const std::optional<operators::KeptFactors>& kept, double grad_aux_loss,
               const Scope& scope)
      : sizes_(options, x.count()),
        floor_(floor_of<C>(options)),
        scope_(scope),
        has_factors_(kept.has_value()),
        factors_(kept ? FactorTensors<C>(*kept) : FactorTensors<C>(sizes_, device(sums))),
        by_logit_(empty({sizes_.chunk_rows, options.row_length()}, DType::kFloat64, device(sums))),
        slopes_(empty({sizes_.distributions, sizes_.leading, sizes_.trailing}, dtype_of<C>(),
                      device(sums))),
        weights_(empty({2}, DType::kFloat64, device(sums))) {
    static_assert(sizeof(LossWeights) == 2 * sizeof(double));
    const LossFormula formula = formula_of(options);
    sample_weight_ = static_cast<C>(formula.sample_entropy_weight / formula.weight_scale);
    // Without softplus, the terms are not looked at.
    const Tensor terms = options.softplus ? loss_terms(options, sums) : sums;
    scope.check(
        weigh_losses(formula, floor_, data<double>(sums), data<double>(terms), grad_aux_loss,
                     mutable_data<LossWeights>(weights_), mutable_data<C>(slopes_), scope.stream()),
        "the loss weights");
  }

  [[nodiscard]] const Sizes& sizes() const { return sizes_; }
  [[nodiscard]] const double* by_logit() const { return data<double>(by_logit_); }
  [[nodiscard]] const LossWeights* weights() const { return data<LossWeights>(weights_); }

  void compute(const Chunk& chunk) const {
    if (!has_factors_) {
      // The distances of a commitment are not wanted here, nor entropies.
      Chunk without = chunk;
      without.commits = false;
      check(expand(without, floor_, factors_.get(), nullptr, nullptr, scope_.stream()));
    }
    GradientWork<C> work{};
    work.sample_entropy_weight = sample_weight_;
    work.slopes = data<C>(slopes_);
    work.by_logit = mutable_data<double>(by_logit_);
    std::optional<Tensor> leading;
    std::optional<Tensor> trailing;
    if (sizes_.bits > 1) {
      leading = bmm(factors_.trailing(), transposed(slopes_));
      trailing = bmm(factors_.leading(), slopes_);
      work.leading_products = data<C>(*leading);
      work.trailing_products = data<C>(*trailing);
    }
    check(logit_gradients(chunk, floor_, factors_.get(), work, scope_.stream()));
  }

 private:
  void check(const Failure& failure) const { scope_.check(failure, "the losses' gradient"); }

  Sizes sizes_;
  Floor floor_;
  const Scope& scope_;
  bool has_factors_;
  FactorTensors<C> factors_;
  Tensor by_logit_;
  Tensor slopes_;
  Tensor weights_;
  C sample_weight_ = 0;
};

template <class Body>
auto with_compute_type(const Rows& x, const Body& body) {
  return compute_type(dtype(x.tensor())) == DType::kFloat64 ? body(double{}) : body(float{});
}

}  // namespace

operators::Forward forward(const Options& options, const Rows& x,
                           const std::optional<Tensor>& mask) {
  operators::Quantized quantized = cuda::quantize(options, x);
  CountedRows counted(options, x.count(), mask, device(x.tensor()));
  LossSums losses = with_compute_type(
      x, [&](auto type) { return loss_sums<decltype(type)>(options, x, counted); });
  Tensor terms = loss_terms(options, losses.sums);
  return {std::move(quantized.rows),
          std::move(quantized.indices),
          {std::move(counted), std::move(losses.sums), std::move(terms), std::move(losses.factors)},
          std::move(quantized.finding)};
}

operators::Backward backward(const Options& options, const Rows& x,
                             const operators::DeviceLosses& losses, const Tensor* sums,
                             const Rows* grad_quantized, double grad_aux_loss) {
  Rows grad_x = x.empty_like(options);
  if (x.count() > 0) {
    const Scope scope(device(x.tensor()));
    const Chunk all = chunk_of(options, x, losses.counted);
    BackwardWork work{};
    if (grad_quantized != nullptr) {
      work.grad_quantized = view(*grad_quantized);
    }
    work.straight_through_scale = options.straight_through_scale;
    work.grad_x = mutable_view(grad_x);
    const auto through_rows = [&](const Chunk& chunk) {
      scope.check(cuda::backward(chunk, work, scope.stream()), "backward");
    };
    if (grad_aux_loss == 0) {
      through_rows(all);
    } else {
      with_compute_type(x, [&](auto type) {
        const LossGradient<decltype(type)> gradient(
            options, x, sums == nullptr ? losses.sums : contiguous(*sums), losses.factors,
            grad_aux_loss, scope);
        work.by_logit = gradient.by_logit();
        work.weights = gradient.weights();
        for_each_chunk(all, gradient.sizes(), [&](const Chunk& chunk) {
          gradient.compute(chunk);
          through_rows(chunk);
        });
      });
    }
  }
  const bool looks_at_sums = sums != nullptr && grad_aux_loss != 0;
  return {std::move(grad_x),
          looks_at_sums ? operators::find_wrong_sums(*sums, losses.counted) : nullptr};
}

}  // namespace bsq::cuda
