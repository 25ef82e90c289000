// Tensors: making, describing, reading, borrowing, views and conversions.
#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

struct Type {
  int32_t dtype;
  int64_t size;
};

constexpr std::array<Type, 7> kTypes{{{BSQ_FLOAT32, 4},
                                      {BSQ_FLOAT64, 8},
                                      {BSQ_FLOAT16, 2},
                                      {BSQ_BFLOAT16, 2},
                                      {BSQ_INT64, 8},
                                      {BSQ_INT32, 4},
                                      {BSQ_UINT8, 1}}};

Tensor empty(int32_t dtype, const Shape& shape) {
  return make(bsq_tensor_empty, dtype, BSQ_DEVICE_CPU, 0, shape.data(),
              static_cast<int64_t>(shape.size()));
}

Tensor copy(int32_t dtype, const Shape& shape, const void* data, int64_t data_bytes) {
  return make(bsq_tensor_copy, dtype, BSQ_DEVICE_CPU, 0, shape.data(),
              static_cast<int64_t>(shape.size()), data, data_bytes);
}

std::vector<uint8_t> raw(const Tensor& tensor, int32_t dtype, int64_t size) {
  std::vector<uint8_t> values(static_cast<size_t>(size), 0xAA);
  must(bsq_tensor_read(tensor.get(), dtype, values.data(), size));
  return values;
}

template <class T>
std::vector<T> counting(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), T{0});
  return values;
}

int64_t live() { return bsq_debug_live_handles(); }

}  // namespace

TEST(zeros_of_every_type) {
  for (const Type& type : kTypes) {
    const Tensor tensor = zeros(type.dtype, {2, 3});
    CHECK_EQ(describe(tensor).dtype, type.dtype);
    CHECK(raw(tensor, type.dtype, 6 * type.size) ==
          std::vector<uint8_t>(static_cast<size_t>(6 * type.size), 0));
    CHECK_EQ(live(), 1);
  }
}

TEST(copies_keep_every_bit) {
  Random random(1);
  for (const Type& type : kTypes) {
    // One byte past an aligned address, and so is what is read into.
    std::vector<uint8_t> bytes_in(static_cast<size_t>(1 + 24 * type.size));
    for (uint8_t& byte : bytes_in) {
      byte = static_cast<uint8_t>(random.bits());
    }
    const std::vector<uint8_t> before = bytes_in;
    const Tensor tensor = copy(type.dtype, {2, 3, 4}, &bytes_in[1], 24 * type.size);
    bytes_in.assign(bytes_in.size(), 0);
    std::vector<uint8_t> bytes_out(before.size() + 1, before[0]);
    must(bsq_tensor_read(tensor.get(), type.dtype, &bytes_out[1], 24 * type.size + 1));
    CHECK_EQ(bytes_out.back(), before[0]);  // what is longer than needed is left alone
    bytes_out.pop_back();
    CHECK(bytes_out == before);
    must(bsq_tensor_check(tensor.get()));
  }
}

TEST(descriptions) {
  const Tensor tensor = zeros(BSQ_BFLOAT16, {5, 1, 3, 2});
  bsq_tensor_info info{};
  std::memset(&info, 0xEE, sizeof(info));
  info.struct_size = sizeof(info);
  CHECK_OK(bsq_tensor_describe(tensor.get(), &info));
  CHECK_EQ(info.struct_size, sizeof(info));
  CHECK_EQ(info.dtype, BSQ_BFLOAT16);
  CHECK_EQ(info.device_type, BSQ_DEVICE_CPU);
  CHECK_EQ(info.device_index, 0);
  CHECK_EQ(info.rank, 4);
  CHECK(shape_of(tensor) == (Shape{5, 1, 3, 2}));
  CHECK(strides_of(tensor) == (Shape{6, 6, 2, 1}));
  for (int i = 4; i < BSQ_MAX_RANK; ++i) {
    CHECK(info.shape[i] == 0 && info.strides[i] == 0);
  }
}

