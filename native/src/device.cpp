#include "device.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <locale>
#include <sstream>

#include "error.h"
#include "options.h"

namespace bsq {
namespace {

// What follows the key and a colon in one of Linux's files of such lines; "" where nothing does.
std::string value_of(const char* file, const std::string& key) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && line.compare(0, key.size(), key) == 0 &&
        line.find_first_not_of(" \t", key.size()) == colon) {
      const size_t start = line.find_first_not_of(" \t", colon + 1);
      return start == std::string::npos ? "" : line.substr(start);
    }
  }
  return "";
}

DeviceMemory host_memory() {
  DeviceMemory memory;
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page_size = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_size > 0) {
    memory.total = pages * page_size;
  }
  std::istringstream available(value_of("/proc/meminfo", "MemAvailable"));
  available.imbue(std::locale::classic());
  int64_t kibibytes = 0;
  if (available >> kibibytes) {
    memory.free = kibibytes * 1024;
  }
  return memory;
}

}  // namespace

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

DeviceMemory memory(const Device& device) {
  return device.type == DeviceType::kCpu ? host_memory() : cuda_memory(device.index);
}

Shortage shortage(const Device& device, int64_t requested_bytes) {
  DeviceMemory left;
  try {
    left = memory(device);
  } catch (const std::exception&) {  // it needs a little memory itself
    left = {};
  }
  return {static_cast<int32_t>(device.type), device.index, requested_bytes, left.free, left.total};
}

std::string advice(const Shortage& shortage) {
  return (shortage.free_bytes < 0 ? ""
                                  : text(": ", shortage.free_bytes, " of its ",
                                         shortage.total_bytes, " bytes are free")) +
         "; smaller batches need less, and freed tensors give theirs back";
}

void describe(const Device& device, bsq_device_info* info) {
  const uint64_t size = checked_struct_size(info, "bsq_device_info", sizeof(bsq_device_info));
  const CudaDescription description =
      device.type == DeviceType::kCpu
          ? CudaDescription{value_of("/proc/cpuinfo", "model name"), 0, 0}
          : describe_cuda_device(device.index);
  const DeviceMemory memory = bsq::memory(device);
  std::memset(info, 0, size);
  info->struct_size = size;
  info->total_memory = memory.total;
  info->free_memory = memory.free;
  info->compute_major = description.compute_major;
  info->compute_minor = description.compute_minor;
  const size_t length = std::min(description.name.size(), sizeof(info->name) - 1);
  std::copy_n(description.name.begin(), length, info->name);
}

}  // namespace bsq
