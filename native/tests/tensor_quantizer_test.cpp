// The quantizer on tensors, by kernels and by operators: shapes, strides, types, and memory that is
// gone. That the numbers are right is for the tests that take every path (see call.h); here results
// must be those of contiguous float32 or float64 rows.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "call.h"
#include "check.h"
#include "tensor_calls.h"

namespace bsq::test {
namespace {

template <class Body>
void for_each_implementation(const Body& body) {
  for (const int32_t implementation :
       {BSQ_IMPLEMENTATION_AUTOMATIC, BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    bsq_options options = options_for(4);
    options.inverse_temperature = 3;
    options.implementation = implementation;
    body(options);
  }
}

// All results for x, and their shapes.
struct Results {
  std::vector<double> quantized;
  std::vector<int64_t> indices;
  bsq_losses losses;
  std::vector<double> grad_x;
  std::vector<int64_t> encoded;
  std::vector<double> decoded;
  std::vector<int64_t> code_indices;
};

Results compute(const bsq_options& options, const Tensor& x, const Tensor& gradient,
                const Tensor& indices) {
  const int32_t dtype = describe(x).dtype;
  const Shape shape = shape_of(x);
  const auto check = [&](const Tensor& result, int32_t expected_dtype, const Shape& expected) {
    CHECK_EQ(describe(result).dtype, expected_dtype);
    CHECK(shape_of(result) == expected);
    CHECK(is_contiguous(result));
  };
  Shape leading = shape;
  leading.pop_back();
  if (leading.empty()) {
    leading.push_back(1);
  }
  const Quantization quantization = forward(options, x);
  const Tensor grad_x = backward(quantization, gradient, 1.0);
  const Tensor encoded = encode(options, x);
  const Tensor decoded = decode(options, indices, dtype);
  const Tensor code_indices = codes_to_indices(options, x);
  check(quantized_of(quantization), dtype, shape);
  check(indices_of(quantization), BSQ_INT64, leading);
  check(grad_x, dtype, shape);
  check(encoded, BSQ_INT64, leading);
  Shape decoded_shape = leading;
  decoded_shape.push_back(shape.back());
  check(decoded, dtype, decoded_shape);
  check(code_indices, BSQ_INT64, leading);
  return {read<double>(quantized_of(quantization)),
          read<int64_t>(indices_of(quantization)),
          losses_of(quantization),
          read<double>(grad_x),
          read<int64_t>(encoded),
          read<double>(decoded),
          read<int64_t>(code_indices)};
}

// Signs are the same to the bit; sums may be added up in another order.
void check_same(const Results& actual, const Results& expected, double tolerance) {
  CHECK(actual.quantized == expected.quantized);
  CHECK(actual.indices == expected.indices);
  CHECK(actual.encoded == expected.encoded);
  CHECK(actual.decoded == expected.decoded);
  CHECK(actual.code_indices == expected.code_indices);
  CHECK_NEAR(actual.losses.aux_loss, expected.losses.aux_loss, tolerance);
  CHECK_NEAR(actual.losses.per_sample_entropy, expected.losses.per_sample_entropy, tolerance);
  CHECK_NEAR(actual.losses.codebook_entropy, expected.losses.codebook_entropy, tolerance);
  CHECK_EQ(actual.grad_x.size(), expected.grad_x.size());
  for (size_t i = 0; i < expected.grad_x.size(); ++i) {
    CHECK_NEAR(actual.grad_x.at(i), expected.grad_x[i],
               tolerance * (1 + std::abs(expected.grad_x[i])));
  }
}

// Rows of float64 in row-major order, and what is expected of them.
struct Rows {
  explicit Rows(int64_t rows)
      : x(Random(1).normals<double>(rows * 4)),
        gradient(Random(2).normals<double>(rows * 4)),
        count(rows) {
    for (int64_t row = 0; row < rows; ++row) {
      indices.push_back(row * 7 % 16);
    }
  }

  [[nodiscard]] Results expected(const bsq_options& options) const {
    return compute(options, tensor_of(x, {count, 4}), tensor_of(gradient, {count, 4}),
                   tensor_of(indices, {count}));
  }

  std::vector<double> x;
  std::vector<double> gradient;
  std::vector<int64_t> indices;
  int64_t count;
};

// The elements of a contiguous tensor in memory of another order of dimensions, seen in its own.
Tensor reordered(const Tensor& tensor, const Shape& order) {
  const Tensor moved = permute(tensor, order);
  const Tensor memory = convert(moved, describe(tensor).dtype);  // contiguous in that order
  Shape inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }
  return permute(memory, inverse);
}

// The values of another type as numbers: what that type's rounding makes of them.
std::vector<double> rounded(const std::vector<double>& values, int32_t dtype) {
  return read<double>(convert(tensor_of(values, {static_cast<int64_t>(values.size())}), dtype));
}

}  // namespace

TEST(every_rank) {
  for_each_implementation([](const bsq_options& options) {
    const Rows rows(24);
    const Results expected = rows.expected(options);
    Shape highest(63, 1);
    highest[5] = 6;
    highest[60] = 4;
    for (const Shape& leading :
         std::vector<Shape>{{24}, {4, 6}, {2, 3, 4}, {2, 3, 2, 2}, {2, 1, 3, 2, 2}, highest}) {
      Shape shape = leading;
      shape.push_back(4);
      check_same(compute(options, tensor_of(rows.x, shape), tensor_of(rows.gradient, shape),
                         tensor_of(rows.indices, leading)),
                 expected, 0);
    }
    const Rows one(1);
    check_same(compute(options, tensor_of(one.x, {4}), tensor_of(one.gradient, {4}),
                       tensor_of(one.indices, {1})),
               one.expected(options), 0);
  });
}

TEST(every_stride) {
  for_each_implementation([](const bsq_options& options) {
    const Rows rows(24);
    const Results expected = rows.expected(options);
    const Tensor x = tensor_of(rows.x, {4, 6, 4});
    const Tensor gradient = tensor_of(rows.gradient, {4, 6, 4});
    const Tensor indices = tensor_of(rows.indices, {4, 6});
    for (const Shape& order :
         {Shape{0, 2, 1}, Shape{1, 0, 2}, Shape{1, 2, 0}, Shape{2, 0, 1}, Shape{2, 1, 0}}) {
      const Tensor strided = reordered(x, order);
      CHECK(!is_contiguous(strided));
      check_same(compute(options, strided, gradient, reordered(indices, {1, 0})), expected, 1e-13);
      check_same(compute(options, x, reordered(gradient, order), indices), expected, 1e-13);
    }
    // Parts of a larger tensor, along the rows and along the columns.
    std::vector<double> wide(size_t{30} * 7, -1e9);
    for (size_t i = 0; i < rows.x.size(); ++i) {
      wide[(i / 4 + 3) * 7 + 2 + i % 4] = rows.x[i];
    }
    const Tensor part = narrow(narrow(tensor_of(wide, {30, 7}), 0, 3, 24), 1, 2, 4);
    const Tensor flat_gradient = tensor_of(rows.gradient, {24, 4});
    const Tensor flat_indices = tensor_of(rows.indices, {24});
    check_same(compute(options, part, flat_gradient, flat_indices), expected, 1e-13);
    // The same in borrowed memory.
    const int64_t wide_bytes = bytes(wide) - int64_t{23} * 8;
    check_same(compute(options, borrow(BSQ_FLOAT64, {24, 4}, {7, 1}, &wide[23], wide_bytes),
                       flat_gradient, flat_indices),
               expected, 1e-13);
  });
}

// Rows and gradients that share memory with each other.
TEST(strides_of_zero) {
  for_each_implementation([](const bsq_options& options) {
    const Rows one(1);
    const std::vector<double> column{2};
    std::vector<double> x;
    std::vector<double> gradient;
    for (int copy = 0; copy < 6; ++copy) {
      x.insert(x.end(), one.x.begin(), one.x.end());
      gradient.insert(gradient.end(), 4, 2.0);
    }
    const std::vector<int64_t> indices(6, 11);
    const Results expected = compute(options, tensor_of(x, {2, 3, 4}),
                                     tensor_of(gradient, {2, 3, 4}), tensor_of(indices, {2, 3}));
    check_same(
        compute(options, borrow(BSQ_FLOAT64, {2, 3, 4}, {0, 0, 1}, one.x.data(), bytes(one.x)),
                borrow(BSQ_FLOAT64, {2, 3, 4}, {0, 0, 0}, column.data(), 8),
                borrow(BSQ_INT64, {2, 3}, {0, 0}, indices.data(), 8)),
        expected, 1e-13);
  });
}

TEST(empty_inputs) {
  for_each_implementation([](const bsq_options& options) {
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_FLOAT16, BSQ_BFLOAT16}) {
      for (const Shape& leading : std::vector<Shape>{{0}, {2, 0}, {0, 3}, {0, 0, 2}}) {
        Shape shape = leading;
        shape.push_back(4);
        const Tensor x = zeros(dtype, shape);
        const Results results = compute(options, x, x, zeros(BSQ_INT32, leading));
        CHECK(results.quantized.empty() && results.grad_x.empty() && results.encoded.empty());
        CHECK_EQ(results.losses.aux_loss, 0.0);
        CHECK_EQ(results.losses.per_sample_entropy, 0.0);
        CHECK_EQ(results.losses.codebook_entropy, 0.0);
        CHECK(shape_of(bits_to_codes(x)) == shape);
        CHECK(shape_of(backward(forward(options, x), nullptr, 0.0)) == shape);
      }
    }
  });
}

