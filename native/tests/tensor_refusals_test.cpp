// Every argument of the functions on tensors out of range: the code and the whole message.
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

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
const bsq_quantization* const kNoQuantization = nullptr;
const bsq_residual_quantization* const kNoResidualQuantization = nullptr;
constexpr std::array<double, 2> kWeights{1, 1};

Outcome make_empty(const Shape& shape, int32_t dtype = BSQ_FLOAT32) {
  return try_make(bsq_tensor_empty, dtype, BSQ_DEVICE_CPU, 0, shape.data(),
                  static_cast<int64_t>(shape.size()));
}

// Each of the functions that make a tensor of a type, on a device and of a shape.
template <class Check>
void for_each_maker(int32_t dtype, int32_t device_type, int32_t device_index, const int64_t* shape,
                    int64_t rank, const Check& check) {
  const std::array<double, 2> memory{};
  check(try_make(bsq_tensor_empty, dtype, device_type, device_index, shape, rank));
  check(try_make(bsq_tensor_zeros, dtype, device_type, device_index, shape, rank));
  check(try_make(bsq_tensor_copy, dtype, device_type, device_index, shape, rank, memory.data(),
                 int64_t{16}));
  check(try_make(bsq_tensor_borrow, dtype, device_type, device_index, shape, nullptr, rank,
                 memory.data(), int64_t{16}));
}

Outcome borrow_with(const Shape& shape, const Shape& strides, const void* data, int64_t data_bytes,
                    int32_t dtype = BSQ_FLOAT32) {
  return try_make(bsq_tensor_borrow, dtype, BSQ_DEVICE_CPU, 0, shape.data(), strides.data(),
                  static_cast<int64_t>(shape.size()), data, data_bytes);
}

}  // namespace

TEST(out_is_null) {
  const bsq_options options = options_for(3);
  const int64_t size = 3;
  const std::array<float, 3> data{1, 2, 3};
  const Tensor x = tensor_of<float>({1, 2, 3}, {3});
  const Tensor indices = tensor_of<int64_t>({1}, {1});
  const Quantization quantization =
      make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor);
  const auto refused = [](bsq_status* status) {
    CHECK_REFUSED(status, BSQ_INVALID_ARGUMENT, " is NULL");
  };
  refused(bsq_tensor_empty(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &size, 1, nullptr));
  refused(bsq_tensor_zeros(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &size, 1, nullptr));
  refused(bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &size, 1, data.data(), 12, nullptr));
  refused(bsq_tensor_borrow(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &size, nullptr, 1, data.data(), 12,
                            nullptr));
  refused(bsq_tensor_to(x.get(), BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, nullptr));
  refused(bsq_tensor_permute(x.get(), &size, 1, nullptr));
  refused(bsq_tensor_narrow(x.get(), 0, 0, 1, nullptr));
  refused(bsq_tensor_encode(&options, x.get(), nullptr));
  refused(bsq_tensor_decode(&options, indices.get(), BSQ_FLOAT32, nullptr));
  refused(bsq_tensor_bits_to_codes(x.get(), nullptr));
  refused(bsq_tensor_codes_to_indices(&options, x.get(), nullptr));
  refused(bsq_tensor_forward(&options, x.get(), nullptr, nullptr));
  refused(bsq_quantization_quantized(quantization.get(), nullptr));
  refused(bsq_quantization_indices(quantization.get(), nullptr));
  refused(bsq_quantization_loss_sums(quantization.get(), nullptr));
  refused(bsq_quantization_backward(quantization.get(), nullptr, nullptr, 1.0, nullptr));
  const Tensor level_indices = tensor_of<int64_t>({1, 2}, {2});
  const ResidualQuantization levels =
      make<bsq_residual_quantization>(bsq_tensor_residual_forward, &options, 2, x.get(), kNoTensor);
  refused(bsq_tensor_residual_encode(&options, 2, x.get(), nullptr));
  refused(bsq_tensor_residual_decode(&options, 2, 2, level_indices.get(), BSQ_FLOAT32, nullptr));
  refused(bsq_tensor_residual_codes_to_indices(&options, 2, x.get(), nullptr));
  refused(bsq_tensor_residual(&options, 1, x.get(), nullptr));
  refused(bsq_tensor_residual_forward(&options, 2, x.get(), nullptr, nullptr));
  refused(bsq_residual_quantization_quantized(levels.get(), nullptr));
  refused(bsq_residual_quantization_indices(levels.get(), nullptr));
  refused(bsq_residual_quantization_level(levels.get(), 0, nullptr));
  refused(bsq_residual_quantization_backward(levels.get(), nullptr, kWeights.data(), 16, nullptr));
}

