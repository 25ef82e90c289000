// Codes of several levels, against their definition in long double.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

using Indices = std::vector<int64_t>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bsq_options level_options(int64_t i) {
  bsq_options options = options_for(6);
  options.codebooks = 1 + i % 2;
  options.group_size = i / 2 % 2 == 0 ? 0 : 3;
  options.bit_order = static_cast<int32_t>(i / 4 % 2);
  options.code_scale = static_cast<int32_t>(i / 8 % 2);
  options.channel_first = static_cast<int32_t>(i / 16 % 2);
  options.tie = static_cast<int32_t>(i / 3 % 2);
  return options;
}
constexpr int64_t kLevelOptions = 32;

size_t level_indices_size(const bsq_options& options, const Batch& batch, int64_t levels) {
  return static_cast<size_t>(batch.rows() * levels * row_indices(options));
}

Tensor level_indices_tensor(const bsq_options& options, const Batch& batch, int64_t levels,
                            const Indices& indices) {
  Shape shape = leading_shape(batch);
  shape.push_back(levels);
  for (const int64_t size : {options.codebooks, row_indices(options) / options.codebooks}) {
    if (size > 1) {
      shape.push_back(size);
    }
  }
  return tensor_of(indices, shape);
}

template <class T>
Outcome residual_encode(const bsq_options& options, int64_t levels, const Batch& batch,
                        const std::vector<T>& x, Indices& indices) {
  indices.assign(level_indices_size(options, batch, levels), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_residual_encode(&options, levels, kDtype<T>, batch.items,
                                            batch.positions, x.data(), bytes(x), indices.data(),
                                            bytes(indices)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    indices = read<int64_t>(
        make(bsq_tensor_residual_encode, &opts, levels, rows_of(options, batch, x).get()));
  });
}

template <class T>
Outcome residual_decode(const bsq_options& options, int64_t levels, int64_t used,
                        const Batch& batch, const Indices& indices, std::vector<T>& quantized) {
  quantized.assign(static_cast<size_t>(batch.rows() * row_length(options)), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_residual_decode(&options, levels, used, kDtype<T>, batch.items,
                                            batch.positions, indices.data(), bytes(indices),
                                            quantized.data(), bytes(quantized)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    quantized =
        read<T>(make(bsq_tensor_residual_decode, &opts, levels, used,
                     level_indices_tensor(options, batch, levels, indices).get(), kDtype<T>));
  });
}

template <class T>
Outcome residual_codes_to_indices(const bsq_options& options, int64_t levels, const Batch& batch,
                                  const std::vector<T>& quantized, Indices& indices) {
  indices.assign(level_indices_size(options, batch, levels), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_residual_codes_to_indices(
        &options, levels, kDtype<T>, batch.items, batch.positions, quantized.data(),
        bytes(quantized), indices.data(), bytes(indices)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    indices = read<int64_t>(make(bsq_tensor_residual_codes_to_indices, &opts, levels,
                                 rows_of(options, batch, quantized).get()));
  });
}

template <class T>
Outcome residual_rows(const bsq_options& options, int64_t level, const Batch& batch,
                      const std::vector<T>& x, std::vector<T>& residual) {
  residual.assign(x.size(), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_residual(&options, level, kDtype<T>, batch.items, batch.positions,
                                     x.data(), bytes(x), residual.data(), bytes(residual)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    residual = read<T>(make(bsq_tensor_residual, &opts, level, rows_of(options, batch, x).get()));
  });
}

template <class T>
ResidualQuantization residual_quantize(const bsq_options& options, int64_t levels,
                                       const Batch& batch, const std::vector<T>& x) {
  const bsq_options opts = on_path(options);
  return make<bsq_residual_quantization>(bsq_tensor_residual_forward, &opts, levels,
                                         rows_of(options, batch, x).get(), mask_of(batch).get());
}

template <class T>
struct ResidualForward {
  std::vector<T> quantized;
  Indices indices;
  std::vector<bsq_losses> losses;
};

template <class T>
Outcome residual_forward(const bsq_options& options, int64_t levels, const Batch& batch,
                         const std::vector<T>& x, ResidualForward<T>& out) {
  out.quantized.assign(x.size(), T{-77});
  out.indices.assign(level_indices_size(options, batch, levels), -1);
  out.losses.assign(static_cast<size_t>(std::max(int64_t{1}, levels)), empty_losses());
  if (path() == Path::kHost) {
    return Outcome(bsq_host_residual_forward(
        &options, levels, kDtype<T>, batch.items, batch.positions, x.data(), bytes(x),
        batch.mask_data(), bytes(batch.mask), out.quantized.data(), bytes(out.quantized),
        out.indices.data(), bytes(out.indices), out.losses.data()));
  }
  return outcome_of([&] {
    const ResidualQuantization result = residual_quantize(options, levels, batch, x);
    out.quantized = read<T>(make(bsq_residual_quantization_quantized, result.get()));
    out.indices = read<int64_t>(make(bsq_residual_quantization_indices, result.get()));
    for (int64_t level = 0; level < levels; ++level) {
      out.losses[static_cast<size_t>(level)] =
          losses_of(make<bsq_quantization>(bsq_residual_quantization_level, result.get(), level));
    }
  });
}