// 16 bits are computed in float32: results are those of the same numbers in float32, rounded.
TEST(types_of_16_bits) {
  for_each_implementation([](const bsq_options& options) {
    const Rows rows(50);
    for (const auto& [dtype, roundoff] :
         {std::pair{BSQ_FLOAT16, 0x1p-11}, std::pair{BSQ_BFLOAT16, 0x1p-8}}) {
      const Tensor x = convert(tensor_of(rows.x, {50, 4}), dtype);
      const Tensor gradient = convert(tensor_of(rows.gradient, {50, 4}), dtype);
      const Tensor indices = tensor_of(rows.indices, {50});
      const Results actual = compute(options, x, gradient, indices);
      Results expected =
          compute(options, convert(x, BSQ_FLOAT32), convert(gradient, BSQ_FLOAT32), indices);
      expected.quantized = rounded(expected.quantized, dtype);
      expected.decoded = rounded(expected.decoded, dtype);
      CHECK_EQ(actual.losses.aux_loss, expected.losses.aux_loss);
      CHECK_EQ(actual.losses.codebook_entropy, expected.losses.codebook_entropy);
      CHECK(actual.grad_x != expected.grad_x);
      // Operators round float64 to 16 bits, which may be one side or the other of float32.
      for (size_t i = 0; i < expected.grad_x.size(); ++i) {
        CHECK_NEAR(actual.grad_x[i], expected.grad_x[i],
                   1.01 * roundoff * std::abs(expected.grad_x[i]) + 1e-7);
      }
      expected.grad_x = actual.grad_x;
      check_same(actual, expected, 0);
    }
  });
}

