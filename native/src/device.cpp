#include "device.h"

#include "cuda_driver.h"
#include "error.h"

namespace bsq {

std::string name(const Device& device) {
  return device.type == DeviceType::kCpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

int32_t device_count(int32_t device_type) {
  switch (device_type) {
    case BSQ_DEVICE_CPU:
      return 1;
    case BSQ_DEVICE_CUDA:
      return cuda_devices().count;
    default:
      return 0;
  }
}

Device checked_device(int32_t device_type, int32_t device_index) {
  if (device_type != BSQ_DEVICE_CPU && device_type != BSQ_DEVICE_CUDA) {
    fail(Code::kInvalidArgument, "device_type is ", device_type, ", expected BSQ_DEVICE_CPU (",
         BSQ_DEVICE_CPU, ") or BSQ_DEVICE_CUDA (", BSQ_DEVICE_CUDA, ")");
  }
  const Device device{static_cast<DeviceType>(device_type), device_index};
  if (device.type == DeviceType::kCpu) {
    if (device_index != 0) {
      fail(Code::kInvalidArgument, "device_index is ", device_index, ", expected 0 for the CPU");
    }
    return device;
  }
  if (device_index < 0) {
    fail(Code::kInvalidArgument, "device_index is ", device_index, ", expected at least 0");
  }
  const CudaDevices& cuda = cuda_devices();
  if (cuda.count == 0) {
    fail(Code::kUnsupported, name(device), " is not available: ", cuda.problem);
  }
  if (device_index >= cuda.count) {
    fail(Code::kUnsupported, name(device), " is not available: this process sees ", cuda.count,
         " CUDA device(s), the last being cuda:", cuda.count - 1);
  }
  return device;
}

}  // namespace bsq