template <class T>
Outcome residual_backward(const bsq_options& options, int64_t levels, const Batch& batch,
                          const std::vector<T>& x, const std::vector<T>& grad_quantized,
                          const std::vector<double>& weights, std::vector<T>& grad_x) {
  grad_x.assign(x.size(), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_residual_backward(
        &options, levels, kDtype<T>, batch.items, batch.positions, x.data(), bytes(x),
        batch.mask_data(), bytes(batch.mask),
        grad_quantized.empty() ? nullptr : grad_quantized.data(), bytes(grad_quantized),
        weights.data(), bytes(weights), grad_x.data(), bytes(grad_x)));
  }
  return outcome_of([&] {
    const Tensor gradient =
        grad_quantized.empty() ? Tensor() : rows_of(options, batch, grad_quantized);
    grad_x = read<T>(make(bsq_residual_quantization_backward,
                          residual_quantize(options, levels, batch, x).get(), gradient.get(),
                          weights.data(), bytes(weights)));
  });
}

// What bsq.h says of rows that come one after the other, word for word.
struct Expected {
  Indices indices;
  std::vector<long double> quantized;
  std::vector<long double> residual;  // of the last level
};

template <class T>
Expected expected_levels(const bsq_options& options, int64_t levels, const std::vector<T>& rows) {
  const auto dim = static_cast<size_t>(options.code_dim);
  const auto codebooks = static_cast<size_t>(options.codebooks);
  const size_t bits = options.group_size == 0 ? dim : static_cast<size_t>(options.group_size);
  const size_t groups = dim / bits;
  const size_t codes = rows.size() / dim;
  const auto count = static_cast<size_t>(levels);
  const long double corner = 1 / std::sqrt(static_cast<long double>(dim));
  const long double scale = options.code_scale == BSQ_SCALE_ONE ? 1 : corner;
  Expected result;
  result.indices.resize(codes * groups * count);
  result.quantized.resize(rows.size());
  result.residual.resize(rows.size());
  for (size_t code = 0; code < codes; ++code) {
    long double squares = 0;
    for (size_t d = 0; d < dim; ++d) {
      const long double value = rows[code * dim + d];
      squares += value * value;
    }
    for (size_t d = 0; d < dim; ++d) {
      long double rest = rows[code * dim + d] / std::max(std::sqrt(squares), 1e-12L);
      long double sum = 0;
      for (size_t level = 0; level < count; ++level) {
        const long double weight = std::ldexp(1.0L, -static_cast<int>(level));
        const bool one = rest > 0;  // never 0 here
        rest -= (one ? corner : -corner) * weight;
        sum += (one ? scale : -scale) * weight;
        const size_t row = code / codebooks;
        const size_t at =
            ((row * count + level) * codebooks + code % codebooks) * groups + d / bits;
        const size_t place =
            options.bit_order == BSQ_ORDER_LEAST_FIRST ? d % bits : bits - 1 - d % bits;
        result.indices[at] |= static_cast<int64_t>(one) << place;
      }
      result.quantized[code * dim + d] = sum;
      result.residual[code * dim + d] = rest;
    }
  }
  return result;
}

template <class T>
bool same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

bool same_losses(const bsq_losses& a, const bsq_losses& b) {
  return a.aux_loss == b.aux_loss && a.per_sample_entropy == b.per_sample_entropy &&
         a.codebook_entropy == b.codebook_entropy && a.entropy_loss == b.entropy_loss &&
         a.commitment == b.commitment && a.rows == b.rows && a.entropy_rows == b.entropy_rows;
}

template <class T>
double rounding() {
  return std::is_same_v<T, float> ? 1e-6 : 1e-14;
}

template <class T>
void check_definition() {
  Random random(1);
  for (int64_t i = 0; i < kLevelOptions; ++i) {
    const bsq_options options = level_options(i);
    const Batch batch{3, 67};
    for (const int64_t levels : {1, 2, 5, 16}) {
      const std::vector<T> rows = random.normals<T>(batch.rows() * row_length(options));
      const std::vector<T> x = to_layout(options, batch, rows);
      const Expected expected = expected_levels(options, levels, rows);
      Indices indices;
      CHECK_OK(residual_encode(options, levels, batch, x, indices));
      CHECK(indices == expected.indices);
      std::vector<T> quantized;
      CHECK_OK(residual_decode(options, levels, levels, batch, indices, quantized));
      const std::vector<T> by_row = from_layout(options, batch, quantized);
      std::vector<T> rest;
      CHECK_OK(residual_rows(options, levels, batch, x, rest));
      rest = from_layout(options, batch, rest);
      double error = 0;
      for (size_t j = 0; j < rows.size(); ++j) {
        error = std::max(error, std::abs(static_cast<double>(by_row[j] - expected.quantized[j])));
        error = std::max(error, std::abs(static_cast<double>(rest[j] - expected.residual[j])));
      }
      CHECK_NEAR(error, 0, rounding<T>());
      ResidualForward<T> result;
      CHECK_OK(residual_forward(options, levels, batch, x, result));
      CHECK(result.indices == indices);
      CHECK(same_bytes(result.quantized, quantized));
      Indices inverse;
      CHECK_OK(residual_codes_to_indices(options, levels, batch, quantized, inverse));
      CHECK(inverse == indices);
    }
  }
}

