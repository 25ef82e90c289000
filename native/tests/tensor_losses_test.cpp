// The losses of the whole field on tensors, by kernels and by operators: that both agree, and that
// masks, codebooks, groups, layouts and merged sums mean what bsq.h says. That the numbers of one
// batch are right is for the tests that take every path (see call.h).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "call.h"
#include "check.h"
#include "tensor_calls.h"

namespace bsq::test {
namespace {

constexpr int32_t kKernels = BSQ_IMPLEMENTATION_KERNELS;
constexpr int32_t kOperators = BSQ_IMPLEMENTATION_OPERATORS;

template <class Body>
void for_each_implementation(const Body& body) {
  for (const int32_t implementation : {kKernels, kOperators}) {
    bsq_options options = options_for(6);
    options.inverse_temperature = 3;
    options.sample_entropy_weight = 0.7;
    options.diversity_gamma = 1.3;
    options.commitment_weight = 0.25;
    options.implementation = implementation;
    body(options);
  }
}

// Each of the ways in which entropies are computed, for distributions of 1 to 6 bits.
template <class Body>
void for_each_formula(const Body& body) {
  for_each_implementation([&](bsq_options options) {
    for (const int32_t form : {BSQ_ENTROPY_EXACT, BSQ_ENTROPY_ANALYTICAL}) {
      for (const int32_t floor : {BSQ_FLOOR_CLAMP, BSQ_FLOOR_ADD}) {
        for (const int64_t group_size : {1, 3, 6}) {
          options.entropy_form = form;
          options.entropy_floor = floor;
          options.group_size = group_size;
          body(options);
        }
      }
    }
  });
}

// What is computed of a batch, as float64.
struct Results {
  std::vector<double> quantized;
  std::vector<int64_t> indices;
  bsq_losses losses;
  std::vector<double> sums;
  std::vector<double> grad_x;
};

Results compute(const bsq_options& options, const Tensor& x, const Tensor& mask,
                const Tensor& gradient, double grad_aux_loss) {
  const Quantization quantization = forward(options, x, mask);
  CHECK(read<int64_t>(encode(options, x)) == read<int64_t>(indices_of(quantization)));
  return {read<double>(quantized_of(quantization)), read<int64_t>(indices_of(quantization)),
          losses_of(quantization), read<double>(loss_sums_of(quantization)),
          read<double>(backward(quantization, gradient, grad_aux_loss))};
}

void check_near(const std::vector<double>& actual, const std::vector<double>& expected,
                double tolerance) {
  CHECK_EQ(actual.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i])));
  }
  CHECK_NEAR(largest, 0, tolerance);
}

void check_near(const bsq_losses& actual, const bsq_losses& expected, double tolerance) {
  CHECK_NEAR(actual.aux_loss, expected.aux_loss, tolerance);
  CHECK_NEAR(actual.per_sample_entropy, expected.per_sample_entropy, tolerance);
  CHECK_NEAR(actual.codebook_entropy, expected.codebook_entropy, tolerance);
  CHECK_NEAR(actual.entropy_loss, expected.entropy_loss, tolerance);
  CHECK_NEAR(actual.commitment, expected.commitment, tolerance);
  CHECK_EQ(actual.rows, expected.rows);
  CHECK_EQ(actual.entropy_rows, expected.entropy_rows);
}

void check_near(const Results& actual, const Results& expected, double tolerance) {
  check_near(actual.quantized, expected.quantized, 1e-7);
  CHECK(actual.indices == expected.indices);
  check_near(actual.losses, expected.losses, tolerance);
  check_near(actual.sums, expected.sums, tolerance);
  check_near(actual.grad_x, expected.grad_x, tolerance);
}

// Rows of float64 in row-major order.
struct Rows {
  Rows(const bsq_options& options, int64_t rows, uint64_t seed = 1)
      : count(rows),
        length(row_length(options)),
        x(Random(seed).normals<double>(rows * length)),
        gradient(Random(seed + 100).normals<double>(rows * length)) {
    Random random(seed + 200);
    for (int64_t row = 0; row < rows; ++row) {
      mask.push_back(random.uniform() < 0.6 ? static_cast<uint8_t>(1 + random.bits() % 255) : 0);
    }
    mask.front() = 0;
    mask.back() = 1;
  }

