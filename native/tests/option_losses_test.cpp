// The losses and gradients of all options together: random ones, those of other projects, and the
// largest codes, against the dense oracle; and central differences.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "against_oracle.h"
#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

int64_t between(Random& random, int64_t first, int64_t last) {
  return first + static_cast<int64_t>(random.uniform() * static_cast<double>(last - first + 1));
}

bool one_in(Random& random, int64_t count) { return between(random, 1, count) == 1; }

double power_of_ten(Random& random, double first, double last) {
  return std::pow(10.0, first + random.uniform() * (last - first));
}

// Codes of up to max_bits bits in all, grouped or not; distributions over up to 2^14 codes.
void set_random_codes(Random& random, int64_t max_bits, bsq_options& options) {
  const bool analytical = one_in(random, 4);
  const int64_t group = between(random, 1, std::min(int64_t{14}, max_bits));
  const int64_t groups = one_in(random, 3) ? 1 : between(random, 1, max_bits / group);
  options.code_dim = group * groups;
  options.group_size = groups == 1 && one_in(random, 2) ? 0 : group;
  options.codebooks = one_in(random, 2) ? 1 : between(random, 2, 4);
  options.entropy_form = analytical ? BSQ_ENTROPY_ANALYTICAL : BSQ_ENTROPY_EXACT;
}

bsq_options random_options(Random& random, int64_t max_bits) {
  bsq_options options = options_for(1);
  set_random_codes(random, max_bits, options);
  options.inverse_temperature = power_of_ten(random, -1, 2.3);
  options.entropy_floor = one_in(random, 2) ? BSQ_FLOOR_ADD : BSQ_FLOOR_CLAMP;
  options.entropy_epsilon = power_of_ten(random, -12, -1.3);
  options.entropy_loss_weight = random.normal();
  options.sample_entropy_weight = one_in(random, 6) ? 0 : random.normal();
  options.diversity_gamma = one_in(random, 6) ? 0 : random.normal();
  options.entropy_scale = one_in(random, 3) ? BSQ_ENTROPY_SCALE_TEMPERATURE : BSQ_ENTROPY_SCALE_ONE;
  options.positive = one_in(random, 3) ? BSQ_POSITIVE_SOFTPLUS : BSQ_POSITIVE_NONE;
  options.positive_offset = 3 * random.normal();
  options.commitment = one_in(random, 2) ? BSQ_COMMITMENT_SQUARE : BSQ_COMMITMENT_SQUARED_NORM;
  options.commitment_weight = one_in(random, 3) ? 0 : random.normal();
  options.straight_through_scale = one_in(random, 3) ? 1 : random.normal();
  options.entropy_fraction = one_in(random, 3) ? power_of_ten(random, -1.5, 0) : 1;
  options.entropy_seed = static_cast<int64_t>(random.bits());
  options.channel_first = one_in(random, 2) ? 1 : 0;
  return options;
}

std::vector<uint8_t> random_mask(Random& random, int64_t rows) {
  std::vector<uint8_t> mask;
  const int64_t share = between(random, 2, 6);
  for (int64_t row = 0; row < rows; ++row) {
    mask.push_back(one_in(random, share) ? 0 : static_cast<uint8_t>(between(random, 1, 255)));
  }
  return mask;
}

std::string describe(const bsq_options& options, const Batch& batch) {
  return "K " + show(options.codebooks) + ", D " + show(options.code_dim) + ", groups of " +
         show(options.group_size) + ", items " + show(batch.items) + " x " + show(batch.positions) +
         (batch.mask.empty() ? "" : ", masked") +
         (options.channel_first != 0 ? ", channel first" : "") +
         (options.entropy_form == BSQ_ENTROPY_ANALYTICAL ? ", analytical" : "") +
         (options.entropy_floor == BSQ_FLOOR_ADD ? ", add " : ", clamp ") +
         show(options.entropy_epsilon) + ", temperature " + show(options.inverse_temperature) +
         ", fraction " + show(options.entropy_fraction) +
         (options.positive == BSQ_POSITIVE_SOFTPLUS ? ", softplus" : "") + ", commitment " +
         show(options.commitment_weight);
}

template <class T>
Case<T> random_case(uint64_t seed, int64_t max_bits, int64_t max_rows) {
  Random random(seed);
  Case<T> result;
  result.options = random_options(random, max_bits);
  Batch batch{between(random, 1, 6), between(random, 1, 5), {}};
  // More than a block of rows now and then.
  batch.items *= one_in(random, 4) ? std::max(int64_t{1}, max_rows / batch.rows()) : 1;
  if (one_in(random, 2)) {
    batch.mask = random_mask(random, batch.rows());
  }
  result.rows = random.normals<T>(batch.rows() * row_length(result.options));
  result.positions = batch.positions;
  result.mask = batch.mask;
  result.with_grad_quantized = !one_in(random, 3);
  result.grad_aux_loss = random.normal();
  result.what = "seed " + show(seed) + ": " + describe(result.options, batch);
  return result;
}