TEST(levels_follow_their_definition) {
  check_definition<float>();
  check_definition<double>();
}

TEST(all_indices_come_back) {
  Random random(2);
  for (const int64_t levels : {1, 3, 16}) {
    for (int64_t i = 0; i < kLevelOptions; ++i) {
      const bsq_options options = level_options(i);
      const Batch batch{41};
      const int64_t bits = options.group_size == 0 ? options.code_dim : options.group_size;
      Indices indices(level_indices_size(options, batch, levels));
      for (int64_t& index : indices) {
        index = static_cast<int64_t>(random.bits() % (uint64_t{1} << static_cast<uint64_t>(bits)));
      }
      std::vector<float> quantized;
      CHECK_OK(residual_decode(options, levels, levels, batch, indices, quantized));
      Indices inverse;
      CHECK_OK(residual_codes_to_indices(options, levels, batch, quantized, inverse));
      CHECK(inverse == indices);
    }
  }
}

// Rounded to fewer digits, as many levels as can be told apart come back.
TEST(levels_of_each_type) {
  if (path() == Path::kHost) {
    SKIP("the host path has no float16");
    return;
  }
  struct Type {
    int32_t dtype;
    int64_t levels;
    const char* name;
  };
  for (const Type type : {Type{BSQ_FLOAT16, 9, "float16"}, Type{BSQ_BFLOAT16, 6, "bfloat16"},
                          Type{BSQ_FLOAT32, 16, ""}, Type{BSQ_FLOAT64, 16, ""}}) {
    for (const int64_t dim : {1, 2, 3, 6, 13, 63}) {
      for (const int32_t code_scale : {BSQ_SCALE_UNIT, BSQ_SCALE_ONE}) {
        bsq_options options = on_path(options_for(dim));
        options.code_scale = code_scale;
        const Batch batch{3000 / dim};
        Indices indices(level_indices_size(options, batch, type.levels));
        Random random(10);
        for (int64_t& index : indices) {
          index = static_cast<int64_t>(random.bits() >> static_cast<uint64_t>(64 - dim));
        }
        const Tensor quantized =
            make(bsq_tensor_residual_decode, &options, type.levels, type.levels,
                 level_indices_tensor(options, batch, type.levels, indices).get(), type.dtype);
        CHECK(read<int64_t>(make(bsq_tensor_residual_codes_to_indices, &options, type.levels,
                                 quantized.get())) == indices);
        if (type.levels < BSQ_MAX_LEVELS) {
          CHECK_FAILS(outcome_of([&] {
                        make(bsq_tensor_residual_codes_to_indices, &options, type.levels + 1,
                             quantized.get());
                      }),
                      BSQ_INVALID_ARGUMENT,
                      std::string("quantized has dtype ") + type.name + ", which does not tell " +
                          std::to_string(type.levels + 1) + " levels apart: expected at most " +
                          std::to_string(type.levels) +
                          " levels, or quantized as float32, to which the indices can be decoded");
        }
      }
    }
  }
}

// float16 and bfloat16 rows are those numbers, computed in float32.
TEST(rows_of_few_digits) {
  if (path() == Path::kHost) {
    SKIP("the host path has no float16");
    return;
  }
  bsq_options options = on_path(options_for(13));
  options.inverse_temperature = 5;
  const Batch batch{50};
  const std::vector<double> weights{1, 0.5, -2};
  for (const int32_t dtype : {BSQ_FLOAT16, BSQ_BFLOAT16}) {
    const Tensor few =
        make(bsq_tensor_to, tensor_of(Random(11).normals<float>(650), {50, 13}).get(), dtype,
             BSQ_DEVICE_CPU, 0);
    const auto x = read<float>(few);
    Indices indices;
    CHECK_OK(residual_encode(options, 3, batch, x, indices));
    CHECK(read<int64_t>(make(bsq_tensor_residual_encode, &options, int64_t{3}, few.get())) ==
          indices);
    std::vector<float> rest;
    CHECK_OK(residual_rows(options, 2, batch, x, rest));
    const Tensor rest_of_few = make(bsq_tensor_residual, &options, int64_t{2}, few.get());
    CHECK_EQ(describe(rest_of_few).dtype, dtype);
    ResidualForward<float> expected;
    CHECK_OK(residual_forward(options, 3, batch, x, expected));
    const auto result = make<bsq_residual_quantization>(bsq_tensor_residual_forward, &options,
                                                        int64_t{3}, few.get(), nullptr);
    std::vector<float> expected_gradient;
    CHECK_OK(residual_backward(options, 3, batch, x, x, weights, expected_gradient));
    const auto quantized = read<float>(make(bsq_residual_quantization_quantized, result.get()));
    const auto gradient = read<float>(make(bsq_residual_quantization_backward, result.get(),
                                           few.get(), weights.data(), bytes(weights)));
    const auto rounded_rest = read<float>(rest_of_few);
    const double digits = dtype == BSQ_FLOAT16 ? 0x1p-11 : 0x1p-8;
    for (size_t i = 0; i < x.size(); ++i) {
      CHECK_NEAR(quantized[i], expected.quantized[i], digits);
      CHECK_NEAR(gradient[i], expected_gradient[i], digits * std::abs(expected_gradient[i]) + 1e-5);
      CHECK_NEAR(rounded_rest[i], rest[i], digits);
    }
    for (int64_t level = 0; level < 3; ++level) {
      CHECK(same_losses(
          losses_of(make<bsq_quantization>(bsq_residual_quantization_level, result.get(), level)),
          expected.losses[static_cast<size_t>(level)]));
    }
  }
}

