// Tolerances. With r the unit roundoff of the library's type (2^-24 or 2^-53), a probability is a
// product of b sigmoids, b being the bits of its distribution, so its relative error is about b r;
// a logarithm in the losses is at most |ln e|, and an element of a gradient matrix little more;
// sums of many rows or codes lose a few r more. So, for each distribution,
//   losses:  |error| <= kSafety b r |ln e|, times what the weights multiply them with; and 2^-53
//            for each term of the float64 sums, over rows and over blocks of up to 2^14 codes;
//   dL/dlogit_d: a difference of two sums that are both proportional to p(bit) (1 - p(bit)), which
//            is known to b r and, since the logit t itself is rounded (in float64 always), to
//            |t| 2^-53. So |error| <= kSafety (b r + |t| 2^-53) |ln e| p (1 - p), weighted
//            likewise; plus what underflow loses, and what log(p + e) leaves out. From there the
//            error passes through the linear rest of the gradient: the factor 4 beta / sqrt(D) and
//            the backward of the normalisation.
// kSafety = 4 is about 4 times the largest error seen over all configurations of the tests.
// The gradient jumps where a probability passes the e of max(p, e). A probability so near e that
// rounding decides the side adds its whole jump to the tolerance (random rows hardly ever have
// one). In float32 the average may lack 2^-26 of a row's probability, spread over the codes (see
// bsq_host_forward): where it is that small itself, that moves its logarithm.
#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace bsq::test {
namespace {

using Real = long double;
using Vector = std::vector<Real>;

constexpr Real kMinNorm = 1e-12L;
constexpr Real kSafety = 4;
constexpr Real kDouble = 0x1p-53L;

size_t as_size(int64_t value) { return static_cast<size_t>(value); }

// What the options say.
struct Formula {
  explicit Formula(const OracleInput& from)
      : options(from.options),
        roundoff(from.unit_roundoff),
        epsilon(options.entropy_epsilon),
        adds(options.entropy_floor == BSQ_FLOOR_ADD),
        codebooks(as_size(options.codebooks)),
        dim(as_size(options.code_dim)),
        bits(options.entropy_form == BSQ_ENTROPY_ANALYTICAL ? 1
             : options.group_size == 0                      ? dim
                                                            : as_size(options.group_size)),
        distributions(dim / bits),
        codes(size_t{1} << bits),
        logit_scale(4 * static_cast<Real>(options.inverse_temperature) /
                    std::sqrt(static_cast<Real>(dim))),
        corner(1 / std::sqrt(static_cast<Real>(dim))),
        sample_weight(options.sample_entropy_weight),
        gamma(options.diversity_gamma),
        entropy_weight(options.entropy_loss_weight),
        commitment_weight(options.commitment_weight),
        commitment_scale(options.commitment == BSQ_COMMITMENT_SQUARE ? 1 / static_cast<Real>(dim)
                                                                     : 1) {
    if (options.entropy_scale == BSQ_ENTROPY_SCALE_TEMPERATURE) {
      entropy_weight /= options.inverse_temperature;
    }
  }

  // The summand of an entropy, and its derivative.
  [[nodiscard]] Real entropy_of(Real p) const {
    return -p * std::log(adds ? p + epsilon : std::max(p, epsilon));
  }
  [[nodiscard]] Real slope(Real p) const {
    return adds ? -std::log(p + epsilon) - p / (p + epsilon)
                : -std::log(std::max(p, epsilon)) - (p >= epsilon ? Real{1} : Real{0});
  }

  // Of a bit of a code, the first being the most significant.
  [[nodiscard]] bool is_one(size_t code, size_t bit) const {
    return (code >> (bits - 1 - bit) & 1U) != 0;
  }

