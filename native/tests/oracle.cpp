// Tolerances. With r the unit roundoff of the library's type (2^-24 or 2^-53), a probability is a
// product of D sigmoids, so its relative error is about D r; a logarithm in the losses is at most
// |ln e| = 11.5 and an element of a gradient matrix about 12; sums of many rows or codes lose a few
// r more. So
//   losses:  |error| <= kSafety D r 12, times what the weights multiply them with; and 2^-53 for
//            each term of the float64 sums, over rows and over blocks of up to 2^14 codes;
//   dL/dlogit_d: a difference of two sums that are both proportional to p(bit) (1 - p(bit)), which
//            is known to D r and, since the logit t itself is rounded (in float64 always), to
//            |t| 2^-53. So |error| <= kSafety (D r + |t| 2^-53) 12 p (1 - p), weighted likewise;
//            plus what underflow loses. From there the error passes through the
//            linear rest of the gradient: the factor 4 beta / sqrt(D) and the backward of the
//            normalisation.
// kSafety = 4 is about 4 times the largest error seen over all configurations of losses_test.cpp.
// The gradient jumps where a probability passes e. A probability so near e that rounding decides
// the side adds its whole jump to the tolerance (random rows hardly ever have one).
#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace bsq::test {
namespace {

using Real = long double;
using Vector = std::vector<Real>;

constexpr Real kEpsilon = 1e-5L;
constexpr Real kMinNorm = 1e-12L;
constexpr Real kSafety = 4;
constexpr Real kMaxLog = 12;

// The smallest normal number: below it a product of probabilities loses its precision.
Real smallest_normal(Real unit_roundoff) { return unit_roundoff > 1e-10L ? 1.2e-38L : 2.3e-308L; }

struct Row {
  Vector unit;
  Real norm = 0;
  Vector probabilities;  // [2^D]

  [[nodiscard]] bool constant_norm() const { return norm <= kMinNorm; }
  [[nodiscard]] Real divisor() const { return std::max(norm, kMinNorm); }
};

// +1 or -1: component d of a code, component 0 being the most significant bit of the index.
Real sign(size_t code, size_t dim, size_t d) { return (code >> (dim - 1 - d) & 1U) != 0 ? 1 : -1; }

Row make_row(const double* x, size_t dim, Real beta) {
  Row row;
  Real squares = 0;
  for (size_t d = 0; d < dim; ++d) {
    squares += static_cast<Real>(x[d]) * x[d];
  }
  row.norm = std::sqrt(squares);
  for (size_t d = 0; d < dim; ++d) {
    row.unit.push_back(x[d] / row.divisor());
  }
  const Real scale = 2 * beta / std::sqrt(static_cast<Real>(dim));
  const size_t codes = size_t{1} << dim;
  Vector& p = row.probabilities;
  p.resize(codes);
  for (size_t code = 0; code < codes; ++code) {
    Real dot = 0;
    for (size_t d = 0; d < dim; ++d) {
      dot += row.unit[d] * sign(code, dim, d);
    }
    p[code] = scale * dot;
  }
  const Real largest = *std::max_element(p.begin(), p.end());
  Real sum = 0;
  for (Real& value : p) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (Real& value : p) {
    value /= sum;
  }
  return row;
}

Real entropy(const Vector& p) {
  Real sum = 0;
  for (const Real value : p) {
    sum -= value * std::log(std::max(value, kEpsilon));
  }
  return sum;
}

// d entropy / dp of one probability.
Real entropy_slope(Real p) {
  return -std::log(std::max(p, kEpsilon)) - (p >= kEpsilon ? Real{1} : Real{0});
}

bool near_epsilon(Real p, Real relative) { return std::abs(p / kEpsilon - 1) < relative; }

// v less its part along the unit vector, over the norm: the backward of x / |x|. The error of a
// vector (all >= 0) adds up instead.
Vector through_norm(const Row& row, const Vector& v, bool is_error) {
  Real along = 0;
  for (size_t d = 0; d < v.size() && !row.constant_norm(); ++d) {
    along += is_error ? std::abs(row.unit[d]) * v[d] : row.unit[d] * v[d];
  }
  Vector result;
  for (size_t d = 0; d < v.size(); ++d) {
    result.push_back(
        (is_error ? v[d] + std::abs(row.unit[d]) * along : v[d] - row.unit[d] * along) /
        row.divisor());
  }
  return result;
}

// What all rows share.
struct Context {
  const OracleInput& input;
  Real rows;  // copies counted
  const Vector& average;
  const Vector& average_slope;