// What is left over of (1, 1, 1, 1) is 0 itself, and its bit that of the rule.
TEST(residuals_of_nothing) {
  bsq_options options = options_for(4);
  options.inverse_temperature = 3;
  options.commitment_weight = 0.25;
  const std::vector<double> x{1, 1, 1, 1, -2, -2, -2, -2};
  for (const int32_t tie : {BSQ_TIE_ZERO, BSQ_TIE_ONE}) {
    options.tie = tie;
    ResidualForward<double> result;
    CHECK_OK(residual_forward(options, 3, {2}, x, result));
    const int64_t bits = tie == BSQ_TIE_ONE ? 15 : 0;
    CHECK((result.indices == Indices{15, bits, 15 - bits, 0, bits, 15 - bits}));
    std::vector<double> rest;
    CHECK_OK(residual_rows(options, 1, {2}, x, rest));
    CHECK(rest == std::vector<double>(8, 0));
    // A row of zeros is as far from each corner.
    bsq_losses expected = empty_losses();
    CHECK_OK(losses(options, {2}, rest, expected));
    CHECK(same_losses(result.losses[1], expected));
    CHECK_NEAR(expected.per_sample_entropy, 4 * std::log(2.0), 1e-9);
    CHECK_NEAR(expected.commitment, 1, 1e-12);
    std::vector<double> gradient;
    CHECK_OK(residual_backward(options, 3, {2}, x, {}, {0, 2, 0}, gradient));
    CHECK(gradient == std::vector<double>(8, 0));
  }
}

TEST(the_first_levels_are_decoded_alone) {
  const bsq_options options = options_for(13);
  const Batch batch{300};
  const std::vector<float> x = Random(3).normals<float>(batch.rows() * 13);
  Indices all;
  CHECK_OK(residual_encode(options, 5, batch, x, all));
  for (int64_t used = 1; used <= 5; ++used) {
    Indices few;
    CHECK_OK(residual_encode(options, used, batch, x, few));
    std::vector<float> expected;
    CHECK_OK(residual_decode(options, used, used, batch, few, expected));
    // The others are not looked at.
    Indices damaged = all;
    for (size_t i = 0; i < damaged.size(); ++i) {
      damaged[i] = static_cast<int64_t>(i % 5) < used ? damaged[i] : -1;
    }
    std::vector<float> quantized;
    CHECK_OK(residual_decode(options, 5, used, batch, damaged, quantized));
    CHECK(same_bytes(quantized, expected));
  }
}

TEST(one_level_is_the_quantizer_itself) {
  Random random(4);
  for (int64_t i = 0; i < kLevelOptions; ++i) {
    bsq_options options = level_options(i);
    options.commitment_weight = 0.25;
    options.straight_through_scale = 0.5;
    options.non_finite = BSQ_NON_FINITE_PROPAGATE;
    Batch batch{4, 9};
    batch.mask.assign(36, 1);
    batch.mask[7] = 0;
    std::vector<double> x = random.normals<double>(36 * row_length(options));
    x[5] = 0;
    for (const double lost : {1.0, kNan, kInfinity}) {
      x[9] = lost;
      Forward<double> expected;
      CHECK_OK(forward(options, batch, x, expected));
      ResidualForward<double> result;
      CHECK_OK(residual_forward(options, 1, batch, x, result));
      CHECK(result.indices == expected.indices);
      CHECK(result.quantized.size() == expected.quantized.size());
      for (size_t j = 0; j < result.quantized.size(); ++j) {
        CHECK(result.quantized[j] == expected.quantized[j] ||
              (std::isnan(result.quantized[j]) && std::isnan(expected.quantized[j])));
      }
      if (lost == 1.0) {
        CHECK(same_losses(result.losses[0], expected.losses));
        std::vector<double> gradient;
        CHECK_OK(backward(options, batch, x, {}, x, 1.5, gradient));
        std::vector<double> of_levels;
        CHECK_OK(residual_backward(options, 1, batch, x, x, {1.5}, of_levels));
        CHECK(same_bytes(of_levels, gradient));
      } else {
        CHECK(std::isnan(result.losses[0].aux_loss));
      }
    }
  }
}