  // Tolerances.
  [[nodiscard]] bool is_float32() const { return roundoff > 1e-10L; }
  [[nodiscard]] Real relative_error() const { return kSafety * static_cast<Real>(bits) * roundoff; }
  [[nodiscard]] Real max_log() const { return 0.5L - std::log(epsilon); }
  [[nodiscard]] Real missing_average() const {
    return is_float32() ? std::ldexp(Real{1}, -26 - static_cast<int>(bits)) : 0;
  }
  // Below the smallest normal number, a product of probabilities loses its precision.
  [[nodiscard]] Real lost_gradient() const {
    const Real underflow = is_float32() ? 1.2e-38L : 2.3e-308L;
    const Real left_out = is_float32() ? 1e-10L : 1e-18L;
    return adds ? left_out : underflow;
  }
  // How much of the jump at e a probability may take the wrong way.
  [[nodiscard]] Real jump(Real p, Real error) const {
    return !adds && std::abs(p - epsilon) < error ? 1 : 0;
  }

  const bsq_options& options;
  Real roundoff;
  Real epsilon;
  bool adds;
  size_t codebooks;
  size_t dim;
  size_t bits;           // of a distribution
  size_t distributions;  // of a code
  size_t codes;          // of a distribution
  Real logit_scale;
  Real corner;
  Real sample_weight;
  Real gamma;
  Real entropy_weight;
  Real commitment_weight;
  Real commitment_scale;
};

// One code of a row.
struct Code {
  Vector unit;
  Vector corner;
  Real norm = 0;
  Vector p;  // [distributions, codes]

  [[nodiscard]] bool constant_norm() const { return norm <= kMinNorm; }
  [[nodiscard]] Real divisor() const { return std::max(norm, kMinNorm); }
  [[nodiscard]] Real distance() const {
    Real sum = 0;
    for (size_t d = 0; d < unit.size(); ++d) {
      sum += (unit[d] - corner[d]) * (unit[d] - corner[d]);
    }
    return sum;
  }
};

// The softmax of one distribution.
void append_softmax(const Formula& formula, const Real* unit, Vector& to) {
  Vector p(formula.codes);
  for (size_t code = 0; code < formula.codes; ++code) {
    Real dot = 0;
    for (size_t bit = 0; bit < formula.bits; ++bit) {
      dot += formula.is_one(code, bit) ? unit[bit] : -unit[bit];
    }
    p[code] = formula.logit_scale / 2 * dot;
  }
  const Real largest = *std::max_element(p.begin(), p.end());
  Real sum = 0;
  for (Real& value : p) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (const Real value : p) {
    to.push_back(value / sum);
  }
}

Code make_code(const Formula& formula, const double* x) {
  Code code;
  Real squares = 0;
  for (size_t d = 0; d < formula.dim; ++d) {
    squares += static_cast<Real>(x[d]) * x[d];
  }
  code.norm = std::sqrt(squares);
  for (size_t d = 0; d < formula.dim; ++d) {
    code.unit.push_back(x[d] / code.divisor());
    code.corner.push_back(x[d] > 0 ? formula.corner : -formula.corner);
  }
  for (size_t i = 0; i < formula.distributions; ++i) {
    append_softmax(formula, &code.unit[i * formula.bits], code.p);
  }
  return code;
}

// A vector and the errors of its components.
struct Uncertain {
  Vector value;
  Vector error;
};

// v less its part along the unit vector, over the norm: the backward of x / |x|. The errors of v
// add up, and those of the unit vector and the norm, which are float64 in any case.
Uncertain through_norm(const Code& code, const Uncertain& v) {
  const Real rounding = kSafety * kDouble;
  Real along = 0;
  Real along_error = 0;
  for (size_t d = 0; d < code.unit.size() && !code.constant_norm(); ++d) {
    along += code.unit[d] * v.value[d];
    along_error += std::abs(code.unit[d]) * (v.error[d] + rounding * std::abs(v.value[d]));
  }
  Uncertain result;
  for (size_t d = 0; d < code.unit.size(); ++d) {
    result.value.push_back((v.value[d] - code.unit[d] * along) / code.divisor());
    result.error.push_back(
        (v.error[d] + rounding * std::abs(v.value[d]) + std::abs(code.unit[d]) * along_error) /
        code.divisor());
  }
  return result;
}

class Oracle {
 public:
  explicit Oracle(const OracleInput& input)
      : input_(input),
        formula_(input),
        row_length_(formula_.codebooks * formula_.dim),
        p_sums_(formula_.codebooks * formula_.distributions * formula_.codes, 0) {}