  // The rows [begin, end).
  [[nodiscard]] Tensor part_of(const std::vector<double>& values, int64_t begin,
                               int64_t end) const {
    return tensor_of(
        std::vector<double>(values.begin() + begin * length, values.begin() + end * length),
        {end - begin, length});
  }
  [[nodiscard]] Tensor mask_of(int64_t begin, int64_t end) const {
    return tensor_of(std::vector<uint8_t>(mask.begin() + begin, mask.begin() + end), {end - begin});
  }
  [[nodiscard]] Results results(const bsq_options& options) const {
    return compute(options, tensor_of(x, {count, length}), tensor_of(mask, {count}),
                   tensor_of(gradient, {count, length}), 2.0);
  }

  int64_t count;
  int64_t length;
  std::vector<double> x;
  std::vector<double> gradient;
  std::vector<uint8_t> mask;
};

template <class T>
T pick(Random& random, const std::vector<T>& values) {
  return values[random.bits() % values.size()];
}

bsq_options random_options(Random& random) {
  bsq_options options = options_for(static_cast<int64_t>(1 + random.bits() % 13));
  const auto groups = pick<int64_t>(random, {1, 1, 2, 3, 12});
  options.group_size = options.code_dim;
  options.code_dim *= groups;
  options.codebooks = pick<int64_t>(random, {1, 1, 2, 5});
  options.entropy_form = pick<int32_t>(random, {0, 0, 1});
  options.entropy_floor = pick<int32_t>(random, {0, 1});
  options.entropy_epsilon = pick<double>(random, {1e-5, 1e-8, 1e-3, 0.1});
  options.inverse_temperature = pick<double>(random, {0.5, 5, 100});
  options.sample_entropy_weight = pick<double>(random, {1, 0, -0.5});
  options.diversity_gamma = pick<double>(random, {1, 0, 3});
  options.entropy_scale = pick<int32_t>(random, {0, 1});
  options.positive = pick<int32_t>(random, {0, 1});
  options.positive_offset = pick<double>(random, {5, -1});
  options.commitment = pick<int32_t>(random, {0, 1});
  options.commitment_weight = pick<double>(random, {0, 0.5});
  options.straight_through_scale = pick<double>(random, {1, 0.3});
  options.entropy_fraction = pick<double>(random, {1, 1, 0.5, 0.01});
  options.entropy_seed = static_cast<int64_t>(random.bits());
  options.channel_first = pick<int32_t>(random, {0, 1});
  return options;
}

// The dimensions around those of the components.
Shape with_components(const bsq_options& options, Shape leading) {
  leading.insert(options.channel_first != 0 ? leading.begin() + 1 : leading.end(),
                 row_length(options));
  return leading;
}

template <class T>
void check_agreement(uint64_t seed, double tolerance) {
  Random random(seed);
  for (int repeat = 0; repeat < 150; ++repeat) {
    bsq_options options = random_options(random);
    const auto leading = pick<Shape>(random, {{1}, {7}, {40}, {3, 5}, {2, 3, 4}});
    const Shape shape = with_components(options, leading);
    int64_t rows = 1;
    for (const int64_t size : leading) {
      rows *= size;
    }
    const int64_t elements = rows * row_length(options);
    const Tensor x = tensor_of(random.normals<T>(elements), shape);
    const Tensor gradient = tensor_of(random.normals<T>(elements), shape);
    Tensor mask;
    if (random.bits() % 2 == 0) {
      std::vector<uint8_t> marks;
      for (int64_t row = 0; row < rows; ++row) {
        marks.push_back(static_cast<uint8_t>(random.bits() % 3));
      }
      mask = tensor_of(marks, leading);
    }
    options.implementation = kKernels;
    const Results kernels = compute(options, x, mask, gradient, 1.5);
    options.implementation = kOperators;
    check_near(compute(options, x, mask, gradient, 1.5), kernels, tolerance);
  }
}

}  // namespace

TEST(operators_and_kernels_agree_float64) { check_agreement<double>(1, 1e-9); }
TEST(operators_and_kernels_agree_float32) { check_agreement<float>(2, 1e-3); }