TEST(the_losses_of_a_level_are_those_of_its_residual) {
  Random random(5);
  for (int64_t i = 0; i < kLevelOptions; ++i) {
    bsq_options options = level_options(i);
    options.commitment_weight = 0.25;
    options.inverse_temperature = 7;
    Batch batch{2, 15};
    batch.mask.assign(30, 1);
    batch.mask[3] = batch.mask[29] = 0;
    const std::vector<float> x = random.normals<float>(30 * row_length(options));
    ResidualForward<float> result;
    CHECK_OK(residual_forward(options, 4, batch, x, result));
    for (int64_t level = 1; level < 4; ++level) {
      std::vector<float> rest;
      CHECK_OK(residual_rows(options, level, batch, x, rest));
      bsq_losses expected = empty_losses();
      CHECK_OK(losses(options, batch, rest, expected));
      CHECK(same_losses(result.losses[static_cast<size_t>(level)], expected));
      CHECK_EQ(expected.rows, 28);
    }
  }
}

// <grad_quantized, u> and the levels' losses, whose gradient is computed.
double objective(const bsq_options& options, int64_t levels, const Batch& batch,
                 const std::vector<double>& x, const std::vector<double>& grad_quantized,
                 const std::vector<double>& weights) {
  std::vector<double> unit;
  CHECK_OK(residual_rows(options, 0, batch, x, unit));
  double sum = 0;
  for (size_t i = 0; i < unit.size(); ++i) {
    sum += options.straight_through_scale * grad_quantized[i] * unit[i];
  }
  ResidualForward<double> result;
  CHECK_OK(residual_forward(options, levels, batch, x, result));
  for (size_t level = 0; level < weights.size(); ++level) {
    sum += weights[level] * result.losses[level].aux_loss;
  }
  return sum;
}

TEST(gradients_are_those_of_the_losses) {
  Random random(6);
  for (int64_t i = 0; i < kLevelOptions; i += 3) {
    bsq_options options = level_options(i);
    options.commitment_weight = 0.25;
    options.inverse_temperature = 3;
    options.straight_through_scale = 0.5;
    Batch batch{2, 3};
    batch.mask = {1, 1, 0, 1, 1, 1};
    const std::vector<double> x = random.normals<double>(6 * row_length(options));
    const std::vector<double> grad_quantized = random.normals<double>(6 * row_length(options));
    const std::vector<double> weights{1.25, 0, -2, 0.5};
    std::vector<double> gradient;
    CHECK_OK(residual_backward(options, 4, batch, x, grad_quantized, weights, gradient));
    Indices indices;
    CHECK_OK(residual_encode(options, 4, batch, x, indices));
    int64_t compared = 0;
    for (size_t j = 0; j < x.size(); ++j) {
      constexpr double kStep = 1e-6;
      std::vector<double> more = x;
      std::vector<double> less = x;
      more[j] += kStep;
      less[j] -= kStep;
      Indices of_more;
      Indices of_less;
      CHECK_OK(residual_encode(options, 4, batch, more, of_more));
      CHECK_OK(residual_encode(options, 4, batch, less, of_less));
      if (of_more != indices || of_less != indices) {
        continue;  // a sign flips
      }
      const double difference = objective(options, 4, batch, more, grad_quantized, weights) -
                                objective(options, 4, batch, less, grad_quantized, weights);
      CHECK_NEAR(gradient[j], difference / (2 * kStep), 1e-6 * (1 + std::abs(gradient[j])));
      ++compared;
    }
    CHECK(compared * 10 > static_cast<int64_t>(x.size()) * 9);
  }
}

TEST(float_gradients_are_those_of_double) {
  Random random(7);
  const bsq_options options = options_for(13);
  const Batch batch{200};
  const std::vector<double> weights{1, 0.5, 0.25};
  const std::vector<float> x = random.normals<float>(batch.rows() * 13);
  std::vector<float> of_float;
  CHECK_OK(residual_backward(options, 3, batch, x, {}, weights, of_float));
  std::vector<double> of_double;
  CHECK_OK(residual_backward(options, 3, batch, std::vector<double>(x.begin(), x.end()), {},
                             weights, of_double));
  double largest = 0;
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(of_double[i]));
    error = std::max(error, std::abs(of_double[i] - static_cast<double>(of_float[i])));
  }
  CHECK(largest > 1e-6);
  CHECK_NEAR(error, 0, 2e-4 * largest);
}

template <class T>
double largest(const std::vector<T>& values) {
  double result = 0;
  for (const T value : values) {
    result = std::isnan(value) ? kInfinity : std::max(result, std::abs(double{value}));
  }
  return result;
}

