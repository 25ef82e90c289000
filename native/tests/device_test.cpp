// The CPU as a device: what it is, and the functions that only GPUs have a use for.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

bsq_memory_shortage no_shortage() {
  bsq_memory_shortage shortage{};
  shortage.struct_size = sizeof(shortage);
  return shortage;
}

}  // namespace

TEST(the_cpu_is_described) {
  bsq_device_info info{};
  info.struct_size = sizeof(info);
  info.compute_major = 7;
  CHECK_OK(bsq_device_describe(BSQ_DEVICE_CPU, 0, &info));
  CHECK(info.total_memory > int64_t{1} << 26U);
  CHECK(info.free_memory > 0 && info.free_memory <= info.total_memory);
  CHECK_EQ(info.compute_major, 0);
  CHECK_EQ(std::string(&info.name[0]).find('\n'), std::string::npos);
}

TEST(descriptions_are_refused) {
  std::array<bsq_device_info, 2> info{};
  CHECK_FAILS(bsq_device_describe(BSQ_DEVICE_CPU, 0, nullptr), BSQ_INVALID_ARGUMENT,
              "bsq_device_info is NULL");
  CHECK_FAILS(bsq_device_describe(BSQ_DEVICE_CPU, 0, info.data()), BSQ_INVALID_ARGUMENT,
              "bsq_device_info.struct_size is 0, expected at least 288 (sizeof(bsq_device_info)) "
              "and at most 4096");
  info[0].struct_size = sizeof(info);
  info[1].total_memory = 5;
  CHECK_OK(bsq_device_describe(BSQ_DEVICE_CPU, 0, info.data()));
  CHECK_EQ(info[1].total_memory, 0);  // what this version does not know
  CHECK_FAILS(bsq_device_describe(BSQ_DEVICE_CPU, 1, info.data()), BSQ_INVALID_ARGUMENT,
              "device_index is 1, expected 0 for the CPU");
  const int32_t count = bsq_device_count(BSQ_DEVICE_CUDA);
  CHECK_REFUSED(bsq_device_describe(BSQ_DEVICE_CUDA, count, info.data()), BSQ_UNSUPPORTED,
                "cuda:" + std::to_string(count) + " is not available: ");
}

TEST(shortages_of_memory) {
  constexpr int64_t kBytes = int64_t{1} << 60U;
  bsq_tensor* tensor = nullptr;
  bsq_status* const status = bsq_tensor_empty(BSQ_UINT8, BSQ_DEVICE_CPU, 0, &kBytes, 1, &tensor);
  CHECK(tensor == nullptr);
  CHECK_EQ(bsq_status_code(status), BSQ_OUT_OF_MEMORY);
  bsq_memory_shortage shortage = no_shortage();
  CHECK_EQ(bsq_status_shortage(status, &shortage), 1);
  CHECK_EQ(shortage.struct_size, sizeof(shortage));
  CHECK_EQ(shortage.device_type, BSQ_DEVICE_CPU);
  CHECK_EQ(shortage.device_index, 0);
  CHECK_EQ(shortage.requested_bytes, kBytes);
  CHECK(shortage.free_bytes > 0 && shortage.free_bytes <= shortage.total_bytes);
  CHECK_EQ(std::string(bsq_status_message(status)),
           "could not allocate 1152921504606846976 bytes on cpu for a tensor of shape "
           "[1152921504606846976] and type uint8: " +
               std::to_string(shortage.free_bytes) + " of its " +
               std::to_string(shortage.total_bytes) +
               " bytes are free; smaller batches need less, and freed tensors give theirs back");
  CHECK_EQ(bsq_status_shortage(status, nullptr), 0);
  shortage.struct_size = sizeof(shortage) - 1;
  CHECK_EQ(bsq_status_shortage(status, &shortage), 0);
  bsq_status_free(status);
}

TEST(other_statuses_tell_no_shortage) {
  bsq_memory_shortage shortage = no_shortage();
  shortage.requested_bytes = 7;
  CHECK_EQ(bsq_status_shortage(nullptr, &shortage), 0);
  bsq_status* const status = bsq_device_check(BSQ_DEVICE_CPU, 1);
  CHECK_EQ(bsq_status_shortage(status, &shortage), 0);
  CHECK_EQ(shortage.requested_bytes, 7);
  bsq_status_free(status);
}

