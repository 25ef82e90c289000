// Which devices this library's CUDA kernels serve; on others, LibTorch's operators compute.
#pragma once

#include <string>

#include "device.h"

namespace bsq::cuda {

[[nodiscard]] bool has_kernels(const Device& device);

// Why there are none for a CUDA device of this index: "" where there are.
[[nodiscard]] std::string kernels_problem(int32_t device_index);

// What bsq_device_implementation tells of CUDA devices.
[[nodiscard]] const char* implementation();

}  // namespace bsq::cuda