// (1, 1, 1, 1) leaves nothing over, and (1 + delta, 1, 1, 1) about 0.4 delta.
template <class T>
void check_no_gradient_of_noise(double noise, double more) {
  bsq_options options = options_for(4);
  options.inverse_temperature = 10;
  options.commitment_weight = 0.25;
  const std::vector<T> row(4, T{1});
  std::vector<T> gradient;
  CHECK_OK(residual_backward(options, 3, {1}, row, {}, {1, 1, 1}, gradient));
  CHECK(largest(gradient) < 100);

  for (const int32_t channel_first : {0, 1}) {
    options.channel_first = channel_first;
    options.codebooks = 2;
    const Batch batch{2, 6};
    std::vector<T> rows = Random(9).normals<T>(96);
    const auto set_code = [&](size_t code, double first) {
      std::fill_n(rows.begin() + static_cast<int64_t>(code) * 4, 4, T{1});
      rows[code * 4] = static_cast<T>(first);
    };
    set_code(3, 1);
    set_code(10, 1 + noise);
    set_code(16, 1 + more);
    const std::vector<T> x = to_layout(options, batch, rows);
    std::vector<T> of_first;
    CHECK_OK(residual_backward(options, 3, batch, x, {}, {0.5, 0, 0}, of_first));
    of_first = from_layout(options, batch, of_first);
    CHECK_OK(residual_backward(options, 3, batch, x, {}, {0.5, 1, 0}, gradient));
    gradient = from_layout(options, batch, gradient);
    for (size_t code = 0; code < 24; ++code) {
      const bool same = std::equal(gradient.begin() + static_cast<int64_t>(code) * 4,
                                   gradient.begin() + static_cast<int64_t>(code) * 4 + 4,
                                   of_first.begin() + static_cast<int64_t>(code) * 4);
      CHECK_EQ(same, code == 3 || code == 10);
    }
    // They count in the losses all the same.
    ResidualForward<T> result;
    CHECK_OK(residual_forward(options, 3, batch, x, result));
    CHECK_EQ(result.losses[1].rows, 12);
  }
}

TEST(residuals_of_rounding_alone_give_no_gradient) {
  check_no_gradient_of_noise<float>(0x1p-23, 0x1p-19);
  check_no_gradient_of_noise<double>(0x1p-52, 0x1p-47);
}

TEST(extreme_components_keep_their_sign) {
  const bsq_options options = options_for(3);
  const std::vector<double> x{1e300,  -1e-300, 1e-320,  1e308, 1e308, -1e308,
                              1e-300, 1e-310,  -4e-324, 0,     -0.0,  1};
  Indices indices;
  CHECK_OK(residual_encode(options, 2, {4}, x, indices));
  CHECK((Indices{indices[0], indices[2], indices[4], indices[6]} == Indices{5, 6, 6, 1}));
  // What is left of a component that is next to nothing has the other sign.
  CHECK_EQ(indices[1], 6);
  CHECK_EQ(indices[7], 7);
}

TEST(codes_that_are_not_finite) {
  bsq_options options = options_for(4);
  options.codebooks = 2;
  std::vector<float> x(24, 0.5F);
  x[13] = std::numeric_limits<float>::infinity();  // row 1, code 1
  Indices indices;
  const std::string message = "x[1, 5] is inf, expected a finite number";
  CHECK_FAILS(residual_encode(options, 2, {3}, x, indices), BSQ_INVALID_ARGUMENT, message);
  ResidualForward<float> result;
  CHECK_FAILS(residual_forward(options, 2, {3}, x, result), BSQ_INVALID_ARGUMENT, message);
  std::vector<float> rest;
  CHECK_FAILS(residual_rows(options, 1, {3}, x, rest), BSQ_INVALID_ARGUMENT, message);
  std::vector<float> gradient;
  CHECK_FAILS(residual_backward(options, 2, {3}, x, {}, {1, 1}, gradient), BSQ_INVALID_ARGUMENT,
              message);

  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  CHECK_OK(residual_encode(options, 2, {3}, x, indices));
  // (0.5, 0.5, 0.5, 0.5) leaves 0, whose bits are 0.
  CHECK((indices == Indices{15, 15, 0, 0, 15, 0, 0, 0, 15, 15, 0, 0}));
  CHECK_OK(residual_forward(options, 2, {3}, x, result));
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK(i / 4 == 3 ? std::isnan(result.quantized[i]) : result.quantized[i] == 0.25F);
  }
  CHECK(std::isnan(result.losses[0].aux_loss) && std::isnan(result.losses[1].aux_loss));
  CHECK_OK(residual_backward(options, 2, {3}, x, x, {0, 0}, gradient));
  CHECK(std::isnan(gradient[12]) && std::isfinite(gradient[11]) && std::isfinite(gradient[16]));
}

TEST(no_rows) {
  const bsq_options options = options_for(5);
  ResidualForward<float> result;
  CHECK_OK(residual_forward(options, 3, {0}, std::vector<float>(), result));
  CHECK_EQ(result.losses[2].aux_loss, 0);
  std::vector<float> rows;
  CHECK_OK(residual_backward(options, 3, {0}, {}, {}, {1, 1, 1}, rows));
  CHECK_OK(residual_decode(options, 3, 2, {0}, {}, rows));
  Indices indices;
  CHECK_OK(residual_codes_to_indices(options, 3, {0}, rows, indices));
}

