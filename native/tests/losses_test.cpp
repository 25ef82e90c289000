// The losses and gradients against a dense oracle, central differences and closed forms.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "against_oracle.h"
#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr double kLogMaxCodes = 11.512925464970229;  // ln 1e5: the clamp's bound on an entropy
constexpr double kLog2 = 0.69314718055994531;

struct Weights {
  double entropy_loss_weight;
  double diversity_gamma;
  double grad_aux_loss;
};

constexpr std::array<Weights, 4> kWeights{
    {{0.1, 1.0, 1.0}, {1.0, 0.0, -2.0}, {-0.7, 2.5, 3.0}, {0.0, 1.0, 1.0}}};

// With these weights; all copies of a row lie together, so that chunks of rows differ from one
// another.
template <class T>
void check_weighted(bsq_options options, const std::vector<T>& rows,
                    const std::vector<int64_t>& copies, const Weights& weights,
                    bool with_grad_quantized, const std::string& what) {
  options.entropy_loss_weight = weights.entropy_loss_weight;
  options.diversity_gamma = weights.diversity_gamma;
  Case<T> given{what, options, rows, copies};
  given.with_grad_quantized = with_grad_quantized;
  given.grad_aux_loss = weights.grad_aux_loss;
  check_against_oracle(given);
}

template <class T>
void check_random_rows() {
  uint64_t seed = 0;
  for (int64_t dim = 1; dim <= 12; ++dim) {
    for (const double beta : {0.0, 0.01, 1.0, 10.0, 100.0, 1e4, 1e30}) {
      for (const int64_t count : {1, 2, 37}) {
        bsq_options options = options_for(dim);
        options.inverse_temperature = beta;
        const std::vector<T> x = Random(++seed).normals<T>(count * dim);
        const Weights& weights = kWeights.at(seed % kWeights.size());
        const std::string what = "D " + std::to_string(dim) + ", beta " + show(beta) + ", rows " +
                                 std::to_string(count) + ", weights " +
                                 std::to_string(seed % kWeights.size());
        check_weighted<T>(options, x, std::vector<int64_t>(static_cast<size_t>(count), 1), weights,
                          seed % 3 != 0, what);
      }
    }
  }
}

// More rows than are expanded at once, which is 1024 by the kernels and at most that by operators.
template <class T>
void check_several_chunks(int64_t dim, const std::vector<int64_t>& copies) {
  int64_t total = 0;
  for (const int64_t count : copies) {
    total += count;
  }
  CHECK(total > int64_t{2} * 1024);  // three chunks or more
  const auto rows = static_cast<int64_t>(copies.size());
  for (const double beta : {1.0, 20.0}) {
    bsq_options options = options_for(dim);
    options.inverse_temperature = beta;
    const std::vector<T> x = Random(static_cast<uint64_t>(dim)).normals<T>(rows * dim);
    check_weighted<T>(options, x, copies, {0.5, 1.5, 1.0}, true,
                      "chunks at D " + std::to_string(dim) + ", beta " + show(beta));
  }
}

// A row of special values: the kinds alternate with random components so that rows of one kind
// still differ.
template <class T>
std::vector<T> edge_rows(int64_t dim) {
  const T huge = std::is_same_v<T, float> ? static_cast<T>(1e38) : static_cast<T>(1e300);
  const T denormal = std::numeric_limits<T>::denorm_min();
  const T largest = std::numeric_limits<T>::max();
  std::vector<T> rows;
  Random random(7);
  for (const T scale : {T{0}, -T{0}, static_cast<T>(1e-20), static_cast<T>(1e-13),
                        static_cast<T>(1e-11), static_cast<T>(1e15), huge, denormal * 3}) {
    for (int64_t d = 0; d < dim; ++d) {
      rows.push_back(static_cast<T>(random.uniform() * 2 - 1) * scale);
    }
  }
  for (int64_t d = 0; d < dim; ++d) {
    rows.push_back(d % 2 == 0 ? largest : -largest);
  }
  for (int64_t d = 0; d < dim; ++d) {
    rows.push_back(d % 3 == 0 ? static_cast<T>(1e17) : static_cast<T>(1e-30));
  }
  for (int64_t d = 0; d < dim; ++d) {
    rows.push_back(d == 0 ? denormal : -denormal);
  }
  for (int64_t d = 0; d < dim; ++d) {
    rows.push_back(d == dim - 1 ? T{1} : T{0});
  }
  return rows;
}