  OracleResult result() {
    for (size_t n = 0; n < input_.copies.size(); ++n) {
      add_row(n);
    }
    OracleResult result;
    result.rows = static_cast<int64_t>(rows_);
    result.entropy_rows = static_cast<int64_t>(entropy_rows_);
    store_sums(result);
    store_losses(result);
    for (size_t n = 0; n < input_.copies.size(); ++n) {
      for (size_t k = 0; k < formula_.codebooks; ++k) {
        append_gradient(n, k, result);
      }
    }
    return result;
  }

 private:
  [[nodiscard]] bool counts(size_t n) const { return input_.counts[n] != 0; }
  [[nodiscard]] bool drawn(size_t n) const { return counts(n) && input_.drawn[n] != 0; }
  [[nodiscard]] bool commits() const { return formula_.commitment_weight != 0; }
  [[nodiscard]] const Code& code(size_t n, size_t k) const {
    return codes_[n * formula_.codebooks + k];
  }

  void add_row(size_t n) {
    const auto copies = static_cast<Real>(input_.copies[n]);
    rows_ += counts(n) ? copies : 0;
    entropy_rows_ += drawn(n) ? copies : 0;
    for (size_t k = 0; k < formula_.codebooks; ++k) {
      codes_.push_back(make_code(formula_, &input_.x[n * row_length_ + k * formula_.dim]));
      const Code& code = codes_.back();
      if (counts(n) && commits()) {
        distances_ += copies * code.distance();
      }
      if (!drawn(n)) {
        continue;
      }
      for (size_t i = 0; i < code.p.size(); ++i) {
        p_sums_[k * code.p.size() + i] += copies * code.p[i];
        entropies_ += copies * formula_.entropy_of(code.p[i]);
      }
    }
  }

  [[nodiscard]] Real average(size_t i) const { return p_sums_[i] / entropy_rows_; }

  // Of the entropies of one code.
  [[nodiscard]] Real entropy_error() const {
    const Real terms = rows_ + static_cast<Real>(std::min(formula_.codes, size_t{1} << 14U));
    return static_cast<Real>(formula_.distributions) *
           (formula_.relative_error() + terms * kDouble) * formula_.max_log();
  }

  // Of the mean of the distances.
  [[nodiscard]] Real distance_error() const {
    const Real mean = distances_ / (rows_ * static_cast<Real>(formula_.codebooks));
    return kSafety * formula_.roundoff * (mean + 2 * std::sqrt(mean) + formula_.roundoff) +
           rows_ * kDouble * mean;
  }

  static Approximate approximate(Real value, Real tolerance) {
    return {static_cast<double>(value), static_cast<double>(tolerance)};
  }

  void store_sums(OracleResult& result) const {
    const Real codes_of_rows = entropy_rows_ * static_cast<Real>(formula_.codebooks);
    result.sums = {
        approximate(rows_, 0), approximate(entropy_rows_, 0),
        approximate(entropies_, codes_of_rows * entropy_error()),
        approximate(
            distances_,
            rows_ == 0 ? 0 : rows_ * static_cast<Real>(formula_.codebooks) * distance_error())};
    for (const Real sum : p_sums_) {
      const Real underflow = formula_.is_float32() ? 1.2e-38L : 2.3e-308L;
      const Real relative = formula_.relative_error() + logit_error() + summation_error();
      result.sums.push_back(approximate(
          sum, sum * relative + entropy_rows_ * (formula_.missing_average() + underflow)));
    }
  }

  // The relative error of a sum over rows, of which up to 1024 are added up in the library's type.
  [[nodiscard]] Real summation_error() const {
    return kSafety * std::sqrt(std::min(rows_, Real{1024})) * formula_.roundoff + rows_ * kDouble;
  }

  // The relative error of a probability by that of the logits, which are at most the scale.
  [[nodiscard]] Real logit_error() const {
    return kSafety * std::min(formula_.logit_scale * static_cast<Real>(formula_.bits), Real{800}) *
           kDouble;
  }

