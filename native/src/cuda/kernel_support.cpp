#include "cuda/kernel_support.h"

#include <vector>

#include "cuda_driver.h"

#if defined(BSQ_CUDA_KERNELS) && !defined(BSQ_CUDA_EMULATED)
#include "cuda/runtime.h"
#endif

namespace bsq::cuda {

#if defined(BSQ_CUDA_EMULATED)

constexpr bool kBuiltIn = false;

// Where tests run the kernels on the CPU, CPU tensors stand for those of a device.
bool has_kernels(const Device& device) { return device.type == DeviceType::kCpu; }

std::string kernels_problem(int32_t /*device_index*/) {
  return "this libbsq is one for tests, which runs the CUDA kernels on the CPU";
}

#elif defined(BSQ_CUDA_KERNELS)

constexpr bool kBuiltIn = true;

namespace {

// The oldest device with code in the library, of those in CMAKE_CUDA_ARCHITECTURES.
constexpr int32_t kOldestCapability = BSQ_CUDA_OLDEST_CAPABILITY;

std::string version_text(int32_t packed) {
  return std::to_string(packed / 1000) + "." + std::to_string(packed % 1000 / 10);
}

std::string capability_text(int32_t capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

std::string ask(int32_t device_index) {
  // Kernels of any minor version run on a driver for the same major one.
  const int32_t needed = kernels_version() / 1000;
  const int32_t driver = driver_version();
  if (driver / 1000 < needed) {
    return "this libbsq's kernels need a driver for CUDA " + std::to_string(needed) +
           ".0 or newer, and this one is for CUDA " + version_text(driver) +
           "; install a newer NVIDIA driver";
  }
  const int32_t capability = compute_capability(device_index);
  if (capability < kOldestCapability) {
    return "this libbsq has kernels for compute capability " + capability_text(kOldestCapability) +
           " and newer, and this device's is " + capability_text(capability);
  }
  return "";
}

}  // namespace

std::string kernels_problem(int32_t device_index) {
  const int32_t count = cuda_devices().count;
  if (device_index < 0 || device_index >= count) {
    return "there is no such device";
  }
  static const std::vector<std::string> problems = [count] {
    std::vector<std::string> of_devices;
    of_devices.reserve(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i) {
      of_devices.push_back(ask(i));
    }
    return of_devices;
  }();
  return problems[static_cast<size_t>(device_index)];
}

bool has_kernels(const Device& device) {
  return device.type == DeviceType::kCuda && kernels_problem(device.index).empty();
}

#else

constexpr bool kBuiltIn = false;

bool has_kernels(const Device& /*device*/) { return false; }

std::string kernels_problem(int32_t /*device_index*/) {
  return "this libbsq was built without CUDA kernels; build it where CMake finds nvcc, of CUDA "
         "12.8 "
         "or newer";
}

#endif

namespace {

std::string implementation_on(int32_t device_index) {
  const std::string problem = kernels_problem(device_index);
  return problem.empty() ? "CUDA kernels" : "LibTorch operators (" + problem + ")";
}

}  // namespace

const char* implementation() {
  static const std::string text = [] {
    const int32_t count = cuda_devices().count;
    if (kBuiltIn && count == 0) {
      return std::string("CUDA kernels");  // on devices that can be used
    }
    const std::string on_first = implementation_on(0);
    std::string on_all = on_first;
    for (int32_t i = 1; i < count; ++i) {
      const std::string on_this = implementation_on(i);
      if (on_this != on_first) {
        on_all += "; on cuda:" + std::to_string(i) + " " + on_this;
      }
    }
    return on_all;
  }();
  return text.c_str();
}

}  // namespace bsq::cuda
