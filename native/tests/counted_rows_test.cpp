// Which rows count in the losses: masks, the rows that an entropy_fraction draws, and none at all.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "against_oracle.h"
#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

// Options whose losses are made of all terms, by each kind of kernel.
std::vector<bsq_options> all_kinds() {
  std::vector<bsq_options> all;
  for (const int64_t group : {2, 3, 12}) {
    bsq_options options = options_for(12);
    options.group_size = group;
    options.entropy_form = group == 2 ? BSQ_ENTROPY_ANALYTICAL : BSQ_ENTROPY_EXACT;
    options.codebooks = 2;
    options.inverse_temperature = 5;
    options.commitment_weight = 0.5;
    options.straight_through_scale = 0.75;
    options.channel_first = group == 3 ? 1 : 0;
    options.non_finite = BSQ_NON_FINITE_PROPAGATE;
    all.push_back(options);
  }
  return all;
}

std::vector<uint8_t> mask_of_some(int64_t rows) {
  std::vector<uint8_t> mask;
  for (int64_t row = 0; row < rows; ++row) {
    constexpr std::array<uint8_t, 5> kBytes{1, 0, 255, 128, 0};
    mask.push_back(kBytes.at(static_cast<size_t>(row) % kBytes.size()));
  }
  return mask;
}

template <class T>
struct Results {
  Forward<T> forward;
  std::vector<double> sums;
  std::vector<T> gradient;
};

template <class T>
Results<T> compute(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
                   const std::vector<T>& grad_quantized) {
  Results<T> results;
  CHECK_OK(forward(options, batch, x, results.forward));
  CHECK_OK(loss_sums(options, batch, x, results.sums));
  CHECK_OK(backward(options, batch, x, {}, grad_quantized, 1.0, results.gradient));
  return results;
}

void check_same_losses(const bsq_losses& actual, const bsq_losses& expected) {
  CHECK_EQ(actual.aux_loss, expected.aux_loss);
  CHECK_EQ(actual.per_sample_entropy, expected.per_sample_entropy);
  CHECK_EQ(actual.codebook_entropy, expected.codebook_entropy);
  CHECK_EQ(actual.entropy_loss, expected.entropy_loss);
  CHECK_EQ(actual.commitment, expected.commitment);
  CHECK_EQ(actual.rows, expected.rows);
  CHECK_EQ(actual.entropy_rows, expected.entropy_rows);
}

void check_zero_losses(const bsq_losses& losses) {
  bsq_losses zero{};
  check_same_losses(losses, zero);
}

// Of a row one after the other.
template <class T>
std::vector<T> row_of(const bsq_options& options, const std::vector<T>& rows, int64_t row) {
  const int64_t length = row_length(options);
  return {rows.begin() + row * length, rows.begin() + (row + 1) * length};
}

