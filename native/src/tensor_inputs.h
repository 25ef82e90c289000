// What the functions on tensors have in common: checks of their arguments, the choice between
// kernels and operators, and tensors as these take them. All functions throw Error.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>

#include "finding.h"
#include "operators/codes.h"
#include "operators/quantizer.h"
#include "operators/rows.h"
#include "options.h"
#include "tensor_quantizer.h"
#include "torch_ops.h"

namespace bsq {

// Whether LibTorch's operators compute, rather than kernels of this library.
[[nodiscard]] bool uses_operators(Implementation implementation, const Device& device);

// What computes rows of a device: LibTorch's operators, or kernels of this library with the same
// arguments and results.
struct DeviceFunctions {
  decltype(operators::encode)* encode;
  decltype(operators::decode)* decode;
  decltype(operators::pack)* pack;
  decltype(operators::unpack)* unpack;
  decltype(operators::forward)* forward;
  decltype(operators::backward)* backward;
};

// NULL where the kernels for CPU memory compute.
[[nodiscard]] const DeviceFunctions* device_functions(const Options& options, const Device& device);
[[nodiscard]] inline bool uses_operators(const Options& options, const Device& device) {
  return uses_operators(options.implementation, device);
}

// Checks; `what` names the tensor.

void check_floating_point(const TensorValue& value, const char* what);
void check_signed(const TensorValue& value, const char* what);
void check_dtype(const TensorValue& value, const char* what, DType expected);
// `meaning` tells whose shape is expected: "that of x, ".
void check_shape(const TensorValue& value, const char* what, const char* meaning,
                 const Shape& expected);
void check_device(const TensorValue& value, const char* what, const Tensor& other,
                  const char* other_what = "x");
void check_integers(const TensorValue& indices);
void check_result_dtype(DType dtype);
void check_mask(const Options& options, const TensorValue& mask, const Tensor& x);
void check_sums(const Options& options, const TensorValue& sums, const Tensor& x);
void check_gradient(const TensorValue& gradient, const Tensor& x);

[[nodiscard]] Findings with(Findings findings, std::shared_ptr<const Finding> finding);
[[nodiscard]] Findings with(Findings findings, const TensorValue* value);

// For what may outlive borrowed memory.
[[nodiscard]] Tensor owned(const TensorValue& value);

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

// The memory of a tensor as kernels take it: contiguous, of type T, NULL for none.
template <class T>
class KernelInput {
 public:
  // Kernels read the memory, so what was found about it is due.
  explicit KernelInput(const TensorValue* value) {
    if (value != nullptr) {
      check(value->findings);
      tensor_ = contiguous(converted(value->tensor));
    }
  }
  explicit KernelInput(const std::optional<Tensor>& tensor) {
    if (tensor) {
      tensor_ = contiguous(converted(*tensor));
    }
  }

  [[nodiscard]] const T* data() const {
    return tensor_ ? static_cast<const T*>(tensor_->const_data_ptr()) : nullptr;
  }

 private:
  static Tensor converted(const Tensor& tensor) {
    if constexpr (std::is_floating_point_v<T>) {
      return to(tensor, dtype_of<T>());
    } else {
      return tensor;
    }
  }

  std::optional<Tensor> tensor_;
};

template <class T>
T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

// Operators: on rows of any layout.

[[nodiscard]] operators::Rows as_rows(const Options& options, const Tensor& tensor);

// Of rows that are contiguous in their layout.
[[nodiscard]] Tensor as_tensor(const Options& options, const operators::Rows& rows,
                               const Shape& shape);

[[nodiscard]] std::optional<Tensor> flat(const std::optional<Tensor>& mask);

}  // namespace bsq
