#include "tensor_quantizer.h"

#include <functional>
#include <numeric>
#include <utility>

#include "cpu/dispatch.h"
#include "error.h"
#include "operators/codes.h"
#include "operators/quantizer.h"
#include "quantizer.h"

namespace bsq {
namespace {

// Whether LibTorch's operators compute, rather than kernels of this library.
bool uses_operators(const Options& options, const Device& device) {
  const bool has_kernels = device.type == DeviceType::kCpu;
  if (options.implementation == Implementation::kKernels && !has_kernels) {
    fail(Code::kUnsupported,
         "implementation is BSQ_IMPLEMENTATION_KERNELS, but there are none for ", name(device));
  }
  return options.implementation == Implementation::kOperators || !has_kernels;
}

int64_t count(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

// Checks

void check_floating_point(const TensorValue& value, const char* what) {
  const DType type = dtype(value.tensor);
  if (!is_floating_point(type)) {
    fail(Code::kInvalidArgument, what, " is ", name(type),
         ", expected float32, float64, float16 or bfloat16");
  }
}

void check_rows(const Options& options, const TensorValue& value, const char* what) {
  const Shape shape = bsq::shape(value.tensor);
  if (shape.back() != options.code_dim) {
    fail(Code::kInvalidArgument, what, " has shape ", to_string(shape),
         ", expected a last dimension of code_dim ", options.code_dim);
  }
}

// The shape without its last dimension; one row has indices [1].
Shape leading_shape(const Tensor& rows) {
  Shape shape = bsq::shape(rows);
  shape.pop_back();
  return shape.empty() ? Shape{1} : shape;
}

Shape with_last(Shape shape, int64_t size) {
  shape.push_back(size);
  return shape;
}

// [rows, code_dim] of a tensor [..., code_dim], strides and type as they are where that is
// possible.
Tensor as_matrix(const Tensor& tensor) {
  return reshape(tensor, {count(leading_shape(tensor)), shape(tensor).back()});
}

Findings with(Findings findings, std::shared_ptr<const Finding> finding) {
  if (finding != nullptr) {
    findings.push_back(std::move(finding));
  }
  return findings;
}

// Kernels: on contiguous CPU memory of float or double.

// Calls body with a value of the C++ type that computes for the element type.
template <class Body>
auto with_compute_type(DType dtype, const Body& body) {
  return compute_type(dtype) == DType::kFloat64 ? body(double{}) : body(float{});
}

template <class T>
constexpr DType dtype_of() {
  return std::is_same_v<T, double> ? DType::kFloat64 : DType::kFloat32;
}

// The rows as kernels take them. Kernels read the memory, so what was found about it is due.
template <class T>
Tensor kernel_input(const TensorValue& value) {
  check(value.findings);
  return contiguous(to(value.tensor, dtype_of<T>()));
}

template <class T>
const T* data(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <class T>
T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

template <class T>
Quantization kernel_forward(const Options& options, const TensorValue& x) {
  const Tensor in = kernel_input<T>(x);
  const Tensor quantized = empty(shape(in), dtype_of<T>(), kCpu);
  const Tensor indices = empty(leading_shape(in), DType::kInt64, kCpu);
  Losses losses;
  forward(options, data<T>(in), count(shape(indices)), mutable_data<T>(quantized),
          mutable_data<int64_t>(indices), &losses);
  return {options, x, {to(quantized, dtype(x.tensor)), {}}, {indices, {}}, losses};
}

template <class T>
Tensor kernel_backward(const Quantization& quantization, const TensorValue* grad_quantized,
                       double grad_aux_loss) {
  const Tensor x = kernel_input<T>(quantization.x);
  std::optional<Tensor> gradient;
  if (grad_quantized != nullptr) {
    gradient = kernel_input<T>(*grad_quantized);
  }
  const Tensor grad_x = empty(shape(x), dtype_of<T>(), kCpu);
  backward(quantization.options, data<T>(x), count(leading_shape(x)),
           gradient ? data<T>(*gradient) : nullptr, grad_aux_loss, mutable_data<T>(grad_x));
  return to(grad_x, dtype(quantization.x.tensor));
}

// Operators

Quantization operator_forward(const Options& options, const TensorValue& x) {
  operators::Forward result = operators::forward(options, as_matrix(x.tensor));
  const Findings findings = with(x.findings, std::move(result.finding));
  return {options,
          {x.tensor, findings},
          {reshape(result.quantized, shape(x.tensor)), findings},
          {reshape(result.indices, leading_shape(x.tensor)), findings},
          std::move(result.entropies)};
}

Tensor operator_backward(const Quantization& quantization, const TensorValue* grad_quantized,
                         double grad_aux_loss) {
  const Tensor& x = quantization.x.tensor;
  std::optional<Tensor> gradient;
  if (grad_quantized != nullptr) {
    gradient = as_matrix(grad_quantized->tensor);
  }
  return reshape(operators::backward(quantization.options, as_matrix(x),
                                     gradient ? &*gradient : nullptr, grad_aux_loss),
                 shape(x));
}

}  // namespace

const char* implementation(DeviceType type) {
  return type == DeviceType::kCpu ? cpu::implementation() : "LibTorch operators";
}

TensorValue encode(const Options& options, const TensorValue& x) {
  check_floating_point(x, "x");
  check_rows(options, x, "x");
  const Shape leading = leading_shape(x.tensor);
  if (uses_operators(options, device(x.tensor))) {
    operators::Result result = operators::encode(options, as_matrix(x.tensor));
    return {reshape(result.tensor, leading), with(x.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype(x.tensor), [&](auto type) -> TensorValue {
    using T = decltype(type);
    const Tensor in = kernel_input<T>(x);
    const Tensor indices = empty(leading, DType::kInt64, kCpu);
    encode(options, data<T>(in), count(leading), mutable_data<int64_t>(indices));
    return {indices, {}};
  });
}

TensorValue decode(const Options& options, const TensorValue& indices, DType dtype) {
  if (is_floating_point(bsq::dtype(indices.tensor))) {
    fail(Code::kInvalidArgument, "indices is ", name(bsq::dtype(indices.tensor)),
         ", expected int64, int32 or uint8");
  }
  if (!is_floating_point(dtype)) {
    fail(Code::kInvalidArgument, "dtype is ", name(dtype),
         ", expected float32, float64, float16 or bfloat16");
  }
  const Shape shape = with_last(bsq::shape(indices.tensor), options.code_dim);
  if (shape.size() > BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, "indices has rank ", shape.size() - 1, ", expected at most ",
         BSQ_MAX_RANK - 1);
  }
  const Tensor wide = to(indices.tensor, DType::kInt64);
  if (uses_operators(options, device(wide))) {
    operators::Result result =
        operators::decode(options, reshape(wide, {count(bsq::shape(wide))}), dtype);
    return {reshape(result.tensor, shape), with(indices.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype, [&](auto type) -> TensorValue {
    using T = decltype(type);
    check(indices.findings);
    const Tensor in = contiguous(wide);
    const Tensor quantized = empty(shape, dtype_of<T>(), kCpu);
    decode(options, data<int64_t>(in), count(bsq::shape(in)), mutable_data<T>(quantized));
    return {to(quantized, dtype), {}};
  });
}

TensorValue bits_to_codes(const TensorValue& bits) {
  if (dtype(bits.tensor) == DType::kUInt8) {
    fail(Code::kInvalidArgument,
         "bits is uint8, which has no -1, expected a float or signed integer type");
  }
  // One multiplication and one addition: there is nothing that a kernel would gain.
  return {operators::bits_to_codes(bits.tensor), bits.findings};
}

TensorValue codes_to_indices(const Options& options, const TensorValue& codes) {
  const DType dtype = bsq::dtype(codes.tensor);
  if (dtype == DType::kUInt8) {
    fail(Code::kInvalidArgument,
         "codes is uint8, which has no -1, expected a float or signed integer type");
  }
  check_rows(options, codes, "codes");
  const Shape leading = leading_shape(codes.tensor);
  // float64 has every int32, and the sign of every int64.
  const TensorValue numbers{
      is_floating_point(dtype) ? codes.tensor : to(codes.tensor, DType::kFloat64), codes.findings};
  if (uses_operators(options, device(codes.tensor))) {
    operators::Result result = operators::codes_to_indices(options, as_matrix(numbers.tensor));
    return {reshape(result.tensor, leading), with(codes.findings, std::move(result.finding))};
  }
  return with_compute_type(bsq::dtype(numbers.tensor), [&](auto type) -> TensorValue {
    using T = decltype(type);
    const Tensor in = kernel_input<T>(numbers);
    const Tensor indices = empty(leading, DType::kInt64, kCpu);
    codes_to_indices(options, data<T>(in), count(leading), mutable_data<int64_t>(indices));
    return {indices, {}};
  });
}

Quantization forward(const Options& options, const TensorValue& x) {
  check_floating_point(x, "x");
  check_rows(options, x, "x");
  options.require_losses();
  // The quantization may outlive borrowed memory.
  const TensorValue own{x.borrowed ? clone(x.tensor) : x.tensor, x.findings};
  if (uses_operators(options, device(own.tensor))) {
    return operator_forward(options, own);
  }
  return with_compute_type(dtype(own.tensor),
                           [&](auto type) { return kernel_forward<decltype(type)>(options, own); });
}

Losses read_losses(const Quantization& quantization) {
  check(quantization.quantized.findings);
  if (const auto* losses = std::get_if<Losses>(&quantization.losses)) {
    return *losses;
  }
  const Tensor entropies = to(std::get<Tensor>(quantization.losses), DType::kFloat64, kCpu);
  const auto* values = data<double>(entropies);
  return {quantization.options, values[0], values[1]};
}

TensorValue backward(const Quantization& quantization, const TensorValue* grad_quantized,
                     double grad_aux_loss) {
  const Tensor& x = quantization.x.tensor;
  Findings findings = quantization.x.findings;
  if (grad_quantized != nullptr) {
    check_floating_point(*grad_quantized, "grad_quantized");
    const Tensor& gradient = grad_quantized->tensor;
    if (shape(gradient) != shape(x)) {
      fail(Code::kInvalidArgument, "grad_quantized has shape ", to_string(shape(gradient)),
           ", expected that of x, ", to_string(shape(x)));
    }
    if (!(device(gradient) == device(x))) {
      fail(Code::kInvalidArgument, "grad_quantized is on ", name(device(gradient)),
           ", but x is on ", name(device(x)));
    }
    findings = merge(std::move(findings), grad_quantized->findings);
  }
  if (uses_operators(quantization.options, device(x))) {
    return {operator_backward(quantization, grad_quantized, grad_aux_loss), std::move(findings)};
  }
  return with_compute_type(dtype(x), [&](auto type) -> TensorValue {
    return {kernel_backward<decltype(type)>(quantization, grad_quantized, grad_aux_loss), {}};
  });
}

}  // namespace bsq
