// Rows with a NaN or an infinity, under both policies.
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr int64_t kRows = 40000;  // several threads' worth at 4 columns
constexpr int64_t kDim = 4;

template <class T>
std::array<T, 3> bad_values() {
  return {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
          -std::numeric_limits<T>::infinity()};
}

template <class T>
void check_refusals() {
  const bsq_options options = options_for(kDim);
  std::vector<int64_t> indices;
  Forward<T> out;
  bsq_losses losses_out{};
  std::vector<T> gradient;
  for (const T bad : bad_values<T>()) {
    for (const int64_t row : {int64_t{0}, kRows / 2, kRows - 1}) {
      for (const int64_t column : {int64_t{0}, kDim / 2, kDim - 1}) {
        std::vector<T> x(static_cast<size_t>(kRows * kDim), T{1});
        for (int64_t i = row * kDim + column; i < kRows * kDim; i += 1 + i % 9) {
          x[static_cast<size_t>(i)] = bad;
        }
        const std::string part = "x[" + std::to_string(row) + ", " + std::to_string(column) +
                                 "] is " + show(bad) + ", expected a finite number";
        CHECK_REFUSED(encode(options, x, indices), BSQ_INVALID_ARGUMENT, part);
        CHECK_REFUSED(forward(options, x, out), BSQ_INVALID_ARGUMENT, part);
        if (path() == Path::kOperators && column != row % kDim) {
          continue;  // the rest takes them long, and finds the row as forward does
        }
        CHECK_REFUSED(losses(options, x, losses_out), BSQ_INVALID_ARGUMENT, part);
        CHECK_REFUSED(backward(options, x, {}, 0.0, gradient), BSQ_INVALID_ARGUMENT, part);
        CHECK_REFUSED(backward(options, x, {}, 1.0, gradient), BSQ_INVALID_ARGUMENT, part);
      }
    }
  }
}

template <class T>
void check_propagation() {
  bsq_options options = options_for(kDim);
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T infinity = std::numeric_limits<T>::infinity();
  std::vector<T> x = Random(2).normals<T>(kRows * kDim);
  const std::vector<T> finite = x;
  const auto set_row = [&x](int64_t row, const std::array<T, kDim>& values) {
    std::copy(values.begin(), values.end(), x.begin() + row * kDim);
  };
  set_row(0, {1, nan, 1, 1});
  set_row(kRows / 2, {1, -infinity, 1, infinity});
  set_row(kRows - 1, {nan, infinity, 1, 1});
  const auto is_bad = [](int64_t row) { return row == 0 || row == kRows / 2 || row == kRows - 1; };

  Forward<T> expected;
  CHECK_OK(forward(options, finite, expected));
  std::vector<int64_t> indices;
  CHECK_OK(encode(options, x, indices));
  Forward<T> out;
  CHECK_OK(forward(options, x, out));
  CHECK(out.indices == indices);
  CHECK(std::isnan(out.losses.aux_loss));
  CHECK(std::isnan(out.losses.per_sample_entropy));
  CHECK(std::isnan(out.losses.codebook_entropy));

  const std::vector<T> grad_quantized = Random(3).normals<T>(kRows * kDim);
  std::vector<T> expected_gradient;
  std::vector<T> gradient;
  CHECK_OK(backward(options, finite, grad_quantized, 0.0, expected_gradient));
  CHECK_OK(backward(options, x, grad_quantized, 0.0, gradient));
  int64_t wrong = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t d = 0; d < kDim; ++d) {
      const auto i = static_cast<size_t>(row * kDim + d);
      if (is_bad(row)) {
        wrong += std::isnan(gradient[i]) ? 0 : 1;
      } else {
        wrong += static_cast<int64_t>(out.quantized[i] != expected.quantized[i]);
        wrong += static_cast<int64_t>(gradient[i] != expected_gradient[i]);
      }
    }
    const auto n = static_cast<size_t>(row);
    wrong += static_cast<int64_t>(indices[n] != (is_bad(row) ? 0 : expected.indices[n]));
  }
  CHECK_EQ(wrong, 0);
  for (size_t d = 0; d < kDim; ++d) {
    CHECK(std::isnan(out.quantized[d]));  // a NaN spreads over its row, ...
    CHECK(std::isnan(out.quantized[static_cast<size_t>((kRows - 1) * kDim) + d]));
  }
  const auto middle = static_cast<size_t>(kRows / 2 * kDim);
  CHECK_EQ(out.quantized[middle], T{-0.5});  // ... an infinity makes the others vanish
  CHECK(std::isnan(out.quantized[middle + 1]));
  CHECK_EQ(out.quantized[middle + 2], T{-0.5});
  CHECK(std::isnan(out.quantized[middle + 3]));

  // The loss is NaN, and with it every row's gradient.
  CHECK_OK(backward(options, x, grad_quantized, 1.0, gradient));
  int64_t numbers = 0;
  for (const T value : gradient) {
    numbers += std::isnan(value) ? 0 : 1;
  }
  CHECK_EQ(numbers, 0);
}

}  // namespace

TEST(refusals_name_the_first_position_float32) { check_refusals<float>(); }
TEST(refusals_name_the_first_position_float64) { check_refusals<double>(); }
TEST(propagation_float32) { check_propagation<float>(); }
TEST(propagation_float64) { check_propagation<double>(); }

// What is finite is not refused, however large.
TEST(extreme_values_are_finite) {
  const std::vector<float> x(63, std::numeric_limits<float>::max());
  const std::vector<double> wide(63, std::numeric_limits<double>::lowest());
  std::vector<int64_t> indices;
  CHECK_OK(encode(options_for(63), x, indices));
  CHECK_EQ(indices[0], std::numeric_limits<int64_t>::max());
  CHECK_OK(encode(options_for(63), wide, indices));
  CHECK_EQ(indices[0], 0);
}

TEST(finite_rows_are_the_same_under_both_policies) {
  bsq_options options = options_for(9);
  const std::vector<double> x = Random(2).normals<double>(int64_t{50} * 9);
  Forward<double> refuse;
  Forward<double> propagate;
  CHECK_OK(forward(options, x, refuse));
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  CHECK_OK(forward(options, x, propagate));
  CHECK(refuse.quantized == propagate.quantized);
  CHECK(refuse.indices == propagate.indices);
  CHECK_EQ(refuse.losses.aux_loss, propagate.losses.aux_loss);
}

}  // namespace bsq::test