  void store_losses(OracleResult& result) {
    if (rows_ == 0) {
      return;
    }
    const auto codebooks = static_cast<Real>(formula_.codebooks);
    const Real sample = entropies_ / (entropy_rows_ * codebooks);
    Real codebook = 0;
    for (size_t i = 0; i < p_sums_.size(); ++i) {
      codebook += formula_.entropy_of(average(i)) / codebooks;
    }
    const Real sample_part = formula_.sample_weight * sample;
    const Real codebook_part = formula_.gamma * codebook;
    Real entropy_loss = sample_part - codebook_part;
    Real error = (std::abs(formula_.sample_weight) + std::abs(formula_.gamma)) * entropy_error() +
                 4 * kDouble * (std::abs(sample_part) + std::abs(codebook_part));
    if (formula_.options.positive == BSQ_POSITIVE_SOFTPLUS) {
      const Real shifted = entropy_loss + formula_.options.positive_offset;
      entropy_loss =
          shifted > 0 ? shifted + std::log1p(std::exp(-shifted)) : std::log1p(std::exp(shifted));
      slope_ = 1 / (1 + std::exp(-shifted));
      slope_error_ = error + 8 * kDouble * (1 + std::abs(shifted));
      error = slope_ * error + 4 * kDouble * entropy_loss;
    }
    const Real commitment =
        commits() ? distances_ / (rows_ * codebooks) * formula_.commitment_scale : 0;
    const Real commitment_error = commits() ? distance_error() * formula_.commitment_scale : 0;
    const Real entropy_part = formula_.entropy_weight * entropy_loss;
    const Real commitment_part = formula_.commitment_weight * commitment;
    result.per_sample_entropy = approximate(sample, entropy_error());
    result.codebook_entropy = approximate(codebook, entropy_error());
    result.entropy_loss = approximate(entropy_loss, error);
    result.commitment = approximate(commitment, commitment_error);
    result.aux_loss =
        approximate(entropy_part + commitment_part,
                    std::abs(formula_.entropy_weight) * error +
                        std::abs(formula_.commitment_weight) * commitment_error +
                        4 * kDouble * (std::abs(entropy_part) + std::abs(commitment_part)));
  }

  // Adds the gradient of the entropies by one distribution of a code, whose bits begin at `first`.
  void add_entropy_gradient(const Code& code, size_t distribution, const Real* averages,
                            Uncertain& grad_unit) const {
    const Formula& formula = formula_;
    const Real weight = static_cast<Real>(input_.grad_aux_loss) * formula.entropy_weight * slope_ /
                        (entropy_rows_ * static_cast<Real>(formula.codebooks));
    const Real weights = std::abs(formula.sample_weight) + std::abs(formula.gamma);
    const Real* const p = &code.p[distribution * formula.codes];
    // g = dL/dp less its value at the most probable code, which changes nothing but the rounding: a
    // constant in g has no effect, since sum p = 1.
    const auto slope = [&](size_t i) {
      return formula.sample_weight * formula.slope(p[i]) - formula.gamma * averages[i];
    };
    const Real slope_of_likely =
        slope(static_cast<size_t>(std::max_element(p, p + formula.codes) - p));
    Vector gp(formula.codes);
    Real uncertain = 0;  // beyond what is proportional to p
    for (size_t i = 0; i < formula.codes; ++i) {
      gp[i] = (slope(i) - slope_of_likely) * p[i];
      uncertain += std::abs(formula.sample_weight) * p[i] *
                   formula.jump(p[i], p[i] * formula.relative_error());
    }
    for (size_t bit = 0; bit < formula.bits; ++bit) {
      // dL/du_d = 2 beta sum_c dL/dlogit_c c_d with dL/dlogit_c = p_c (g_c - sum g p). Written with
      // the sums over the codes whose bit is 1 and those whose bit is 0, so that nothing cancels.
      Real one = 0;
      Real zero = 0;
      Real gp_one = 0;
      Real gp_zero = 0;
      for (size_t i = 0; i < formula.codes; ++i) {
        (formula.is_one(i, bit) ? one : zero) += p[i];
        (formula.is_one(i, bit) ? gp_one : gp_zero) += gp[i];
      }
      const size_t d = distribution * formula.bits + bit;
      const Real gradient = formula.logit_scale * weight * (zero * gp_one - one * gp_zero);
      const Real logit = formula.logit_scale * std::abs(code.unit[d]);
      const Real error = weights * ((formula.relative_error() + kSafety * logit * kDouble) *
                                        formula.max_log() * one * zero +
                                    formula.lost_gradient()) +
                         uncertain;
      grad_unit.value[d] += gradient;
      grad_unit.error[d] +=
          formula.logit_scale * std::abs(weight) * error + std::abs(gradient) * slope_error_;
    }
  }

