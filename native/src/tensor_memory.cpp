#include "tensor_memory.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "buffers.h"
#include "error.h"
#include "options.h"

namespace bsq {
namespace {

bool has_elements(const Shape& shape) {
  return std::find(shape.begin(), shape.end(), 0) == shape.end();
}

// As LibTorch strides contiguous tensors, empty ones too.
Shape contiguous_strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max(shape[i], int64_t{1});
  }
  return strides;
}

// The bytes from the first element to the end of the last. Throws Error where a position in any
// dimension, even that behind the last element, does not fit into an int64: views compute them.
int64_t extent(const Shape& shape, const Shape& strides, DType dtype) {
  int64_t last = 0;  // the position of the last element
  int64_t behind = 0;
  int64_t bytes = 0;
  bool overflows = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t reach = 0;
    overflows = overflows || __builtin_mul_overflow(shape[i], strides[i], &reach) ||
                __builtin_add_overflow(behind, reach, &behind);
    last += overflows || shape[i] == 0 ? 0 : reach - strides[i];
  }
  if (overflows || __builtin_mul_overflow(behind, element_size(dtype), &bytes)) {
    fail(Code::kInvalidArgument, "strides ", to_string(strides), " of shape ", to_string(shape),
         " reach past 2^63 - 1 bytes");
  }
  return has_elements(shape) ? (last + 1) * element_size(dtype) : 0;
}

void check_bytes(const Buffer& buffer, int64_t needed, const Shape& shape, DType dtype) {
  if (buffer.bytes < needed) {
    fail(Code::kInvalidArgument, buffer.name, " has ", buffer.bytes, " bytes, expected at least ",
         needed, " for shape ", to_string(shape), " of ", name(dtype));
  }
  if (needed > 0 && buffer.data == nullptr) {
    fail(Code::kInvalidArgument, buffer.name, " is NULL, expected ", needed, " bytes");
  }
}

int64_t checked_dimension(int64_t dimension, const Shape& shape) {
  if (dimension < 0 || dimension >= static_cast<int64_t>(shape.size())) {
    fail(Code::kInvalidArgument, "dimension is ", dimension, ", expected 0 to ", shape.size() - 1,
         " for shape ", to_string(shape));
  }
  return dimension;
}

// strides may be NULL: contiguous.
Shape checked_strides(const Shape& shape, const int64_t* strides) {
  Shape result =
      strides == nullptr ? contiguous_strides(shape) : Shape(strides, strides + shape.size());
  if (std::any_of(result.begin(), result.end(), [](int64_t stride) { return stride < 0; })) {
    fail(Code::kInvalidArgument, "strides is ", to_string(result),
         ", expected strides of at least 0");
  }
  return result;
}

// Of memory that is known to be large enough: `needed` bytes from data on.
TensorValue borrow_checked(DType dtype, const Device& device, const Shape& shape,
                           const Shape& strides, const void* data, int64_t needed) {
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(element_size(dtype)) != 0) {
    fail(Code::kInvalidArgument, "data is at an address not aligned to ", element_size(dtype),
         " bytes, the size of a ", name(dtype));
  }
  if (device.type == DeviceType::kCuda && needed > 0) {
    const std::string other = other_owner_of(data, device.index);
    if (!other.empty()) {
      fail(Code::kInvalidArgument, "data is at ", data, ", in memory of ", other,
           ", expected memory of ", name(device));
    }
  }
  // LibTorch looks at the address even of a tensor without elements.
  const void* const memory = needed == 0 && device.type == DeviceType::kCuda ? nullptr : data;
  return {from_blob(memory, shape, strides, dtype, device), {}, /*borrowed=*/true};
}

}  // namespace

Shape checked_shape(const int64_t* shape, int64_t rank, DType dtype) {
  if (rank < 1 || rank > BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, "rank is ", rank, ", expected 1 to ", BSQ_MAX_RANK);
  }
  if (shape == nullptr) {
    fail(Code::kInvalidArgument, "shape is NULL");
  }
  Shape result(shape, shape + rank);
  if (std::any_of(result.begin(), result.end(), [](int64_t size) { return size < 0; })) {
    fail(Code::kInvalidArgument, "shape is ", to_string(result), ", expected sizes of at least 0");
  }
  static_cast<void>(byte_size(result, dtype));
  return result;
}

TensorValue pinned(DType dtype, const Shape& shape) {
  const CudaDevices& cuda = cuda_devices();
  if (cuda.count == 0) {
    fail(Code::kUnsupported, "page-locked memory is not available: ", cuda.problem);
  }
  Tensor tensor = empty_pinned(shape, dtype);
  auto owner = std::make_shared<const Tensor>(tensor);
  return {std::move(tensor), {}, /*borrowed=*/true, std::move(owner)};
}

