// What kernels need of CUDA: launches, sums over threads, elements of all types.
//
// tests/cuda_emulation has a cuda_runtime.h of its own with which g++ compiles the same kernels, to
// run them on the CPU thread by thread.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/kernels.h"

#ifdef BSQ_CUDA_EMULATED
#define BSQ_LAUNCH(kernel, grid, block, stream, ...) \
  ::bsq::cuda_emulation::run(grid, block, stream, [&] { (kernel)(__VA_ARGS__); })
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define BSQ_LAUNCH(kernel, grid, block, stream, ...) \
  (kernel)<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)
#endif

namespace bsq::cuda {

inline Failure failure_of(cudaError_t error) {
  return error == cudaSuccess
             ? Failure{}
             : Failure{cudaGetErrorString(error), error == cudaErrorMemoryAllocation};
}

constexpr int kBlock = 256;
constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffU;

inline Failure launched() { return failure_of(cudaGetLastError()); }

__host__ __device__ constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Grids beyond this many blocks go over their work in steps.
constexpr int64_t kMaxGrid = int64_t{1} << 30;

inline unsigned grid_of(int64_t blocks) {
  return static_cast<unsigned>(blocks < kMaxGrid ? blocks : kMaxGrid);
}

// Elements

// Adjacent ones that a thread loads or stores at once.
template <class T, int kSize>
struct alignas(sizeof(T) * kSize) Vector {
  T values[kSize];
};

inline __device__ double quiet_nan() { return __longlong_as_double(0x7ff8000000000000LL); }

inline __device__ double as_double(const void* data, Element type, int64_t i) {
  switch (type) {
    case Element::kFloat32:
      return static_cast<const float*>(data)[i];
    case Element::kFloat64:
      return static_cast<const double*>(data)[i];
    case Element::kFloat16:
      return __half2float(static_cast<const __half*>(data)[i]);
    default:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
  }
}

// float64 is rounded once, to float32 first where that is the type that is computed in.
inline __device__ void store(void* data, Element type, int64_t i, double value) {
  switch (type) {
    case Element::kFloat32:
      static_cast<float*>(data)[i] = static_cast<float>(value);
      break;
    case Element::kFloat64:
      static_cast<double*>(data)[i] = value;
      break;
    case Element::kFloat16:
      static_cast<__half*>(data)[i] = __float2half_rn(static_cast<float>(value));
      break;
    default:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(static_cast<float>(value));
      break;
  }
}

template <class View>
__device__ int64_t offset_of(const View& view, int64_t row) {
  return row / view.positions * view.item_stride + row % view.positions * view.position_stride;
}

// Sums over teams: `width` adjacent lanes of a warp, a power of two. All lanes of the warp call.

template <class T>
__device__ T team_sum(T value, int width) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    if (step < width) {
      value += __shfl_xor_sync(kAllLanes, value, step);
    }
  }
  return value;
}

template <class T>
__device__ T team_max(T value, int width) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    if (step < width) {
      const T other = __shfl_xor_sync(kAllLanes, value, step);
      value = other > value ? other : value;
    }
  }
  return value;
}

// Over a block of kBlock threads; right in thread 0.
inline __device__ double block_sum(double value) {
  __shared__ double sums[kBlock / kWarp];
  value = team_sum(value, kWarp);
  __syncthreads();  // a sum before this one has been read
  if (threadIdx.x % kWarp == 0) {
    sums[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  double total = 0;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kBlock / kWarp; ++i) {
      total += sums[i];
    }
  }
  return total;
}

// The team size for so many elements: the power of two that holds them, at most a warp.
inline int team_width(int64_t elements) {
  int width = 1;
  while (width < kWarp && width < elements) {
    width *= 2;
  }
  return width;
}

}  // namespace bsq::cuda