TEST(descriptions_longer_than_known) {
  struct {
    bsq_tensor_info known;
    std::array<int64_t, 2> tail;
  } longer{{}, {1, 2}};
  const Tensor tensor = zeros(BSQ_FLOAT32, {3});
  longer.known.struct_size = sizeof(bsq_tensor_info) + 8;
  CHECK_OK(bsq_tensor_describe(tensor.get(), &longer.known));
  CHECK_EQ(longer.known.struct_size, sizeof(bsq_tensor_info) + 8);
  CHECK_EQ(longer.known.shape[0], 3);
  CHECK_EQ(longer.tail[0], 0);
  CHECK_EQ(longer.tail[1], 2);  // beyond struct_size
}

TEST(reading_converts) {
  const std::vector<float> values{1.5F, -2.0F, 0.0F, 255.0F};
  const Tensor tensor = tensor_of(values, {2, 2});
  CHECK(read<double>(tensor) == (std::vector<double>{1.5, -2, 0, 255}));
  CHECK(read<int64_t>(tensor) == (std::vector<int64_t>{1, -2, 0, 255}));
  CHECK(read<int32_t>(tensor) == (std::vector<int32_t>{1, -2, 0, 255}));
  std::array<uint16_t, 4> half{};
  CHECK_OK(bsq_tensor_read(tensor.get(), BSQ_FLOAT16, half.data(), sizeof(half)));
  CHECK(half == (std::array<uint16_t, 4>{0x3E00, 0xC000, 0, 0x5BF8}));
  CHECK_OK(bsq_tensor_read(tensor.get(), BSQ_BFLOAT16, half.data(), sizeof(half)));
  CHECK(half == (std::array<uint16_t, 4>{0x3FC0, 0xC000, 0, 0x437F}));
  CHECK(read<float>(copy(BSQ_BFLOAT16, {2, 2}, half.data(), sizeof(half))) == values);
  const int64_t large = (int64_t{1} << 53U) + 1;  // no float64
  CHECK(read<int64_t>(tensor_of<int64_t>({large, -large}, {2})) ==
        (std::vector<int64_t>{large, -large}));
  CHECK(read<float>(tensor_of<uint8_t>({0, 7, 255}, {3})) == (std::vector<float>{0, 7, 255}));
}

TEST(conversions_are_contiguous_copies_where_something_changes) {
  const Tensor tensor = tensor_of<float>({1.5F, -2, 3, 4, 5, 6}, {2, 3});
  const Tensor wide = convert(tensor, BSQ_FLOAT64);
  CHECK_EQ(describe(wide).dtype, BSQ_FLOAT64);
  CHECK(read<double>(wide) == (std::vector<double>{1.5, -2, 3, 4, 5, 6}));
  CHECK(read<int32_t>(convert(tensor, BSQ_INT32)) == (std::vector<int32_t>{1, -2, 3, 4, 5, 6}));
  for (const Type& type : kTypes) {
    CHECK_EQ(describe(convert(tensor, type.dtype)).dtype, type.dtype);
  }
  const Tensor columns = permute(tensor, {1, 0});
  for (const int32_t dtype : {BSQ_FLOAT32, BSQ_FLOAT64}) {
    const Tensor converted = convert(columns, dtype);
    CHECK(shape_of(converted) == (Shape{3, 2}));
    CHECK(strides_of(converted) == (Shape{2, 1}));
    CHECK(read<float>(converted) == (std::vector<float>{1.5F, 4, -2, 5, 3, 6}));
  }
}

TEST(conversions_share_memory_where_nothing_changes) {
  Tensor tensor = tensor_of<float>({1, 2, 3, 4}, {2, 2});
  const Tensor same = convert(tensor, BSQ_FLOAT32);
  CHECK(data_of(same) == data_of(tensor));
  tensor.reset();
  CHECK(read<float>(same) == (std::vector<float>{1, 2, 3, 4}));
}

TEST(borrowed_memory_is_not_copied) {
  std::vector<double> memory = counting<double>(6);
  const Tensor tensor = borrow(BSQ_FLOAT64, {2, 3}, {}, memory.data(), bytes(memory));
  const Tensor last = narrow(tensor, 1, 2, 1);
  const Tensor columns = permute(tensor, {1, 0});
  CHECK(data_of(tensor) == memory.data());
  CHECK(data_of(last) == &memory[2]);
  CHECK(data_of(columns) == memory.data());
  memory[5] = 50;
  CHECK(read<double>(tensor) == memory);
  CHECK(read<double>(last) == (std::vector<double>{2, 50}));
  CHECK(read<double>(columns) == (std::vector<double>{0, 3, 1, 4, 2, 50}));
}

