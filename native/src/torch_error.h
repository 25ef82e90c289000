// Errors of LibTorch's C functions as Error.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include "error.h"

namespace bsq {

// Throws Error for a failed call, with LibTorch's own words where it offers them (from 2.13;
// before, it prints them). Where it offers none, memory is what fails, unless told otherwise:
// arguments are checked before every call.
void check_torch(AOTITorchError error, const char* function, Code unexplained = Code::kOutOfMemory);

}  // namespace bsq
