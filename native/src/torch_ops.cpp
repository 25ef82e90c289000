#include "torch_ops.h"

#include <torch/csrc/inductor/aoti_torch/generated/c_shim_aten.h>
#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/stableivalue_conversions.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tuple>
#include <type_traits>

#include "error.h"
#include "thread_pool.h"
#include "torch_error.h"

namespace bsq {
namespace {

using torch::headeronly::IntHeaderOnlyArrayRef;
using torch::headeronly::MemoryFormat;
using torch::headeronly::ScalarType;

ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ScalarType::Float;
    case DType::kFloat64:
      return ScalarType::Double;
    case DType::kFloat16:
      return ScalarType::Half;
    case DType::kBFloat16:
      return ScalarType::BFloat16;
    case DType::kInt64:
      return ScalarType::Long;
    case DType::kInt32:
      return ScalarType::Int;
    case DType::kUInt8:
      return ScalarType::Byte;
  }
  fail(Code::kInternal, "no type of LibTorch for dtype ", static_cast<int32_t>(dtype));
}

int32_t torch_number(DType dtype) {
  return torch::stable::detail::to<int32_t>(torch::stable::detail::from(scalar_type(dtype)));
}

int32_t torch_number(DeviceType type) {
  return type == DeviceType::kCpu ? aoti_torch_device_type_cpu() : aoti_torch_device_type_cuda();
}

torch::stable::Device torch_device(const Device& device) {
  if (device.type == DeviceType::kCpu) {
    return {torch::headeronly::DeviceType::CPU};  // with an index, LibTorch takes it for another
  }
  return {torch::headeronly::DeviceType::CUDA, device.index};
}

IntHeaderOnlyArrayRef ref(const Shape& shape) { return {shape.data(), shape.size()}; }

using Stack = std::array<StableIValue, 8>;

Tensor result(const Stack& stack, size_t i = 0) {
  return torch::stable::detail::to<Tensor>(stack[i]);
}

// The arguments as the dispatcher takes them: tensors become handles of their own, which it frees.
template <class... Args>
Stack arguments(const char* name, const Args&... args) {
  static_assert(sizeof...(Args) <= std::tuple_size_v<Stack>);
  constexpr std::array<bool, sizeof...(Args)> kIsTensor{std::is_same_v<Args, Tensor>...};
  Stack stack{};
  size_t count = 0;
  try {
    ((stack[count] = torch::stable::detail::from(args), ++count), ...);
  } catch (const std::runtime_error&) {  // of LibTorch's headers, for lack of memory
    while (count-- > 0) {
      if (kIsTensor[count]) {
        static_cast<void>(result(stack, count));
      }
    }
    check_torch(AOTI_TORCH_FAILURE, name);
  }
  return stack;
}

// The device of the first tensor, which is where operators take memory; none for others.
inline std::optional<Device> device_of() { return std::nullopt; }
template <class First, class... Rest>
std::optional<Device> device_of(const First& first, const Rest&... rest) {
  if constexpr (std::is_same_v<First, Tensor>) {
    return bsq::device(first);
  } else {
    return device_of(rest...);
  }
}

// As check_torch, of a function that was given these arguments.
template <class... Args>
void check_call(AOTITorchError error, const char* name, const Args&... args) {
  try {
    check_torch(error, name);
  } catch (const Error& failure) {
    const std::optional<Device> device = device_of(args...);
    if (failure.code() != Code::kOutOfMemory || !device) {
      throw;
    }
    const Shortage known = shortage(*device, -1);
    fail(known, failure.what(), advice(known));
  }
}

// Calls the operator; its results are at the front of the stack.
template <class... Args>
Stack call_stack(const char* name, const char* overload, const Args&... args) {
  require_thread_pool();
  Stack stack = arguments(name, args...);
  check_call(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION), name, args...);
  return stack;
}

template <class... Args>
Tensor call(const char* name, const char* overload, const Args&... args) {
  return result(call_stack(name, overload, args...));
}