TEST(conversions_of_borrowed_memory_are_copies) {
  std::vector<float> memory = counting<float>(6);
  const Tensor tensor = borrow(BSQ_FLOAT32, {2, 3}, {}, memory.data(), bytes(memory));
  std::vector<Tensor> copies;
  copies.push_back(convert(tensor, BSQ_FLOAT32));
  copies.push_back(convert(convert(tensor, BSQ_FLOAT32), BSQ_FLOAT32));
  copies.push_back(convert(narrow(tensor, 0, 0, 2), BSQ_FLOAT32));  // contiguous too
  copies.push_back(convert(permute(tensor, {0, 1}), BSQ_FLOAT32));
  copies.push_back(convert(tensor, BSQ_FLOAT64));
  memory.assign(memory.size(), -1);
  std::vector<float>().swap(memory);
  for (const Tensor& copied : copies) {
    CHECK(read<float>(copied) == counting<float>(6));
  }
}

TEST(borrowed_strides) {
  const std::vector<int32_t> memory = counting<int32_t>(24);
  const auto check = [&](const Shape& shape, const Shape& strides, int64_t needed,
                         const std::vector<int32_t>& expected) {
    const Tensor tensor = borrow(BSQ_INT32, shape, strides, memory.data(), needed * 4);
    CHECK(shape_of(tensor) == shape);
    CHECK(strides_of(tensor) == strides);
    CHECK(read<int32_t>(tensor) == expected);
    CHECK(read<int32_t>(convert(tensor, BSQ_INT32)) == expected);
    CHECK_FAILS(
        try_make(bsq_tensor_borrow, BSQ_INT32, BSQ_DEVICE_CPU, 0, shape.data(), strides.data(),
                 static_cast<int64_t>(shape.size()), memory.data(), needed * 4 - 1),
        BSQ_INVALID_ARGUMENT,
        "data has " + std::to_string(needed * 4 - 1) + " bytes, expected at least " +
            std::to_string(needed * 4) + " for shape [" + std::to_string(shape[0]) + ", " +
            std::to_string(shape[1]) + "] of int32");
  };
  check({2, 3}, {3, 1}, 6, {0, 1, 2, 3, 4, 5});
  check({3, 2}, {1, 3}, 6, {0, 3, 1, 4, 2, 5});
  check({2, 3}, {10, 2}, 15, {0, 2, 4, 10, 12, 14});
  check({2, 3}, {0, 1}, 3, {0, 1, 2, 0, 1, 2});
  check({2, 3}, {1, 0}, 2, {0, 0, 0, 1, 1, 1});
  check({2, 2}, {0, 0}, 1, {0, 0, 0, 0});
  check({3, 2}, {1, 1}, 4, {0, 1, 1, 2, 2, 3});  // overlapping
  check({1, 2}, {1000, 23}, 24, {0, 23});        // the stride of one element reaches nothing
}

TEST(views) {
  const std::vector<float> values = counting<float>(24);
  Tensor tensor = tensor_of(values, {2, 3, 4});
  const Tensor permuted = permute(tensor, {2, 0, 1});
  CHECK(shape_of(permuted) == (Shape{4, 2, 3}));
  CHECK(strides_of(permuted) == (Shape{1, 12, 4}));
  const std::vector<float> all = read<float>(permuted);
  size_t i = 0;
  for (size_t a = 0; a < 4; ++a) {
    for (size_t b = 0; b < 2; ++b) {
      for (size_t c = 0; c < 3; ++c) {
        CHECK_EQ(all[i++], values[12 * b + 4 * c + a]);
      }
    }
  }
  CHECK(read<float>(narrow(tensor, 0, 1, 1)) ==
        std::vector<float>(values.begin() + 12, values.end()));
  CHECK(read<float>(narrow(tensor, 1, 1, 1)) == (std::vector<float>{4, 5, 6, 7, 16, 17, 18, 19}));
  CHECK(read<float>(narrow(tensor, 2, 3, 1)) == (std::vector<float>{3, 7, 11, 15, 19, 23}));
  CHECK(read<float>(narrow(tensor, 2, 0, 4)) == values);
  CHECK(shape_of(narrow(tensor, 2, 4, 0)) == (Shape{2, 3, 0}));
  // Views of views, and longer than what they look at is held.
  const Tensor corner = narrow(narrow(permuted, 0, 2, 2), 2, 0, 2);
  CHECK(data_of(corner) == static_cast<const float*>(data_of(tensor)) + 2);
  tensor.reset();
  CHECK(read<float>(corner) == (std::vector<float>{2, 6, 14, 18, 3, 7, 15, 19}));
}