// More rows, items and codes than operators take at once.
TEST(operators_and_kernels_agree_over_chunks) {
  const auto check = [](bsq_options options, const Shape& leading, double tolerance) {
    Random random(3);
    const Shape shape = with_components(options, leading);
    int64_t rows = 1;
    for (const int64_t size : leading) {
      rows *= size;
    }
    const int64_t elements = rows * row_length(options);
    const Tensor x = tensor_of(random.normals<double>(elements), shape);
    const Tensor gradient = tensor_of(random.normals<double>(elements), shape);
    options.implementation = kKernels;
    const Results kernels = compute(options, x, Tensor(), gradient, 1.5);
    options.implementation = kOperators;
    check_near(compute(options, x, Tensor(), gradient, 1.5), kernels, tolerance);
  };
  bsq_options options = options_for(8);
  options.group_size = 4;
  options.codebooks = 3;
  options.commitment_weight = 0.5;
  check(options, {5000}, 1e-9);
  options.channel_first = 1;
  check(options, {3, 2500}, 1e-9);    // an item is several chunks
  check(options, {50, 7, 10}, 1e-9);  // a chunk is several items
  options.entropy_fraction = 0.3;
  check(options, {1100, 3}, 1e-9);
  options = options_for(22);
  options.entropy_floor = BSQ_FLOOR_ADD;
  options.inverse_temperature = 20;
  check(options, {3}, 1e-9);
}

// Decoding, whose indices are [rows, codebooks, groups], gives back what was quantized.
TEST(shapes_of_indices) {
  for_each_implementation([](bsq_options options) {
    const auto check = [&](const Shape& leading, const Shape& expected) {
      const Shape shape = with_components(options, leading);
      int64_t elements = 1;
      for (const int64_t size : shape) {
        elements *= size;
      }
      const Tensor x = tensor_of(Random(4).normals<double>(elements), shape);
      const Quantization quantization = forward(options, x);
      const Tensor indices = indices_of(quantization);
      CHECK(shape_of(indices) == expected);
      CHECK(shape_of(encode(options, x)) == expected);
      CHECK(shape_of(codes_to_indices(options, x)) == expected);
      const Tensor decoded = decode(options, indices, BSQ_FLOAT64);
      CHECK(shape_of(decoded) ==
            (leading.empty() && expected == Shape{1} ? Shape{1, elements} : shape));
      CHECK(read<double>(decoded) == read<double>(quantized_of(quantization)));
      CHECK(read<int64_t>(codes_to_indices(options, decoded)) == read<int64_t>(indices));
    };
    for (const int32_t channel_first : {0, 1}) {
      options.channel_first = channel_first;
      options.codebooks = 1;
      options.group_size = 0;
      check({5}, {5});
      check({5, 2, 4}, {5, 2, 4});
      check({0, 3}, {0, 3});
      options.group_size = 2;
      check({5, 3}, {5, 3, 3});
      options.codebooks = 4;
      check({5, 3}, {5, 3, 4, 3});
      check({5, 0}, {5, 0, 4, 3});
      options.group_size = 6;
      check({5, 3}, {5, 3, 4});
    }
    options.channel_first = 0;
    check({}, {4});
    options.group_size = 3;
    check({}, {4, 2});
    options.codebooks = 1;
    check({}, {2});
    options.group_size = 6;
    check({}, {1});
  });
}

// One index for each group: its bits, the first as the most significant.
TEST(indices_of_groups_and_codebooks) {
  for_each_implementation([](bsq_options options) {
    options.code_dim = 4;
    options.group_size = 2;
    options.codebooks = 2;
    const Tensor x = tensor_of<float>({1, -1, 1, 1, -1, 1, -1, -1}, {8});
    CHECK(read<int64_t>(encode(options, x)) == (std::vector<int64_t>{2, 3, 1, 0}));
    // More components than an index has bits.
    options = options_for(1024);
    options.group_size = 32;
    const Tensor wide = tensor_of(std::vector<float>(1024, 1.0F), {1024});
    CHECK(read<int64_t>(encode(options, wide)) ==
          std::vector<int64_t>(32, (int64_t{1} << 32U) - 1));
  });
}

