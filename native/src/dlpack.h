// DLPack 1.0, by which libraries exchange tensors without copying them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor_quantizer.h"

namespace bsq {

// The structs of DLPack's C interface (https://dmlc.github.io/dlpack/latest/c_api.html), which all
// versions 1.x share. Version, deleter and context stay where they are in later ones, too.
namespace dlpack {

inline constexpr uint32_t kMajor = 1;
inline constexpr uint32_t kMinor = 0;

// Devices.
inline constexpr int32_t kCpu = 1;
inline constexpr int32_t kCuda = 2;
inline constexpr int32_t kCudaHost = 3;  // page-locked memory of the host

// Kinds of numbers.
inline constexpr uint8_t kInt = 0;
inline constexpr uint8_t kUInt = 1;
inline constexpr uint8_t kFloat = 2;
inline constexpr uint8_t kBFloat = 4;
inline constexpr uint8_t kBool = 6;

// Flags.
inline constexpr uint64_t kReadOnly = 1;
inline constexpr uint64_t kIsCopied = 2;

struct Version {
  uint32_t major;
  uint32_t minor;
};

struct Device {
  int32_t type;
  int32_t id;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Array {  // DLTensor
  void* data;
  Device device;
  int32_t rank;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; NULL: contiguous
  uint64_t byte_offset;
};

struct Managed {  // DLManagedTensorVersioned
  Version version;
  void* context;
  void (*deleter)(Managed* self);
  uint64_t flags;
  Array array;
};

static_assert(offsetof(Array, rank) == 16 && offsetof(Array, dtype) == 20 &&
              offsetof(Array, shape) == 24 && offsetof(Array, byte_offset) == 40);
static_assert(offsetof(Managed, deleter) == 16 && offsetof(Managed, array) == 32 &&
              sizeof(Managed) == 80);

}  // namespace dlpack

// A tensor in the memory of a DLManagedTensorVersioned, which is not taken yet. Throws Error.
[[nodiscard]] TensorValue from_dlpack(void* managed);

// From now on the tensor that from_dlpack made of it, and views of that, have it deleted.
void take_dlpack(const TensorValue& value, void* managed) noexcept;

// From now on they do not. No effect on other tensors.
void give_back_dlpack(const TensorValue& value) noexcept;

// A new DLManagedTensorVersioned. Throws Error.
[[nodiscard]] void* to_dlpack(const TensorValue& value);

void free_dlpack(void* managed) noexcept;

}  // namespace bsq