// Rows that do not count are coded, and get the gradient of quantized to the last bit; nothing that
// they hold is in the losses, or in any other row's gradient.
template <class T>
void check_masked_rows(const bsq_options& options) {
  const Batch batch{6, 25, mask_of_some(150)};
  const Batch unmasked{6, 25};
  const std::vector<T> rows = Random(1).normals<T>(batch.rows() * row_length(options));
  const std::vector<T> x = to_layout(options, batch, rows);
  const std::vector<T> g = Random(2).normals<T>(batch.rows() * row_length(options));
  const Results<T> masked = compute(options, batch, x, g);
  std::vector<T> straight_through;
  CHECK_OK(backward(options, unmasked, x, {}, g, 0.0, straight_through));
  Forward<T> all;
  CHECK_OK(forward(options, unmasked, x, all));
  CHECK(masked.forward.quantized == all.quantized);
  CHECK(masked.forward.indices == all.indices);
  CHECK_EQ(masked.forward.losses.rows, 90);
  CHECK_EQ(masked.forward.losses.entropy_rows, 90);
  CHECK(masked.forward.losses.commitment != all.losses.commitment);

  // The same with other rows that do not count: not finite, and huge.
  std::vector<T> changed_rows = rows;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    if (batch.mask[static_cast<size_t>(row)] == 0) {
      const T value = row % 3 == 0   ? std::numeric_limits<T>::quiet_NaN()
                      : row % 3 == 1 ? std::numeric_limits<T>::infinity()
                                     : std::numeric_limits<T>::max();
      std::fill_n(changed_rows.begin() + row * row_length(options), row_length(options), value);
    }
  }
  const Results<T> changed = compute(options, batch, to_layout(options, batch, changed_rows), g);
  check_same_losses(changed.forward.losses, masked.forward.losses);
  CHECK(changed.sums == masked.sums);

  const std::vector<T> gradient = from_layout(options, batch, masked.gradient);
  const std::vector<T> changed_gradient = from_layout(options, batch, changed.gradient);
  const std::vector<T> expected = from_layout(options, batch, straight_through);
  int64_t wrong = 0;
  int64_t without_losses = 0;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    const bool counts = batch.mask[static_cast<size_t>(row)] != 0;
    const bool same = row_of(options, gradient, row) == row_of(options, expected, row);
    without_losses += counts && same ? 1 : 0;
    wrong += counts || same ? 0 : 1;
    wrong +=
        !counts || row_of(options, changed_gradient, row) == row_of(options, gradient, row) ? 0 : 1;
  }
  CHECK_EQ(wrong, 0);
  CHECK_EQ(without_losses, 0);
}

template <class T>
void check_nothing_counts(bsq_options options) {
  options.positive = BSQ_POSITIVE_SOFTPLUS;  // which is not 0 at 0
  const Batch batch{4, 3, std::vector<uint8_t>(12, 0)};
  const std::vector<T> x = Random(1).normals<T>(batch.rows() * row_length(options));
  for (const double fraction : {1.0, 0.5}) {
    options.entropy_fraction = fraction;
    const Results<T> results = compute(options, batch, x, x);
    check_zero_losses(results.forward.losses);
    CHECK(std::all_of(results.sums.begin(), results.sums.end(),
                      [](double value) { return value == 0; }));
    std::vector<T> straight_through;
    CHECK_OK(backward(options, batch, x, {}, x, 0.0, straight_through));
    CHECK(results.gradient == straight_through);
    std::vector<T> none;
    CHECK_OK(backward(options, batch, x, {}, {}, 1.0, none));
    CHECK(std::all_of(none.begin(), none.end(), [](T value) { return value == 0; }));
    bsq_losses from_sums{};
    CHECK_OK(losses_from_sums(options, results.sums, from_sums));
    check_zero_losses(from_sums);
  }
}

template <class T>
void check_no_rows(const bsq_options& options) {
  for (const Batch& batch : std::vector<Batch>{{0}, {0, 5}, {5, 0}, {0, 0}}) {
    const Results<T> results = compute(options, batch, std::vector<T>(), std::vector<T>());
    check_zero_losses(results.forward.losses);
    CHECK(results.forward.indices.empty());
    CHECK(results.gradient.empty());
    CHECK(std::all_of(results.sums.begin(), results.sums.end(),
                      [](double value) { return value == 0; }));
  }
}

// Rows give the same to the last bit however they lie, and however many positions an item has.
template <class T>
void check_layouts(bsq_options options) {
  constexpr int64_t kRows = 150;
  const std::vector<T> rows = Random(3).normals<T>(kRows * row_length(options));
  const std::vector<T> g = Random(4).normals<T>(kRows * row_length(options));
  options.channel_first = 0;
  const std::vector<uint8_t> mask = mask_of_some(kRows);
  const Results<T> expected = compute(options, {kRows, 1, mask}, rows, g);
  for (const int64_t positions : {1, 2, 3, 25, 75, 150}) {
    for (const int32_t channel_first : {0, 1}) {
      options.channel_first = channel_first;
      const Batch batch{kRows / positions, positions, mask};
      const Results<T> results =
          compute(options, batch, to_layout(options, batch, rows), to_layout(options, batch, g));
      CHECK(results.forward.indices == expected.forward.indices);
      CHECK(from_layout(options, batch, results.forward.quantized) == expected.forward.quantized);
      CHECK(from_layout(options, batch, results.gradient) == expected.gradient);
      if (path() != Path::kOperators) {  // they add rows up in another order
        CHECK(results.sums == expected.sums);
        check_same_losses(results.forward.losses, expected.forward.losses);
      }
    }
  }
}

