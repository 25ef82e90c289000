#include "dlpack.h"

#include <memory>
#include <string>
#include <utility>

#include "error.h"
#include "live_handles.h"
#include "tensor_memory.h"

namespace bsq {
namespace {

using dlpack::Managed;

// Of the owner of a tensor's memory. It does nothing before the tensor has taken that.
struct CallDeleter {
  Managed* managed = nullptr;

  void operator()(const void* /*unused*/) const noexcept { free_dlpack(managed); }
};

Device checked_device(const dlpack::Device& device) {
  switch (device.type) {
    case dlpack::kCpu:
    case dlpack::kCudaHost:
      return kCpu;
    case dlpack::kCuda:
      return bsq::checked_device(BSQ_DEVICE_CUDA, device.id);
    default:
      fail(Code::kUnsupported, "managed is on a device of DLPack's type ", device.type,
           ", expected 1 (CPU), 2 (CUDA) or 3 (CUDAHost)");
  }
}

DType checked_type(const dlpack::DataType& type) {
  if (type.lanes == 1) {
    switch (type.code << 8U | type.bits) {
      case dlpack::kFloat << 8U | 32U:
        return DType::kFloat32;
      case dlpack::kFloat << 8U | 64U:
        return DType::kFloat64;
      case dlpack::kFloat << 8U | 16U:
        return DType::kFloat16;
      case dlpack::kBFloat << 8U | 16U:
        return DType::kBFloat16;
      case dlpack::kInt << 8U | 64U:
        return DType::kInt64;
      case dlpack::kInt << 8U | 32U:
        return DType::kInt32;
      case dlpack::kUInt << 8U | 8U:
      case dlpack::kBool << 8U | 8U:
        return DType::kUInt8;
      default:
        break;
    }
  }
  fail(Code::kUnsupported, "managed has elements of DLPack's type code ", int32_t{type.code},
       " with ", int32_t{type.bits}, " bits and ", type.lanes,
       " lanes, expected float32, float64, float16, bfloat16, int64, int32, uint8 or bool, with 1"
       " lane");
}

dlpack::DataType type_of(DType dtype) {
  const auto bits = static_cast<uint8_t>(8 * element_size(dtype));
  switch (dtype) {
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kFloat16:
      return {dlpack::kFloat, bits, 1};
    case DType::kBFloat16:
      return {dlpack::kBFloat, bits, 1};
    case DType::kInt64:
    case DType::kInt32:
      return {dlpack::kInt, bits, 1};
    case DType::kUInt8:
      return {dlpack::kUInt, bits, 1};
  }
  fail(Code::kInternal, "no type of DLPack for dtype ", static_cast<int32_t>(dtype));
}

// What to_dlpack makes: all that others use until they call the deleter.
struct Exported {
  Managed managed;
  Tensor tensor;
  std::shared_ptr<const void> owner;
  Shape shape;
  Shape strides;
  LiveHandle live;
};

}  // namespace

TensorValue from_dlpack(void* managed) {
  if (managed == nullptr) {
    fail(Code::kInvalidArgument, "managed is NULL");
  }
  const auto& from = *static_cast<const Managed*>(managed);
  if (from.version.major != dlpack::kMajor) {  // before anything that another version moves
    fail(Code::kUnsupported, "managed is of DLPack ", from.version.major, ".", from.version.minor,
         ", expected 1.x: ask its library for that version");
  }
  const dlpack::Array& array = from.array;
  const DType dtype = checked_type(array.dtype);
  const Device device = checked_device(array.device);
  if (array.rank < 1 || array.rank > BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, "managed has rank ", array.rank, ", expected 1 to ", BSQ_MAX_RANK,
         array.rank == 0 ? ": a scalar has to be reshaped to [1]" : "");
  }
  const Shape shape = checked_shape(array.shape, array.rank, dtype);
  const auto address = reinterpret_cast<uintptr_t>(array.data);
  if (array.byte_offset > UINTPTR_MAX - address) {
    fail(Code::kInvalidArgument, "byte_offset is ", array.byte_offset,
         ", which reaches past the last address");
  }
  const void* const data = array.data == nullptr
                               ? nullptr
                               // NOLINTNEXTLINE(performance-no-int-to-ptr): any offset may be wrong
                               : reinterpret_cast<const void*>(address + array.byte_offset);
  TensorValue value = borrow_all(dtype, device, shape, array.strides, data);
  value.owner = std::shared_ptr<const void>(managed, CallDeleter{});
  return value;
}

void take_dlpack(const TensorValue& value, void* managed) noexcept {
  std::get_deleter<CallDeleter>(value.owner)->managed = static_cast<Managed*>(managed);
}

void give_back_dlpack(const TensorValue& value) noexcept {
  if (auto* const deleter = std::get_deleter<CallDeleter>(value.owner)) {
    deleter->managed = nullptr;
  }
}

void* to_dlpack(const TensorValue& value) {
  // Nobody keeps this memory alive.
  const bool copied = value.borrowed && value.owner == nullptr;
  const Tensor tensor = copied ? clone(value.tensor) : value.tensor;
  const Device device = bsq::device(tensor);
  std::unique_ptr<Exported> exported(
      new Exported{{}, tensor, value.owner, shape(tensor), strides(tensor), {}});
  Managed& managed = exported->managed;
  managed.version = {dlpack::kMajor, dlpack::kMinor};
  managed.context = exported.get();
  managed.deleter = [](Managed* self) { delete static_cast<Exported*>(self->context); };
  managed.flags = copied ? dlpack::kIsCopied : dlpack::kReadOnly;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the flag says that nobody may write
  managed.array.data = const_cast<void*>(tensor.const_data_ptr());
  managed.array.device = {device.type == DeviceType::kCpu ? dlpack::kCpu : dlpack::kCuda,
                          device.index};
  managed.array.rank = static_cast<int32_t>(exported->shape.size());
  managed.array.dtype = type_of(dtype(tensor));
  managed.array.shape = exported->shape.data();
  managed.array.strides = exported->strides.data();
  managed.array.byte_offset = 0;
  return &exported.release()->managed;
}

void free_dlpack(void* managed) noexcept {
  auto* const self = static_cast<Managed*>(managed);
  if (self != nullptr && self->deleter != nullptr) {
    self->deleter(self);
  }
}

}  // namespace bsq