TEST(objects_are_null) {
  const bsq_options options = options_for(3);
  const int64_t zero = 0;
  const auto refused = [](const Outcome& outcome, const std::string& name) {
    CHECK_FAILS(outcome, BSQ_INVALID_ARGUMENT, name + " is NULL");
  };
  bsq_tensor_info info{};
  info.struct_size = sizeof(info);
  bsq_losses result = empty_losses();
  const void* data = nullptr;
  refused(Outcome(bsq_tensor_describe(nullptr, &info)), "tensor");
  refused(Outcome(bsq_tensor_data(nullptr, &data)), "tensor");
  refused(Outcome(bsq_tensor_read(nullptr, BSQ_FLOAT32, nullptr, 0)), "tensor");
  refused(Outcome(bsq_tensor_check(nullptr)), "tensor");
  refused(Outcome(bsq_quantization_losses(nullptr, &result)), "quantization");
  CHECK_EQ(result.aux_loss, -12345);
  refused(try_make(bsq_tensor_to, kNoTensor, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0), "tensor");
  refused(try_make(bsq_tensor_permute, kNoTensor, &zero, 1), "tensor");
  refused(try_make(bsq_tensor_narrow, kNoTensor, 0, 0, 0), "tensor");
  refused(try_make(bsq_tensor_encode, &options, kNoTensor), "x");
  refused(try_make(bsq_tensor_decode, &options, kNoTensor, BSQ_FLOAT32), "indices");
  refused(try_make(bsq_tensor_bits_to_codes, kNoTensor), "bits");
  refused(try_make(bsq_tensor_codes_to_indices, &options, kNoTensor), "codes");
  refused(try_make<bsq_quantization>(bsq_tensor_forward, &options, kNoTensor, kNoTensor), "x");
  refused(try_make(bsq_quantization_quantized, kNoQuantization), "quantization");
  refused(try_make(bsq_quantization_indices, kNoQuantization), "quantization");
  refused(try_make(bsq_quantization_loss_sums, kNoQuantization), "quantization");
  refused(try_make(bsq_quantization_backward, kNoQuantization, kNoTensor, kNoTensor, 1.0),
          "quantization");
  refused(try_make(bsq_tensor_residual_encode, &options, 2, kNoTensor), "x");
  refused(try_make(bsq_tensor_residual_decode, &options, 2, 2, kNoTensor, BSQ_FLOAT32), "indices");
  refused(try_make(bsq_tensor_residual_codes_to_indices, &options, 2, kNoTensor), "quantized");
  refused(try_make(bsq_tensor_residual, &options, 1, kNoTensor), "x");
  refused(try_make<bsq_residual_quantization>(bsq_tensor_residual_forward, &options, 2, kNoTensor,
                                              kNoTensor),
          "x");
  refused(try_make(bsq_residual_quantization_quantized, kNoResidualQuantization), "quantization");
  refused(try_make(bsq_residual_quantization_indices, kNoResidualQuantization), "quantization");
  refused(try_make<bsq_quantization>(bsq_residual_quantization_level, kNoResidualQuantization, 0),
          "quantization");
  refused(try_make(bsq_residual_quantization_backward, kNoResidualQuantization, kNoTensor,
                   kWeights.data(), 16),
          "quantization");
  bsq_tensor_free(nullptr);
  bsq_quantization_free(nullptr);
  bsq_residual_quantization_free(nullptr);
}

TEST(other_pointers_are_null) {
  const bsq_options options = options_for(3);
  const bsq_options* const no_options = nullptr;
  const int64_t* const no_numbers = nullptr;
  const Tensor x = tensor_of<float>({1, 2, 3}, {3});
  const Tensor indices = tensor_of<int64_t>({1}, {1});
  const Quantization quantization =
      make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor);
  const auto refused = [](const Outcome& outcome, const std::string& message) {
    CHECK_FAILS(outcome, BSQ_INVALID_ARGUMENT, message);
  };
  refused(try_make(bsq_tensor_encode, no_options, x.get()), "bsq_options is NULL");
  refused(try_make(bsq_tensor_decode, no_options, indices.get(), BSQ_FLOAT32),
          "bsq_options is NULL");
  refused(try_make(bsq_tensor_codes_to_indices, no_options, x.get()), "bsq_options is NULL");
  refused(try_make<bsq_quantization>(bsq_tensor_forward, no_options, x.get(), kNoTensor),
          "bsq_options is NULL");
  refused(Outcome(bsq_tensor_describe(x.get(), nullptr)), "bsq_tensor_info is NULL");
  refused(Outcome(bsq_tensor_data(x.get(), nullptr)), "data is NULL");
  refused(Outcome(bsq_tensor_read(x.get(), BSQ_FLOAT32, nullptr, 12)),
          "data is NULL, expected 12 bytes");
  refused(Outcome(bsq_quantization_losses(quantization.get(), nullptr)), "losses is NULL");
  refused(try_make(bsq_tensor_permute, x.get(), no_numbers, 1), "dimensions is NULL");
  for_each_maker(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, nullptr, 1,
                 [&](const Outcome& outcome) { refused(outcome, "shape is NULL"); });
  const int64_t size = 3;
  refused(try_make(bsq_tensor_copy, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &size, 1, nullptr, 12),
          "data is NULL, expected 12 bytes");
  refused(
      try_make(bsq_tensor_borrow, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &size, nullptr, 1, nullptr, 12),
      "data is NULL, expected 12 bytes");
}

TEST(struct_sizes) {
  const bsq_options options = options_for(3);
  const Tensor x = tensor_of<float>({1, 2, 3}, {3});
  const Quantization quantization =
      make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor);
  for (const uint64_t bad : {uint64_t{0}, uint64_t{63}, uint64_t{4097}}) {
    bsq_losses result = empty_losses();
    result.struct_size = bad;
    CHECK_FAILS(bsq_quantization_losses(quantization.get(), &result), BSQ_INVALID_ARGUMENT,
                "bsq_losses.struct_size is " + std::to_string(bad) +
                    ", expected at least 64 (sizeof(bsq_losses)) and at most 4096");
    bsq_tensor_info info{};
    info.struct_size = bad;
    CHECK_FAILS(bsq_tensor_describe(x.get(), &info), BSQ_INVALID_ARGUMENT,
                "bsq_tensor_info.struct_size is " + std::to_string(bad) +
                    ", expected at least 1048 (sizeof(bsq_tensor_info)) and at most 4096");
    CHECK_EQ(info.rank, 0);
  }
}

