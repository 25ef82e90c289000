// What the CUDA driver and the LibTorch in this process offer. Needs neither to be there.
#pragma once

#include <cstdint>
#include <string>

namespace bsq {

struct CudaDevices {
  int32_t count = 0;
  std::string problem;  // why there are none
};

// Asked once per process: neither a driver nor LibTorch's CUDA libraries come or go.
[[nodiscard]] const CudaDevices& cuda_devices();

struct DeviceMemory {  // in bytes, -1 where unknown
  int64_t total = -1;
  int64_t free = -1;
};

// Whether this process uses one of cuda_devices already: what needs a context makes one, which
// takes hundreds of megabytes of the device.
[[nodiscard]] bool cuda_has_context(int32_t index);

// Of one of cuda_devices. What is free is known where there is a context.
[[nodiscard]] DeviceMemory cuda_memory(int32_t index);

struct CudaDescription {
  std::string name;  // "" where unknown
  int32_t compute_major = 0;
  int32_t compute_minor = 0;
};

// Of one of cuda_devices.
[[nodiscard]] CudaDescription describe_cuda_device(int32_t index);

// Whose memory an address is in, where that is not the device's: "cuda:1", "the CPU". "" where it
// is the device's (managed memory is every device's), or the driver does not tell.
[[nodiscard]] std::string other_owner_of(const void* address, int32_t index);

}  // namespace bsq
