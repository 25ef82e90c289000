// Values that are refused where operators compute: the call succeeds, and whoever waits for the
// result gets the error.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "call.h"
#include "check.h"
#include "tensor_calls.h"

namespace bsq::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bsq_options options_on(int32_t implementation) {
  bsq_options options = options_for(3);
  options.implementation = implementation;
  return options;
}

bsq_options operators() { return options_on(BSQ_IMPLEMENTATION_OPERATORS); }

// Two rows; the second is refused.
Tensor bad_rows() {
  return tensor_of<float>({1, 2, 3, 4, static_cast<float>(kInfinity), 6}, {2, 3});
}
const char* const kBadRows = "x[1, 1] is inf, expected a finite number";

Tensor bad_indices() { return tensor_of<int64_t>({3, 4, 9}, {3}); }
const char* const kBadIndices = "indices[2] is 9, expected 0 to 7 for code_dim 3";

Tensor good_rows() { return tensor_of<float>({1, -2, 3, -4, 5, -6}, {2, 3}); }

// That the tensor's values are refused by all that looks at them, and as often as it does.
void check_carries(const Tensor& tensor, const std::string& message) {
  for (int repeat = 0; repeat < 2; ++repeat) {
    CHECK_FAILS(bsq_tensor_check(tensor.get()), BSQ_INVALID_ARGUMENT, message);
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_INT64}) {
      std::vector<int64_t> data(static_cast<size_t>(count_of(tensor)), 77);
      CHECK_FAILS(bsq_tensor_read(tensor.get(), dtype, data.data(), bytes(data)),
                  BSQ_INVALID_ARGUMENT, message);
      CHECK(data == std::vector<int64_t>(data.size(), 77));
    }
  }
}

void check_carries(const Quantization& quantization, const std::string& message) {
  bsq_losses losses = empty_losses();
  CHECK_FAILS(bsq_quantization_losses(quantization.get(), &losses), BSQ_INVALID_ARGUMENT, message);
  CHECK_EQ(losses.aux_loss, -12345);
  check_carries(quantized_of(quantization), message);
  check_carries(indices_of(quantization), message);
}

}  // namespace

TEST(positions_and_values) {
  const bsq_options options = operators();
  for (const double bad : {kNan, -kNan, kInfinity, -kInfinity}) {
    for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64, BSQ_FLOAT16, BSQ_BFLOAT16}) {
      for (size_t position = 0; position < 12; ++position) {
        std::vector<double> values(12, 1.0);
        values[position] = bad;
        values[11] = bad;
        // Rows are counted through all leading dimensions.
        const Tensor x =
            make(bsq_tensor_to, tensor_of(values, {2, 2, 3}).get(), dtype, BSQ_DEVICE_CPU, 0);
        const std::string at = std::to_string(position / 3) + ", " + std::to_string(position % 3) +
                               "] is " + (std::isnan(bad) ? "nan" : show(bad));
        check_carries(encode(options, x), "x[" + at + ", expected a finite number");
        check_carries(
            codes_to_indices(options, x),
            "codes[" + at + ", expected a code value: finite and not 0 (encode takes any numbers)");
      }
    }
  }
}

TEST(positions_and_values_of_integers) {
  const bsq_options options = operators();
  const auto refused = [&](const Tensor& indices, const std::string& position_and_value) {
    check_carries(decode(options, indices, BSQ_FLOAT32),
                  position_and_value + ", expected 0 to 7 for code_dim 3");
  };
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  refused(tensor_of<int64_t>({7, 7, 8, 9}, {2, 2}), "indices[2] is 8");
  refused(tensor_of<int64_t>({lowest, 0}, {2}), "indices[0] is -9223372036854775808");
  refused(tensor_of<int32_t>({0, -1}, {2}), "indices[1] is -1");
  refused(tensor_of<uint8_t>({0, 255}, {2}), "indices[1] is 255");
  check_carries(codes_to_indices(options, tensor_of<int32_t>({1, -1, 1, -1, 0, 0}, {2, 3})),
                "codes[1, 1] is 0, expected a code value: finite and not 0 (encode takes any "
                "numbers)");
}

TEST(nothing_is_found_where_nothing_is_refused) {
  bsq_options options = operators();
  CHECK_OK(bsq_tensor_check(encode(options, good_rows()).get()));
  CHECK_OK(bsq_tensor_check(bad_rows().get()));  // a tensor may hold anything
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  const Tensor indices = encode(options, bad_rows());
  CHECK_OK(bsq_tensor_check(indices.get()));
  CHECK(read<int64_t>(indices) == (std::vector<int64_t>{7, 0}));
  const Quantization quantization = forward(options, bad_rows());
  CHECK_OK(bsq_tensor_check(quantized_of(quantization).get()));
  CHECK(std::isnan(losses_of(quantization).aux_loss));
  CHECK_OK(bsq_tensor_check(backward(quantization, nullptr, 1.0).get()));
}

