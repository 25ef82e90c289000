#include "cuda_driver.h"

#include <dlfcn.h>

#include <array>
#include <optional>

namespace bsq {
namespace {

// Of the driver's interface, which is C and stable. All return 0 for success.
using CuInit = int (*)(unsigned flags);
using CuDeviceGetCount = int (*)(int* count);
using CuDeviceGet = int (*)(int* device, int ordinal);
using CuDeviceGetName = int (*)(char* name, int length, int device);
using CuDeviceTotalMem = int (*)(size_t* bytes, int device);
using CuDeviceGetAttribute = int (*)(int* value, int attribute, int device);
using CuDevicePrimaryCtxGetState = int (*)(int device, unsigned* flags, int* active);
using CuDevicePrimaryCtxRetain = int (*)(void** context, int device);
using CuDevicePrimaryCtxRelease = int (*)(int device);
using CuCtxPushCurrent = int (*)(void* context);
using CuCtxPopCurrent = int (*)(void** context);
using CuMemGetInfo = int (*)(size_t* free, size_t* total);
using CuPointerGetAttributes = int (*)(unsigned count, int* attributes, void** values,
                                       uintptr_t address);
using CuDriverGetVersion = int (*)(int* version);
using CuGetErrorText = int (*)(int error, const char** text);
// Of the runtime, which LibTorch brings along. The same form of version: 1000 * major + 10 * minor.
using CudaRuntimeGetVersion = int (*)(int* version);

// CUdevice_attribute and CUpointer_attribute.
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;
constexpr int kMemoryType = 2;
constexpr int kIsManaged = 8;
constexpr int kDeviceOrdinal = 9;

constexpr unsigned kDeviceMemory = 2;  // CU_MEMORYTYPE_DEVICE

template <class Function>
Function find(void* library, const char* symbol) {
  return library == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(library, symbol));
}

// NULL where there is none. It stays loaded.
void* driver() { return dlopen("libcuda.so.1", RTLD_LAZY); }

// Calls one of the driver's functions. False where it fails or, in an old driver, is missing.
template <class Function, class... Args>
bool call(const char* symbol, const Args&... args) {
  const auto function = find<Function>(driver(), symbol);
  return function != nullptr && function(args...) == 0;
}

// "no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE, 100)".
std::string error_text(int error) {
  const char* words = nullptr;
  const char* name = nullptr;
  if (!call<CuGetErrorText>("cuGetErrorString", error, &words) ||
      !call<CuGetErrorText>("cuGetErrorName", error, &name) || words == nullptr ||
      name == nullptr) {
    return "error " + std::to_string(error);
  }
  return std::string(words) + " (" + name + ", " + std::to_string(error) + ")";
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Why a driver that works is too old for LibTorch. From CUDA 11 on, one serves all of its major
// version.
std::string age_problem(void* torch) {
  int offered = 0;
  int needed = 0;
  const auto runtime = find<CudaRuntimeGetVersion>(torch, "cudaRuntimeGetVersion");
  if (runtime == nullptr || runtime(&needed) != 0 ||
      !call<CuDriverGetVersion>("cuDriverGetVersion", &offered) ||
      offered / 1000 >= needed / 1000) {
    return "";
  }
  return "the NVIDIA driver is too old: it offers CUDA " + version_text(offered) +
         ", and the LibTorch in use needs CUDA " + std::to_string(needed / 1000) +
         "; update the driver, or use a LibTorch that was built with an older CUDA";
}

CudaDevices ask() {
  // LibTorch's symbols are not visible by default: Java loads its libraries locally.
  void* const torch = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
  if (torch == nullptr) {
    return {0,
            "the LibTorch in use has no CUDA support (libtorch_cuda.so is not loaded); use one "
            "that was built with CUDA"};
  }
  if (driver() == nullptr) {
    return {0, "CUDA needs an NVIDIA driver, and none was found (libcuda.so.1 cannot be loaded)"};
  }
  const auto init = find<CuInit>(driver(), "cuInit");
  const auto get_count = find<CuDeviceGetCount>(driver(), "cuDeviceGetCount");
  if (init == nullptr || get_count == nullptr) {
    return {0, "CUDA needs an NVIDIA driver, and libcuda.so.1 is none"};
  }
  int error = init(0);
  int count = 0;
  if (error == 0) {
    error = get_count(&count);
  }
  if (error != 0) {
    return {0, "the CUDA driver fails: " + error_text(error)};
  }
  if (count == 0) {
    return {0, "the CUDA driver shows no device to this process"};
  }
  std::string problem = age_problem(torch);
  return {problem.empty() ? count : 0, std::move(problem)};
}

std::optional<int> cu_device(int32_t index) {
  int device = 0;
  return call<CuDeviceGet>("cuDeviceGet", &device, index) ? std::optional(device) : std::nullopt;
}

// Whether this process uses the device already: whether it has its primary context.
bool is_active(int device) {
  unsigned flags = 0;
  int active = 0;
  return call<CuDevicePrimaryCtxGetState>("cuDevicePrimaryCtxGetState", device, &flags, &active) &&
         active != 0;
}

// The primary context, which LibTorch uses, current for this thread as long as this lives. Where
// this process has none yet, none is made.
class ExistingContext {
 public:
  explicit ExistingContext(int device) : device_(device) {
    void* context = nullptr;
    if (is_active(device)) {
      retained_ = call<CuDevicePrimaryCtxRetain>("cuDevicePrimaryCtxRetain", &context, device);
      current_ = retained_ && call<CuCtxPushCurrent>("cuCtxPushCurrent_v2", context);
    }
  }
  ~ExistingContext() {
    void* context = nullptr;
    if (current_) {
      call<CuCtxPopCurrent>("cuCtxPopCurrent_v2", &context);
    }
    if (retained_) {
      call<CuDevicePrimaryCtxRelease>("cuDevicePrimaryCtxRelease_v2", device_);
    }
  }
  ExistingContext(const ExistingContext&) = delete;
  ExistingContext& operator=(const ExistingContext&) = delete;
  ExistingContext(ExistingContext&&) = delete;
  ExistingContext& operator=(ExistingContext&&) = delete;

  [[nodiscard]] bool is_current() const { return current_; }

 private:
  int device_;
  bool retained_ = false;
  bool current_ = false;
};

}  // namespace

const CudaDevices& cuda_devices() {
  static const CudaDevices devices = ask();
  return devices;
}

bool cuda_has_context(int32_t index) {
  const std::optional<int> device = cu_device(index);
  return device && is_active(*device);
}

DeviceMemory cuda_memory(int32_t index) {
  DeviceMemory memory;
  const std::optional<int> device = cu_device(index);
  if (!device) {
    return memory;
  }
  size_t total = 0;
  if (call<CuDeviceTotalMem>("cuDeviceTotalMem_v2", &total, *device)) {
    memory.total = static_cast<int64_t>(total);
  }
  const ExistingContext context(*device);
  size_t free = 0;
  if (context.is_current() && call<CuMemGetInfo>("cuMemGetInfo_v2", &free, &total)) {
    memory.free = static_cast<int64_t>(free);
  }
  return memory;
}

CudaDescription describe_cuda_device(int32_t index) {
  CudaDescription description;
  const std::optional<int> device = cu_device(index);
  if (!device) {
    return description;
  }
  std::array<char, 256> name{};
  if (call<CuDeviceGetName>("cuDeviceGetName", name.data(), static_cast<int>(name.size() - 1),
                            *device)) {
    description.name = name.data();
  }
  static_cast<void>(call<CuDeviceGetAttribute>("cuDeviceGetAttribute", &description.compute_major,
                                               kComputeCapabilityMajor, *device));
  static_cast<void>(call<CuDeviceGetAttribute>("cuDeviceGetAttribute", &description.compute_minor,
                                               kComputeCapabilityMinor, *device));
  return description;
}

std::string other_owner_of(const void* address, int32_t index) {
  // Of an address that CUDA does not know, this call tells zeros; its sibling for one attribute
  // fails, as it does for other reasons.
  unsigned type = 0;
  unsigned is_managed = 0;
  int ordinal = 0;
  std::array<int, 3> attributes{kMemoryType, kIsManaged, kDeviceOrdinal};
  std::array<void*, 3> values{&type, &is_managed, &ordinal};
  if (!call<CuPointerGetAttributes>("cuPointerGetAttributes", 3U, attributes.data(), values.data(),
                                    reinterpret_cast<uintptr_t>(address)) ||
      is_managed != 0) {
    return "";
  }
  if (type != kDeviceMemory) {
    return "the CPU";
  }
  return ordinal == index ? "" : "cuda:" + std::to_string(ordinal);
}

}  // namespace bsq