TEST(channel_first_is_another_order) {
  for_each_formula([](bsq_options options) {
    options.codebooks = 2;
    const Rows rows(options, 24);
    const Results expected = rows.results(options);
    options.channel_first = 1;
    for (const Shape& leading : std::vector<Shape>{{24}, {4, 6}, {2, 3, 4}, {1, 24}, {24, 1}}) {
      // Dimension 1 of the rows are their components: in a view, and in memory of that order.
      Shape shape = leading;
      shape.push_back(rows.length);
      const auto last = static_cast<int64_t>(leading.size());
      Shape order{0, last};
      Shape back{0};
      for (int64_t i = 1; i < last; ++i) {
        order.push_back(i);
        back.push_back(i + 1);
      }
      back.push_back(1);
      for (const bool is_view : {true, false}) {
        const auto channel_first = [&](const std::vector<double>& values) {
          Tensor view = permute(tensor_of(values, shape), order);
          return is_view ? std::move(view) : convert(view, BSQ_FLOAT64);
        };
        const Tensor x = channel_first(rows.x);
        const Quantization quantization = forward(options, x, tensor_of(rows.mask, leading));
        const Tensor quantized = quantized_of(quantization);
        const Tensor grad_x = backward(quantization, channel_first(rows.gradient), 2.0);
        CHECK(shape_of(grad_x) == shape_of(x));
        CHECK(shape_of(quantized) == shape_of(x));
        CHECK(is_contiguous(quantized) && is_contiguous(grad_x));
        check_near({read<double>(permute(quantized, back)), read<int64_t>(indices_of(quantization)),
                    losses_of(quantization), read<double>(loss_sums_of(quantization)),
                    read<double>(permute(grad_x, back))},
                   expected, 1e-12);
        CHECK(read<double>(decode(options, indices_of(quantization), BSQ_FLOAT64)) ==
              read<double>(quantized));
      }
    }
  });
}

// The losses are those of the rows that count alone, and so are their gradients; the others get
// that of quantized, whatever they hold.
TEST(masked_rows_do_not_count) {
  for_each_formula([](bsq_options options) {
    options.codebooks = 2;
    const Rows rows(options, 30);
    std::vector<double> x;
    std::vector<double> gradient;
    for (int64_t row = 0; row < rows.count; ++row) {
      if (rows.mask[static_cast<size_t>(row)] != 0) {
        const int64_t begin = row * rows.length;
        x.insert(x.end(), &rows.x[begin], &rows.x[begin] + rows.length);
        gradient.insert(gradient.end(), &rows.gradient[begin], &rows.gradient[begin] + rows.length);
      }
    }
    const Shape shape{static_cast<int64_t>(x.size()) / rows.length, rows.length};
    const Results expected =
        compute(options, tensor_of(x, shape), Tensor(), tensor_of(gradient, shape), 2.0);
    const Results actual = rows.results(options);
    CHECK(shape[0] < rows.count);
    check_near(actual.losses, expected.losses, 1e-12);
    check_near(actual.sums, expected.sums, 1e-12);
    const std::vector<double> without_loss =
        read<double>(backward(forward(options, tensor_of(rows.x, {rows.count, rows.length})),
                              tensor_of(rows.gradient, {rows.count, rows.length}), 0.0));
    std::vector<double> grad_x;
    auto next = expected.grad_x.begin();
    for (int64_t row = 0; row < rows.count; ++row) {
      const bool counts = rows.mask[static_cast<size_t>(row)] != 0;
      const auto from = counts ? next : without_loss.begin() + row * rows.length;
      grad_x.insert(grad_x.end(), from, from + rows.length);
      next += counts ? rows.length : 0;
    }
    check_near(actual.grad_x, grad_x, 1e-12);
  });
}

TEST(masked_rows_may_hold_anything) {
  for_each_formula([](bsq_options options) {
    options.codebooks = 2;
    options.non_finite = BSQ_NON_FINITE_PROPAGATE;
    Rows rows(options, 30);
    const Results expected = rows.results(options);
    rows.x[0] = std::numeric_limits<double>::quiet_NaN();  // of the first codebook of a masked row
    rows.x[1] = std::numeric_limits<double>::infinity();
    const Results actual = rows.results(options);
    check_near(actual.losses, expected.losses, 1e-12);
    check_near(actual.sums, expected.sums, 1e-12);
    for (int64_t i = 0; i < rows.count * rows.length; ++i) {
      const auto element = static_cast<size_t>(i);
      if (i < options.code_dim) {
        CHECK(std::isnan(actual.quantized[element]) && std::isnan(actual.grad_x[element]));
      } else {
        CHECK_EQ(actual.quantized[element], expected.quantized[element]);
        CHECK_NEAR(actual.grad_x[element], expected.grad_x[element], 1e-12);
      }
    }
    // Where such a row counts, all losses are NaN, and so are their gradients.
    const Quantization lost = forward(options, tensor_of(rows.x, {rows.count, rows.length}));
    CHECK(std::isnan(losses_of(lost).per_sample_entropy));
    CHECK(std::isnan(losses_of(lost).codebook_entropy));
    CHECK(std::isnan(losses_of(lost).commitment));
    CHECK_EQ(losses_of(lost).rows, rows.count);
    for (const double value : read<double>(backward(lost, Tensor(), 1.0))) {
      CHECK(std::isnan(value));
    }
  });
}