template <class T>
void check_edge_rows() {
  for (const int64_t dim : {1, 2, 5, 8, 11}) {
    for (const double beta : {0.0, 1.0, 100.0, 1e30}) {
      bsq_options options = options_for(dim);
      options.inverse_temperature = beta;
      const std::vector<T> rows = edge_rows<T>(dim);
      const std::string what = "edges at D " + std::to_string(dim) + ", beta " + show(beta);
      check_weighted<T>(options, rows,
                        std::vector<int64_t>(rows.size() / static_cast<size_t>(dim), 1),
                        {0.1, 1.0, 1.0}, true, what);
      for (size_t n = 0; n * static_cast<size_t>(dim) < rows.size(); ++n) {  // and each alone
        const auto begin = rows.begin() + static_cast<int64_t>(n) * dim;
        check_weighted<T>(options, {begin, begin + dim}, {1}, {1.0, 0.5, 1.0}, false,
                          what + ", row " + std::to_string(n) + " alone");
      }
    }
  }
}

}  // namespace

TEST(random_rows_float32) { check_random_rows<float>(); }
TEST(random_rows_float64) { check_random_rows<double>(); }

TEST(several_chunks_float32) {
  check_several_chunks<float>(12, {1, 2000, 3000, 3, 1700, 2});
  check_several_chunks<float>(17, {1500, 400, 1, 600});
  check_several_chunks<float>(19, {64, 1, 2000});
}
TEST(several_chunks_float64) {
  check_several_chunks<double>(11, {3000, 5, 1200, 900});
  check_several_chunks<double>(18, {2000, 250, 1});
}

TEST(edge_rows_float32) { check_edge_rows<float>(); }
TEST(edge_rows_float64) { check_edge_rows<double>(); }

// As many codes as the oracle can take; code_dim_24 has more.
TEST(large_code_dimension) {
  constexpr int64_t kDim = 21;
  bsq_options options = options_for(kDim);
  options.inverse_temperature = 30.0;
  check_weighted<float>(options, Random(23).normals<float>(kDim), {2}, {0.3, 1.0, 1.0}, true,
                        "D 21");
}

// A logit of exactly 2^-54, where the two probabilities of a bit are equal in float64 but their
// logarithms are not.
TEST(logarithms_differ_by_one_ulp) {
  bsq_options options = options_for(1);
  options.inverse_temperature = 0x1p-56;
  for (const double x : {1.0, -1.0}) {
    check_weighted<double>(options, {x}, {1}, {1.0, 0.5, 1.0}, false, "logit 2^-54");
  }
}

// Rows that are nearly certain: one flip is just above the clamp, two are far below it. Beside the
// probability of the row's own code those of the flips must keep their digits.
TEST(nearly_certain_rows_in_float32) {
  constexpr int64_t kDim = 12;
  constexpr double kLogit = 10.9;
  bsq_options options = options_for(kDim);
  options.inverse_temperature = kLogit * kDim / 4;
  std::vector<float> x;
  for (int64_t i = 0; i < 100 * kDim; ++i) {
    x.push_back(i * i % 7 < 3 ? 1.0F : -1.0F);
  }
  Forward<float> result;
  CHECK_OK(forward(options, x, result));
  const double ratio = std::exp(-kLogit);
  const double own = std::pow(1 + ratio, -kDim);
  const double flipped = own * ratio;
  const double others = 1 - own - kDim * flipped;
  const double expected =
      -own * std::log(own) - kDim * flipped * std::log(flipped) + others * kLogMaxCodes;
  CHECK(flipped > 1e-5 && flipped * ratio < 1e-5);
  CHECK_NEAR(result.losses.per_sample_entropy, expected, 3e-7);
}