// Kernels read and write adjacent rows many elements at once, where these are aligned for it.
TEST(adjacent_rows_at_any_address) {
  struct Sizes {
    int64_t dim;
    int64_t group_size;
    int64_t rows;
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  bsq_options kernels = options_for(1);
  kernels.entropy_form = BSQ_ENTROPY_ANALYTICAL;
  kernels.implementation = BSQ_IMPLEMENTATION_KERNELS;
  for (const Sizes& sizes :
       {Sizes{1, 1, 5001}, Sizes{13, 13, 323}, Sizes{16, 8, 530}, Sizes{57, 19, 75},
        Sizes{257, 1, 33}, Sizes{513, 27, 17}, Sizes{1001, 7, 9}, Sizes{4096, 32, 3}}) {
    kernels.code_dim = sizes.dim;
    kernels.group_size = sizes.group_size;
    const int64_t elements = sizes.dim * sizes.rows;
    std::vector<double> values = Random(sizes.dim).normals<double>(elements + 3);
    // In the first block, and at the end of another one.
    values[5] = kInfinity;
    values[static_cast<size_t>(elements / 2)] = std::numeric_limits<double>::quiet_NaN();
    values[static_cast<size_t>(elements / 2 + 1)] = -kInfinity;
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_FLOAT16, BSQ_BFLOAT16}) {
      for (const auto& [offset, tie, last] :
           {std::tuple{0, BSQ_TIE_ONE, -1.0}, std::tuple{0, BSQ_TIE_ZERO, -kInfinity},
            std::tuple{1, BSQ_TIE_ZERO, -1.0}}) {
        kernels.tie = tie;
        values[static_cast<size_t>(offset + elements - 1)] = last;  // beyond the last vector
        const Tensor memory = convert(tensor_of(values, {elements + 3}), dtype);
        const int64_t bytes = elements * (dtype == BSQ_FLOAT64 ? 8 : dtype == BSQ_FLOAT32 ? 4 : 2);
        const Tensor view = narrow(memory, 0, offset, elements);
        const Tensor x = borrow(dtype, {sizes.rows, sizes.dim}, {}, data_of(view), bytes);
        const auto check_same_as_operators = [&](const auto& result) {
          bsq_options operators = kernels;
          operators.implementation = BSQ_IMPLEMENTATION_OPERATORS;
          const auto actual = result(kernels);
          const auto expected = result(operators);
          CHECK(actual.size() == expected.size());
          CHECK(std::equal(actual.begin(), actual.end(), expected.begin(), [](auto a, auto b) {
            return a == b || (a != a && b != b);  // NaN for NaN
          }));
        };
        kernels.non_finite = BSQ_NON_FINITE_PROPAGATE;
        check_same_as_operators(
            [&](const bsq_options& options) { return read<int64_t>(encode(options, x)); });
        check_same_as_operators([&](const bsq_options& options) {
          return read<double>(quantized_of(forward(options, x)));
        });
        check_same_as_operators([&](const bsq_options& options) {
          return read<double>(decode(options, encode(options, x), dtype));
        });
        kernels.non_finite = BSQ_NON_FINITE_REFUSE;
        const int64_t first = 5 - offset;
        std::ostringstream expected;
        expected << "x[" << first / sizes.dim << ", " << first % sizes.dim << "] is inf";
        const Outcome outcome = outcome_of([&] { read<int64_t>(encode(kernels, x)); });
        CHECK_EQ(outcome.message.substr(0, expected.str().size()), expected.str());
      }
    }
  }
}