TEST(refusals_name_the_values) {
  const bsq_options options = options_for(3);
  const std::vector<float> x{1, 2, 3, 4, 5, 6};
  Indices indices(2);
  std::vector<float> quantized;
  CHECK_FAILS(residual_encode(options, 0, {2}, x, indices), BSQ_INVALID_ARGUMENT,
              "levels is 0, expected 1 to 16");
  CHECK_FAILS(residual_encode(options, 17, {2}, x, indices), BSQ_INVALID_ARGUMENT,
              "levels is 17, expected 1 to 16");
  indices.assign(4, 0);
  CHECK_FAILS(residual_decode(options, 2, 3, {2}, indices, quantized), BSQ_INVALID_ARGUMENT,
              "used_levels is 3, expected 1 to 2");
  CHECK_FAILS(residual_decode(options, 2, 0, {2}, indices, quantized), BSQ_INVALID_ARGUMENT,
              "used_levels is 0, expected 1 to 2");
  indices[3] = 8;
  CHECK_FAILS(residual_decode(options, 2, 2, {2}, indices, quantized), BSQ_INVALID_ARGUMENT,
              "indices[1, 1] is 8, expected 0 to 7 for code_dim 3");
  CHECK_OK(residual_decode(options, 2, 1, {2}, indices, quantized));
  std::vector<float> rest;
  CHECK_FAILS(residual_rows(options, 17, {2}, x, rest), BSQ_INVALID_ARGUMENT,
              "level is 17, expected 0 to 16");
  for (const float value : {0.0F, 2.0F, std::numeric_limits<float>::quiet_NaN(), 1e30F}) {
    quantized.assign(6, -0.2886751F);
    quantized[4] = value;
    CHECK_REFUSED(residual_codes_to_indices(options, 2, {2}, quantized, indices),
                  BSQ_INVALID_ARGUMENT, "quantized[1, 1] is " + show(value).substr(0, 1));
    CHECK_REFUSED(residual_codes_to_indices(options, 2, {2}, quantized, indices),
                  BSQ_INVALID_ARGUMENT,
                  "which 2 levels do not give: expected an odd multiple of 0.288675135, up to 3");
  }
  bsq_options grouped = options_for(6);
  grouped.group_size = 3;
  CHECK_FAILS(residual_decode(grouped, 2, 2, {1}, {0, 0, 0, -1}, quantized), BSQ_INVALID_ARGUMENT,
              "indices[0, 1, 1] is -1, expected 0 to 7 for group_size 3");
  quantized.assign(6, 1);
  CHECK_FAILS(residual_codes_to_indices(options, 1, {2}, quantized, indices), BSQ_INVALID_ARGUMENT,
              "quantized[0, 0] is 1, which 1 level does not give: expected +-0.577350269");
  const bsq_options wide = options_for(64);
  CHECK_REFUSED(residual_encode(wide, 2, {1}, std::vector<float>(64, 1), indices),
                BSQ_INVALID_ARGUMENT, "code_dim");
  indices.assign(4, 0);
  if (path() != Path::kHost) {
    CHECK_REFUSED(outcome_of([&] {
                    const bsq_options opts = on_path(options);
                    make(bsq_tensor_residual_decode, &opts, int64_t{2}, int64_t{2},
                         tensor_of(indices, {2, 2}).get(), BSQ_INT64);
                  }),
                  BSQ_INVALID_ARGUMENT, "dtype is int64");
    CHECK_REFUSED(outcome_of([&] {
                    const bsq_options opts = on_path(options);
                    make(bsq_tensor_residual_decode, &opts, int64_t{3}, int64_t{2},
                         tensor_of(indices, {2, 2}).get(), BSQ_FLOAT32);
                  }),
                  BSQ_INVALID_ARGUMENT,
                  "indices has shape [2, 2], expected to end with [3], for levels 3");
    CHECK_FAILS(outcome_of([&] {
                  const ResidualQuantization result = residual_quantize(options, 2, {2}, x);
                  make<bsq_quantization>(bsq_residual_quantization_level, result.get(), int64_t{2});
                }),
                BSQ_INVALID_ARGUMENT, "level is 2, expected 0 to 1");
  } else {
    std::vector<bsq_losses> losses(3, empty_losses());
    auto* const second = reinterpret_cast<bsq_losses*>(reinterpret_cast<char*>(losses.data()) + 64);
    second->struct_size = 72;
    CHECK_FAILS(
        Outcome(bsq_host_residual_forward(&options, 2, BSQ_FLOAT32, 2, 1, x.data(), bytes(x),
                                          nullptr, 0, nullptr, 0, nullptr, 0, losses.data())),
        BSQ_INVALID_ARGUMENT, "losses[1].struct_size is 72, expected 64 as that of losses[0]");
    const std::vector<double> one{1};
    std::vector<float> grad(6);
    CHECK_REFUSED(Outcome(bsq_host_residual_backward(&options, 2, BSQ_FLOAT32, 2, 1, x.data(),
                                                     bytes(x), nullptr, 0, nullptr, 0, one.data(),
                                                     bytes(one), grad.data(), bytes(grad))),
                  BSQ_INVALID_ARGUMENT, "grad_aux_losses has 8 bytes");
  }
}