// float32 does not hold gamma, but it holds the gradient.
TEST(huge_diversity_gamma_in_float32) {
  constexpr int64_t kDim = 9;
  bsq_options options = options_for(kDim);
  options.inverse_temperature = 3;
  options.diversity_gamma = 1e50;
  options.entropy_loss_weight = 1e-50;
  const std::vector<float> x = Random(77).normals<float>(20 * kDim);
  std::vector<float> actual;
  CHECK_OK(backward(options, x, {}, 1.0, actual));
  std::vector<double> expected;
  CHECK_OK(backward(options, std::vector<double>(x.begin(), x.end()), {}, 1.0, expected));
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK_NEAR(actual[i], expected[i], 1e-6);
  }
}

// The gradient is that of the loss, whatever both are.
TEST(central_differences) {
  constexpr int64_t kRows = 3;
  for (int64_t dim = 1; dim <= 14; dim += dim < 6 ? 1 : 4) {
    for (const double beta : {0.01, 1.0, 10.0}) {
      bsq_options options = options_for(dim);
      options.inverse_temperature = beta;
      options.entropy_loss_weight = 1.3;
      options.diversity_gamma = 0.6;
      std::vector<double> x = Random(static_cast<uint64_t>(dim) + 400).normals<double>(kRows * dim);
      std::vector<double> gradient;
      CHECK_OK(backward(options, x, {}, 1.0, gradient));
      // The truncation error is about h^2 beta^3, the rounding error 1e-15 / h.
      constexpr double kStep = 1e-5;
      for (size_t i = 0; i < x.size(); ++i) {
        const double value = x[i];
        bsq_losses above{};
        bsq_losses below{};
        x[i] = value + kStep;
        CHECK_OK(losses(options, x, above));
        x[i] = value - kStep;
        CHECK_OK(losses(options, x, below));
        x[i] = value;
        CHECK_NEAR(gradient[i], (above.aux_loss - below.aux_loss) / (2 * kStep),
                   1e-8 + 1e-9 * beta * beta * beta);
      }
    }
  }
}

TEST(entropy_of_zero_rows_is_that_of_a_uniform_distribution) {
  for (int64_t dim = 1; dim <= 24; ++dim) {
    const std::vector<double> x(static_cast<size_t>(3 * dim), -0.0);
    Forward<double> result;
    CHECK_OK(forward(options_for(dim), x, result));
    const double expected = std::min(static_cast<double>(dim) * kLog2, kLogMaxCodes);
    CHECK_NEAR(result.losses.per_sample_entropy, expected, 1e-12);
    CHECK_NEAR(result.losses.codebook_entropy, expected, 1e-11);  // a sum over 2^24 codes
    CHECK_EQ(result.indices[0], 0);
  }
}

// At a high temperature rows are codes: with one row per code the average is uniform.
TEST(codebook_entropy_of_one_row_per_code) {
  for (const int64_t dim : {1, 2, 7, 12, 16}) {
    std::vector<int64_t> all(size_t{1} << dim);
    for (size_t i = 0; i < all.size(); ++i) {
      all[i] = static_cast<int64_t>(i);
    }
    bsq_options options = options_for(dim);
    options.inverse_temperature = 1e6;
    std::vector<float> codes;
    CHECK_OK(decode(options, all, codes));
    Forward<float> result;
    CHECK_OK(forward(options, codes, result));
    CHECK(result.indices == all);
    CHECK_NEAR(result.losses.codebook_entropy, static_cast<double>(dim) * kLog2, 1e-5);
    CHECK_EQ(result.losses.per_sample_entropy, 0.0);
  }
}

