// Rows with a NaN or an infinity, under both policies.
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

// With one component of one codebook not finite, and `group` bits in a group.
template <class T>
void check_other_codebooks(int64_t bad_codebook, int64_t group) {
  bsq_options options = options_for(12);
  options.codebooks = 3;
  options.group_size = group;
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  options.channel_first = group == 4 ? 1 : 0;
  options.inverse_temperature = 3;
  const Batch batch{3, 70};
  constexpr size_t kBadRow = 99;
  std::vector<T> rows = Random(5).normals<T>(batch.rows() * row_length(options));
  const std::vector<T> g = Random(6).normals<T>(batch.rows() * row_length(options));
  Forward<T> expected;
  std::vector<T> expected_gradient;
  CHECK_OK(forward(options, batch, to_layout(options, batch, rows), expected));
  CHECK_OK(
      backward(options, batch, to_layout(options, batch, rows), {}, g, 0.0, expected_gradient));
  const size_t first = kBadRow * 36 + static_cast<size_t>(bad_codebook) * 12;
  rows[first + 7] = std::numeric_limits<T>::quiet_NaN();

  const std::vector<T> x = to_layout(options, batch, rows);
  Forward<T> actual;
  std::vector<T> gradient;
  CHECK_OK(forward(options, batch, x, actual));
  CHECK_OK(backward(options, batch, x, {}, g, 0.0, gradient));
  const std::vector<T> quantized = from_layout(options, batch, actual.quantized);
  const std::vector<T> expected_quantized = from_layout(options, batch, expected.quantized);
  gradient = from_layout(options, batch, gradient);
  expected_gradient = from_layout(options, batch, expected_gradient);
  int64_t wrong = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool bad = i >= first && i < first + 12;
    wrong += bad ? !std::isnan(quantized[i]) : quantized[i] != expected_quantized[i];
    wrong += bad ? !std::isnan(gradient[i]) : gradient[i] != expected_gradient[i];
    const size_t index = i / static_cast<size_t>(group);
    wrong += actual.indices[index] != (bad ? 0 : expected.indices[index]);
  }
  CHECK_EQ(wrong, 0);
  CHECK(std::isnan(actual.losses.aux_loss));
  CHECK_OK(backward(options, batch, x, {}, g, 1.0, gradient));
  CHECK(std::all_of(gradient.begin(), gradient.end(), [](T value) { return std::isnan(value); }));
  std::vector<double> sums;
  CHECK_OK(loss_sums(options, batch, x, sums));
  bsq_losses from_sums{};
  CHECK_OK(losses_from_sums(options, sums, from_sums));
  CHECK(std::isnan(from_sums.aux_loss));
}

}  // namespace

TEST(refusals_name_the_first_position_float32) { check_refusals<float>(); }
TEST(refusals_name_the_first_position_float64) { check_refusals<double>(); }
TEST(propagation_float32) { check_propagation<float>(); }
TEST(propagation_float64) { check_propagation<double>(); }

// A code is what is not finite: the other codebooks' codes of the row are as ever, while all groups
// of its own have index 0. What counts makes the losses NaN.
TEST(other_codebooks_of_a_row_that_is_not_finite) {
  check_other_codebooks<float>(0, 4);
  check_other_codebooks<double>(1, 4);
  check_other_codebooks<float>(1, 12);
  check_other_codebooks<double>(0, 12);
}

// Of positions beside each other, and of codes in groups.
TEST(refusals_in_channels_and_groups) {
  bsq_options options = options_for(6);
  options.codebooks = 2;
  options.group_size = 3;
  options.channel_first = 1;
  const Batch batch{3, 130};
  std::vector<float> rows(static_cast<size_t>(batch.rows() * row_length(options)), 1);
  rows[200 * 12 + 7] = std::numeric_limits<float>::infinity();
  rows[201 * 12 + 1] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = to_layout(options, batch, rows);
  const std::string part = "x[200, 7] is inf, expected a finite number";
  std::vector<int64_t> indices;
  Forward<float> out;
  std::vector<double> sums;
  std::vector<float> gradient;
  CHECK_REFUSED(encode(options, batch, x, indices), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(forward(options, batch, x, out), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(loss_sums(options, batch, x, sums), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(backward(options, batch, x, {}, {}, 1.0, gradient), BSQ_INVALID_ARGUMENT, part);
}

// Which rows must be finite for the losses to be: those that count, of which the entropies need
// those that are drawn.
TEST(losses_need_the_rows_that_count) {
  bsq_options options = options_for(3);
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  options.entropy_fraction = 0.5;
  const Batch batch{8, 1, {1, 1, 1, 1, 1, 1, 0, 0}};
  const std::vector<uint8_t> drawn = drawn_rows(options, batch);
  const std::vector<double> finite = Random(3).normals<double>(24);
  for (const double weight : {0.0, 1.0}) {
    options.commitment_weight = weight;
    bsq_losses expected{};
    CHECK_OK(losses(options, batch, finite, expected));
    for (size_t row = 0; row < 8; ++row) {
      std::vector<double> x = finite;
      x[row * 3 + 1] = std::numeric_limits<double>::infinity();
      const bool counts = drawn[row] != 0 || (weight != 0 && batch.mask[row] != 0);
      bsq_losses actual{};
      CHECK_OK(losses(options, batch, x, actual));
      CHECK_EQ(std::isnan(actual.aux_loss), counts);
      CHECK(counts || actual.aux_loss == expected.aux_loss);
      std::vector<double> gradient;
      CHECK_OK(backward(options, batch, x, {}, finite, 1.0, gradient));
      for (size_t i = 0; i < gradient.size(); ++i) {
        CHECK_EQ(std::isnan(gradient[i]), counts || i / 3 == row);
      }
    }
  }
}

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