TEST(gradients_of_other_types) {
  for_each_implementation([](const bsq_options& options) {
    const Rows rows(20);
    const Tensor half = convert(tensor_of(rows.gradient, {20, 4}), BSQ_BFLOAT16);
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64}) {
      const Quantization quantization =
          forward(options, convert(tensor_of(rows.x, {20, 4}), dtype));
      const std::vector<double> expected =
          read<double>(backward(quantization, convert(half, dtype), 1.0));
      for (const int32_t other : {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_BFLOAT16}) {
        const Tensor grad_x = backward(quantization, convert(half, other), 1.0);
        CHECK_EQ(describe(grad_x).dtype, dtype);
        CHECK(read<double>(grad_x) == expected);
      }
      // None is zeros.
      CHECK(read<double>(backward(quantization, nullptr, 1.0)) ==
            read<double>(backward(quantization, zeros(dtype, {20, 4}), 1.0)));
    }
  });
}

TEST(indices_of_every_integer_type) {
  for_each_implementation([](bsq_options options) {
    options.code_dim = 8;
    const std::vector<int64_t> indices{0, 1, 128, 200, 255};
    const Tensor wide = tensor_of(indices, {5});
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_FLOAT16, BSQ_BFLOAT16}) {
      const double corner = rounded({1 / std::sqrt(8.0)}, dtype)[0];
      std::vector<double> expected;
      for (const int64_t index : indices) {
        for (int shift = 7; shift >= 0; --shift) {
          expected.push_back((index >> shift & 1) != 0 ? corner : -corner);
        }
      }
      for (const int32_t type : {BSQ_INT64, BSQ_INT32, BSQ_UINT8}) {
        const Tensor codes = decode(options, convert(wide, type), dtype);
        CHECK(shape_of(codes) == (Shape{5, 8}));
        CHECK_EQ(describe(codes).dtype, dtype);
        CHECK(read<double>(codes) == expected);
        CHECK(read<int64_t>(codes_to_indices(options, codes)) == indices);
        CHECK(read<int64_t>(encode(options, codes)) == indices);
      }
    }
  });
}

TEST(codes_and_bits_of_every_type) {
  const std::vector<double> bits{1, 0, 0, 1, 0, 1, 1, 1};
  for (const int32_t dtype :
       {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_FLOAT16, BSQ_BFLOAT16, BSQ_INT64, BSQ_INT32}) {
    const Tensor codes = bits_to_codes(convert(tensor_of(bits, {2, 4}), dtype));
    CHECK_EQ(describe(codes).dtype, dtype);
    CHECK(read<double>(codes) == (std::vector<double>{1, -1, -1, 1, -1, 1, 1, 1}));
    for_each_implementation([&](const bsq_options& options) {
      CHECK(read<int64_t>(codes_to_indices(options, codes)) == (std::vector<int64_t>{9, 7}));
    });
    const Tensor columns =
        bits_to_codes(reordered(convert(tensor_of(bits, {2, 4}), dtype), {1, 0}));
    CHECK(is_contiguous(columns));
    CHECK(read<double>(columns) == read<double>(codes));
  }
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  for_each_implementation([&](const bsq_options& options) {
    const Tensor codes = tensor_of<int64_t>({lowest, 1, -1, -(lowest + 1)}, {4});
    CHECK(read<int64_t>(codes_to_indices(options, codes)) == (std::vector<int64_t>{5}));
  });
}