TEST(dtypes) {
  const bsq_options options = options_for(3);
  const int64_t size = 1;
  const Tensor indices = tensor_of<int64_t>({1}, {1});
  for (const int32_t bad : {0, 8, -1, std::numeric_limits<int32_t>::max()}) {
    const auto refused = [&](const Outcome& outcome) {
      CHECK_FAILS(
          outcome, BSQ_INVALID_ARGUMENT,
          "dtype is " + std::to_string(bad) + ", expected BSQ_FLOAT32 (1) to BSQ_UINT8 (7)");
    };
    for_each_maker(bad, BSQ_DEVICE_CPU, 0, &size, 1, refused);
    refused(try_make(bsq_tensor_to, indices.get(), bad, BSQ_DEVICE_CPU, 0));
    refused(try_make(bsq_tensor_decode, &options, indices.get(), bad));
    int64_t value = 7;
    refused(Outcome(bsq_tensor_read(indices.get(), bad, &value, 8)));
    CHECK_EQ(value, 7);
  }
}

TEST(devices) {
  const int64_t size = 1;
  const Tensor x = tensor_of<float>({1}, {1});
  const auto refused = [&](int32_t type, int32_t index, int32_t code, const std::string& message) {
    const auto check = [&](const Outcome& outcome) { CHECK_FAILS(outcome, code, message); };
    check(Outcome(bsq_device_check(type, index)));
    for_each_maker(BSQ_FLOAT32, type, index, &size, 1, check);
    check(try_make(bsq_tensor_to, x.get(), BSQ_FLOAT32, type, index));
  };
  for (const int32_t bad : {0, 3, -1, std::numeric_limits<int32_t>::min()}) {
    CHECK_EQ(bsq_device_count(bad), 0);
    CHECK_EQ(std::string(bsq_device_implementation(bad)), "none");
    refused(bad, 0, BSQ_INVALID_ARGUMENT,
            "device_type is " + std::to_string(bad) +
                ", expected BSQ_DEVICE_CPU (1) or BSQ_DEVICE_CUDA (2)");
  }
  for (const int32_t bad : {-1, 1, std::numeric_limits<int32_t>::max()}) {
    refused(BSQ_DEVICE_CPU, bad, BSQ_INVALID_ARGUMENT,
            "device_index is " + std::to_string(bad) + ", expected 0 for the CPU");
  }
  refused(BSQ_DEVICE_CUDA, -1, BSQ_INVALID_ARGUMENT, "device_index is -1, expected at least 0");
  const int32_t count = bsq_device_count(BSQ_DEVICE_CUDA);
  const std::string beyond = "cuda:" + std::to_string(count) + " is not available: ";
  CHECK_REFUSED(bsq_device_check(BSQ_DEVICE_CUDA, count), BSQ_UNSUPPORTED, beyond);
  const Outcome reason(bsq_device_check(BSQ_DEVICE_CUDA, count));
  CHECK(reason.message.size() > beyond.size() + 20);
  refused(BSQ_DEVICE_CUDA, count, BSQ_UNSUPPORTED, reason.message);
}

TEST(ranks_and_sizes) {
  const Shape ones(100, 1);
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{65}, kMax, -kMax}) {
    for_each_maker(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, ones.data(), bad, [&](const Outcome& outcome) {
      CHECK_FAILS(outcome, BSQ_INVALID_ARGUMENT,
                  "rank is " + std::to_string(bad) + ", expected 1 to 64");
    });
  }
  const Shape negative{2, -1, 3};
  for_each_maker(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, negative.data(), 3, [](const Outcome& outcome) {
    CHECK_FAILS(outcome, BSQ_INVALID_ARGUMENT, "shape is [2, -1, 3], expected sizes of at least 0");
  });
  CHECK_FAILS(make_empty({0, -kMax - 1}), BSQ_INVALID_ARGUMENT,
              "shape is [0, -9223372036854775808], expected sizes of at least 0");
  const Shape large{int64_t{1} << 31U, int64_t{1} << 30U};
  for_each_maker(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, large.data(), 2, [](const Outcome& outcome) {
    CHECK_FAILS(
        outcome, BSQ_INVALID_ARGUMENT,
        "a tensor of shape [2147483648, 1073741824] and type float32 takes more than 2^63 - 1 "
        "bytes");
  });
  // The bytes decide, and no 0 hides what is too large: strides are products too.
  CHECK_REFUSED(make_empty({int64_t{1} << 61U}, BSQ_FLOAT16), BSQ_OUT_OF_MEMORY,
                "could not allocate 4611686018427387904 bytes on cpu for a tensor of shape "
                "[2305843009213693952] and type float16: ");
  CHECK_FAILS(
      make_empty({int64_t{1} << 62U}, BSQ_FLOAT16), BSQ_INVALID_ARGUMENT,
      "a tensor of shape [4611686018427387904] and type float16 takes more than 2^63 - 1 bytes");
  CHECK_FAILS(make_empty({0, kMax, 2}, BSQ_UINT8), BSQ_INVALID_ARGUMENT,
              "a tensor of shape [0, 9223372036854775807, 2] and type uint8 takes more than "
              "2^63 - 1 bytes");
}