TEST(copies_that_stay_on_the_cpu) {
  const Tensor x = tensor_of<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor same = make(bsq_tensor_to_async, x.get(), BSQ_DEVICE_CPU, 0);
  CHECK(data_of(same) == data_of(x));
  const Tensor columns = make(bsq_tensor_to_async, permute(x, {1, 0}).get(), BSQ_DEVICE_CPU, 0);
  CHECK(is_contiguous(columns));
  CHECK(read<float>(columns) == (std::vector<float>{1, 4, 2, 5, 3, 6}));
  CHECK_OK(bsq_device_synchronize(BSQ_DEVICE_CPU, 0));
  const int32_t count = bsq_device_count(BSQ_DEVICE_CUDA);
  CHECK_REFUSED(try_make(bsq_tensor_to_async, x.get(), BSQ_DEVICE_CUDA, count), BSQ_UNSUPPORTED,
                "cuda:" + std::to_string(count) + " is not available: ");
  CHECK_FAILS(try_make(bsq_tensor_to_async, kNoTensor, BSQ_DEVICE_CPU, 0), BSQ_INVALID_ARGUMENT,
              "tensor is NULL");
}

TEST(pinned_memory) {
  const int64_t size = 6;
  if (bsq_device_count(BSQ_DEVICE_CUDA) == 0) {
    const Outcome reason(bsq_device_check(BSQ_DEVICE_CUDA, 0));
    const std::string missing = reason.message.substr(reason.message.find(": "));
    CHECK_FAILS(try_make(bsq_tensor_empty_pinned, BSQ_FLOAT32, &size, 1), BSQ_UNSUPPORTED,
                "page-locked memory is not available" + missing);
    CHECK_REFUSED(try_make(bsq_tensor_empty_pinned, 99, &size, 1), BSQ_INVALID_ARGUMENT,
                  "dtype is 99");
    return;
  }
  const Tensor pinned = make(bsq_tensor_empty_pinned, BSQ_FLOAT32, &size, 1);
  CHECK_EQ(describe(pinned).device_type, BSQ_DEVICE_CPU);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): this memory is the caller's
  auto* const memory = static_cast<float*>(const_cast<void*>(data_of(pinned)));
  for (int i = 0; i < size; ++i) {
    memory[i] = static_cast<float>(i);
  }
  const Tensor there = make(bsq_tensor_to_async, pinned.get(), BSQ_DEVICE_CUDA, 0);
  CHECK_OK(bsq_device_synchronize(BSQ_DEVICE_CUDA, 0));
  memory[0] = 9;
  CHECK(read<float>(there) == (std::vector<float>{0, 1, 2, 3, 4, 5}));
  const Tensor back = make(bsq_tensor_to_async, there.get(), BSQ_DEVICE_CPU, 0);
  CHECK_OK(bsq_device_synchronize(BSQ_DEVICE_CUDA, 0));
  CHECK(read<float>(back) == (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(the_cpu_has_no_streams) {
  void* stream = &stream;
  const std::string message = "cpu has no streams, expected a CUDA device";
  CHECK_FAILS(bsq_stream_from_pool(BSQ_DEVICE_CPU, 0, &stream), BSQ_UNSUPPORTED, message);
  CHECK(stream == nullptr);
  CHECK_FAILS(bsq_stream_current(BSQ_DEVICE_CPU, 0, &stream), BSQ_UNSUPPORTED, message);
  CHECK_FAILS(bsq_stream_set_current(BSQ_DEVICE_CPU, 0, nullptr), BSQ_UNSUPPORTED, message);
  CHECK_FAILS(bsq_stream_synchronize(BSQ_DEVICE_CPU, 0, nullptr), BSQ_UNSUPPORTED, message);
  CHECK_FAILS(bsq_stream_from_pool(BSQ_DEVICE_CPU, 0, nullptr), BSQ_INVALID_ARGUMENT,
              "stream is NULL");
  CHECK_FAILS(bsq_stream_current(BSQ_DEVICE_CPU, 0, nullptr), BSQ_INVALID_ARGUMENT,
              "stream is NULL");
  CHECK_REFUSED(bsq_device_synchronize(9, 0), BSQ_INVALID_ARGUMENT, "device_type is 9");
}

}  // namespace bsq::test