// Nothing but views needs the memory of a borrowed tensor after a call.
TEST(results_outlive_borrowed_memory) {
  for_each_implementation([](bsq_options options) {
    for (const int32_t non_finite : {BSQ_NON_FINITE_REFUSE, BSQ_NON_FINITE_PROPAGATE}) {
      options.non_finite = non_finite;
      const Rows rows(30);
      const Results expected = rows.expected(options);
      auto x_memory = std::make_unique<std::vector<double>>(rows.x);
      auto gradient_memory = std::make_unique<std::vector<double>>(rows.gradient);
      auto index_memory = std::make_unique<std::vector<int64_t>>(rows.indices);
      Quantization quantization;
      Tensor encoded;
      Tensor decoded;
      Tensor code_indices;
      Tensor codes;
      Tensor grad_x;
      {
        const Tensor x = borrow(BSQ_FLOAT64, {30, 4}, {}, x_memory->data(), bytes(*x_memory));
        const Tensor gradient =
            borrow(BSQ_FLOAT64, {30, 4}, {}, gradient_memory->data(), bytes(*gradient_memory));
        const Tensor indices =
            borrow(BSQ_INT64, {30}, {}, index_memory->data(), bytes(*index_memory));
        quantization = forward(options, narrow(x, 0, 0, 30));  // views are borrowed too
        encoded = encode(options, x);
        decoded = decode(options, indices, BSQ_FLOAT64);
        code_indices = codes_to_indices(options, x);
        codes = bits_to_codes(x);
        grad_x = backward(quantization, gradient, 1.0);
      }
      x_memory->assign(x_memory->size(), std::numeric_limits<double>::quiet_NaN());
      gradient_memory->assign(gradient_memory->size(), std::numeric_limits<double>::quiet_NaN());
      index_memory->assign(index_memory->size(), -1);
      x_memory.reset();
      gradient_memory.reset();
      index_memory.reset();
      check_same({read<double>(quantized_of(quantization)), read<int64_t>(indices_of(quantization)),
                  losses_of(quantization), read<double>(grad_x), read<int64_t>(encoded),
                  read<double>(decoded), read<int64_t>(code_indices)},
                 expected, 0);
      CHECK_EQ(read<double>(codes)[3], 2 * rows.x[3] - 1);
      CHECK(read<double>(backward(quantization, tensor_of(rows.gradient, {30, 4}), 1.0)) ==
            expected.grad_x);
    }
  });
}

// More elements than operators expand at once, 2^24.
TEST(several_chunks) {
  constexpr int64_t kRows = 270000;
  constexpr auto kDim = size_t{63};
  bsq_options options = options_for(kDim);
  options.implementation = BSQ_IMPLEMENTATION_OPERATORS;
  std::vector<float> values(kRows * kDim, -1);
  std::vector<int64_t> expected(kRows, 0);
  for (const size_t row :
       {size_t{0}, size_t{266304}, size_t{266305}, size_t{266306}, kRows - 1UL}) {
    values[row * kDim + row % kDim] = 1;
    expected[row] = int64_t{1} << (kDim - 1 - row % kDim);
  }
  const Tensor x = tensor_of(values, {kRows, kDim});
  CHECK(read<int64_t>(encode(options, x)) == expected);
  CHECK(read<int64_t>(codes_to_indices(options, x)) == expected);
  std::vector<float> codes =
      read<float>(decode(options, tensor_of(expected, {kRows}), BSQ_FLOAT32));
  for (float& code : codes) {
    code = code > 0 ? 1.0F : -1.0F;
  }
  CHECK(codes == values);
  values[266307 * kDim + 5] = std::numeric_limits<float>::infinity();
  CHECK_FAILS(bsq_tensor_check(encode(options, tensor_of(values, {kRows, kDim})).get()),
              BSQ_INVALID_ARGUMENT, "x[266307, 5] is inf, expected a finite number");
}

// A quantization is immutable: its handles, and its backward passes, are independent of each other.
TEST(handles_of_a_quantization) {
  for_each_implementation([](const bsq_options& options) {
    const Rows rows(3);
    Quantization quantization = forward(options, tensor_of(rows.x, {3, 4}));
    const Tensor first = quantized_of(quantization);
    const Tensor second = quantized_of(quantization);
    const Tensor indices = indices_of(quantization);
    CHECK_EQ(bsq_debug_live_handles(), 4);
    CHECK(first != second && data_of(first) == data_of(second));
    const std::vector<double> once = read<double>(backward(quantization, first, 2.0));
    CHECK(read<double>(backward(quantization, second, 2.0)) == once);
    quantization.reset();
    CHECK(read<double>(first) == read<double>(decode(options, indices, BSQ_FLOAT64)));
    CHECK_EQ(bsq_debug_live_handles(), 3);
  });
}

}  // namespace bsq::test