TEST(memory_of_copies_and_borrowed_tensors) {
  const Shape shape{2, 3};
  const std::array<float, 7> data{};
  const auto both = [&](const void* memory, int64_t size, const std::string& message) {
    CHECK_FAILS(
        try_make(bsq_tensor_copy, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape.data(), 2, memory, size),
        BSQ_INVALID_ARGUMENT, message);
    CHECK_FAILS(try_make(bsq_tensor_borrow, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape.data(), nullptr,
                         2, memory, size),
                BSQ_INVALID_ARGUMENT, message);
  };
  both(data.data(), 23, "data has 23 bytes, expected at least 24 for shape [2, 3] of float32");
  both(data.data(), -1, "data has -1 bytes, expected at least 24 for shape [2, 3] of float32");
  both(nullptr, 0, "data has 0 bytes, expected at least 24 for shape [2, 3] of float32");
  both(nullptr, 24, "data is NULL, expected 24 bytes");
  const auto* const odd = reinterpret_cast<const unsigned char*>(data.data()) + 2;
  CHECK_FAILS(borrow_with(shape, {3, 1}, odd, 24), BSQ_INVALID_ARGUMENT,
              "data is at an address not aligned to 4 bytes, the size of a float32");
  CHECK_FAILS(borrow_with({1}, {1}, odd, 24, BSQ_INT64), BSQ_INVALID_ARGUMENT,
              "data is at an address not aligned to 8 bytes, the size of a int64");
  CHECK_OK(borrow_with({1}, {1}, odd, 24, BSQ_BFLOAT16));
}

TEST(strides_of_borrowed_tensors) {
  const std::array<float, 7> data{};
  CHECK_FAILS(borrow_with({2, 3}, {3, -1}, data.data(), 28), BSQ_INVALID_ARGUMENT,
              "strides is [3, -1], expected strides of at least 0");
  CHECK_FAILS(borrow_with({1, 0}, {-1, 1}, data.data(), 28), BSQ_INVALID_ARGUMENT,
              "strides is [-1, 1], expected strides of at least 0");
  CHECK_FAILS(borrow_with({2, 3}, {5, 1}, data.data(), 28), BSQ_INVALID_ARGUMENT,
              "data has 28 bytes, expected at least 32 for shape [2, 3] of float32");
  for (const Shape& strides :
       {Shape{kMax, 1}, Shape{1, kMax}, Shape{kMax - 1, 1}, Shape{int64_t{1} << 61U, 0}}) {
    CHECK_FAILS(borrow_with({2, 3}, strides, data.data(), kMax), BSQ_INVALID_ARGUMENT,
                "strides [" + std::to_string(strides[0]) + ", " + std::to_string(strides[1]) +
                    "] of shape [2, 3] reach past 2^63 - 1 bytes");
  }
  // A view that begins behind the only element.
  CHECK_FAILS(borrow_with({1, 1, 3}, {int64_t{1} << 62U, int64_t{1} << 62U, 1}, data.data(), 28),
              BSQ_INVALID_ARGUMENT,
              "strides [4611686018427387904, 4611686018427387904, 1] of shape [1, 1, 3] reach past "
              "2^63 - 1 bytes");
}

TEST(reading) {
  const Tensor x = tensor_of<float>({1, 2, 3, 4}, {2, 2});
  std::array<float, 4> data{7, 7, 7, 7};
  CHECK_FAILS(bsq_tensor_read(x.get(), BSQ_FLOAT32, data.data(), 15), BSQ_INVALID_ARGUMENT,
              "data has 15 bytes, expected at least 16 for shape [2, 2] of float32");
  CHECK_FAILS(bsq_tensor_read(x.get(), BSQ_FLOAT64, data.data(), 16), BSQ_INVALID_ARGUMENT,
              "data has 16 bytes, expected at least 32 for shape [2, 2] of float64");
  CHECK_FAILS(bsq_tensor_read(x.get(), BSQ_UINT8, data.data(), -4), BSQ_INVALID_ARGUMENT,
              "data has -4 bytes, expected at least 4 for shape [2, 2] of uint8");
  CHECK_EQ(data[0], 7.0F);
}

TEST(permutations) {
  const Tensor x = tensor_of<float>(std::vector<float>(6), {1, 2, 3});
  const auto refused = [&](const Shape& dimensions, const std::string& message) {
    CHECK_FAILS(try_make(bsq_tensor_permute, x.get(), dimensions.data(),
                         static_cast<int64_t>(dimensions.size())),
                BSQ_INVALID_ARGUMENT, message);
  };
  refused({0, 1}, "rank is 2, expected 3 dimensions for shape [1, 2, 3]");
  refused({0, 1, 2, 3}, "rank is 4, expected 3 dimensions for shape [1, 2, 3]");
  refused({}, "rank is 0, expected 3 dimensions for shape [1, 2, 3]");
  refused({0, 1, 3}, "dimensions is [0, 1, 3], expected each of 0 to 2 once");
  refused({0, 1, -1}, "dimensions is [0, 1, -1], expected each of 0 to 2 once");
  refused({2, 0, 2}, "dimensions is [2, 0, 2], expected each of 0 to 2 once");
  CHECK_FAILS(try_make(bsq_tensor_permute, x.get(), nullptr, int64_t{-1}), BSQ_INVALID_ARGUMENT,
              "rank is -1, expected 3 dimensions for shape [1, 2, 3]");
}

