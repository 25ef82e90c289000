#include "torch_cuda.h"

#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include "error.h"
#include "torch_error.h"

namespace bsq {
namespace {

// Declared for CUDA builds alone: see torch/csrc/inductor/aoti_torch/c/shim.h and, for the last
// three, torch/csrc/stable/c/shim.h.
using GetCurrentStream = AOTITorchError (*)(int32_t device_index, void** stream);
using SetCurrentStream = AOTITorchError (*)(void* stream, int32_t device_index);
using GetStreamFromPool = AOTITorchError (*)(bool high_priority, int32_t device_index,
                                             void** stream);
using SynchronizeStream = AOTITorchError (*)(void* stream, int32_t device_index);

template <class Function>
Function find(const char* symbol) {
  // LibTorch's symbols are not visible by default: Java loads its libraries locally.
  void* const library = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
  void* const function = library == nullptr ? nullptr : dlsym(library, symbol);
  if (function == nullptr) {
    fail(Code::kUnsupported, "the LibTorch in use has no CUDA support: it lacks ", symbol);
  }
  return reinterpret_cast<Function>(function);
}

}  // namespace

void* current_stream(const Device& device) {
  static const auto get = find<GetCurrentStream>("aoti_torch_get_current_cuda_stream");
  void* stream = nullptr;
  check_torch(get(device.index, &stream), "get_current_cuda_stream", Code::kDeviceError);
  return stream;
}

void set_current_stream(const Device& device, void* stream) {
  static const auto set = find<SetCurrentStream>("torch_set_current_cuda_stream");
  check_torch(set(stream, device.index), "set_current_cuda_stream", Code::kDeviceError);
}

void* stream_from_pool(const Device& device) {
  static const auto get = find<GetStreamFromPool>("torch_get_cuda_stream_from_pool");
  void* stream = nullptr;
  check_torch(get(/*high_priority=*/false, device.index, &stream), "get_cuda_stream_from_pool",
              Code::kDeviceError);
  return stream;
}

void synchronize_stream(const Device& device, void* stream) {
  static const auto synchronize = find<SynchronizeStream>("torch_cuda_stream_synchronize");
  check_torch(synchronize(stream, device.index), "cuda_stream_synchronize", Code::kDeviceError);
}

StreamOfWork::StreamOfWork(const Device& device)
    : device_(device),
      stream_(device.type == DeviceType::kCuda ? current_stream(device) : nullptr) {}

void StreamOfWork::wait() const {
  if (device_.type == DeviceType::kCuda && current_stream(device_) != stream_) {
    synchronize_stream(device_, stream_);
  }
}

}  // namespace bsq
