#include "tensor_inputs.h"

#include <utility>

#include "cuda/kernel_support.h"
#include "cuda/quantizer.h"
#include "error.h"
#include "tensor_shapes.h"

namespace bsq {

bool uses_operators(Implementation implementation, const Device& device) {
  const bool has_kernels = device.type == DeviceType::kCpu;
  if (implementation == Implementation::kKernels && !has_kernels) {
    fail(Code::kUnsupported,
         "implementation is BSQ_IMPLEMENTATION_KERNELS, but there are none of this function for ",
         name(device));
  }
  return implementation == Implementation::kOperators || !has_kernels;
}

const DeviceFunctions* device_functions(const Options& options, const Device& device) {
  static constexpr DeviceFunctions kOperators{operators::encode,  operators::decode,
                                              operators::pack,    operators::unpack,
                                              operators::forward, operators::backward};
  if (options.implementation == Implementation::kOperators) {
    return &kOperators;
  }
#ifdef BSQ_CUDA_KERNELS
  static constexpr DeviceFunctions kKernels{cuda::encode, cuda::decode,  cuda::pack,
                                            cuda::unpack, cuda::forward, cuda::backward};
  if (cuda::has_kernels(device)) {
    return &kKernels;
  }
#endif
  if (device.type == DeviceType::kCpu) {
    return nullptr;
  }
  if (options.implementation == Implementation::kKernels) {
    fail(Code::kUnsupported,
         "implementation is BSQ_IMPLEMENTATION_KERNELS, but there are none for ", name(device),
         ": ", cuda::kernels_problem(device.index));
  }
  return &kOperators;
}

void check_floating_point(const TensorValue& value, const char* what) {
  const DType type = dtype(value.tensor);
  if (!is_floating_point(type)) {
    fail(Code::kInvalidArgument, what, " is ", name(type),
         ", expected float32, float64, float16 or bfloat16");
  }
}

void check_signed(const TensorValue& value, const char* what) {
  if (dtype(value.tensor) == DType::kUInt8) {
    fail(Code::kInvalidArgument, what,
         " is uint8, which has no -1, expected a float or signed integer type");
  }
}

void check_dtype(const TensorValue& value, const char* what, DType expected) {
  if (dtype(value.tensor) != expected) {
    fail(Code::kInvalidArgument, what, " is ", name(dtype(value.tensor)), ", expected ",
         name(expected));
  }
}

void check_shape(const TensorValue& value, const char* what, const char* meaning,
                 const Shape& expected) {
  if (shape(value.tensor) != expected) {
    fail(Code::kInvalidArgument, what, " has shape ", to_string(shape(value.tensor)), ", expected ",
         meaning, to_string(expected));
  }
}

void check_device(const TensorValue& value, const char* what, const Tensor& other,
                  const char* other_what) {
  if (!(device(value.tensor) == device(other))) {
    fail(Code::kInvalidArgument, what, " is on ", name(device(value.tensor)), ", but ", other_what,
         " is on ", name(device(other)));
  }
}

void check_integers(const TensorValue& indices) {
  if (is_floating_point(dtype(indices.tensor))) {
    fail(Code::kInvalidArgument, "indices is ", name(dtype(indices.tensor)),
         ", expected int64, int32 or uint8");
  }
}

void check_result_dtype(DType dtype) {
  if (!is_floating_point(dtype)) {
    fail(Code::kInvalidArgument, "dtype is ", name(dtype),
         ", expected float32, float64, float16 or bfloat16");
  }
}

void check_mask(const Options& options, const TensorValue& mask, const Tensor& x) {
  check_dtype(mask, "mask", DType::kUInt8);
  check_shape(mask, "mask", "the leading dimensions of x, ", leading_shape(options, shape(x)));
  check_device(mask, "mask", x);
}

void check_sums(const Options& options, const TensorValue& sums, const Tensor& x) {
  check_dtype(sums, "sums", DType::kFloat64);
  check_shape(sums, "sums", "", {options.loss_sums_size()});
  check_device(sums, "sums", x);
}

void check_gradient(const TensorValue& gradient, const Tensor& x) {
  check_floating_point(gradient, "grad_quantized");
  check_shape(gradient, "grad_quantized", "that of x, ", shape(x));
  check_device(gradient, "grad_quantized", x);
}

Findings with(Findings findings, std::shared_ptr<const Finding> finding) {
  if (finding != nullptr) {
    findings.push_back(std::move(finding));
  }
  return findings;
}

Findings with(Findings findings, const TensorValue* value) {
  return value == nullptr ? std::move(findings) : merge(std::move(findings), value->findings);
}

Tensor owned(const TensorValue& value) {
  return value.borrowed ? clone(value.tensor) : value.tensor;
}

operators::Rows as_rows(const Options& options, const Tensor& tensor) {
  const auto [items, positions] = row_shape(options, shape(tensor));
  const int64_t length = options.row_length();
  return operators::Rows(options.channel_first
                             ? permute(reshape(tensor, {items, length, positions}), {0, 2, 1})
                             : reshape(tensor, {items, positions, length}));
}

Tensor as_tensor(const Options& options, const operators::Rows& rows, const Shape& shape) {
  return reshape(options.channel_first ? permute(rows.tensor(), {0, 2, 1}) : rows.tensor(), shape);
}

std::optional<Tensor> flat(const std::optional<Tensor>& mask) {
  return mask ? std::optional(reshape(*mask, {count(shape(*mask))})) : std::nullopt;
}

}  // namespace bsq
