// What this library's CUDA runtime, a static one of its own, says of devices. As kernels.h, free of
// LibTorch. All can be called without a driver.
#pragma once

#include <cstdint>

#include "cuda/kernels.h"

namespace bsq::cuda {

// The CUDA versions of the kernels and of the driver, as CUDA packs them: 13000 is 13.0. 0: none.
[[nodiscard]] int32_t kernels_version();
[[nodiscard]] int32_t driver_version();

// A device's compute capability, 10 * major + minor; 0 where it cannot be had.
[[nodiscard]] int32_t compute_capability(int32_t device);

// The device that kernels are launched on by this thread.
[[nodiscard]] Failure get_device(int32_t* device);
[[nodiscard]] Failure set_device(int32_t device);

}  // namespace bsq::cuda
