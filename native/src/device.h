// Devices, and which of them this process can use.
#pragma once

#include <cstdint>
#include <string>

#include "bsq/bsq.h"
#include "cuda_driver.h"
#include "error.h"

namespace bsq {

enum class DeviceType : int32_t {
  kCpu = BSQ_DEVICE_CPU,
  kCuda = BSQ_DEVICE_CUDA,
};

struct Device {
  DeviceType type = DeviceType::kCpu;
  int32_t index = 0;

  friend bool operator==(const Device& a, const Device& b) {
    return a.type == b.type && a.index == b.index;
  }
};

inline constexpr Device kCpu{};

// "cpu", "cuda:0".
[[nodiscard]] std::string name(const Device& device);

// 0 for a number that is no type.
[[nodiscard]] int32_t device_count(int32_t device_type);

// The device, which can be used. Throws Error, naming what is missing, where it cannot.
[[nodiscard]] Device checked_device(int32_t device_type, int32_t device_index);

[[nodiscard]] DeviceMemory memory(const Device& device);

// What is known where a device has no more memory, and, for messages, what to do about it.
[[nodiscard]] Shortage shortage(const Device& device, int64_t requested_bytes);
[[nodiscard]] std::string advice(const Shortage& shortage);

void describe(const Device& device, bsq_device_info* info);

}  // namespace bsq
