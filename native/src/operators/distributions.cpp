#include "operators/distributions.h"

#include <algorithm>
#include <cmath>

#include "operators/constants.h"

namespace bsq::operators {

namespace {

// Combines the pairs of `count` bits, from `first` on, to [distributions, 2^count] in index order:
// from the last bit to the first, each doubles the tensor.
template <class Combine>
Tensor expand(const Tensor& pairs, int64_t first, int64_t count, DType type, double neutral,
              const Combine& combine) {
  const int64_t distributions = shape(pairs)[0];
  Tensor product = full({distributions, 1}, neutral, type, device(pairs));
  int64_t size = 1;
  for (int64_t d = first + count - 1; d >= first; --d, size *= 2) {
    const Tensor pair = reshape(to(narrow(pairs, 1, d, 1), type), {distributions, 2, 1});
    product = reshape(combine(pair, unsqueeze(product, 1)), {distributions, 2 * size});
  }
  return product;
}

}  // namespace

// [distributions, bits, 2]: of being 0 and of being 1.
struct Distributions::BitFactors {
  BitFactors(const Options& options, const Tensor& unit) {
    const Device device = bsq::device(unit);
    const Shape codes = shape(unit);
    const int64_t bits = options.entropy_bits();
    const Tensor logits = mul(reshape(unit, {codes[0] * options.row_distributions(), bits, 1}),
                              number(options.logit_scale(), unit));
    // -1 and 1
    const Tensor zero_one = to(arange(2, device), DType::kFloat64);
    const Tensor signs = sub(mul(zero_one, number(2, logits)), number(1, logits));
    const Tensor both = mul(logits, signs);
    p = sigmoid(both);
    log_p = log_sigmoid(both);
  }

  // The factor over `count` bits, from `first` on.
  [[nodiscard]] Factor expanded(int64_t first, int64_t count, DType type) const {
    return {expand(p, first, count, type, 1, mul), expand(log_p, first, count, type, 0, add)};
  }

  Tensor p;
  Tensor log_p;
};

namespace {

// The clamp: the pairs of elements whose product is at least e are found by sorting one factor.
// They are a prefix of it for each element of the other, and prefix sums give their share.

// A factor in descending order, with running sums in float64, [distributions, size + 1].
class SortedFactor {
 public:
  SortedFactor(const EntropyFloor& floor, const Factor& factor)
      : log_epsilon_(std::log(floor.epsilon)) {
    const auto [log_p, order] = sort_descending(factor.log_p);
    const Tensor p = to(gather(factor.p, -1, order), DType::kFloat64);
    ascending_ = negative(log_p);
    sum_p_ = pad(cumsum(p, -1), 1, 0);
    sum_p_log_p_ = pad(cumsum(mul(p, to(log_p, DType::kFloat64)), -1), 1, 0);
    rest_p_ = pad(flip(cumsum(flip(p, -1), -1), -1), 0, 1);
  }

  // What the pairs of this factor with each element of the other contribute, [distributions, size
  // of other].
  struct Share {
    Tensor entropy;  // sum of -q log max(q, e) over the pairs' probabilities q
    Tensor above;    // sum of the q >= e

    // The sum of q times the entropy's derivative by q: -log max(q, e) - [q >= e].
    [[nodiscard]] Tensor gradient() const { return sub(entropy, above); }
  };
  [[nodiscard]] Share share(const Factor& other) const {
    // log p >= log e - (the other's log p), both sides negated.
    const Tensor count = count_at_most(
        ascending_,
        sub(other.log_p, scalar(log_epsilon_, dtype(other.log_p), device(other.log_p))));
    const Tensor p = to(other.p, DType::kFloat64);
    const Tensor p_above = gather(sum_p_, -1, count);
    const Tensor terms =
        add(add(mul(to(other.log_p, DType::kFloat64), p_above), gather(sum_p_log_p_, -1, count)),
            mul(gather(rest_p_, -1, count), number(log_epsilon_, p)));
    return {negative(mul(p, terms)), mul(p, p_above)};
  }

