// What a machine without a GPU can show of CUDA: devices, their memory and their streams, with
// stand-ins for the driver and for LibTorch's CUDA libraries. Nothing is computed on them.
#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "call.h"
#include "check.h"
#include "stand_in/stand_in.h"

namespace bsq::test {
namespace {

void* load(const char* file) {
  const char* const folder = std::getenv("STAND_IN_FOLDER");
  void* const library =
      dlopen((std::string(folder == nullptr ? "." : folder) + "/" + file).c_str(), RTLD_NOW);
  if (library == nullptr) {
    throw std::runtime_error(dlerror());  // NOLINT(concurrency-mt-unsafe): one thread
  }
  return library;
}

// Of the library that stands in; loads it.
template <class Function>
Function* find(const char* file, const char* symbol) {
  return reinterpret_cast<Function*>(dlsym(load(file), symbol));
}

// Before anything asks for devices.
bool prepare() {
  const char* const torch = std::getenv("STAND_IN_TORCH");
  load("libcuda.so.1");
  if (torch == nullptr || std::string(torch) != "none") {
    load("libtorch_cuda.so");
  }
  return true;
}
const bool kPrepared = prepare();  // NOLINT(cert-err58-cpp): without it there is no test

// What keeps the devices from being used, where the environment says so.
std::string expected_problem() {
  const char* const problem = std::getenv("STAND_IN_PROBLEM");
  return problem == nullptr ? "" : problem;
}

bool has_devices() {
  if (expected_problem().empty()) {
    return true;
  }
  SKIP("this stand-in has no devices");
  return false;
}

bsq_device_info describe_device(int32_t type, int32_t index) {
  bsq_device_info info{};
  info.struct_size = sizeof(info);
  must(bsq_device_describe(type, index, &info));
  return info;
}

Outcome borrow_on(int32_t index, const void* data) {
  const int64_t size = 4;
  return try_make(bsq_tensor_borrow, BSQ_FLOAT32, BSQ_DEVICE_CUDA, index, &size, nullptr, 1, data,
                  int64_t{16});
}

std::string address_text(const void* address) {
  std::ostringstream text;
  text << address;
  return text.str();
}

}  // namespace

TEST(problems_are_told) {
  CHECK(kPrepared);
  if (expected_problem().empty()) {
    CHECK_EQ(bsq_device_count(BSQ_DEVICE_CUDA), 2);
    CHECK_OK(bsq_device_check(BSQ_DEVICE_CUDA, 1));
    CHECK_FAILS(bsq_device_check(BSQ_DEVICE_CUDA, 2), BSQ_UNSUPPORTED,
                "cuda:2 is not available: this process sees 2 CUDA device(s), the last being "
                "cuda:1");
    return;
  }
  const int64_t size = 1;
  CHECK_EQ(bsq_device_count(BSQ_DEVICE_CUDA), 0);
  CHECK_FAILS(bsq_device_check(BSQ_DEVICE_CUDA, 0), BSQ_UNSUPPORTED,
              "cuda:0 is not available: " + expected_problem());
  CHECK_FAILS(try_make(bsq_tensor_empty_pinned, BSQ_FLOAT32, &size, 1), BSQ_UNSUPPORTED,
              "page-locked memory is not available: " + expected_problem());
}

TEST(descriptions) {
  if (!has_devices()) {
    return;
  }
  auto* const use = find<void(int)>("libcuda.so.1", "stand_in_use");
  auto* const held = find<int()>("libcuda.so.1", "stand_in_held");
  bsq_device_info info = describe_device(BSQ_DEVICE_CUDA, 0);
  CHECK_EQ(std::string(&info.name[0]), "Stand-in GPU");
  CHECK_EQ(info.total_memory, int64_t{100} << 30U);
  CHECK_EQ(info.free_memory, -1);  // nothing used the device, so no context was made
  CHECK_EQ(info.compute_major, 9);
  CHECK_EQ(info.compute_minor, 1);
  use(0);
  info = describe_device(BSQ_DEVICE_CUDA, 0);
  CHECK_EQ(info.free_memory, 12345);
  CHECK_EQ(held(), 0);
  info = describe_device(BSQ_DEVICE_CUDA, 1);
  CHECK_EQ(std::string(&info.name[0]), std::string(254, 'x'));
  CHECK_EQ(info.free_memory, -1);
}

TEST(memory_of_others_is_refused) {
  if (!has_devices()) {
    return;
  }
  auto* const know = find<void(StandInMemory)>("libcuda.so.1", "stand_in_memory");
  alignas(16) static std::array<float, 20> memory{};
  const auto at = [](size_t i) { return reinterpret_cast<uintptr_t>(&memory.at(i)); };
  know({at(0), at(4), 2, 0, 0});    // of cuda:0
  know({at(4), at(8), 2, 1, 0});    // of cuda:1
  know({at(8), at(12), 1, 0, 0});   // page-locked
  know({at(12), at(16), 1, 0, 1});  // managed
  const auto refused = [&](int32_t index, size_t i, const std::string& owner) {
    CHECK_FAILS(borrow_on(index, &memory.at(i)), BSQ_INVALID_ARGUMENT,
                "data is at " + address_text(&memory.at(i)) + ", in memory of " + owner +
                    ", expected memory of cuda:" + std::to_string(index));
  };
  // What LibTorch makes of a stand-in's memory does not matter here.
  const auto passes = [&](int32_t index, size_t i) {
    CHECK(borrow_on(index, &memory.at(i)).message.find("in memory of") == std::string::npos);
  };
  passes(0, 0);
  refused(1, 0, "cuda:0");
  refused(0, 4, "cuda:1");
  passes(1, 4);
  refused(0, 8, "the CPU");
  passes(0, 12);
  passes(1, 12);
  refused(0, 16, "the CPU");  // which CUDA does not know
}

TEST(streams) {
  if (!has_devices()) {
    return;
  }
  auto* const current = find<void*(int)>("libtorch_cuda.so", "stand_in_stream");
  auto* const waits = find<int(void*)>("libtorch_cuda.so", "stand_in_waits");
  void* stream = &stream;
  must(bsq_stream_current(BSQ_DEVICE_CUDA, 1, &stream));
  CHECK(stream == nullptr);
  void* first = nullptr;
  void* second = nullptr;
  must(bsq_stream_from_pool(BSQ_DEVICE_CUDA, 1, &first));
  must(bsq_stream_from_pool(BSQ_DEVICE_CUDA, 1, &second));
  CHECK(first != nullptr && second != nullptr && first != second);
  must(bsq_stream_set_current(BSQ_DEVICE_CUDA, 1, first));
  CHECK(current(1) == first);
  CHECK(current(0) == nullptr);
  // Each thread has a current stream of its own.
  std::thread([&] {
    must(bsq_stream_current(BSQ_DEVICE_CUDA, 1, &stream));
    CHECK(stream == nullptr);
    must(bsq_stream_set_current(BSQ_DEVICE_CUDA, 1, second));
    must(bsq_device_synchronize(BSQ_DEVICE_CUDA, 1));
  }).join();
  CHECK(current(1) == first);
  CHECK_EQ(waits(second), 1);
  CHECK_EQ(waits(first), 0);
  must(bsq_device_synchronize(BSQ_DEVICE_CUDA, 1));
  must(bsq_stream_synchronize(BSQ_DEVICE_CUDA, 1, first));
  CHECK_EQ(waits(first), 2);
  must(bsq_stream_set_current(BSQ_DEVICE_CUDA, 1, nullptr));
  must(bsq_stream_current(BSQ_DEVICE_CUDA, 1, &stream));
  CHECK(stream == nullptr);
  CHECK_OK(bsq_device_synchronize(BSQ_DEVICE_CUDA, 0));
  CHECK_REFUSED(bsq_stream_from_pool(BSQ_DEVICE_CUDA, 2, &stream), BSQ_UNSUPPORTED,
                "cuda:2 is not available");
}

}  // namespace bsq::test