int64_t count_of(const std::vector<uint8_t>& drawn) {
  return std::accumulate(drawn.begin(), drawn.end(), int64_t{0});
}

bsq_options drawing(double fraction, int64_t seed) {
  bsq_options options = options_for(1);
  options.entropy_fraction = fraction;
  options.entropy_seed = seed;
  return options;
}

}  // namespace

TEST(rows_that_do_not_count) {
  for (const bsq_options& options : all_kinds()) {
    check_masked_rows<float>(options);
    check_masked_rows<double>(options);
  }
}

TEST(nothing_counts) {
  for (const bsq_options& options : all_kinds()) {
    check_nothing_counts<float>(options);
    check_nothing_counts<double>(options);
  }
}

TEST(no_rows) {
  for (const bsq_options& options : all_kinds()) {
    check_no_rows<float>(options);
    check_no_rows<double>(options);
  }
}

TEST(layouts) {
  for (const bsq_options& options : all_kinds()) {
    check_layouts<float>(options);
    check_layouts<double>(options);
  }
}

// Drawn rows come first, so that a vector of rows may begin and end as if they were next to each
// other, and hold others in between.
TEST(layouts_of_few_drawn_rows) {
  bsq_options options = options_for(4);
  options.commitment_weight = 1;
  options.entropy_fraction = 0.25;
  const Batch batch{1, 20, mask_of_some(20)};
  const std::vector<float> rows = Random(5).normals<float>(batch.rows() * row_length(options));
  for (int64_t seed = 0; seed < 2000; ++seed) {
    options.entropy_seed = seed;
    options.channel_first = 0;
    bsq_losses expected{};
    CHECK_OK(losses(options, batch, rows, expected));
    options.channel_first = 1;
    bsq_losses actual{};
    CHECK_OK(losses(options, batch, to_layout(options, batch, rows), actual));
    CHECK_NEAR(actual.commitment, expected.commitment, 1e-6);
  }
}

