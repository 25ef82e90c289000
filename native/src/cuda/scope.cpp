#include "cuda/scope.h"

#include <string>

#include "device.h"
#include "error.h"

#ifndef BSQ_CUDA_EMULATED
#include "cuda/runtime.h"
#include "cuda_driver.h"
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
    // To make a device current is to use it, which takes hundreds of megabytes of it.
    restores_ = cuda_has_context(previous_);
    check(set_device(device.index), "set_device");
  }
}

Scope::~Scope() {
  if (restores_) {
    static_cast<void>(set_device(previous_));
  }
}

void* Scope::stream() const {
  static_cast<void>(set_device(device_.index));  // where that fails, so does the launch
  return stream_;
}

#endif

void Scope::check(const Failure& failure, const char* what) const {
  if (failure.text == nullptr) {
    return;
  }
  const std::string message =
      text("CUDA failed to launch ", what, " on ", name(device_), ": ", failure.text);
  if (failure.out_of_memory) {
    const Shortage known = shortage(device_, -1);
    fail(known, message, advice(known));
  }
  fail(Code::kDeviceError, message);
}

}  // namespace bsq::cuda
