// Errors of LibTorch's C functions as Error.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

namespace bsq {

// Throws Error for a failed call, with LibTorch's own words where it offers them (from 2.13;
// before, it prints them).
void check_torch(AOTITorchError error, const char* function);

}  // namespace bsq