// A row that does not count is still refused.
TEST(masked_rows_that_are_not_finite_are_refused) {
  bsq_options options = options_for(2);
  options.codebooks = 2;
  options.channel_first = 1;
  const Batch batch{2, 3, {1, 1, 1, 1, 0, 1}};
  std::vector<double> rows(24, 1.0);
  rows[4 * 4 + 2] = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> x = to_layout(options, batch, rows);
  Forward<double> out;
  std::vector<double> sums;
  std::vector<double> gradient;
  const std::string part = "x[4, 2] is nan, expected a finite number";
  CHECK_REFUSED(forward(options, batch, x, out), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(loss_sums(options, batch, x, sums), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(backward(options, batch, x, {}, {}, 1.0, gradient), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(backward(options, batch, x, {}, {}, 0.0, gradient), BSQ_INVALID_ARGUMENT, part);
}

// Rounded down, but at least one; and of the rows that count alone.
TEST(number_of_drawn_rows) {
  for (const double fraction : {1e-9, 0.1, 0.25, 0.5, 1.0 / 3, 0.999}) {
    for (const int64_t rows : {1, 2, 3, 8, 100, 1001}) {
      const auto expected =
          std::max(int64_t{1}, static_cast<int64_t>(static_cast<double>(rows) * fraction));
      CHECK_EQ(count_of(drawn_rows(drawing(fraction, rows), {rows})), expected);
      // With rows between that do not count.
      Batch batch{rows, 2, std::vector<uint8_t>(static_cast<size_t>(2 * rows), 1)};
      for (size_t row = 0; row < batch.mask.size(); row += 2) {
        batch.mask[row + (row % 3 == 0 ? 1 : 0)] = 0;
      }
      const std::vector<uint8_t> drawn = drawn_rows(drawing(fraction, rows), batch);
      CHECK_EQ(count_of(drawn), expected);
      for (size_t row = 0; row < drawn.size(); ++row) {
        CHECK(drawn[row] == 0 || batch.mask[row] != 0);
      }
      bsq_losses out{};
      CHECK_OK(losses(drawing(fraction, rows), batch, Random(1).normals<float>(batch.rows()), out));
      CHECK_EQ(out.rows, rows);
      CHECK_EQ(out.entropy_rows, expected);
    }
  }
}

// The same seed draws the same rows, whatever else there is; another one others, each row as often.
TEST(drawn_rows_depend_on_the_seed_alone) {
  constexpr int64_t kRows = 40;
  constexpr int64_t kSeeds = 400;
  std::vector<int64_t> times(kRows, 0);
  std::vector<uint8_t> last;
  for (int64_t seed = -kSeeds / 2; seed < kSeeds / 2; ++seed) {
    const std::vector<uint8_t> drawn = drawn_rows(drawing(0.25, seed), {kRows});
    CHECK(drawn_rows(drawing(0.25, seed), {4, 10}) == drawn);
    CHECK(drawn != last);
    for (size_t row = 0; row < drawn.size(); ++row) {
      times[row] += drawn[row];
    }
    last = drawn;
  }
  for (const int64_t count : times) {
    CHECK_NEAR(static_cast<double>(count), 100.0, 5 * std::sqrt(75.0));  // 5 standard deviations
  }
}

// All paths draw the same rows as the host functions.
TEST(drawn_rows_are_the_same_everywhere) {
  constexpr int64_t kRows = 500;
  bsq_options options = options_for(2);
  options.inverse_temperature = 1;
  const std::vector<uint8_t> mask = mask_of_some(kRows);
  std::vector<double> x;
  for (int64_t row = 0; row < kRows; ++row) {
    x.insert(x.end(), {1, 2});
  }
  for (const int64_t seed : {int64_t{0}, int64_t{7}, std::numeric_limits<int64_t>::min()}) {
    options.entropy_fraction = 0.3;
    options.entropy_seed = seed;
    options.diversity_gamma = 0;
    std::vector<double> gradient(x.size());
    CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT64, kRows, 1, x.data(), bytes(x), mask.data(),
                               bytes(mask), nullptr, 0, nullptr, 0, 1.0, gradient.data(),
                               bytes(gradient)));
    std::vector<uint8_t> on_host;
    for (size_t i = 0; i < gradient.size(); i += 2) {
      on_host.push_back(gradient[i] != 0 ? 1 : 0);
    }
    CHECK_EQ(count_of(on_host), 90);
    CHECK(drawn_rows(options, {kRows, 1, mask}) == on_host);
  }
}

// The losses of the drawn rows are those of the mask of them; but the commitment is of all.
TEST(losses_of_drawn_rows_are_those_of_their_mask) {
  for (bsq_options options : all_kinds()) {
    options.entropy_fraction = 0.4;
    options.entropy_seed = 3;
    const Batch batch{10, 5, mask_of_some(50)};
    const Batch drawn{10, 5, drawn_rows(options, batch)};
    const std::vector<double> x = Random(6).normals<double>(50 * row_length(options));
    const Results<double> of_fraction = compute(options, batch, x, {});
    options.entropy_fraction = 1;
    const Results<double> of_mask = compute(options, drawn, x, {});
    const Results<double> of_all = compute(options, batch, x, {});
    CHECK_EQ(of_fraction.forward.losses.per_sample_entropy,
             of_mask.forward.losses.per_sample_entropy);
    CHECK_EQ(of_fraction.forward.losses.codebook_entropy, of_mask.forward.losses.codebook_entropy);
    CHECK_EQ(of_fraction.forward.losses.entropy_rows, of_mask.forward.losses.rows);
    CHECK_EQ(of_fraction.forward.losses.rows, of_all.forward.losses.rows);
    CHECK_NEAR(of_fraction.forward.losses.commitment, of_all.forward.losses.commitment, 1e-14);
    CHECK(
        std::equal(of_fraction.sums.begin() + 4, of_fraction.sums.end(), of_mask.sums.begin() + 4));
  }
}

}  // namespace bsq::test