TEST(narrowing) {
  const Tensor x = tensor_of<float>(std::vector<float>(6), {2, 3});
  const auto refused = [&](int64_t dimension, int64_t start, int64_t length) {
    CHECK_FAILS(
        try_make(bsq_tensor_narrow, x.get(), dimension, start, length), BSQ_INVALID_ARGUMENT,
        "start is " + std::to_string(start) + " and length " + std::to_string(length) +
            ", expected a part of dimension " + std::to_string(dimension) + " of shape [2, 3]");
  };
  refused(0, -1, 1);
  refused(0, 0, 3);
  refused(1, 1, 3);
  refused(1, 4, 0);
  refused(1, 3, 1);
  refused(1, 0, -1);
  refused(1, kMax, kMax);
  refused(1, 1, kMax);
  for (const int64_t bad : {int64_t{-1}, int64_t{2}, kMax}) {
    CHECK_FAILS(try_make(bsq_tensor_narrow, x.get(), bad, 0, 0), BSQ_INVALID_ARGUMENT,
                "dimension is " + std::to_string(bad) + ", expected 0 to 1 for shape [2, 3]");
  }
}

TEST(arguments_of_the_quantizer) {
  const std::string floats = "expected float32, float64, float16 or bfloat16";
  const Tensor numbers = tensor_of<int64_t>(std::vector<int64_t>(6), {2, 3});
  const Tensor small = tensor_of<uint8_t>(std::vector<uint8_t>(6), {2, 3});
  const Tensor x = tensor_of<float>(std::vector<float>(6, 1.0F), {2, 3});
  const Tensor row = tensor_of<double>(std::vector<double>(2, 1.0), {2});
  const Tensor none = zeros(BSQ_FLOAT32, {3, 0});
  for (const int32_t implementation :
       {BSQ_IMPLEMENTATION_AUTOMATIC, BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    bsq_options options = options_for(3);
    options.implementation = implementation;
    const auto refused = [](const Outcome& outcome, const std::string& message) {
      CHECK_FAILS(outcome, BSQ_INVALID_ARGUMENT, message);
    };
    const auto encode_and_forward = [&](const Tensor& tensor, const std::string& message) {
      refused(try_make(bsq_tensor_encode, &options, tensor.get()), message);
      refused(try_make<bsq_quantization>(bsq_tensor_forward, &options, tensor.get(), kNoTensor),
              message);
    };
    encode_and_forward(numbers, "x is int64, " + floats);
    encode_and_forward(small, "x is uint8, " + floats);
    encode_and_forward(row, "x has shape [2], expected a last dimension of code_dim 3");
    encode_and_forward(none, "x has shape [3, 0], expected a last dimension of code_dim 3");
    refused(try_make(bsq_tensor_decode, &options, x.get(), BSQ_FLOAT32),
            "indices is float32, expected int64, int32 or uint8");
    for (const int32_t dtype : {BSQ_INT64, BSQ_INT32, BSQ_UINT8}) {
      refused(try_make(bsq_tensor_decode, &options, numbers.get(), dtype),
              std::string("dtype is ") +
                  (dtype == BSQ_INT64   ? "int64"
                   : dtype == BSQ_INT32 ? "int32"
                                        : "uint8") +
                  ", " + floats);
    }
    const std::string no_minus = "which has no -1, expected a float or signed integer type";
    refused(try_make(bsq_tensor_codes_to_indices, &options, small.get()),
            "codes is uint8, " + no_minus);
    refused(try_make(bsq_tensor_bits_to_codes, small.get()), "bits is uint8, " + no_minus);
    refused(try_make(bsq_tensor_codes_to_indices, &options, row.get()),
            "codes has shape [2], expected a last dimension of code_dim 3");

    const Quantization quantization =
        make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor);
    const auto backward_refused = [&](const Tensor& gradient, const std::string& message) {
      refused(
          try_make(bsq_quantization_backward, quantization.get(), kNoTensor, gradient.get(), 1.0),
          message);
    };
    backward_refused(row, "grad_quantized has shape [2], expected that of x, [2, 3]");
    backward_refused(permute(x, {1, 0}),
                     "grad_quantized has shape [3, 2], expected that of x, [2, 3]");
    backward_refused(zeros(BSQ_FLOAT32, {1, 2, 3}),
                     "grad_quantized has shape [1, 2, 3], expected that of x, [2, 3]");
    backward_refused(numbers, "grad_quantized is int64, " + floats);

    options.code_dim = 25;
    const Tensor wide = zeros(BSQ_FLOAT32, {1, 25});
    CHECK_REFUSED(try_make<bsq_quantization>(bsq_tensor_forward, &options, wide.get(), kNoTensor),
                  BSQ_UNSUPPORTED, "code_dim is 25: the codebook entropy needs memory");
    options.code_dim = 64;
    refused(
        try_make(bsq_tensor_encode, &options, x.get()),
        "code_dim is 64, but an index has at most 63 bits: set group_size, for an index of each "
        "group, or pack the bits");
  }
}

