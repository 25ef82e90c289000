#include "operators/losses.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "loss_sums.h"
#include "operators/constants.h"
#include "operators/distributions.h"
#include "operators/unit_codes.h"

namespace bsq::operators {
namespace {

// The factors of this many elements are expanded at once, which bounds the memory of a call.
constexpr int64_t kChunkElements = int64_t{2} * 1024 * 1024;
// And at most this many rows: a matrix product may add them up one after the other, which in
// float32 loses too much of a sum of very many.
constexpr int64_t kMaxChunkRows = 512;

int64_t chunk_rows(int64_t row_elements) {
  return std::clamp(kChunkElements / row_elements, int64_t{1}, kMaxChunkRows);
}

// Those of the chunks in which losses are computed.
int64_t loss_chunk_rows(const Options& options) {
  const Halves halves(options.entropy_bits());
  return chunk_rows(options.row_distributions() * (halves.leading() + halves.trailing()));
}

// The shape of the sums of p, as the product of factors.
Shape average_shape(const Options& options) {
  const Halves halves(options.entropy_bits());
  return {options.row_distributions(), halves.leading(), halves.trailing()};
}

// What loss sums hold, as views.
struct SumViews {
  SumViews(const Options& options, const Tensor& sums)
      : rows(narrow(sums, 0, 0, 1)),
        entropy_rows(narrow(sums, 0, 1, 1)),
        entropy(narrow(sums, 0, 2, 1)),
        commitment(narrow(sums, 0, 3, 1)),
        p(narrow(sums, 0, Options::kLossSumsHeader,
                 options.loss_sums_size() - Options::kLossSumsHeader)) {}