TEST(no_row_counts) {
  for_each_formula([](const bsq_options& options) {
    Rows rows(options, 5);
    std::fill(rows.mask.begin(), rows.mask.end(), uint8_t{0});
    const Results results = rows.results(options);
    CHECK_EQ(results.losses.aux_loss, 0.0);
    CHECK_EQ(results.losses.entropy_loss, 0.0);
    CHECK_EQ(results.losses.per_sample_entropy, 0.0);
    CHECK_EQ(results.losses.codebook_entropy, 0.0);
    CHECK_EQ(results.losses.commitment, 0.0);
    CHECK_EQ(results.losses.rows, 0);
    CHECK_EQ(results.losses.entropy_rows, 0);
    CHECK(results.sums == std::vector<double>(results.sums.size(), 0.0));
    check_near(results.grad_x,
               read<double>(backward(forward(options, tensor_of(rows.x, {5, rows.length})),
                                     tensor_of(rows.gradient, {5, rows.length}), 0.0)),
               1e-15);
  });
}

// The losses of several codebooks are the means of each one's.
TEST(codebooks_are_averaged) {
  for_each_formula([](bsq_options options) {
    options.codebooks = 3;
    const Rows rows(options, 20);
    const Tensor x = tensor_of(rows.x, {rows.count, rows.length});
    const bsq_losses actual = losses_of(forward(options, x));
    options.codebooks = 1;
    bsq_losses expected{};
    for (int64_t codebook = 0; codebook < 3; ++codebook) {
      const bsq_losses one =
          losses_of(forward(options, narrow(x, 1, codebook * options.code_dim, options.code_dim)));
      expected.per_sample_entropy += one.per_sample_entropy / 3;
      expected.codebook_entropy += one.codebook_entropy / 3;
      expected.entropy_loss += one.entropy_loss / 3;
      expected.commitment += one.commitment / 3;
    }
    expected.aux_loss = options.entropy_loss_weight * expected.entropy_loss +
                        options.commitment_weight * expected.commitment;
    expected.rows = expected.entropy_rows = rows.count;
    check_near(actual, expected, 1e-12);
  });
}

// Analytical entropies are those of groups of one bit, whatever the groups of the indices are.
TEST(analytical_entropies_are_of_single_bits) {
  for_each_implementation([](bsq_options options) {
    options.group_size = 1;
    const Rows rows(options, 20);
    const Results single = rows.results(options);
    options.group_size = 3;
    options.entropy_form = BSQ_ENTROPY_ANALYTICAL;
    Results analytical = rows.results(options);
    CHECK_EQ(analytical.indices.size() * 3, single.indices.size());
    analytical.indices = single.indices;
    check_near(analytical, single, 1e-13);
  });
}

// Sums of batches add up to those of one batch, and give its losses and gradients.
TEST(sums_of_batches) {
  for_each_formula([](bsq_options options) {
    options.codebooks = 2;
    options.positive = BSQ_POSITIVE_SOFTPLUS;
    const Rows rows(options, 37);
    const Results whole = rows.results(options);
    std::vector<double> sums(whole.sums.size(), 0.0);
    std::vector<std::pair<int64_t, Quantization>> parts;
    for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 5}, {5, 6}, {6, 37}}) {
      parts.emplace_back(
          end, forward(options, rows.part_of(rows.x, begin, end), rows.mask_of(begin, end)));
      std::vector<double> more = read<double>(loss_sums_of(parts.back().second));
      std::transform(sums.begin(), sums.end(), more.begin(), sums.begin(), std::plus<>());
    }
    check_near(sums, whole.sums, 1e-13);
    bsq_losses losses = empty_losses();
    CHECK_OK(bsq_losses_from_sums(&options, sums.data(), bytes(sums), &losses));
    check_near(losses, whole.losses, 1e-13);
    const Tensor merged = tensor_of(sums, {static_cast<int64_t>(sums.size())});
    std::vector<double> grad_x;
    int64_t begin = 0;
    for (const auto& [end, quantization] : parts) {
      const std::vector<double> part = read<double>(
          backward(quantization, merged, rows.part_of(rows.gradient, begin, end), 2.0));
      grad_x.insert(grad_x.end(), part.begin(), part.end());
      begin = end;
    }
    check_near(grad_x, whole.grad_x, 1e-12);
    // A batch's own sums change nothing.
    const Quantization again = forward(options, tensor_of(rows.x, {rows.count, rows.length}),
                                       tensor_of(rows.mask, {rows.count}));
    check_near(read<double>(backward(again, loss_sums_of(again),
                                     tensor_of(rows.gradient, {rows.count, rows.length}), 2.0)),
               whole.grad_x, 1e-12);
  });
}