template <class Body>
void for_kernels_and_operators(const Body& body) {
  for (const int32_t implementation : {BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    bsq_options options = options_for(6);
    options.implementation = implementation;
    body(options);
  }
}

TEST(arguments_of_levels) {
  const bsq_options options = options_for(3);
  const bsq_options* const no_options = nullptr;
  const Tensor x = tensor_of<float>({1, 2, 3}, {1, 3});
  const Tensor wide = tensor_of<float>({1, 2, 3, 4}, {1, 4});
  const Tensor numbers = tensor_of<int64_t>({1, 2, 3}, {1, 3});
  const Tensor indices = tensor_of<int64_t>({1, 2}, {1, 2});
  const auto refused = [](const Outcome& outcome, const std::string& message) {
    CHECK_REFUSED(outcome, BSQ_INVALID_ARGUMENT, message);
  };
  const auto forward = [](const bsq_options* o, int64_t levels, const Tensor& rows,
                          const bsq_tensor* mask) {
    return try_make<bsq_residual_quantization>(bsq_tensor_residual_forward, o, levels, rows.get(),
                                               mask);
  };
  for (const int64_t levels : {-1, 0, 17}) {
    const std::string message = "levels is " + std::to_string(levels) + ", expected 1 to 16";
    refused(try_make(bsq_tensor_residual_encode, &options, levels, x.get()), message);
    refused(try_make(bsq_tensor_residual_decode, &options, levels, 1, indices.get(), BSQ_FLOAT32),
            message);
    refused(try_make(bsq_tensor_residual_codes_to_indices, &options, levels, x.get()), message);
    refused(forward(&options, levels, x, nullptr), message);
  }
  refused(try_make(bsq_tensor_residual, &options, -1, x.get()), "level is -1, expected 0 to 16");
  const std::string none = "bsq_options is NULL";
  refused(try_make(bsq_tensor_residual_encode, no_options, 2, x.get()), none);
  refused(try_make(bsq_tensor_residual_decode, no_options, 2, 2, indices.get(), BSQ_FLOAT32), none);
  refused(try_make(bsq_tensor_residual_codes_to_indices, no_options, 2, x.get()), none);
  refused(try_make(bsq_tensor_residual, no_options, 1, x.get()), none);
  refused(forward(no_options, 2, x, nullptr), none);
  const std::string last = " has shape [1, 4], expected";
  refused(try_make(bsq_tensor_residual_encode, &options, 2, wide.get()), "x" + last);
  refused(try_make(bsq_tensor_residual_codes_to_indices, &options, 2, wide.get()),
          "quantized" + last);
  refused(try_make(bsq_tensor_residual, &options, 1, wide.get()), "x" + last);
  refused(forward(&options, 2, wide, nullptr), "x" + last);
  refused(try_make(bsq_tensor_residual_encode, &options, 2, numbers.get()), "x is int64");
  refused(try_make(bsq_tensor_residual_codes_to_indices, &options, 2, numbers.get()),
          "quantized is int64");
  refused(try_make(bsq_tensor_residual, &options, 1, numbers.get()), "x is int64");
  refused(forward(&options, 2, numbers, nullptr), "x is int64");
  refused(try_make(bsq_tensor_residual_decode, &options, 3, 3, x.get(), BSQ_FLOAT32),
          "indices is float32");
  refused(forward(&options, 2, x, numbers.get()), "mask is int64");

  const ResidualQuantization levels =
      make<bsq_residual_quantization>(bsq_tensor_residual_forward, &options, 2, x.get(), kNoTensor);
  refused(try_make<bsq_quantization>(bsq_residual_quantization_level, levels.get(), -1),
          "level is -1, expected 0 to 1");
  refused(
      try_make(bsq_residual_quantization_backward, levels.get(), wide.get(), kWeights.data(), 16),
      "grad_quantized has shape [1, 4]");
  refused(try_make(bsq_residual_quantization_backward, levels.get(), numbers.get(), kWeights.data(),
                   16),
          "grad_quantized is int64");
  refused(try_make(bsq_residual_quantization_backward, levels.get(), kNoTensor, kWeights.data(), 8),
          "grad_aux_losses has 8 bytes, expected at least 16");
  refused(try_make(bsq_residual_quantization_backward, levels.get(), kNoTensor,
                   static_cast<const double*>(nullptr), 16),
          "grad_aux_losses is NULL, expected 16 bytes");
}

TEST(rows_of_codebooks_and_channels) {
  for_kernels_and_operators([](bsq_options options) {
    const auto refused = [&](const Shape& shape, const std::string& expected) {
      const Tensor x = zeros(BSQ_FLOAT32, shape);
      CHECK_FAILS(try_make(bsq_tensor_encode, &options, x.get()), BSQ_INVALID_ARGUMENT,
                  "x has " + expected);
      CHECK_FAILS(try_make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor),
                  BSQ_INVALID_ARGUMENT, "x has " + expected);
      CHECK_FAILS(try_make(bsq_tensor_codes_to_indices, &options, x.get()), BSQ_INVALID_ARGUMENT,
                  "codes has " + expected);
    };
    options.codebooks = 2;
    refused({2, 6}, "shape [2, 6], expected a last dimension of codebooks * code_dim 12");
    options.channel_first = 1;
    refused({2, 6, 12},
            "shape [2, 6, 12], expected dimension 1 of codebooks * code_dim 12, for channel_first");
    options.codebooks = 1;
    refused({6}, "shape [6], expected dimension 1 of code_dim 6, for channel_first");
    // Indices of two dimensions in place of one.
    options.channel_first = 0;
    options.codebooks = 2;
    options.group_size = 2;
    Shape highest(BSQ_MAX_RANK, 1);
    highest.back() = 12;
    refused(highest,
            "rank 64, expected at most 63, since its indices have one dimension more, for "
            "codebooks 2 and group_size 2");
  });
}