  // Each [1].
  Tensor rows;
  Tensor entropy_rows;
  Tensor entropy;
  Tensor commitment;
  Tensor p;  // [probabilities]
};

void accumulate(const Tensor& values, const Tensor& sum) { copy(add(sum, values), sum); }

// 1 where the condition, of rank 0, is true.
Tensor one_or_nan(const Tensor& condition) {
  return where(condition, number(1, condition),
               number(std::numeric_limits<double>::quiet_NaN(), condition));
}

// What a mean over so many rows and the codebooks is divided by. The sum of no rows is 0 anyway.
Tensor divisor(const Options& options, const Tensor& rows) {
  return mul(maximum(rows, number(1, rows)), number(static_cast<double>(options.codebooks), rows));
}

// Calls body(begin, mean) for consecutive parts of the mean distributions, [kChunkElements] or
// less: there may be 2^24 probabilities.
template <class Body>
void for_each_mean(const SumViews& sums, const Body& body) {
  const Tensor rows = maximum(sums.entropy_rows, number(1, sums.p));
  const int64_t count = shape(sums.p)[0];
  for (int64_t begin = 0; begin < count; begin += kChunkElements) {
    body(begin, div(narrow(sums.p, 0, begin, std::min(kChunkElements, count - begin)), rows));
  }
}

// The codebook entropies of all distributions together, of rank 0.
Tensor codebook_entropies(const Options& options, const SumViews& sums) {
  Tensor total = number(0, sums.p);
  for_each_mean(sums, [&](int64_t /*begin*/, const Tensor& mean) {
    total = add(total, sum(mul(mean, surprise(options.entropy_floor, mean))));
  });
  // Rounding may take an average of equal rows past 1, but no entropy with max(p, e) is negative.
  return options.entropy_floor.adds ? total : maximum(total, number(0, total));
}

// Their derivatives by each mean probability, of average_shape.
Tensor codebook_slopes(const Options& options, const SumViews& sums, DType type) {
  const Tensor slopes = empty(shape(sums.p), type, device(sums.p));
  for_each_mean(sums, [&](int64_t begin, const Tensor& mean) {
    copy(entropy_slope(options.entropy_floor, mean), narrow(slopes, 0, begin, shape(mean)[0]));
  });
  return reshape(slopes, average_shape(options));
}

// Whether each of a part's rows is marked, bool [rows, 1, 1]; absent where all are.
std::optional<Tensor> marks_of(const std::optional<Tensor>& marked, const Part& part) {
  return marked ? std::optional(reshape(rows_of(*marked, part), {part.rows(), 1, 1}))
                : std::nullopt;
}

// 0 for the rows that are not marked, whatever they hold.
Tensor select(const Tensor& values, const std::optional<Tensor>& marks) {
  return marks ? where(*marks, values, scalar(0, dtype(values), device(values))) : values;
}

// The same for finite values, by a product: a NaN of what they are multiplied with stays.
Tensor weigh(const Tensor& values, const std::optional<Tensor>& marks) {
  return marks ? mul(values, to(*marks, dtype(values))) : values;
}

// [rows * distributions, size] as [distributions, rows, size].
Tensor by_distribution(const Options& options, const Tensor& elements) {
  const Shape shape = bsq::shape(elements);
  const int64_t distributions = options.row_distributions();
  return permute(reshape(elements, {shape[0] / distributions, distributions, shape[1]}), {1, 0, 2});
}

// The inverse.
Tensor by_row(const Tensor& elements) {
  const Shape shape = bsq::shape(elements);
  return reshape(permute(elements, {1, 0, 2}), {shape[0] * shape[1], shape[2]});
}

// The products of matrices, [distributions, m, k] with [distributions, k, n].
Tensor products(const Options& options, const Tensor& a, const Tensor& b) {
  if (options.entropy_bits() > 1) {
    return matmul(a, b);
  }
  // Of single bits: vectors, too many and too short for products of matrices to be fast.
  return sum(mul(unsqueeze(a, 3), unsqueeze(b, 1)), 2);
}

Tensor transposed(const Tensor& matrices) { return permute(matrices, {0, 2, 1}); }

// Adds what a part's rows contribute.
void add_part(const Options& options, const Tensor& x, const std::optional<Tensor>& counted,
              const std::optional<Tensor>& drawn, const SumViews& sums) {
  const UnitCodes codes(options, x);
  if (options.commits()) {
    const Tensor offsets = select(codes.from_corners(options), counted);
    accumulate(sum(mul(offsets, offsets)), sums.commitment);
  }
  const Distributions distributions(options, select(codes.unit, drawn), compute_type(dtype(x)));
  const Tensor entropy =
      reshape(entropies(options, distributions), {shape(x)[0], options.row_distributions(), 1});
  accumulate(sum(weigh(entropy, drawn)), sums.entropy);
  const Tensor leading =
      weigh(transposed(by_distribution(options, distributions.leading.p)),
            drawn ? std::optional(reshape(*drawn, {1, 1, shape(x)[0]})) : std::nullopt);
  const Tensor trailing = by_distribution(options, distributions.trailing.p);
  accumulate(reshape(products(options, leading, trailing), shape(sums.p)), sums.p);
}

// grad_aux_loss * aux_loss derived by what it is made of.
class LossGradient {
 public:
  LossGradient(const Options& options, const Tensor& sums, double grad_aux_loss, DType type)
      : options_(options), type_(type) {
    const SumViews views(options, sums);
    // A loss that is not finite has no finite gradient.
    const Tensor one = one_or_nan(all(is_finite(sums)));
    const Tensor entropy_weight =
        div(mul(mul(one, number(grad_aux_loss * options.entropy_weight(), one)),
                entropy_loss_slope(sums)),
            divisor(options, views.entropy_rows));
    entropy_ = mul(entropy_weight, number(options.sample_entropy_weight, one));
    codebook_ = mul(entropy_weight, number(-options.diversity_gamma, one));
    commitment_ = div(
        mul(one, number(grad_aux_loss * options.commitment_weight * options.commitment_scale() * 2,
                        one)),
        divisor(options, views.rows));
    average_ = codebook_slopes(options, views, type);
  }

