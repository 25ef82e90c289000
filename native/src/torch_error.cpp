#include "torch_error.h"

#include <dlfcn.h>

#include <string>

#include "error.h"

namespace bsq {
namespace {

using GetWhat = const char* (*)();

// LibTorch's text for this thread's last error, without its C++ stack. Empty before 2.13.
std::string last_error() {
  static const auto get_what = [] {
    void* const library = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY);
    return library == nullptr ? nullptr
                              : reinterpret_cast<GetWhat>(
                                    dlsym(library, "torch_exception_get_what_without_backtrace"));
  }();
  const char* const text = get_what == nullptr ? nullptr : get_what();
  return text == nullptr ? "" : text;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

bool is_out_of_memory(const std::string& text) {
  return contains(text, "not enough memory") || contains(text, "out of memory") ||
         contains(text, "can't allocate memory") || contains(text, "bad_alloc") ||
         contains(text, "ALLOC_FAILED");  // of CUDA's libraries
}

}  // namespace

void check_torch(AOTITorchError error, const char* function, Code unexplained) {
  if (error == AOTI_TORCH_SUCCESS) {
    return;
  }
  const std::string text = last_error();
  if (text.empty()) {
    fail(unexplained, "LibTorch's ", function, " failed",
         unexplained == Code::kOutOfMemory ? ", probably for lack of memory" : "",
         "; it prints the reason by itself");
  }
  const Code code = is_out_of_memory(text)         ? Code::kOutOfMemory
                    : contains(text, "CUDA error") ? Code::kDeviceError
                                                   : Code::kInternal;
  fail(code, "LibTorch's ", function, " failed: ", text);
}

}  // namespace bsq