TEST(indices_of_codebooks_and_groups) {
  for_kernels_and_operators([](bsq_options options) {
    const auto refused = [&](const Shape& shape, const std::string& message) {
      const Tensor indices = zeros(BSQ_INT64, shape);
      CHECK_FAILS(try_make(bsq_tensor_decode, &options, indices.get(), BSQ_FLOAT32),
                  BSQ_INVALID_ARGUMENT, message);
    };
    options.codebooks = 2;
    options.group_size = 2;
    refused({5},
            "indices has shape [5], expected to end with [2, 3], for codebooks 2 and group_size 2");
    refused({5, 3, 2},
            "indices has shape [5, 3, 2], expected to end with [2, 3], for codebooks 2 and "
            "group_size 2");
    options.channel_first = 1;
    refused({2, 3},
            "indices has shape [2, 3], expected a dimension of items before [2, 3], for "
            "channel_first");
    options.codebooks = 1;
    refused({5, 2},
            "indices has shape [5, 2], expected to end with [3], for codebooks 1 and group_size 2");
  });
}

TEST(masks) {
  for_kernels_and_operators([](bsq_options options) {
    const auto refused = [&](const Shape& x, int32_t dtype, const Shape& shape,
                             const std::string& message) {
      const Tensor rows = zeros(BSQ_FLOAT32, x);
      const Tensor mask = zeros(dtype, shape);
      CHECK_FAILS(try_make<bsq_quantization>(bsq_tensor_forward, &options, rows.get(), mask.get()),
                  BSQ_INVALID_ARGUMENT, message);
    };
    refused({2, 3, 6}, BSQ_FLOAT32, {2, 3}, "mask is float32, expected uint8");
    refused({2, 3, 6}, BSQ_INT64, {2, 3}, "mask is int64, expected uint8");
    refused({2, 3, 6}, BSQ_UINT8, {6},
            "mask has shape [6], expected the leading dimensions of x, [2, 3]");
    refused({2, 3, 6}, BSQ_UINT8, {2, 3, 1},
            "mask has shape [2, 3, 1], expected the leading dimensions of x, [2, 3]");
    refused({6}, BSQ_UINT8, {6}, "mask has shape [6], expected the leading dimensions of x, [1]");
    options.channel_first = 1;
    refused({2, 6, 3}, BSQ_UINT8, {2, 6},
            "mask has shape [2, 6], expected the leading dimensions of x, [2, 3]");
  });
}

TEST(loss_sums) {
  for_kernels_and_operators([](const bsq_options& options) {
    const Tensor x = tensor_of(Random(1).normals<float>(18), {3, 6});
    const Tensor mask = tensor_of<uint8_t>({1, 0, 1}, {3});
    const Quantization quantization =
        make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), mask.get());
    const auto backward = [&](const Tensor& sums, double grad_aux_loss) {
      return make(bsq_quantization_backward, quantization.get(), sums.get(), kNoTensor,
                  grad_aux_loss);
    };
    const auto refused = [&](const Tensor& sums, const std::string& message) {
      // Also where no loss is asked for.
      CHECK_FAILS(outcome_of([&] { backward(sums, 0.0); }), BSQ_INVALID_ARGUMENT, message);
    };
    refused(zeros(BSQ_FLOAT32, {68}), "sums is float32, expected float64");
    refused(zeros(BSQ_FLOAT64, {67}), "sums has shape [67], expected [68]");
    refused(zeros(BSQ_FLOAT64, {4, 17}), "sums has shape [4, 17], expected [68]");
    // Numbers: kernels refuse them at once, with operators the gradient is refused.
    const auto numbers_refused = [&](const std::vector<double>& header,
                                     const std::string& message) {
      std::vector<double> sums(68, 1.0);
      std::copy(header.begin(), header.end(), sums.begin());
      const Tensor tensor = tensor_of(sums, {68});
      CHECK_FAILS(outcome_of([&] { must(bsq_tensor_check(backward(tensor, 1.0).get())); }),
                  BSQ_INVALID_ARGUMENT, message);
      CHECK_OK(bsq_tensor_check(backward(tensor, 0.0).get()));
    };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::string advice =
        ", expected a number of rows: add the sums of several batches, element by element, and "
        "nothing else";
    numbers_refused({nan, 2}, "sums[0] is nan" + advice);
    numbers_refused({2.5, 2}, "sums[0] is 2.5" + advice);
    numbers_refused({1e300, 2}, "sums[0] is 1e+300" + advice);
    numbers_refused({0x1p60, 2}, "sums[0] is 1.1529215e+18" + advice);
    numbers_refused({2, -1}, "sums[1] is -1" + advice);
    numbers_refused({3, 4},
                    "sums[1] is 4, expected 1 to 3: of the rows that count, sums[0], those of the "
                    "entropies");
    numbers_refused({2, 0},
                    "sums[1] is 0, expected 1 to 2: of the rows that count, sums[0], those of the "
                    "entropies");
    numbers_refused({1, 1},
                    "sums are of 1 rows that count and 1 of the entropies, but x has 2 and 2: "
                    "expected sums of all batches, that of x among them");
    numbers_refused({2, 2, -1, 0, -0.0, 1, -3, -4},
                    "sums[6] is -3, expected 0 or more: a sum of probabilities");
    numbers_refused({2, 2, 0, -1}, "sums[3] is -1, expected 0 or more: a sum of distances");
    CHECK_OK(bsq_tensor_check(
        backward(make(bsq_quantization_loss_sums, quantization.get()), 1.0).get()));
    // Sums that are not finite are those of a batch that was not.
    std::vector<double> sums(68, 1.0);
    sums[0] = sums[1] = 2;
    for (const size_t i : {2U, 3U, 4U, 67U}) {
      std::vector<double> lost = sums;
      lost[i] = nan;
      for (const float value : read<float>(backward(tensor_of(lost, {68}), 1.0))) {
        CHECK(std::isnan(value));
      }
    }
  });
}