  // With respect to a part's unit codes.
  [[nodiscard]] Tensor of(const UnitCodes& codes, const std::optional<Tensor>& counted,
                          const std::optional<Tensor>& drawn) const {
    const Distributions distributions(options_, select(codes.unit, drawn), type_);
    const GradientSums entropy = entropy_gradients(options_, distributions);
    const Tensor leading = by_distribution(options_, distributions.leading.p);
    const Tensor trailing = by_distribution(options_, distributions.trailing.p);
    const GradientSums sums{add_codebook(entropy.leading, distributions.leading.p,
                                         products(options_, trailing, transposed(average_))),
                            add_codebook(entropy.trailing, distributions.trailing.p,
                                         products(options_, leading, average_))};
    const Tensor by_logit = reshape(logit_gradient(sums, distributions), shape(codes.unit));
    const Tensor gradient = weigh(mul(by_logit, number(options_.logit_scale(), by_logit)), drawn);
    return options_.commits()
               ? add(gradient, mul(select(codes.from_corners(options_), counted), commitment_))
               : gradient;
  }

 private:
  // The slope of the entropy loss made positive: sigmoid(entropy loss + offset).
  [[nodiscard]] Tensor entropy_loss_slope(const Tensor& sums) const {
    if (!options_.softplus) {
      return number(1, sums);
    }
    const Tensor terms = loss_terms(options_, sums);
    const auto term = [&](int64_t i, double weight) {
      return mul(narrow(terms, 0, i, 1), number(weight, terms));
    };
    return sigmoid(
        add(add(term(0, options_.sample_entropy_weight), term(1, -options_.diversity_gamma)),
            number(options_.positive_offset, terms)));
  }

  // The sums of g p of one factor: those of the entropies, and p times the products of the other
  // factor with the codebook entropy's gradient.
  [[nodiscard]] Tensor add_codebook(const Tensor& entropy, const Tensor& p,
                                    const Tensor& products) const {
    return add(mul(entropy, entropy_),
               mul(to(mul(p, by_row(products)), DType::kFloat64), codebook_));
  }

