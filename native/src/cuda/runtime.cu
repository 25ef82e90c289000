#include "cuda/launch.cuh"
#include "cuda/runtime.h"

namespace bsq::cuda {
namespace {

Failure told(cudaError_t error) {
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // or the next launch would be taken for failed
  }
  return failure_of(error);
}

}  // namespace

int32_t kernels_version() { return CUDART_VERSION; }

int32_t driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int32_t compute_capability(int32_t device) {
  int major = 0;
  int minor = 0;
  const bool known =
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess;
  if (!known) {
    static_cast<void>(cudaGetLastError());  // it is no failure of what comes next
  }
  return known ? 10 * major + minor : 0;
}

Failure get_device(int32_t* device) { return told(cudaGetDevice(device)); }

Failure set_device(int32_t device) { return told(cudaSetDevice(device)); }

}  // namespace bsq::cuda
