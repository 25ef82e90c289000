#include "cuda_driver.h"

#include <dlfcn.h>

namespace bsq {
namespace {

// Of the driver's interface, which is C and has been stable since CUDA 2: cuInit, cuDeviceGetCount.
using CuInit = int (*)(unsigned flags);
using CuDeviceGetCount = int (*)(int* count);

template <class Function>
Function find(void* library, const char* symbol) {
  return reinterpret_cast<Function>(dlsym(library, symbol));
}

CudaDevices ask() {
  // LibTorch's symbols are not visible by default: Java loads its libraries locally.
  if (dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY) == nullptr) {
    return {0,
            "the LibTorch in use has no CUDA support (libtorch_cuda.so is not loaded); use one "
            "that was built with CUDA"};
  }
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY);
  if (driver == nullptr) {
    return {0, "CUDA needs an NVIDIA driver, and none was found (libcuda.so.1 cannot be loaded)"};
  }
  const auto init = find<CuInit>(driver, "cuInit");
  const auto get_count = find<CuDeviceGetCount>(driver, "cuDeviceGetCount");
  if (init == nullptr || get_count == nullptr) {
    return {0, "CUDA needs an NVIDIA driver, and libcuda.so.1 is none"};
  }
  int error = init(0);
  int count = 0;
  if (error == 0) {
    error = get_count(&count);
  }
  if (error != 0) {
    return {0, "the CUDA driver fails with error " + std::to_string(error)};
  }
  return {count, count > 0 ? "" : "the CUDA driver shows no device to this process"};
}

}  // namespace

const CudaDevices& cuda_devices() {
  static const CudaDevices devices = ask();
  return devices;
}

}  // namespace bsq