  const Options& options_;
  DType type_;
  // Derivatives, float64 [1]: by a row's entropy, the codebook entropies' sum, and each component
  // of a code's offset from its corner, over that.
  Tensor entropy_;
  Tensor codebook_;
  Tensor commitment_;
  Tensor average_;  // the codebook entropy's by each mean probability, of average_shape
};

}  // namespace

Tensor loss_sums(const Options& options, const Rows& x, const CountedRows& counted) {
  Tensor sums = zeros({options.loss_sums_size()}, DType::kFloat64, device(x.tensor()));
  const SumViews views(options, sums);
  copy(counted.count(device(sums)), views.rows);
  copy(counted.drawn_count(device(sums)), views.entropy_rows);
  x.for_each_part(loss_chunk_rows(options), [&](const Part& part) {
    add_part(options, x.read(part), marks_of(counted.counted, part), marks_of(counted.drawn, part),
             views);
  });
  if (options.propagate_non_finite) {
    // One code that counts and is not finite makes all losses NaN.
    const Tensor all_but_counts = narrow(sums, 0, 2, options.loss_sums_size() - 2);
    const Tensor of_rows = narrow(sums, 0, 2, 2);
    copy(mul(all_but_counts, one_or_nan(all(is_finite(of_rows)))), all_but_counts);
  }
  return sums;
}

std::shared_ptr<const Finding> find_wrong_sums(const Tensor& sums, const CountedRows& counted) {
  const Tensor header = clone(narrow(sums, 0, 0, Options::kLossSumsHeader));
  const Tensor rows = narrow(header, 0, 0, 1);
  const Tensor entropy_rows = narrow(header, 0, 1, 1);
  const Tensor zero = number(0, rows);
  const Tensor count = counted.count(device(sums));
  const Tensor drawn_count = counted.drawn_count(device(sums));
  // As LossSumsHeader checks them.
  Tensor right = equal(greater(rows, zero), greater(entropy_rows, zero));
  for (const auto& [larger, smaller] : {std::pair{rows, count},
                                        {entropy_rows, drawn_count},
                                        {rows, entropy_rows},
                                        {number(0x1p53, rows), rows}}) {
    right = bitwise_and(right, greater_equal(larger, smaller));
  }
  const Tensor counts = narrow(header, 0, 0, 2);
  const Tensor whole = to(to(counts, DType::kInt64), DType::kFloat64);
  right = bitwise_and(right, all(equal(counts, whole)));
  const int64_t first = LossSumsHeader::kFirstNotNegative;
  const Tensor not_negative = narrow(sums, 0, first, shape(sums)[0] - first);
  const Tensor negative = to(greater(zero, not_negative), DType::kUInt8);
  const Tensor position = unsqueeze(argmax(negative, 0), 0);
  const Tensor value = index_select(not_negative, 0, position);
  right = bitwise_and(right, greater_equal(zero, to(amax(negative, 0), DType::kFloat64)));
  return std::make_shared<const Finding>(
      Finding::Evidence{logical_not(right), count, drawn_count, rows},
      [header, position, value](const Finding::Refused& refused) {
        const Tensor on_cpu = to(header, DType::kFloat64, kCpu);
        LossSumsHeader::from(static_cast<const double*>(on_cpu.const_data_ptr()))
            .require_rows(refused.row, refused.column);
        const Tensor position_on_cpu = to(position, DType::kInt64, kCpu);
        const Tensor value_on_cpu = to(value, DType::kFloat64, kCpu);
        LossSumsHeader::refuse_negative(
            LossSumsHeader::kFirstNotNegative +
                *static_cast<const int64_t*>(position_on_cpu.const_data_ptr()),
            *static_cast<const double*>(value_on_cpu.const_data_ptr()));
      });
}

Tensor loss_terms(const Options& options, const Tensor& sums) {
  const SumViews views(options, sums);
  Tensor terms = empty({kLossTerms}, DType::kFloat64, device(sums));
  copy(div(views.entropy, divisor(options, views.entropy_rows)), narrow(terms, 0, 0, 1));
  copy(
      div(codebook_entropies(options, views), number(static_cast<double>(options.codebooks), sums)),
      narrow(terms, 0, 1, 1));
  const Tensor commitment = narrow(terms, 0, 2, 1);
  if (options.commits()) {
    copy(div(mul(views.commitment, number(options.commitment_scale(), sums)),
             divisor(options, views.rows)),
         commitment);
  } else {
    copy(number(0, sums), commitment);
  }
  copy(views.rows, narrow(terms, 0, 3, 1));
  copy(views.entropy_rows, narrow(terms, 0, 4, 1));
  return terms;
}

LossTerms read_loss_terms(const Tensor& terms) {
  const Tensor on_cpu = to(terms, DType::kFloat64, kCpu);
  const auto* values = static_cast<const double*>(on_cpu.const_data_ptr());
  return {values[0], values[1], values[2], static_cast<int64_t>(values[3]),
          static_cast<int64_t>(values[4])};
}

Rows gradient(const Options& options, const Rows& x, const CountedRows& counted, const Tensor* sums,
              const Rows* grad_quantized, double grad_aux_loss) {
  std::optional<LossGradient> loss;
  if (grad_aux_loss != 0) {
    loss.emplace(options, *sums, grad_aux_loss, compute_type(dtype(x.tensor())));
  }
  Rows grad_x = x.empty_like(options);
  const int64_t rows = loss ? loss_chunk_rows(options) : chunk_rows(options.row_length());
  x.for_each_part(rows, [&](const Part& part) {
    const UnitCodes codes(options, x.read(part));
    Tensor grad_unit = zeros(shape(codes.unit), DType::kFloat64, device(codes.unit));
    if (grad_quantized != nullptr) {
      const Tensor given = reshape(grad_quantized->read(part), shape(codes.unit));
      grad_unit = mul(to(given, DType::kFloat64), number(options.straight_through_scale, given));
    }
    if (loss) {
      grad_unit = add(grad_unit, loss->of(codes, marks_of(counted.counted, part),
                                          marks_of(counted.drawn, part)));
    }
    grad_x.write(codes.backward(grad_unit), part);
  });
  return grad_x;
}

}  // namespace bsq::operators