template <class T>
void check_random_options() {
  for (uint64_t seed = 1; seed <= 90; ++seed) {
    check_against_oracle(random_case<T>(seed, 14, 40));
  }
  // More groups of fewer codes, and more rows.
  for (uint64_t seed = 1001; seed <= 1040; ++seed) {
    check_against_oracle(random_case<T>(seed, 6, 300));
  }
}

// Distributions of every number of bits, so of both kinds of kernels, each of which also meets both
// floors, alone and with others in a row.
template <class T>
void check_every_group_size() {
  for (int64_t bits = 1; bits <= 14; ++bits) {
    for (const int32_t floor : {BSQ_FLOOR_CLAMP, BSQ_FLOOR_ADD}) {
      for (const int64_t groups : {1, 3}) {
        Case<T> given;
        given.options = options_for(bits * groups);
        given.options.group_size = bits;
        given.options.codebooks = 3 - groups / 2;
        given.options.entropy_floor = floor;
        given.options.entropy_epsilon = floor == BSQ_FLOOR_ADD ? 1e-8 : 1e-5;
        given.options.inverse_temperature = 4;
        given.options.commitment_weight = 0.25;
        given.rows = Random(static_cast<uint64_t>(bits))
                         .normals<T>((bits > 11 ? 3 : 21) * row_length(given.options));
        given.what = std::to_string(groups) + " groups of " + std::to_string(bits) + " bits" +
                     (floor == BSQ_FLOOR_ADD ? ", add" : ", clamp");
        check_against_oracle(given);
      }
    }
  }
}

// More rows than are expanded at once, of codes in groups.
template <class T>
void check_many_rows(int64_t codebooks, int64_t groups, int64_t bits) {
  Case<T> given;
  given.options = options_for(groups * bits);
  given.options.codebooks = codebooks;
  given.options.group_size = bits;
  given.options.inverse_temperature = 3;
  given.options.entropy_floor = BSQ_FLOOR_ADD;
  given.options.entropy_epsilon = 1e-8;
  given.options.commitment_weight = 0.5;
  given.options.channel_first = 1;
  given.copies = {700, 1, 1500, 63, 800, 8};  // 3072 in all
  given.positions = 48;
  given.rows =
      Random(5).normals<T>(static_cast<int64_t>(given.copies.size()) * row_length(given.options));
  given.what = "many rows of " + show(codebooks) + " x " + show(groups) + " groups of " +
               show(bits) + " bits";
  check_against_oracle(given);
}

// More rows of single bits than a block of the CUDA kernels adds up.
template <class T>
void check_many_single_bits() {
  Case<T> given;
  given.options = options_for(6);
  given.options.group_size = 3;
  given.options.codebooks = 2;
  given.options.entropy_form = BSQ_ENTROPY_ANALYTICAL;
  given.options.inverse_temperature = 2;
  given.copies = {5000, 1, 3100, 999};
  given.rows = Random(6).normals<T>(4 * row_length(given.options));
  given.what = "many single bits";
  check_against_oracle(given);
}

// The largest code, and groups of the largest size: 64 of them in float32 alone, as that takes
// long.
template <class T>
void check_large_codes() {
  Case<T> given;
  given.options = options_for(1024);
  given.options.group_size = 16;
  given.options.entropy_form = BSQ_ENTROPY_ANALYTICAL;
  given.options.commitment_weight = 1;
  given.options.codebooks = 2;
  given.rows = Random(12).normals<T>(9 * row_length(given.options));
  given.what = "D 1024, analytical";
  check_against_oracle(given);
  given.options.codebooks = 1;
  given.options.entropy_form = BSQ_ENTROPY_EXACT;
  given.options.code_dim = std::is_same_v<T, float> ? 1024 : 64;
  given.rows = Random(13).normals<T>(row_length(given.options));
  given.what = "groups of 16";
  check_against_oracle(given);
}