TEST(empty_tensors) {
  for (const Shape& shape : std::vector<Shape>{{0}, {0, 3}, {3, 0}, {2, 0, 3}, {0, 0, 0, 0}}) {
    for (const Type& type : kTypes) {
      std::vector<Tensor> all;
      all.push_back(empty(type.dtype, shape));
      all.push_back(zeros(type.dtype, shape));
      all.push_back(copy(type.dtype, shape, nullptr, 0));
      all.push_back(borrow(type.dtype, shape, {}, nullptr, 0));
      all.push_back(borrow(type.dtype, shape, Shape(shape.size(), int64_t{1} << 32U), nullptr, 0));
      all.push_back(narrow(all[1], 0, 0, 0));
      all.push_back(convert(all[1], type.dtype));
      all.push_back(convert(all[3], BSQ_FLOAT16));
      Shape order = counting<int64_t>(static_cast<int64_t>(shape.size()));
      all.push_back(permute(all[1], order));
      for (const Tensor& tensor : all) {
        CHECK_EQ(count_of(tensor), 0);
        CHECK_OK(bsq_tensor_read(tensor.get(), BSQ_FLOAT32, nullptr, 0));
        CHECK_OK(bsq_tensor_check(tensor.get()));
        CHECK_EQ(describe(tensor).rank, static_cast<int32_t>(shape.size()));
        static_cast<void>(data_of(tensor));
      }
    }
  }
}