// More components than operators take at once.
TEST(rows_in_several_parts) {
  if (path() != Path::kOperators) {
    SKIP("only operators work on parts");
    return;
  }
  const bsq_options options = on_path(options_for(63));
  const std::vector<float> x = Random(12).normals<float>(int64_t{70000} * 63);
  const Tensor rows = tensor_of(x, {70000, 63});
  Indices expected(size_t{70000} * 3);
  const bsq_options on_host = options_for(63);
  CHECK_OK(bsq_host_residual_encode(&on_host, 3, BSQ_FLOAT32, 70000, 1, x.data(), bytes(x),
                                    expected.data(), bytes(expected)));
  CHECK(read<int64_t>(make(bsq_tensor_residual_encode, &options, int64_t{3}, rows.get())) ==
        expected);
}

// Analytical entropies, of a share of the rows.
TEST(other_losses_of_levels) {
  Random random(13);
  for (const int32_t form : {BSQ_ENTROPY_EXACT, BSQ_ENTROPY_ANALYTICAL}) {
    bsq_options options = options_for(6);
    options.codebooks = 2;
    options.entropy_form = form;
    options.inverse_temperature = 3;
    options.entropy_fraction = 0.4;
    options.entropy_seed = 5;
    Batch batch{4, 5};
    batch.mask.assign(20, 1);
    batch.mask[3] = 0;
    const std::vector<double> x = random.normals<double>(240);
    ResidualForward<double> result;
    CHECK_OK(residual_forward(options, 3, batch, x, result));
    std::vector<double> sum(x.size(), 0);
    for (int64_t level = 0; level < 3; ++level) {
      std::vector<double> rest;
      CHECK_OK(residual_rows(options, level, batch, x, rest));
      bsq_losses expected = empty_losses();
      CHECK_OK(losses(options, batch, level == 0 ? x : rest, expected));
      CHECK(same_losses(result.losses[static_cast<size_t>(level)], expected));
      CHECK_EQ(expected.entropy_rows, 7);
      // Through the residual to u, and through u to x.
      std::vector<double> of_rest;
      CHECK_OK(backward(options, batch, rest, {}, {}, 1, of_rest));
      if (level == 0) {
        CHECK_OK(backward(options, batch, x, {}, {}, 1, of_rest));
      } else {
        std::vector<double> of_x;
        CHECK_OK(backward(options, batch, x, {}, of_rest, 0, of_x));
        of_rest = of_x;
      }
      for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] += of_rest[i];
      }
    }
    std::vector<double> gradient;
    CHECK_OK(residual_backward(options, 3, batch, x, {}, {1, 1, 1}, gradient));
    double error = 0;
    for (size_t i = 0; i < sum.size(); ++i) {
      error = std::max(error, std::abs(gradient[i] - sum[i]));
    }
    CHECK_NEAR(error, 0, 1e-12);
  }
}

// Columns of a longer row, every second one.
TEST(strided_rows) {
  if (path() == Path::kHost) {
    SKIP("the host path has no strides");
    return;
  }
  const bsq_options options = on_path(options_for(5));
  const Batch batch{30};
  const std::vector<float> wide = Random(14).normals<float>(360);
  std::vector<float> x;
  for (size_t row = 0; row < 30; ++row) {
    for (size_t d = 0; d < 5; ++d) {
      x.push_back(wide[row * 12 + 1 + 2 * d]);
    }
  }
  const std::vector<int64_t> shape{30, 5};
  const std::vector<int64_t> strides{12, 2};
  const Tensor strided =
      make(bsq_tensor_borrow, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape.data(), strides.data(),
           int64_t{2}, static_cast<const void*>(wide.data() + 1), bytes(wide) - 4);
  ResidualForward<float> expected;
  CHECK_OK(residual_forward(options, 3, batch, x, expected));
  CHECK(read<int64_t>(make(bsq_tensor_residual_encode, &options, int64_t{3}, strided.get())) ==
        expected.indices);
  const auto result = make<bsq_residual_quantization>(bsq_tensor_residual_forward, &options,
                                                      int64_t{3}, strided.get(), nullptr);
  CHECK(same_bytes(read<float>(make(bsq_residual_quantization_quantized, result.get())),
                   expected.quantized));
  std::vector<float> rest;
  CHECK_OK(residual_rows(options, 2, batch, x, rest));
  CHECK(same_bytes(read<float>(make(bsq_tensor_residual, &options, int64_t{2}, strided.get())),
                   rest));
  const std::vector<double> weights{1, 1, 1};
  std::vector<float> gradient;
  CHECK_OK(residual_backward(options, 3, batch, x, x, weights, gradient));
  CHECK(same_bytes(read<float>(make(bsq_residual_quantization_backward, result.get(), strided.get(),
                                    weights.data(), bytes(weights))),
                   gradient));
}

TEST(codes_without_indices_have_residuals) {
  const bsq_options options = options_for(100);
  const Batch batch{30};
  const std::vector<float> x = Random(8).normals<float>(3000);
  std::vector<float> rest;
  CHECK_OK(residual_rows(options, 3, batch, x, rest));
  const Expected expected = expected_levels(
      [&] {
        bsq_options grouped = options;
        grouped.group_size = 50;
        return grouped;
      }(),
      3, x);
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error = std::max(error, std::abs(static_cast<double>(rest[i] - expected.residual[i])));
  }
  CHECK_NEAR(error, 0, 1e-7);
}

}  // namespace
}  // namespace bsq::test
