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

}  // namespace bsq