// Runs an allocation of LibTorch; a failure is told by what was asked for.
template <class Body>
Tensor allocate(const Shape& shape, DType dtype, const Device& device, const Body& body) {
  const int64_t bytes = byte_size(shape, dtype);
  try {
    return body();
  } catch (const Error& error) {
    if (error.code() != Code::kOutOfMemory) {
      throw;
    }
    const Shortage known = shortage(device, bytes);
    fail(known, "could not allocate ", bytes, " bytes on ", name(device), " for a tensor of shape ",
         to_string(shape), " and type ", name(dtype), advice(known));
  }
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const int64_t size : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  }
  return text + "]";
}

int64_t byte_size(const Shape& shape, DType dtype) {
  int64_t bytes = element_size(dtype);
  bool is_empty = false;
  for (const int64_t size : shape) {
    is_empty = is_empty || size == 0;
    if (__builtin_mul_overflow(bytes, std::max(size, int64_t{1}), &bytes)) {
      fail(Code::kInvalidArgument, "a tensor of shape ", to_string(shape), " and type ",
           name(dtype), " takes more than 2^63 - 1 bytes");
    }
  }
  return is_empty ? 0 : bytes;
}

// Properties

Shape shape(const Tensor& tensor) {
  const auto sizes = tensor.sizes();
  return {sizes.begin(), sizes.end()};
}

Shape strides(const Tensor& tensor) {
  const auto strides = tensor.strides();
  return {strides.begin(), strides.end()};
}

DType dtype(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float:
      return DType::kFloat32;
    case ScalarType::Double:
      return DType::kFloat64;
    case ScalarType::Half:
      return DType::kFloat16;
    case ScalarType::BFloat16:
      return DType::kBFloat16;
    case ScalarType::Long:
      return DType::kInt64;
    case ScalarType::Int:
      return DType::kInt32;
    case ScalarType::Byte:
      return DType::kUInt8;
    default:
      fail(Code::kInternal, "a tensor has a type that this library does not make");
  }
}

Device device(const Tensor& tensor) {
  return tensor.is_cpu() ? kCpu : Device{DeviceType::kCuda, tensor.get_device_index()};
}

// Making

Tensor empty(const Shape& shape, DType dtype, const Device& device) {
  return allocate(shape, dtype, device, [&] {
    return call("aten::empty", "memory_format", ref(shape), std::optional(scalar_type(dtype)),
                std::nullopt, std::optional(torch_device(device)), std::nullopt, std::nullopt);
  });
}

Tensor empty_pinned(const Shape& shape, DType dtype) {
  return allocate(shape, dtype, kCpu, [&] {
    return call("aten::empty", "memory_format", ref(shape), std::optional(scalar_type(dtype)),
                std::nullopt, std::optional(torch_device(kCpu)), std::optional(/*pin_memory=*/true),
                std::nullopt);
  });
}

Tensor zeros(const Shape& shape, DType dtype, const Device& device) {
  return full(shape, 0, dtype, device);
}

Tensor full(const Shape& shape, double value, DType dtype, const Device& device) {
  return allocate(shape, dtype, device, [&] {
    require_thread_pool();  // to fill them
    int32_t type = torch_number(dtype);
    int32_t device_type = torch_number(device.type);
    AtenTensorHandle tensor = nullptr;
    check_torch(aoti_torch_aten_full(shape.data(), static_cast<int64_t>(shape.size()), value, &type,
                                     nullptr, &device_type, device.index, nullptr, &tensor),
                "aten::full");
    return Tensor(tensor);
  });
}

Tensor from_blob(const void* data, const Shape& shape, const Shape& strides, DType dtype,
                 const Device& device) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): no tensor is ever written
  void* const memory = const_cast<void*>(data);
  AtenTensorHandle tensor = nullptr;
  check_torch(aoti_torch_create_tensor_from_blob(
                  memory, static_cast<int64_t>(shape.size()), shape.data(), strides.data(), 0,
                  torch_number(dtype), torch_number(device.type), device.index, &tensor),
              "from_blob");
  return Tensor(tensor);
}