TEST(the_largest_rank) {
  Shape shape(BSQ_MAX_RANK, 1);
  shape[3] = 2;
  shape[62] = 3;
  const std::vector<int64_t> values = counting<int64_t>(6);
  const Tensor tensor = tensor_of(values, shape);
  CHECK(shape_of(tensor) == shape);
  CHECK(read<int64_t>(tensor) == values);
  Shape order = counting<int64_t>(BSQ_MAX_RANK);
  std::swap(order[3], order[62]);
  const Tensor swapped = permute(tensor, order);
  std::swap(shape[3], shape[62]);
  CHECK(shape_of(swapped) == shape);
  CHECK(read<int64_t>(swapped) == (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  CHECK(read<double>(narrow(swapped, 3, 1, 2)) == (std::vector<double>{1, 4, 2, 5}));
  CHECK(read<int64_t>(convert(swapped, BSQ_INT32)) == (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  CHECK(read<int64_t>(borrow(BSQ_INT64, Shape(BSQ_MAX_RANK, 1), Shape(BSQ_MAX_RANK, 0),
                             values.data(), 8)) == (std::vector<int64_t>{0}));
}

// More elements than an int32 counts.
TEST(large_tensors) {
  constexpr int64_t kCount = (int64_t{1} << 31U) + 5;
  {
    const Tensor tensor = empty(BSQ_UINT8, {kCount});
    CHECK_EQ(shape_of(tensor)[0], kCount);
    const Tensor end = narrow(tensor, 0, kCount - 2, 2);
    CHECK(data_of(end) == static_cast<const uint8_t*>(data_of(tensor)) + kCount - 2);
    CHECK_EQ(read<uint8_t>(end).size(), 2U);
  }
  // Memory that exists where it is written.
  constexpr int64_t kBytes = 2 * kCount;
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  auto* const values = static_cast<uint8_t*>(memory);
  values[kCount - 1] = 3;
  values[2 * kCount - 2] = 4;
  values[2 * kCount - 1] = 5;
  {
    const Tensor tensor = borrow(BSQ_UINT8, {2, kCount}, {}, memory, kBytes);
    const Tensor end = narrow(tensor, 1, kCount - 2, 2);
    CHECK(read<uint8_t>(end) == (std::vector<uint8_t>{0, 3, 4, 5}));
    CHECK(read<float>(permute(end, {1, 0})) == (std::vector<float>{0, 4, 3, 5}));
    bsq_options options = options_for(2);  // codes: the strides alone pass 2^31
    const Tensor codes = borrow(BSQ_UINT8, {2}, {2 * kCount - 1}, memory, kBytes);
    CHECK(read<uint8_t>(codes) == (std::vector<uint8_t>{0, 5}));
    CHECK_FAILS(outcome_of([&] {
                  read<float>(make(bsq_tensor_decode, &options, codes.get(), BSQ_FLOAT32));
                }),
                BSQ_INVALID_ARGUMENT, "indices[1] is 5, expected 0 to 3 for code_dim 2");
  }
  CHECK_EQ(munmap(memory, kBytes), 0);
}

// Memory that cannot be had.
TEST(out_of_memory) {
  const int64_t count = int64_t{1} << 45U;
  const std::string text =
      "could not allocate 140737488355328 bytes on cpu for a tensor of shape [35184372088832] and "
      "type float32: ";
  CHECK_REFUSED(try_make(bsq_tensor_empty, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &count, 1),
                BSQ_OUT_OF_MEMORY, text);
  CHECK_REFUSED(try_make(bsq_tensor_zeros, BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &count, 1),
                BSQ_OUT_OF_MEMORY, text);
  const float one = 1;
  const Tensor many = borrow(BSQ_FLOAT32, {count, 1}, {0, 0}, &one, 4);
  const Tensor rows = borrow(BSQ_FLOAT16, {count, 2}, {0, 1}, &one, 4);
  CHECK_REFUSED(try_make(bsq_tensor_to, many.get(), BSQ_FLOAT32, BSQ_DEVICE_CPU, 0),
                BSQ_OUT_OF_MEMORY,
                "could not allocate 140737488355328 bytes on cpu for a tensor of shape "
                "[35184372088832, 1] and type float32: ");
  CHECK_REFUSED(try_make(bsq_tensor_to, many.get(), BSQ_UINT8, BSQ_DEVICE_CPU, 0),
                BSQ_OUT_OF_MEMORY,
                "could not allocate 35184372088832 bytes on cpu for a tensor of shape "
                "[35184372088832, 1] and type uint8: ");
  for (const int32_t implementation : {BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    bsq_options options = options_for(1);
    options.implementation = implementation;
    const auto is_refused = [](const Outcome& outcome) {
      CHECK_REFUSED(outcome, BSQ_OUT_OF_MEMORY, "could not allocate ");
      CHECK_REFUSED(outcome, BSQ_OUT_OF_MEMORY, " bytes on cpu ");
    };
    is_refused(try_make(bsq_tensor_encode, &options, many.get()));
    is_refused(try_make(bsq_tensor_codes_to_indices, &options, many.get()));
    is_refused(try_make<bsq_quantization>(bsq_tensor_forward, &options, many.get(), kNoTensor));
    options.code_dim = 2;
    is_refused(try_make(bsq_tensor_encode, &options, rows.get()));
  }
  CHECK_EQ(live(), 2);
  CHECK(read<float>(tensor_of<float>({1, 2}, {2})) == (std::vector<float>{1, 2}));
}

TEST(tensors_are_shared_by_threads) {
  const std::vector<float> values = Random(5).normals<float>(6000);
  const Tensor tensor = tensor_of(values, {20, 300});
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int64_t repeat = 0; repeat < 50; ++repeat) {
        const int64_t row = (i + repeat) % 20;
        CHECK(read<float>(permute(narrow(tensor, 0, row, 1), {1, 0})) ==
              std::vector<float>(values.begin() + row * 300, values.begin() + (row + 1) * 300));
        CHECK(read<float>(convert(tensor, BSQ_FLOAT64)) == values);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK_EQ(live(), 1);
}

}  // namespace bsq::test