TEST(results_of_refused_values_are_refused) {
  const bsq_options options = operators();
  const Tensor indices = encode(options, bad_rows());
  const Tensor codes = decode(options, indices, BSQ_FLOAT32);
  check_carries(codes, kBadRows);
  check_carries(encode(options, codes), kBadRows);
  check_carries(codes_to_indices(options, codes), kBadRows);
  check_carries(make(bsq_tensor_bits_to_codes, codes.get()), kBadRows);
  check_carries(permute(codes, {1, 0}), kBadRows);
  check_carries(convert(codes, BSQ_FLOAT32), kBadRows);
  check_carries(convert(codes, BSQ_FLOAT16), kBadRows);
  check_carries(convert(permute(codes, {1, 0}), BSQ_FLOAT32), kBadRows);
  check_carries(narrow(codes, 0, 0, 1), kBadRows);  // the row that is fine: it is not looked at
  check_carries(forward(options, codes), kBadRows);
  // What does not look at values works.
  CHECK(shape_of(codes) == (Shape{2, 3}));
  CHECK(data_of(codes) != nullptr);
  CHECK_FAILS(bsq_tensor_read(codes.get(), BSQ_FLOAT32, nullptr, 0), BSQ_INVALID_ARGUMENT,
              "data has 0 bytes, expected at least 24 for shape [2, 3] of float32");
}

TEST(quantizations_of_refused_values) {
  const bsq_options options = operators();
  Quantization quantization = forward(options, bad_rows());
  check_carries(quantization, kBadRows);
  std::vector<Tensor> gradients;
  gradients.push_back(backward(quantization, nullptr, 0.0));
  gradients.push_back(backward(quantization, nullptr, 1.0));
  gradients.push_back(backward(quantization, good_rows(), 1.0));
  gradients.push_back(quantized_of(quantization));
  gradients.push_back(indices_of(quantization));
  quantization.reset();  // and the finding lives on
  for (const Tensor& gradient : gradients) {
    check_carries(gradient, kBadRows);
  }
}

TEST(gradients_carry_what_was_found_in_them) {
  const bsq_options options = operators();
  const Quantization good = forward(options, good_rows());
  const Tensor bad_gradient = narrow(decode(options, bad_indices(), BSQ_FLOAT32), 0, 0, 2);
  check_carries(backward(good, bad_gradient, 1.0), kBadIndices);
  CHECK_OK(bsq_tensor_check(backward(good, good_rows(), 1.0).get()));
  CHECK_OK(bsq_tensor_check(quantized_of(good).get()));
  losses_of(good);
  // Of two the first is told, that of x.
  check_carries(backward(forward(options, bad_rows()), bad_gradient, 1.0), kBadRows);
}

// Two findings, of which only the later one refuses something.
TEST(every_finding_counts) {
  const bsq_options options = operators();
  const Tensor codes = decode(options, tensor_of<int64_t>({1, 2}, {2}), BSQ_FLOAT32);
  CHECK_OK(bsq_tensor_check(codes.get()));
  const Tensor indices = encode(options, codes);
  CHECK(read<int64_t>(indices) == (std::vector<int64_t>{1, 2}));
  bsq_options narrower = options;
  narrower.code_dim = 1;
  check_carries(decode(narrower, indices, BSQ_FLOAT32),
                "indices[1] is 2, expected 0 to 1 for code_dim 1");
}

// Positions are those in the matrix of rows, wherever these are in memory.
TEST(positions_in_other_layouts) {
  bsq_options options = operators();
  options.channel_first = 1;
  for (const Shape& leading : std::vector<Shape>{{12}, {2, 6}, {6, 2}, {2, 3, 2}}) {
    for (int64_t bad = 0; bad < 12; ++bad) {
      std::vector<double> values(36, 1.0);
      values[static_cast<size_t>(bad * 3 + 1)] = kNan;
      values[35] = kInfinity;
      Shape shape = leading;
      shape.push_back(3);
      Shape order{0, static_cast<int64_t>(leading.size())};
      for (size_t i = 1; i < leading.size(); ++i) {
        order.push_back(static_cast<int64_t>(i));
      }
      const Tensor x = permute(tensor_of(values, shape), order);
      const std::string at = std::to_string(bad) + ", 1] is nan";
      check_carries(encode(options, x), "x[" + at + ", expected a finite number");
      check_carries(forward(options, x), "x[" + at + ", expected a finite number");
    }
  }
}