Tensor to(const Tensor& tensor, DType dtype, const Device& device) {
  return allocate(shape(tensor), dtype, device, [&] {
    return call("aten::to", "dtype_layout", tensor, std::optional(scalar_type(dtype)), std::nullopt,
                std::optional(torch_device(device)), std::nullopt, /*non_blocking=*/false,
                /*copy=*/false, std::nullopt);
  });
}

Tensor to(const Tensor& tensor, DType dtype) { return to(tensor, dtype, device(tensor)); }

Tensor to_async(const Tensor& tensor, const Device& device) {
  return allocate(shape(tensor), dtype(tensor), device, [&] {
    return call("aten::to", "dtype_layout", tensor, std::nullopt, std::nullopt,
                std::optional(torch_device(device)), std::nullopt, /*non_blocking=*/true,
                /*copy=*/false, std::nullopt);
  });
}

Tensor contiguous(const Tensor& tensor) {
  return allocate(shape(tensor), dtype(tensor), device(tensor),
                  [&] { return call("aten::contiguous", "", tensor, MemoryFormat::Contiguous); });
}

Tensor clone(const Tensor& tensor) {
  return allocate(shape(tensor), dtype(tensor), device(tensor), [&] {
    return call("aten::clone", "", tensor, std::optional(MemoryFormat::Contiguous));
  });
}

void copy(const Tensor& from, const Tensor& to) {
  static_cast<void>(call("aten::copy_", "", to, from, /*non_blocking=*/false));
}

// Views

Tensor narrow(const Tensor& tensor, int64_t dim, int64_t start, int64_t length) {
  AtenTensorHandle view = nullptr;
  check_torch(aoti_torch_aten_narrow(tensor.get(), dim, start, length, &view), "aten::narrow");
  return Tensor(view);
}

Tensor permute(const Tensor& tensor, const Shape& dims) {
  return call("aten::permute", "", tensor, ref(dims));
}

Tensor unsqueeze(const Tensor& tensor, int64_t dim) {
  return call("aten::unsqueeze", "", tensor, dim);
}

Tensor reshape(const Tensor& tensor, const Shape& shape) {
  return call("aten::reshape", "", tensor, ref(shape));
}

// Element by element

Tensor add(const Tensor& a, const Tensor& b) {
  AtenTensorHandle sum = nullptr;  // add's alpha is a Scalar; this function's is a double
  check_call(aoti_torch_aten_subtract_Tensor(a.get(), b.get(), -1, &sum), "aten::subtract", a);
  return Tensor(sum);
}

Tensor sub(const Tensor& a, const Tensor& b) {
  AtenTensorHandle difference = nullptr;
  check_call(aoti_torch_aten_subtract_Tensor(a.get(), b.get(), 1, &difference), "aten::subtract",
             a);
  return Tensor(difference);
}