// The average of equal rows is the row. Where no p is below e (1/2^13 at a small logit), the
// entropy is the sum of those of the bits.
TEST(equal_rows_and_factorised_entropy) {
  constexpr int64_t kDim = 13;
  bsq_options options = options_for(kDim);
  options.inverse_temperature = 0.3;
  const std::vector<double> row = Random(5).normals<double>(kDim);
  double squares = 0;
  for (const double value : row) {
    squares += value * value;
  }
  double expected = 0;
  for (const double value : row) {
    const double logit = 4 * 0.3 * value / std::sqrt(squares) / std::sqrt(13.0);
    const double p = 1 / (1 + std::exp(-logit));
    expected -= p * std::log(p) + (1 - p) * std::log(1 - p);
  }
  std::vector<double> x;
  for (int copy = 0; copy < 5; ++copy) {
    x.insert(x.end(), row.begin(), row.end());
  }
  bsq_losses result{};
  CHECK_OK(losses(options, x, result));
  CHECK_NEAR(result.per_sample_entropy, expected, 1e-12);
  CHECK_NEAR(result.codebook_entropy, expected, 1e-12);
}

// An epsilon that leaves hardly a code out: the probabilities of 2^22 are added up, and what they
// lack of 1 is multiplied by its logarithm.
TEST(tiny_epsilon_in_float32) {
  constexpr int64_t kDim = 22;
  const std::vector<float> x = Random(22).normals<float>(kDim);
  bsq_options options = options_for(kDim);
  options.entropy_epsilon = 1e-30;
  options.inverse_temperature = 10;
  bsq_losses single{};
  CHECK_OK(losses(options, x, single));
  bsq_losses precise{};
  CHECK_OK(losses(options, std::vector<double>(x.begin(), x.end()), precise));
  CHECK_NEAR(single.per_sample_entropy, precise.per_sample_entropy, 3e-5);
}

// In float32 the average of equal saturated rows may round to above 1; no entropy is below 0.
TEST(codebook_entropy_is_not_negative) {
  for (int64_t rows = 1; rows <= 200; ++rows) {
    const std::vector<float> x(static_cast<size_t>(rows * 6), 1.0F);
    bsq_losses result{};
    CHECK_OK(losses(options_for(6), x, result));
    CHECK(result.codebook_entropy >= 0);
    CHECK_NEAR(result.codebook_entropy, 0, 1e-5);
  }
}

// Nor does the float32 average lose what many rows add up to.
TEST(many_rows_in_float32) {
  constexpr int64_t kRows = 300000;
  std::vector<float> x;
  for (int64_t row = 0; row < kRows; ++row) {
    x.insert(x.end(), 5, row % 3 == 0 ? 1.0F : -1.0F);
  }
  bsq_losses result{};
  CHECK_OK(losses(options_for(5), x, result));
  // At the default temperature both kinds of rows are certain: all logits are 80.
  const double expected = -std::log(1.0 / 3) / 3 - 2 * std::log(2.0 / 3) / 3;
  CHECK_NEAR(result.codebook_entropy, expected, 2e-5);
}

TEST(losses_scale_with_the_weights) {
  const std::vector<double> x = Random(3).normals<double>(int64_t{40} * 9);
  bsq_options options = options_for(9);
  options.entropy_loss_weight = -3;
  options.diversity_gamma = 0.25;
  bsq_losses result{};
  CHECK_OK(losses(options, x, result));
  CHECK(result.per_sample_entropy > 0 && result.codebook_entropy > result.per_sample_entropy);
  CHECK_NEAR(result.aux_loss, -3 * (result.per_sample_entropy - 0.25 * result.codebook_entropy),
             1e-14);
}

