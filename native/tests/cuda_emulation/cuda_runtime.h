// As much of CUDA as the kernels use, on the CPU: for machines without a GPU, to run the sources
// that nvcc compiles through the same tests. Found in the place of CUDA's own header.
//
// The threads of a block are fibers of one thread, blocks come one after the other, and a launch
// returns when all are done. Between barriers, shuffles and votes, the fibers run in an order that
// changes from step to step, so that a missing barrier shows. What cannot show here: the order of
// memory accesses, speed, CUDA's own rounding of exp and log, and streams.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local

namespace bsq::cuda_emulation {

struct Index {
  unsigned x = 0;
};

struct State {
  Index thread;
  Index block;
  Index block_size;
  Index grid_size;
};

// That of the fiber that runs.
State& state();

// Runs a kernel, `body` for each thread of each block, at once: streams do not matter.
void run(unsigned grid, unsigned block, void* stream, const std::function<void()>& body);

// Waits for all threads of the block, or of the warp, that have not ended.
void block_barrier();
void warp_barrier();

// A place of 8 bytes for each lane of the warp that runs.
uint64_t& lane_slot(unsigned lane);

template <class T>
T exchange(T value, unsigned from_lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  lane_slot(state().thread.x % 32) = bits;
  warp_barrier();
  const uint64_t other = lane_slot(from_lane);
  warp_barrier();  // before the next exchange overwrites it
  std::memcpy(&value, &other, sizeof(T));
  return value;
}

}  // namespace bsq::cuda_emulation

#define threadIdx (::bsq::cuda_emulation::state().thread)
#define blockIdx (::bsq::cuda_emulation::state().block)
#define blockDim (::bsq::cuda_emulation::state().block_size)
#define gridDim (::bsq::cuda_emulation::state().grid_size)

// CUDA has the overloads of <cmath> for float without a namespace.
using std::exp;
using std::fabs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::sqrt;

inline void __syncthreads() { ::bsq::cuda_emulation::block_barrier(); }
inline void __syncwarp() { ::bsq::cuda_emulation::warp_barrier(); }

template <class T>
T __shfl_xor_sync(unsigned /*lanes*/, T value, int lane_mask) {
  return ::bsq::cuda_emulation::exchange(value,
                                         (threadIdx.x % 32) ^ static_cast<unsigned>(lane_mask));
}

// A lane beyond the last leaves the value as it is.
template <class T>
T __shfl_down_sync(unsigned /*lanes*/, T value, unsigned lanes_down) {
  const unsigned lane = threadIdx.x % 32;
  return ::bsq::cuda_emulation::exchange(value, lane + lanes_down < 32 ? lane + lanes_down : lane);
}

inline unsigned __ballot_sync(unsigned /*lanes*/, bool vote) {
  unsigned votes = 0;
  ::bsq::cuda_emulation::lane_slot(threadIdx.x % 32) = vote ? 1 : 0;
  ::bsq::cuda_emulation::warp_barrier();
  for (unsigned lane = 0; lane < 32; ++lane) {
    votes |= static_cast<unsigned>(::bsq::cuda_emulation::lane_slot(lane)) << lane;
  }
  ::bsq::cuda_emulation::warp_barrier();
  return votes;
}

inline int __any_sync(unsigned lanes, bool vote) { return __ballot_sync(lanes, vote) != 0 ? 1 : 0; }

inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }

inline unsigned long long __brevll(unsigned long long bits) {
  unsigned long long reversed = 0;
  for (int i = 0; i < 64; ++i) {
    reversed = reversed << 1 | (bits >> i & 1U);
  }
  return reversed;
}

inline double __longlong_as_double(long long bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

inline long long __double_as_longlong(double value) {
  long long bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline unsigned long long atomicMin(unsigned long long* address, unsigned long long value) {
  const unsigned long long old = *address;
  *address = value < old ? value : old;
  return old;
}

inline unsigned atomicOr(unsigned* address, unsigned value) {
  const unsigned old = *address;
  *address = old | value;
  return old;
}

struct __half {
  uint16_t bits;
};

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __half2float(__half value) {
  _Float16 number = 0;
  std::memcpy(&number, &value, sizeof(number));
  return static_cast<float>(number);
}

inline __half __float2half_rn(float value) {
  const auto number = static_cast<_Float16>(value);
  __half half{};
  std::memcpy(&half, &number, sizeof(half));
  return half;
}

inline float __bfloat162float(__nv_bfloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float number = 0;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) {
    return {0x7fff};
  }
  return {static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16)};
}

using cudaStream_t = void*;

enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };

// Launches fail as a test has asked for.
inline cudaError_t cudaGetLastError() {
  const char* const error = std::getenv("BSQ_EMULATED_CUDA_ERROR");
  return error == nullptr ? cudaSuccess : static_cast<cudaError_t>(std::atoi(error));
}
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "an illegal memory access";
}

inline cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t /*stream*/) {
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