TEST(positions_of_groups_and_codebooks) {
  bsq_options options = operators();
  options.code_dim = 4;
  options.group_size = 2;
  options.codebooks = 2;
  const Tensor indices = tensor_of<int64_t>({0, 1, 2, 3, 0, 1, 4, 3}, {2, 2, 2});
  check_carries(decode(options, indices, BSQ_FLOAT32),
                "indices[1, 2] is 4, expected 0 to 3 for group_size 2");
  std::vector<double> values(16, 1.0);
  values[14] = kInfinity;
  check_carries(encode(options, tensor_of(values, {2, 8})),
                "x[1, 6] is inf, expected a finite number");
}

TEST(masks_and_sums_carry_what_was_found_in_them) {
  const bsq_options options = operators();
  const Tensor bad = narrow(decode(options, bad_indices(), BSQ_FLOAT32), 0, 0, 2);
  const Tensor bad_mask =
      permute(narrow(convert(bad, BSQ_UINT8), 1, 0, 1), {1, 0});  // [1, 2]: the leading dimensions
  const Tensor x = tensor_of<float>({1, -2, 3, -4, 5, -6}, {1, 2, 3});
  check_carries(forward(options, x, bad_mask), kBadIndices);
  check_carries(loss_sums_of(forward(options, x, bad_mask)), kBadIndices);
  check_carries(loss_sums_of(forward(options, bad_rows())), kBadRows);
  const Quantization good = forward(options, good_rows());
  check_carries(backward(good, loss_sums_of(forward(options, bad_rows())), Tensor(), 1.0),
                kBadRows);
  check_carries(backward(good, zeros(BSQ_FLOAT64, {12}), Tensor(), 1.0),
                "sums are of 0 rows that count and 0 of the entropies, but x has 2 and 2: expected "
                "sums of all batches, that of x among them");
  const bsq_options kernels = options_on(BSQ_IMPLEMENTATION_KERNELS);
  CHECK_FAILS(try_make<bsq_quantization>(bsq_tensor_forward, &kernels, x.get(), bad_mask.get()),
              BSQ_INVALID_ARGUMENT, kBadIndices);
}

TEST(kernels_refuse_at_once) {
  for (const int32_t implementation : {BSQ_IMPLEMENTATION_AUTOMATIC, BSQ_IMPLEMENTATION_KERNELS}) {
    const bsq_options kernels = options_on(implementation);
    const auto refused = [](const Outcome& outcome, const std::string& message) {
      CHECK_FAILS(outcome, BSQ_INVALID_ARGUMENT, message);
    };
    // What they find themselves, ...
    refused(try_make(bsq_tensor_encode, &kernels, bad_rows().get()), kBadRows);
    refused(try_make<bsq_quantization>(bsq_tensor_forward, &kernels, bad_rows().get(), kNoTensor),
            kBadRows);
    refused(try_make(bsq_tensor_decode, &kernels, bad_indices().get(), BSQ_FLOAT32), kBadIndices);
    refused(try_make(bsq_tensor_codes_to_indices, &kernels, bad_rows().get()),
            "codes[1, 1] is inf, expected a code value: finite and not 0 (encode takes any "
            "numbers)");
    // ... and what operators have found.
    const Tensor indices = encode(operators(), bad_rows());
    const Tensor codes = decode(operators(), indices, BSQ_FLOAT32);
    refused(try_make(bsq_tensor_encode, &kernels, codes.get()), kBadRows);
    refused(try_make(bsq_tensor_decode, &kernels, indices.get(), BSQ_FLOAT32), kBadRows);
    refused(try_make(bsq_tensor_codes_to_indices, &kernels, codes.get()), kBadRows);
    refused(try_make(bsq_tensor_codes_to_indices, &kernels, convert(codes, BSQ_INT32).get()),
            kBadRows);
    refused(try_make<bsq_quantization>(bsq_tensor_forward, &kernels, codes.get(), kNoTensor),
            kBadRows);
    const Quantization good = forward(kernels, good_rows());
    refused(try_make(bsq_quantization_backward, good.get(), kNoTensor, codes.get(), 1.0), kBadRows);
  }
}

TEST(findings_are_shared_by_threads) {
  const bsq_options options = operators();
  const Tensor bad = encode(options, bad_rows());
  const Tensor good = encode(options, good_rows());
  const Quantization quantization = forward(options, bad_rows());
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      for (int repeat = 0; repeat < 20; ++repeat) {
        CHECK_FAILS(bsq_tensor_check(bad.get()), BSQ_INVALID_ARGUMENT, kBadRows);
        check_carries(permute(bad, {0}), kBadRows);
        check_carries(quantization, kBadRows);
        check_carries(backward(quantization, nullptr, 1.0), kBadRows);
        CHECK_OK(bsq_tensor_check(good.get()));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK_EQ(bsq_debug_live_handles(), 3);
}

}  // namespace bsq::test
