// LibTorch's functions for CUDA streams. Only its CUDA builds have them, so they are looked up in
// the process rather than linked.
#pragma once

#include "device.h"

namespace bsq {

// The cudaStream_t that is current for this thread on a CUDA device. Throws Error.
[[nodiscard]] void* current_stream(const Device& device);

// Makes it the current one, for this thread. Throws Error.
void set_current_stream(const Device& device, void* stream);

// A cudaStream_t out of LibTorch's pool, which is never freed; threads beyond the size of the pool
// share streams. Throws Error.
[[nodiscard]] void* stream_from_pool(const Device& device);

// Waits until all that was put on it is done. Throws Error.
void synchronize_stream(const Device& device, void* stream);

// Where this thread puts its work on a device: nowhere in particular on the CPU.
class StreamOfWork {
 public:
  // Throws Error.
  explicit StreamOfWork(const Device& device);

  // Waits for that work, unless what this thread does next comes after it by itself. Throws Error.
  void wait() const;

 private:
  Device device_;
  void* stream_ = nullptr;
};

}  // namespace bsq