// Rows of one special value after the other, with codes beside each other that are no such rows.
template <class T>
void check_special_rows() {
  const T largest = std::numeric_limits<T>::max();
  const T tiny = std::numeric_limits<T>::denorm_min();
  for (const int64_t bits : {2, 3, 12}) {
    Case<T> given;
    given.options = options_for(bits == 12 ? 12 : 6);
    given.options.group_size = bits;
    given.options.codebooks = 2;
    given.options.inverse_temperature = 30;
    given.options.commitment_weight = 2;
    given.options.entropy_floor = BSQ_FLOOR_ADD;
    const int64_t dim = given.options.code_dim;
    for (const T value : {T{0}, -T{0}, tiny, -largest, static_cast<T>(1e-13)}) {
      for (const bool first : {true, false}) {
        std::vector<T> row = Random(31).normals<T>(2 * dim);
        std::fill_n(row.begin() + (first ? 0 : dim), dim, value);
        row[1] = first && value == -largest ? largest : row[1];
        given.rows.insert(given.rows.end(), row.begin(), row.end());
      }
    }
    given.what = "special rows in groups of " + show(bits);
    check_against_oracle(given);
  }
}

// The options that make up the losses, each of which is derived in another place.
std::vector<bsq_options> differentiated_options() {
  std::vector<bsq_options> all;
  const auto add = [&](int64_t dim, int64_t group, const auto& change) {
    bsq_options options = options_for(dim);
    options.group_size = group;
    options.inverse_temperature = 2;
    options.entropy_loss_weight = 1.3;
    options.sample_entropy_weight = 0.8;
    options.diversity_gamma = 0.6;
    change(options);
    all.push_back(options);
  };
  for (const int64_t group : {1, 3, 6, 12}) {
    add(12, group, [](bsq_options& o) { o.codebooks = 2; });
    add(12, group, [](bsq_options& o) {
      o.entropy_floor = BSQ_FLOOR_ADD;
      o.entropy_epsilon = 1e-3;
    });
    add(12, group, [](bsq_options& o) {
      o.positive = BSQ_POSITIVE_SOFTPLUS;
      o.positive_offset = 0.3;
      o.entropy_scale = BSQ_ENTROPY_SCALE_TEMPERATURE;
    });
    add(12, group, [](bsq_options& o) {
      o.entropy_fraction = 0.5;
      o.commitment_weight = 0.7;
      o.channel_first = 1;
    });
  }
  add(12, 4, [](bsq_options& o) {
    o.entropy_form = BSQ_ENTROPY_ANALYTICAL;
    o.commitment = BSQ_COMMITMENT_SQUARE;
    o.commitment_weight = -3;
  });
  return all;
}

}  // namespace

TEST(random_options_float32) { check_random_options<float>(); }
TEST(random_options_float64) { check_random_options<double>(); }
TEST(every_group_size_float32) { check_every_group_size<float>(); }
TEST(every_group_size_float64) { check_every_group_size<double>(); }

TEST(many_rows_in_groups) {
  check_many_rows<float>(1, 4, 9);
  check_many_rows<double>(1, 2, 12);
  if (path() != Path::kOperators) {  // which take long, and compute all numbers of bits alike
    check_many_rows<double>(2, 2, 5);
    check_many_rows<float>(2, 1, 12);
  }
}

TEST(many_single_bits) {
  check_many_single_bits<float>();
  check_many_single_bits<double>();
}
TEST(large_codes_float32) { check_large_codes<float>(); }
TEST(large_codes_float64) { check_large_codes<double>(); }
TEST(special_rows_float32) { check_special_rows<float>(); }
TEST(special_rows_float64) { check_special_rows<double>(); }

// The sign of a component decides the code that commitment draws it to, even where the unit vector
// has lost it.
TEST(commitment_where_the_unit_vector_underflows) {
  Case<double> given;
  given.options = options_for(3);
  given.options.commitment_weight = 1e200;
  given.rows = {1e-300, 1e300, -1e-300};
  given.what = "components that underflow";
  check_against_oracle(given);
}

// The gradient is that of the loss: the straight-through one beside, which central differences of
// quantized do not see.
TEST(central_differences_of_all_options) {
  constexpr int64_t kPositions = 3;
  for (const bsq_options& options : differentiated_options()) {
    const Batch batch{2, kPositions, {1, 0, 1, 1, 1, 0}};
    std::vector<double> x = Random(400).normals<double>(batch.rows() * row_length(options));
    std::vector<double> gradient;
    CHECK_OK(backward(options, batch, x, {}, {}, 1.0, gradient));
    constexpr double kStep = 1e-5;
    for (size_t i = 0; i < x.size(); ++i) {
      const double value = x[i];
      bsq_losses above{};
      bsq_losses below{};
      x[i] = value + kStep;
      CHECK_OK(losses(options, batch, x, above));
      x[i] = value - kStep;
      CHECK_OK(losses(options, batch, x, below));
      x[i] = value;
      const double expected = (above.aux_loss - below.aux_loss) / (2 * kStep);
      check_near(gradient[i], expected, 1e-8, __FILE__, __LINE__,
                 (describe(options, batch) + ": element " + std::to_string(i)).c_str());
    }
  }
}

}  // namespace bsq::test