  [[nodiscard]] size_t dim() const { return static_cast<size_t>(input.options.code_dim); }
  [[nodiscard]] Real relative_error() const {
    return kSafety * static_cast<Real>(dim()) * input.unit_roundoff;
  }
};

void append_gradient(const Context& context, const Row& row, size_t row_number,
                     OracleResult& result) {
  const OracleInput& input = context.input;
  const size_t dim = context.dim();
  const size_t codes = size_t{1} << dim;
  const Real weight =
      static_cast<Real>(input.grad_aux_loss) * input.options.entropy_loss_weight / context.rows;
  const Real gamma = input.options.diversity_gamma;

  // g = dL/dp less its value at the most probable code, which changes nothing but the rounding: a
  // constant in g has no effect, since sum p = 1.
  const auto likely =
      static_cast<size_t>(std::max_element(row.probabilities.begin(), row.probabilities.end()) -
                          row.probabilities.begin());
  const auto slope = [&](size_t code) {
    return weight * (entropy_slope(row.probabilities[code]) - gamma * context.average_slope[code]);
  };
  const Real slope_of_likely = slope(likely);
  Vector gp(codes);
  Real ambiguous = 0;
  for (size_t code = 0; code < codes; ++code) {
    const Real p = row.probabilities[code];
    gp[code] = (slope(code) - slope_of_likely) * p;
    ambiguous += near_epsilon(p, context.relative_error()) ? p : 0;
    ambiguous +=
        near_epsilon(context.average[code], context.relative_error()) ? std::abs(gamma) * p : 0;
  }
  const Real scale =
      2 * static_cast<Real>(input.options.inverse_temperature) / std::sqrt(static_cast<Real>(dim));
  Vector grad_unit;
  Vector error;
  for (size_t d = 0; d < dim; ++d) {
    // dL/du_d = 2 beta sum_c dL/dlogit_c c_d with dL/dlogit_c = p_c (g_c - sum g p). Written with
    // the sums over the codes whose bit is 1 and those whose bit is 0, so that nothing cancels.
    Real one = 0;
    Real zero = 0;
    Real gp_one = 0;
    Real gp_zero = 0;
    for (size_t code = 0; code < codes; ++code) {
      const bool bit = sign(code, dim, d) > 0;
      (bit ? one : zero) += row.probabilities[code];
      (bit ? gp_one : gp_zero) += gp[code];
    }
    const Real given =
        input.grad_quantized.empty() ? 0 : input.grad_quantized[row_number * dim + d];
    grad_unit.push_back(2 * scale * (zero * gp_one - one * gp_zero) + given);
    const Real logit = 2 * scale * std::abs(row.unit[d]);
    const Real logit_error =
        (context.relative_error() + kSafety * logit * 0x1p-53L) * kMaxLog * one * zero +
        smallest_normal(input.unit_roundoff);
    error.push_back(2 * scale * std::abs(weight) * (1 + std::abs(gamma)) *
                        (logit_error + ambiguous) +
                    4 * input.unit_roundoff * std::abs(given));
  }
  const Vector grad_x = through_norm(row, grad_unit, false);
  const Vector grad_error = through_norm(row, error, true);
  for (size_t d = 0; d < dim; ++d) {
    result.grad_x.push_back(static_cast<double>(grad_x[d]));
    result.grad_tolerance.push_back(
        static_cast<double>(grad_error[d] + 2 * input.unit_roundoff * std::abs(grad_x[d]) +
                            (input.unit_roundoff > 1e-10 ? 1e-45L : 5e-324L)));
  }
}

}  // namespace

OracleResult dense_oracle(const OracleInput& input) {
  const auto dim = static_cast<size_t>(input.options.code_dim);
  const size_t rows = input.copies.size();
  std::vector<Row> all;
  Vector average(size_t{1} << dim, 0);
  Real total = 0;
  Real entropies = 0;
  for (size_t n = 0; n < rows; ++n) {
    all.push_back(make_row(&input.x[n * dim], dim, input.options.inverse_temperature));
    const auto copies = static_cast<Real>(input.copies[n]);
    total += copies;
    entropies += copies * entropy(all.back().probabilities);
    for (size_t code = 0; code < average.size(); ++code) {
      average[code] += copies * all.back().probabilities[code];
    }
  }
  for (Real& value : average) {
    value /= total;
  }
  Vector average_slope;
  for (const Real value : average) {
    average_slope.push_back(entropy_slope(value));
  }
  const Context context{input, total, average, average_slope};
  const Real weight = input.options.entropy_loss_weight;
  const Real gamma = input.options.diversity_gamma;
  const Real sample = entropies / total;
  const Real codebook = entropy(average);
  OracleResult result;
  result.per_sample_entropy = static_cast<double>(sample);
  result.codebook_entropy = static_cast<double>(codebook);
  result.aux_loss = static_cast<double>(weight * (sample - gamma * codebook));
  const Real terms = total + static_cast<Real>(std::min(average.size(), size_t{1} << 14U));
  result.loss_tolerance =
      static_cast<double>((context.relative_error() + terms * 0x1p-53L) * kMaxLog);
  for (size_t n = 0; n < rows; ++n) {
    append_gradient(context, all[n], n, result);
  }
  return result;
}

}  // namespace bsq::test
