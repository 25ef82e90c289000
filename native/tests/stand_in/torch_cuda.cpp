// A stand-in for LibTorch's libtorch_cuda.so: its functions for streams, and CUDA's version.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "stand_in.h"

namespace {

constexpr int kDevices = 8;
constexpr int kStreams = 4;  // in the pool of each device

using Waits = std::atomic<int>;

// This thread's current streams.
std::array<void*, kDevices>& current() {
  thread_local std::array<void*, kDevices> streams{};
  return streams;
}

// The pools: a stream is the address of how often it was waited for.
std::array<std::array<Waits, kStreams>, kDevices>& pools() {
  static std::array<std::array<Waits, kStreams>, kDevices> all;
  return all;
}

Waits& waits_of(void* stream) {
  static Waits of_default{0};
  return stream == nullptr ? of_default : *static_cast<Waits*>(stream);
}

bool is_device(int32_t index) { return index >= 0 && index < kDevices; }

}  // namespace

extern "C" {

int cudaRuntimeGetVersion(int* version) {
  const char* const value = std::getenv("STAND_IN_RUNTIME");
  *version = value == nullptr ? 12080 : std::atoi(value);  // NOLINT(cert-err34-c): the tests' own
  return 0;
}

int32_t aoti_torch_get_current_cuda_stream(int32_t index, void** stream) {
  *stream = is_device(index) ? current().at(static_cast<size_t>(index)) : nullptr;
  return is_device(index) ? 0 : 1;
}

int32_t torch_set_current_cuda_stream(void* stream, int32_t index) {
  if (!is_device(index)) {
    return 1;
  }
  current().at(static_cast<size_t>(index)) = stream;
  return 0;
}

int32_t torch_get_cuda_stream_from_pool(bool /*high_priority*/, int32_t index, void** stream) {
  if (!is_device(index)) {
    return 1;
  }
  static std::atomic<int> next{0};
  *stream = &pools().at(static_cast<size_t>(index)).at(static_cast<size_t>(next++ % kStreams));
  return 0;
}

int32_t torch_cuda_stream_synchronize(void* stream, int32_t /*index*/) {
  ++waits_of(stream);
  return 0;
}

void* stand_in_stream(int device) { return current().at(static_cast<size_t>(device)); }

int stand_in_waits(void* stream) { return waits_of(stream); }

}  // extern "C"