  void append_gradient(size_t n, size_t k, OracleResult& result) {
    const Code& code = this->code(n, k);
    Uncertain grad_unit{Vector(formula_.dim, 0), Vector(formula_.dim, 0)};
    const auto add = [&](size_t d, Real value, Real error) {
      grad_unit.value[d] += value;
      grad_unit.error[d] += error;
    };
    for (size_t d = 0; d < formula_.dim && !input_.grad_quantized.empty(); ++d) {
      const Real given = static_cast<Real>(formula_.options.straight_through_scale) *
                         input_.grad_quantized[n * row_length_ + k * formula_.dim + d];
      add(d, given, 4 * formula_.roundoff * std::abs(given));
    }
    if (counts(n) && commits()) {
      const Real factor = 2 * static_cast<Real>(input_.grad_aux_loss) * formula_.commitment_weight *
                          formula_.commitment_scale /
                          (rows_ * static_cast<Real>(formula_.codebooks));
      for (size_t d = 0; d < formula_.dim; ++d) {
        add(d, factor * (code.unit[d] - code.corner[d]),
            kSafety * formula_.roundoff * std::abs(factor) *
                (std::abs(code.unit[d]) + formula_.corner));
      }
    }
    if (drawn(n) && input_.grad_aux_loss != 0) {
      for (size_t i = 0; i < formula_.distributions; ++i) {
        add_entropy_gradient(code, i, average_slopes(k * formula_.distributions + i), grad_unit);
        add_average_error(code, k, i, grad_unit);
      }
    }
    const Uncertain grad_x = through_norm(code, grad_unit);
    const Real denormal = formula_.is_float32() ? 1e-45L : 5e-324L;
    for (size_t d = 0; d < formula_.dim; ++d) {
      const Real rounding = 2 * formula_.roundoff * std::abs(grad_x.value[d]) + denormal;
      result.grad_x.push_back(approximate(grad_x.value[d], grad_x.error[d] + rounding));
    }
  }

  // Of one distribution, computed once.
  const Real* average_slopes(size_t distribution) {
    if (average_slopes_.empty()) {
      for (size_t i = 0; i < p_sums_.size(); ++i) {
        average_slopes_.push_back(formula_.slope(average(i)));
      }
    }
    return &average_slopes_[distribution * formula_.codes];
  }

  // What the average's jumps and missing parts may do to the gradient.
  void add_average_error(const Code& code, size_t k, size_t distribution,
                         Uncertain& grad_unit) const {
    const Real missing = formula_.missing_average();
    Real error = 0;
    for (size_t i = 0; i < formula_.codes; ++i) {
      const Real p = code.p[distribution * formula_.codes + i];
      const Real q = average((k * formula_.distributions + distribution) * formula_.codes + i);
      error += p * (formula_.jump(q, q * formula_.relative_error() + missing) +
                    std::min(Real{1}, missing / std::max(q, formula_.epsilon)));
    }
    const Real weight = static_cast<Real>(input_.grad_aux_loss) * formula_.entropy_weight * slope_ *
                        formula_.gamma / (entropy_rows_ * static_cast<Real>(formula_.codebooks));
    for (size_t bit = 0; bit < formula_.bits; ++bit) {
      grad_unit.error[distribution * formula_.bits + bit] +=
          formula_.logit_scale * std::abs(weight) * error;
    }
  }

  const OracleInput& input_;
  Formula formula_;
  size_t row_length_;
  std::vector<Code> codes_;  // [rows, codebooks]
  Real rows_ = 0;            // that count, with their copies
  Real entropy_rows_ = 0;
  Real entropies_ = 0;
  Real distances_ = 0;
  Vector p_sums_;  // [codebooks, distributions, codes]
  Vector average_slopes_;
  Real slope_ = 1;  // of the softplus
  Real slope_error_ = 0;
};

}  // namespace

OracleResult dense_oracle(const OracleInput& input) { return Oracle(input).result(); }

}  // namespace bsq::test