TensorValue copy_in(DType dtype, const Device& device, const Shape& shape, const void* data,
                    int64_t data_bytes) {
  const int64_t bytes = byte_size(shape, dtype);
  check_bytes({"data", data, data_bytes}, bytes, shape, dtype);
  Tensor tensor = empty(shape, dtype, kCpu);
  if (bytes > 0) {
    std::memmove(tensor.mutable_data_ptr(), data, static_cast<size_t>(bytes));
  }
  return {to(tensor, dtype, device), {}};
}

TensorValue borrow(DType dtype, const Device& device, const Shape& shape, const int64_t* strides,
                   const void* data, int64_t data_bytes) {
  const Shape all_strides = checked_strides(shape, strides);
  const int64_t needed = extent(shape, all_strides, dtype);
  check_bytes({"data", data, data_bytes}, needed, shape, dtype);
  return borrow_checked(dtype, device, shape, all_strides, data, needed);
}

TensorValue borrow_all(DType dtype, const Device& device, const Shape& shape,
                       const int64_t* strides, const void* data) {
  const Shape all_strides = checked_strides(shape, strides);
  const int64_t needed = extent(shape, all_strides, dtype);
  if (static_cast<uint64_t>(needed) > UINTPTR_MAX - reinterpret_cast<uintptr_t>(data)) {
    fail(Code::kInvalidArgument, "strides ", to_string(all_strides), " of shape ", to_string(shape),
         " reach past the last address");
  }
  check_bytes({"data", data, needed}, needed, shape, dtype);
  return borrow_checked(dtype, device, shape, all_strides, data, needed);
}

void describe(const TensorValue& value, bsq_tensor_info* info) {
  const uint64_t size = checked_struct_size(info, "bsq_tensor_info", sizeof(bsq_tensor_info));
  const Shape shape = bsq::shape(value.tensor);
  const Shape strides = bsq::strides(value.tensor);
  const Device device = bsq::device(value.tensor);
  std::memset(info, 0, size);
  info->struct_size = size;
  info->dtype = static_cast<int32_t>(dtype(value.tensor));
  info->device_type = static_cast<int32_t>(device.type);
  info->device_index = device.index;
  info->rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), info->shape);
  std::copy(strides.begin(), strides.end(), info->strides);
}

void copy_out(const TensorValue& value, DType dtype, void* data, int64_t data_bytes) {
  const Shape shape = bsq::shape(value.tensor);
  const int64_t bytes = byte_size(shape, dtype);
  check_bytes({"data", data, data_bytes}, bytes, shape, dtype);
  check(value.findings);
  const Tensor on_cpu = contiguous(to(value.tensor, dtype, kCpu));
  if (bytes > 0) {
    std::memmove(data, on_cpu.const_data_ptr(), static_cast<size_t>(bytes));
  }
}

TensorValue convert(const TensorValue& value, DType dtype, const Device& device) {
  const Tensor& tensor = value.tensor;
  const bool same = bsq::dtype(tensor) == dtype && bsq::device(tensor) == device;
  if (same && (value.borrowed || !tensor.is_contiguous())) {
    return {clone(tensor), value.findings};
  }
  return {contiguous(to(tensor, dtype, device)), value.findings};
}

TensorValue convert_async(const TensorValue& value, const Device& device) {
  if (bsq::device(value.tensor) == device) {
    return convert(value, dtype(value.tensor), device);
  }
  // Contiguous before: the CPU must not touch the copy, which may not be there yet.
  return {to_async(contiguous(value.tensor), device), value.findings};
}

TensorValue permuted(const TensorValue& value, const int64_t* dimensions, int64_t rank) {
  const Shape shape = bsq::shape(value.tensor);
  if (rank != static_cast<int64_t>(shape.size())) {
    fail(Code::kInvalidArgument, "rank is ", rank, ", expected ", shape.size(),
         " dimensions for shape ", to_string(shape));
  }
  if (dimensions == nullptr) {
    fail(Code::kInvalidArgument, "dimensions is NULL");
  }
  const Shape order(dimensions, dimensions + rank);
  Shape sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < rank; ++i) {
    if (sorted[static_cast<size_t>(i)] != i) {
      fail(Code::kInvalidArgument, "dimensions is ", to_string(order), ", expected each of 0 to ",
           rank - 1, " once");
    }
  }
  return {permute(value.tensor, order), value.findings, value.borrowed, value.owner};
}

TensorValue narrowed(const TensorValue& value, int64_t dimension, int64_t start, int64_t length) {
  const Shape shape = bsq::shape(value.tensor);
  const int64_t size = shape[static_cast<size_t>(checked_dimension(dimension, shape))];
  if (start < 0 || length < 0 || start > size || length > size - start) {
    fail(Code::kInvalidArgument, "start is ", start, " and length ", length,
         ", expected a part of dimension ", dimension, " of shape ", to_string(shape));
  }
  return {narrow(value.tensor, dimension, start, length), value.findings, value.borrowed,
          value.owner};
}

}  // namespace bsq