Tensor mul(const Tensor& a, const Tensor& b) { return call("aten::mul", "Tensor", a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return call("aten::div", "Tensor", a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return call("aten::maximum", "", a, b); }
Tensor greater(const Tensor& a, const Tensor& b) { return call("aten::gt", "Tensor", a, b); }
Tensor greater_equal(const Tensor& a, const Tensor& b) { return call("aten::ge", "Tensor", a, b); }
Tensor equal(const Tensor& a, const Tensor& b) { return call("aten::eq", "Tensor", a, b); }

Tensor bitwise_and(const Tensor& a, const Tensor& b) {
  return call("aten::bitwise_and", "Tensor", a, b);
}
Tensor bitwise_not(const Tensor& a) { return call("aten::bitwise_not", "", a); }
Tensor bitwise_or(const Tensor& a, const Tensor& b) {
  return call("aten::bitwise_or", "Tensor", a, b);
}
Tensor bitwise_xor(const Tensor& a, const Tensor& b) {
  return call("aten::bitwise_xor", "Tensor", a, b);
}
Tensor left_shift(const Tensor& a, const Tensor& b) {
  return call("aten::bitwise_left_shift", "Tensor", a, b);
}
Tensor right_shift(const Tensor& a, const Tensor& b) {
  return call("aten::bitwise_right_shift", "Tensor", a, b);
}
Tensor where(const Tensor& condition, const Tensor& yes, const Tensor& no) {
  return call("aten::where", "self", condition, yes, no);
}

Tensor logical_not(const Tensor& a) { return call("aten::logical_not", "", a); }
Tensor is_finite(const Tensor& a) { return call("aten::isfinite", "", a); }
Tensor is_nan(const Tensor& a) { return call("aten::isnan", "", a); }
Tensor is_inf(const Tensor& a) { return call("aten::isinf", "", a); }
Tensor abs(const Tensor& a) { return call("aten::abs", "", a); }
Tensor negative(const Tensor& a) { return call("aten::neg", "", a); }
Tensor sqrt(const Tensor& a) { return call("aten::sqrt", "", a); }
Tensor log(const Tensor& a) { return call("aten::log", "", a); }
Tensor sigmoid(const Tensor& a) { return call("aten::sigmoid", "", a); }
Tensor log_sigmoid(const Tensor& a) { return call("aten::log_sigmoid", "", a); }

// Along a dimension, or over everything

Tensor sum(const Tensor& a) { return call("aten::sum", "", a, std::nullopt); }
Tensor sum(const Tensor& a, int64_t dim, bool keep_dim) {
  const Shape dims{dim};
  return call("aten::sum", "dim_IntList", a, std::optional(ref(dims)), keep_dim, std::nullopt);
}
Tensor all(const Tensor& a) { return call("aten::all", "", a); }
Tensor all(const Tensor& a, int64_t dim) { return call("aten::all", "dim", a, dim, false); }
Tensor any(const Tensor& a, int64_t dim, bool keep_dim) {
  return call("aten::any", "dim", a, dim, keep_dim);
}
Tensor amax(const Tensor& a, int64_t dim, bool keep_dim) {
  const Shape dims{dim};
  return call("aten::amax", "", a, ref(dims), keep_dim);
}
Tensor argmax(const Tensor& a, int64_t dim) {
  return call("aten::argmax", "", a, std::optional(dim), false);
}
Tensor cumsum(const Tensor& a, int64_t dim) {
  return call("aten::cumsum", "", a, dim, std::nullopt);
}
Tensor flip(const Tensor& a, int64_t dim) {
  const Shape dims{dim};
  return call("aten::flip", "", a, ref(dims));
}

Tensor pad(const Tensor& a, int64_t before, int64_t after) {
  const std::array<int64_t, 2> widths{before, after};
  double value = 0;
  AtenTensorHandle padded = nullptr;
  check_call(aoti_torch_aten_pad(a.get(), widths.data(), 2, "constant", &value, &padded),
             "aten::pad", a);
  return Tensor(padded);
}

std::pair<Tensor, Tensor> sort_descending(const Tensor& a) {
  const Stack results = call_stack("aten::sort", "", a, int64_t{-1}, /*descending=*/true);
  return {result(results, 0), result(results, 1)};
}

Tensor count_at_most(const Tensor& ascending, const Tensor& values) {
  return call("aten::searchsorted", "Tensor", ascending, values, /*out_int32=*/false,
              /*right=*/true, std::nullopt, std::nullopt);
}

Tensor gather(const Tensor& a, int64_t dim, const Tensor& index) {
  return call("aten::gather", "", a, dim, index, /*sparse_grad=*/false);
}
Tensor index_select(const Tensor& a, int64_t dim, const Tensor& index) {
  return call("aten::index_select", "", a, dim, index);
}
Tensor matmul(const Tensor& a, const Tensor& b) { return call("aten::matmul", "", a, b); }

Tensor bmm(const Tensor& a, const Tensor& b) { return call("aten::bmm", "", a, b); }

}  // namespace bsq
