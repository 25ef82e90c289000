// Where the kernels of a call go.
#pragma once

#include "cuda/kernels.h"
#include "device.h"

namespace bsq::cuda {

// While it lives, kernels go to this device, on the stream that is LibTorch's current one there for
// this thread. It must end on the thread that made it, whose device is then the one before, if
// this process uses that. Throws Error.
class Scope {
 public:
  explicit Scope(const Device& device);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  Scope(Scope&&) = delete;
  Scope& operator=(Scope&&) = delete;

  // To be asked for before each launch: the device is made the current one once more, for what
  // LibTorch has done in between may have changed that.
  [[nodiscard]] void* stream() const;

  // Throws Error for a launch that failed; `what` names it.
  void check(const Failure& failure, const char* what) const;

 private:
  Device device_;
  int32_t previous_ = 0;
  bool restores_ = false;
  void* stream_ = nullptr;
};

}  // namespace bsq::cuda
