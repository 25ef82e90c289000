#include "cuda/scope.h"

#include "error.h"

#ifndef BSQ_CUDA_EMULATED
#include "cuda/runtime.h"
#include "torch_cuda.h"
#endif

namespace bsq::cuda {

#ifdef BSQ_CUDA_EMULATED

Scope::Scope(const Device& device) : device_(device) {}

Scope::~Scope() = default;

void* Scope::stream() const { return stream_; }

#else

Scope::Scope(const Device& device) : device_(device), stream_(current_stream(device)) {
  check(get_device(&previous_), "get_device");
  if (previous_ != device.index) {
    check(set_device(device.index), "set_device");
  }
}

Scope::~Scope() {
  if (previous_ != device_.index) {
    static_cast<void>(set_device(previous_));
  }
}

void* Scope::stream() const {
  static_cast<void>(set_device(device_.index));  // where that fails, so does the launch
  return stream_;
}

#endif

void Scope::check(Failure failure, const char* what) const {
  if (failure != nullptr) {
    fail(Code::kDeviceError, "CUDA failed to launch ", what, " on ", name(device_), ": ", failure);
  }
}

}  // namespace bsq::cuda