// The entropies of a fraction are those of as many rows, the same for the same seed.
TEST(fractions_of_the_rows) {
  for_each_implementation([](bsq_options options) {
    options.commitment_weight = 0;
    options.inverse_temperature = 20;
    const Rows rows(options, 200);
    const Tensor x = tensor_of(rows.x, {rows.count, rows.length});
    const Tensor mask = tensor_of(rows.mask, {rows.count});
    const int64_t counted = losses_of(forward(options, x, mask)).rows;
    for (const auto& [fraction, expected] :
         {std::pair<double, int64_t>{0.5, counted / 2}, {0.001, 1}, {1, counted}}) {
      options.entropy_fraction = fraction;
      options.entropy_seed = -7;
      const Quantization quantization = forward(options, x, mask);
      const bsq_losses losses = losses_of(quantization);
      CHECK_EQ(losses.rows, counted);
      CHECK_EQ(losses.entropy_rows, expected);
      CHECK_EQ(losses_of(forward(options, x, mask)).aux_loss, losses.aux_loss);
      // Rows that are not drawn get no gradient.
      const std::vector<double> grad_x = read<double>(backward(quantization, Tensor(), 1.0));
      int64_t with_gradient = 0;
      for (auto row = grad_x.begin(); row != grad_x.end(); row += rows.length) {
        const bool is_drawn =
            std::any_of(row, row + rows.length, [](double value) { return value != 0; });
        with_gradient += is_drawn ? 1 : 0;
      }
      CHECK_EQ(with_gradient, expected);
      options.entropy_seed = 8;
      CHECK((losses_of(forward(options, x, mask)).aux_loss == losses.aux_loss) == (fraction == 1));
    }
  });
}

// A quantization outlives the memory of x and of the mask.
TEST(masks_in_borrowed_memory) {
  for_each_implementation([](bsq_options options) {
    const Rows rows(options, 12);
    const Results expected = rows.results(options);
    std::vector<uint8_t> memory;
    for (const uint8_t mark : rows.mask) {  // every other byte
      memory.push_back(mark);
      memory.push_back(1);
    }
    const Tensor x = tensor_of(rows.x, {2, 6, rows.length});
    Quantization quantization;
    {
      const Tensor mask = borrow(BSQ_UINT8, {2, 6}, {12, 2}, memory.data(), bytes(memory));
      quantization = forward(options, x, mask);
    }
    memory.assign(memory.size(), 0);
    std::vector<uint8_t>().swap(memory);
    check_near(
        {read<double>(quantized_of(quantization)), read<int64_t>(indices_of(quantization)),
         losses_of(quantization), read<double>(loss_sums_of(quantization)),
         read<double>(backward(quantization, tensor_of(rows.gradient, {2, 6, rows.length}), 2.0))},
        expected, 1e-12);
  });
}

// The sums are those of float64 numbers, whatever the type of x.
TEST(sums_of_every_type) {
  for_each_implementation([](const bsq_options& options) {
    const Rows rows(options, 10);
    const Tensor x = tensor_of(rows.x, {rows.count, rows.length});
    int64_t size = 0;
    CHECK_OK(bsq_loss_sums_size(&options, &size));
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_FLOAT16, BSQ_BFLOAT16}) {
      const Quantization quantization = forward(options, convert(x, dtype));
      const Tensor sums = loss_sums_of(quantization);
      CHECK_EQ(describe(sums).dtype, BSQ_FLOAT64);
      CHECK(shape_of(sums) == (Shape{size}));
      const Tensor grad_x = backward(quantization, sums, Tensor(), 1.0);
      CHECK_EQ(describe(grad_x).dtype, dtype);
      check_near(read<double>(grad_x), read<double>(backward(quantization, Tensor(), 1.0)), 1e-2);
    }
  });
}

}  // namespace bsq::test