 private:
  double log_epsilon_;
  Tensor ascending_;  // -log p
  Tensor sum_p_;
  Tensor sum_p_log_p_;
  Tensor rest_p_;  // sum of all but the k largest, without cancellation
};

// All pairs one by one, for the sum in the logarithm, which has no such shortcut, and for single
// bits, which need none.

bool takes_all_pairs(const Options& options) {
  return options.entropy_floor.adds || options.entropy_bits() == 1;
}

// The products of this many pairs are held at once, which bounds the memory of a call.
constexpr int64_t kPairs = int64_t{1024} * 1024;

// Sums of value(q) over the pairs' probabilities q, float64.
template <class Value>
GradientSums sum_pairs(const Distributions& distributions, const Value& value) {
  const Tensor& p_leading = distributions.leading.p;
  const Tensor& p_trailing = distributions.trailing.p;
  const Device device = bsq::device(p_leading);
  const int64_t count = shape(p_leading)[0];
  const int64_t leading = shape(p_leading)[1];
  const int64_t trailing = shape(p_trailing)[1];
  GradientSums sums{empty({count, leading}, DType::kFloat64, device),
                    zeros({count, trailing}, DType::kFloat64, device)};
  const int64_t block = std::max(int64_t{1}, kPairs / (leading * trailing));
  const int64_t leading_block = std::min(leading, std::max(int64_t{1}, kPairs / trailing));
  for (int64_t begin = 0; begin < count; begin += block) {
    const auto of_block = [begin, length = std::min(block, count - begin)](const Tensor& tensor) {
      return narrow(tensor, 0, begin, length);
    };
    const Tensor p_columns = unsqueeze(to(of_block(p_trailing), DType::kFloat64), 1);
    const Tensor column_sums = of_block(sums.trailing);
    for (int64_t i = 0; i < leading; i += leading_block) {
      const auto of_rows = [i, length = std::min(leading_block, leading - i)](
                               const Tensor& tensor) { return narrow(tensor, 1, i, length); };
      const Tensor p_rows = unsqueeze(to(of_rows(of_block(p_leading)), DType::kFloat64), 2);
      const Tensor values = value(mul(p_rows, p_columns));
      copy(sum(values, 2), of_rows(of_block(sums.leading)));
      copy(add(column_sums, sum(values, 1)), column_sums);
    }
  }
  return sums;
}

// The gradient with respect to the logits of one factor's `count` bits, from `first` on, from the
// sums of g p over its elements, [distributions, 2^count]: sum over bit = 1, less sigmoid(logit)
// times the sum over all.
Tensor half_gradient(const Tensor& sums, const Tensor& bits, int64_t first, int64_t count) {
  const int64_t distributions = shape(sums)[0];
  if (count == 0) {
    return zeros({distributions, 0}, DType::kFloat64, device(sums));
  }
  const Device device = bsq::device(sums);
  const int64_t size = int64_t{1} << count;
  const Tensor one = integer(1, device);
  // [size, count]: whether a bit of an element is 1.
  const Tensor is_one = equal(
      bitwise_and(right_shift(unsqueeze(arange(size, device), 1), bit_shifts(count, device)), one),
      one);
  const Tensor ones = matmul(sums, to(is_one, DType::kFloat64));
  const Tensor zeros = matmul(sums, to(logical_not(is_one), DType::kFloat64));
  const auto probability = [&](int64_t value) {
    return reshape(narrow(narrow(bits, 1, first, count), 2, value, 1), {distributions, count});
  };
  return sub(mul(probability(0), ones), mul(probability(1), zeros));
}

}  // namespace

Distributions::Distributions(const Options& options, const Tensor& unit, DType type)
    : Distributions(options, BitFactors(options, unit), type) {}

Distributions::Distributions(const Options& options, const BitFactors& bit_factors, DType type)
    : bits(bit_factors.p),
      leading(bit_factors.expanded(0, Halves(options.entropy_bits()).leading_bits, type)),
      trailing(bit_factors.expanded(Halves(options.entropy_bits()).leading_bits,
                                    Halves(options.entropy_bits()).trailing_bits, type)) {}

Tensor surprise(const EntropyFloor& floor, const Tensor& p) {
  const Tensor epsilon = number(floor.epsilon, p);
  return negative(log(floor.adds ? add(p, epsilon) : maximum(p, epsilon)));
}

Tensor entropy_slope(const EntropyFloor& floor, const Tensor& p) {
  const Tensor epsilon = number(floor.epsilon, p);
  const Tensor of_logarithm =
      floor.adds ? div(p, add(p, epsilon)) : to(greater_equal(p, epsilon), DType::kFloat64);
  return sub(surprise(floor, p), of_logarithm);
}

Tensor entropies(const Options& options, const Distributions& distributions) {
  const EntropyFloor& floor = options.entropy_floor;
  if (takes_all_pairs(options)) {
    const auto term = [&floor](const Tensor& p) { return mul(p, surprise(floor, p)); };
    return sum(sum_pairs(distributions, term).leading, 1);
  }
  return sum(SortedFactor(floor, distributions.trailing).share(distributions.leading).entropy, 1);
}

GradientSums entropy_gradients(const Options& options, const Distributions& distributions) {
  const EntropyFloor& floor = options.entropy_floor;
  if (takes_all_pairs(options)) {
    return sum_pairs(distributions,
                     [&floor](const Tensor& p) { return mul(p, entropy_slope(floor, p)); });
  }
  return {SortedFactor(floor, distributions.trailing).share(distributions.leading).gradient(),
          SortedFactor(floor, distributions.leading).share(distributions.trailing).gradient()};
}

Tensor logit_gradient(const GradientSums& sums, const Distributions& distributions) {
  const Shape shape = bsq::shape(distributions.bits);
  const Halves halves(shape[1]);
  Tensor gradient = empty({shape[0], shape[1]}, DType::kFloat64, device(sums.leading));
  copy(half_gradient(sums.leading, distributions.bits, 0, halves.leading_bits),
       narrow(gradient, 1, 0, halves.leading_bits));
  copy(half_gradient(sums.trailing, distributions.bits, halves.leading_bits, halves.trailing_bits),
       narrow(gradient, 1, halves.leading_bits, halves.trailing_bits));
  return gradient;
}

}  // namespace bsq::operators
