// A stand-in for NVIDIA's driver, libcuda.so.1, with what libbsq.so asks it. What it says is up to
// the environment and, while a test runs, to stand_in.h.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "stand_in.h"

namespace {

constexpr int kInvalidValue = 1;
constexpr int kInvalidContext = 201;

int setting(const char* name, int otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);  // NOLINT(cert-err34-c): the tests' own
}

int devices() { return setting("STAND_IN_DEVICES", 2); }

struct State {
  std::vector<StandInMemory> memory;
  std::vector<int> active = std::vector<int>(8);
  int retained = 0;
  int pushed = 0;
};

State& state() {
  static State all;
  return all;
}

}  // namespace

extern "C" {

int cuInit(unsigned /*flags*/) { return setting("STAND_IN_INIT", 0); }

int cuDeviceGetCount(int* count) {
  *count = devices();
  return 0;
}

int cuDriverGetVersion(int* version) {
  *version = setting("STAND_IN_DRIVER", 12080);
  return 0;
}

int cuDeviceGet(int* device, int ordinal) {
  if (ordinal < 0 || ordinal >= devices()) {
    return kInvalidValue;
  }
  *device = 100 + ordinal;  // a handle, not the ordinal
  return 0;
}

int cuDeviceGetName(char* name, int length, int device) {
  const std::string text = device == 101 ? std::string(300, 'x') : "Stand-in GPU";
  const auto size = std::min(text.size(), static_cast<size_t>(length) - 1);
  std::memcpy(name, text.data(), size);
  name[size] = '\0';
  return 0;
}

int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = (size_t{1} << 30U) * static_cast<size_t>(device);
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int /*device*/) {
  *value = attribute == 75 ? 9 : attribute == 76 ? 1 : -1;
  return 0;
}

int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
  *flags = 0;
  *active = state().active.at(static_cast<size_t>(device - 100));
  return 0;
}

int cuDevicePrimaryCtxRetain(void** context, int /*device*/) {
  ++state().retained;
  *context = &state();
  return 0;
}

int cuDevicePrimaryCtxRelease_v2(int /*device*/) {
  --state().retained;
  return 0;
}

int cuCtxPushCurrent_v2(void* context) {
  state().pushed += context == &state() ? 1 : 0;
  return 0;
}

int cuCtxPopCurrent_v2(void** context) {
  --state().pushed;
  *context = &state();
  return 0;
}

int cuMemGetInfo_v2(size_t* free, size_t* total) {
  if (state().pushed == 0) {
    return kInvalidContext;
  }
  *free = 12345;
  *total = 67890;
  return 0;
}

int cuPointerGetAttributes(unsigned count, const int* attributes, void** values,
                           uintptr_t address) {
  StandInMemory found{0, 0, 0, 0, 0};
  for (const StandInMemory& memory : state().memory) {
    if (address >= memory.begin && address < memory.end) {
      found = memory;
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    const int value = attributes[i] == 2   ? found.type
                      : attributes[i] == 8 ? found.is_managed
                                           : found.device;
    std::memcpy(values[i], &value, sizeof(value));
  }
  return 0;
}

int cuGetErrorString(int error, const char** text) {
  *text = error == 100 ? "no CUDA-capable device is detected" : nullptr;
  return error == 100 ? 0 : kInvalidValue;
}

int cuGetErrorName(int error, const char** text) {
  *text = error == 100 ? "CUDA_ERROR_NO_DEVICE" : nullptr;
  return error == 100 ? 0 : kInvalidValue;
}

void stand_in_memory(StandInMemory memory) { state().memory.push_back(memory); }

void stand_in_use(int device) { state().active.at(static_cast<size_t>(device)) = 1; }

int stand_in_held() { return state().retained + state().pushed; }

}  // extern "C"