// Sums are checked although no row of x is among them.
TEST(loss_sums_of_no_row) {
  for_kernels_and_operators([](const bsq_options& options) {
    const Tensor x = tensor_of(Random(1).normals<float>(18), {3, 6});
    const Tensor mask = zeros(BSQ_UINT8, {3});
    const Quantization quantization =
        make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), mask.get());
    const auto grad_x = [&](double rows, double entropy_rows) {
      std::vector<double> sums(68, 1.0);
      sums[0] = rows;
      sums[1] = entropy_rows;
      const Tensor result = make(bsq_quantization_backward, quantization.get(),
                                 tensor_of(sums, {68}).get(), kNoTensor, 1.0);
      must(bsq_tensor_check(result.get()));
      return read<float>(result);
    };
    CHECK(grad_x(5, 4) == std::vector<float>(18, 0.0F));
    CHECK_FAILS(outcome_of([&] { grad_x(5, 0); }), BSQ_INVALID_ARGUMENT,
                "sums[1] is 0, expected 1 to 5: of the rows that count, sums[0], those of the "
                "entropies");
    CHECK_FAILS(outcome_of([&] { grad_x(0, 1); }), BSQ_INVALID_ARGUMENT,
                "sums[1] is 1, expected 0: of the rows that count, sums[0], those of the "
                "entropies");
  });
}

// Sizes of results that no int64 counts, of tensors that are small because elements share memory.
TEST(results_of_more_bytes_than_an_int64_counts) {
  const uint8_t one = 1;
  std::array<double, 2> data{7, 7};
  const Tensor many = borrow(BSQ_UINT8, {int64_t{1} << 61U}, {0}, &one, 1);
  const std::string too_much =
      "a tensor of shape [2305843009213693952] and type float64 takes more than 2^63 - 1 bytes";
  CHECK_FAILS(bsq_tensor_read(many.get(), BSQ_FLOAT64, data.data(), 16), BSQ_INVALID_ARGUMENT,
              too_much);
  CHECK_EQ(data[0], 7);
  CHECK_FAILS(try_make(bsq_tensor_to, many.get(), BSQ_FLOAT64, BSQ_DEVICE_CPU, 0),
              BSQ_INVALID_ARGUMENT, too_much);
  const auto refused = [](const Outcome& outcome) {  // whichever of the steps is the first to fail
    CHECK(outcome.code == BSQ_INVALID_ARGUMENT || outcome.code == BSQ_OUT_OF_MEMORY);
    CHECK_CONTAINS(outcome.message, " bytes");
  };
  const uint16_t half = 0x3C00;
  const Tensor rows = borrow(BSQ_FLOAT16, {int64_t{1} << 60U, 1}, {0, 0}, &half, 2);
  for (const int32_t implementation : {BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    bsq_options options = options_for(1);
    options.implementation = implementation;
    refused(try_make(bsq_tensor_encode, &options, rows.get()));
    refused(try_make(bsq_tensor_codes_to_indices, &options, rows.get()));
    refused(try_make<bsq_quantization>(bsq_tensor_forward, &options, rows.get(), kNoTensor));
    options.code_dim = 63;
    refused(try_make(bsq_tensor_decode, &options, many.get(), BSQ_FLOAT32));
  }
  CHECK_EQ(bsq_debug_live_handles(), 2);
}

// Quantized rows have one dimension more than their indices.
TEST(indices_of_the_largest_rank) {
  for (const int32_t implementation : {BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    bsq_options options = options_for(3);
    options.implementation = implementation;
    const Tensor indices = zeros(BSQ_INT64, Shape(BSQ_MAX_RANK, 1));
    CHECK_FAILS(try_make(bsq_tensor_decode, &options, indices.get(), BSQ_FLOAT32),
                BSQ_INVALID_ARGUMENT, "indices has rank 64, expected at most 63");
    const Tensor fine = zeros(BSQ_INT64, Shape(BSQ_MAX_RANK - 1, 1));
    CHECK_EQ(describe(make(bsq_tensor_decode, &options, fine.get(), BSQ_FLOAT32)).rank, 64);
  }
}

}  // namespace bsq::test