// The largest code_dim with losses, in both types and both directions.
TEST(code_dim_24) {
  bsq_options options = options_for(24);
  options.inverse_temperature = 10;
  const std::vector<double> x = Random(24).normals<double>(int64_t{3} * 24);
  const std::vector<float> x32(x.begin(), x.end());
  const std::vector<double> x64(x32.begin(), x32.end());
  bsq_losses result32{};
  bsq_losses result64{};
  CHECK_OK(losses(options, x32, result32));
  CHECK_OK(losses(options, x64, result64));
  CHECK(result64.per_sample_entropy > 0);
  CHECK_NEAR(result32.per_sample_entropy, result64.per_sample_entropy, 1e-5);
  CHECK_NEAR(result32.codebook_entropy, result64.codebook_entropy, 1e-5);
  std::vector<float> gradient32;
  std::vector<double> gradient64;
  CHECK_OK(backward(options, x32, {}, 1.0, gradient32));
  CHECK_OK(backward(options, x64, {}, 1.0, gradient64));
  double largest = 0;
  for (size_t i = 0; i < gradient64.size(); ++i) {
    largest = std::max(largest, std::abs(gradient64[i]));
    CHECK_NEAR(gradient32[i], gradient64[i], 1e-5);
  }
  CHECK(largest > 1e-3);
}

// Not a number in, not a number out, and only there.
TEST(gradients_that_are_not_finite) {
  const bsq_options options = options_for(4);
  const std::vector<float> x = Random(8).normals<float>(int64_t{3} * 4);
  std::vector<float> grad_quantized(x.size(), 1.0F);
  grad_quantized[5] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> result;
  for (const double grad_aux_loss : {0.0, 1.0}) {
    CHECK_OK(backward(options, x, grad_quantized, grad_aux_loss, result));
    for (size_t i = 0; i < result.size(); ++i) {
      CHECK_EQ(std::isnan(result[i]), i / 4 == 1);
    }
  }
  CHECK_OK(backward(options, x, {}, std::numeric_limits<double>::quiet_NaN(), result));
  CHECK(std::all_of(result.begin(), result.end(), [](float value) { return std::isnan(value); }));
}

// Without any gradient coming in the result is 0, without the codebook's memory.
TEST(zero_gradients) {
  for (const int64_t dim : {int64_t{1}, int64_t{13}, max_backward_dim()}) {
    const std::vector<double> x = Random(8).normals<double>(5 * dim);
    std::vector<double> result;
    CHECK_OK(backward(options_for(dim), x, {}, 0.0, result));
    CHECK(std::all_of(result.begin(), result.end(), [](double value) { return value == 0; }));
    CHECK_OK(backward(options_for(dim), x, {}, -0.0, result));
    CHECK(std::all_of(result.begin(), result.end(), [](double value) { return value == 0; }));
  }
}

// The straight-through gradient of <g, quantized> for every code_dim: that of <g, x / |x|>.
TEST(straight_through_gradient) {
  for (const int64_t dim : {1, 2, 24, 25, 63}) {
    if (dim > max_backward_dim()) {
      continue;
    }
    const std::vector<double> x = Random(80).normals<double>(3 * dim);
    const std::vector<double> g = Random(81).normals<double>(3 * dim);
    std::vector<double> result;
    CHECK_OK(backward(options_for(dim), x, g, 0.0, result));
    for (int64_t row = 0; row < 3; ++row) {
      long double squares = 0;
      long double along = 0;
      for (int64_t d = 0; d < dim; ++d) {
        const auto i = static_cast<size_t>(row * dim + d);
        squares += static_cast<long double>(x[i]) * x[i];
        along += static_cast<long double>(x[i]) * g[i];
      }
      for (int64_t d = 0; d < dim; ++d) {
        const auto i = static_cast<size_t>(row * dim + d);
        CHECK_NEAR(result[i],
                   static_cast<double>((g[i] - x[i] * along / squares) / std::sqrt(squares)),
                   1e-14);
      }
    }
  }
}

}  // namespace bsq::test
