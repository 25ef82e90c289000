// Tensors for tests: handles that free themselves, and failures as exceptions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bsq/bsq.h"
#include "outcome.h"

namespace bsq::test {

using Shape = std::vector<int64_t>;

template <class T>
inline constexpr int32_t kDtype = 0;
template <>
inline constexpr int32_t kDtype<float> = BSQ_FLOAT32;
template <>
inline constexpr int32_t kDtype<double> = BSQ_FLOAT64;
template <>
inline constexpr int32_t kDtype<int64_t> = BSQ_INT64;
template <>
inline constexpr int32_t kDtype<int32_t> = BSQ_INT32;
template <>
inline constexpr int32_t kDtype<uint8_t> = BSQ_UINT8;

template <class T>
int64_t bytes(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

struct Free {
  void operator()(bsq_tensor* tensor) const { bsq_tensor_free(tensor); }
  void operator()(bsq_quantization* quantization) const { bsq_quantization_free(quantization); }
  void operator()(bsq_residual_quantization* quantization) const {
    bsq_residual_quantization_free(quantization);
  }
};
using Tensor = std::unique_ptr<bsq_tensor, Free>;
using Quantization = std::unique_ptr<bsq_quantization, Free>;
using ResidualQuantization = std::unique_ptr<bsq_residual_quantization, Free>;

// A call that failed.
struct Refusal : std::runtime_error {
  explicit Refusal(const Outcome& of) : std::runtime_error(of.message), outcome(of) {}
  Outcome outcome;
};

inline void must(bsq_status* status) {
  const Outcome outcome(status);
  if (outcome.code != BSQ_OK) {
    throw Refusal(outcome);
  }
}

// What body did: the refusal that it threw, or success.
template <class Body>
Outcome outcome_of(const Body& body) {
  try {
    body();
  } catch (const Refusal& refusal) {
    return refusal.outcome;
  }
  return Outcome(nullptr);
}

// For arguments that are optional, or missing.
inline constexpr const bsq_tensor* kNoTensor = nullptr;

// The object that the function makes and stores through its last parameter.
template <class T = bsq_tensor, class Function, class... Args>
std::unique_ptr<T, Free> make(const Function& function, const Args&... args) {
  static double nowhere = 0;
  T* const not_written = reinterpret_cast<T*>(&nowhere);
  T* object = not_written;
  const Outcome outcome(function(args..., &object));
  if (outcome.code != BSQ_OK) {
    CHECK(object == nullptr);
    throw Refusal(outcome);
  }
  CHECK(object != nullptr && object != not_written);
  return std::unique_ptr<T, Free>(object);
}

// The outcome of the same, without the object.
template <class T = bsq_tensor, class Function, class... Args>
Outcome try_make(const Function& function, const Args&... args) {
  return outcome_of([&] { make<T>(function, args...); });
}

template <class T>
Tensor tensor_of(const std::vector<T>& values, const Shape& shape) {
  return make(bsq_tensor_copy, kDtype<T>, BSQ_DEVICE_CPU, 0, shape.data(),
              static_cast<int64_t>(shape.size()), values.data(), bytes(values));
}

inline Tensor zeros(int32_t dtype, const Shape& shape) {
  return make(bsq_tensor_zeros, dtype, BSQ_DEVICE_CPU, 0, shape.data(),
              static_cast<int64_t>(shape.size()));
}

// Without strides: contiguous.
inline Tensor borrow(int32_t dtype, const Shape& shape, const Shape& strides, const void* data,
                     int64_t data_bytes) {
  return make(bsq_tensor_borrow, dtype, BSQ_DEVICE_CPU, 0, shape.data(),
              strides.empty() ? nullptr : strides.data(), static_cast<int64_t>(shape.size()), data,
              data_bytes);
}

inline Tensor permute(const Tensor& tensor, const Shape& dimensions) {
  return make(bsq_tensor_permute, tensor.get(), dimensions.data(),
              static_cast<int64_t>(dimensions.size()));
}

inline Tensor narrow(const Tensor& tensor, int64_t dimension, int64_t start, int64_t length) {
  return make(bsq_tensor_narrow, tensor.get(), dimension, start, length);
}

inline Tensor convert(const Tensor& tensor, int32_t dtype) {
  return make(bsq_tensor_to, tensor.get(), dtype, BSQ_DEVICE_CPU, 0);
}

inline bsq_tensor_info describe(const Tensor& tensor) {
  bsq_tensor_info info{};
  info.struct_size = sizeof(info);
  must(bsq_tensor_describe(tensor.get(), &info));
  return info;
}

inline Shape shape_of(const Tensor& tensor) {
  const bsq_tensor_info info = describe(tensor);
  Shape values(static_cast<size_t>(info.rank));
  std::copy_n(&info.shape[0], values.size(), values.begin());
  return values;
}

inline Shape strides_of(const Tensor& tensor) {
  const bsq_tensor_info info = describe(tensor);
  Shape values(static_cast<size_t>(info.rank));
  std::copy_n(&info.strides[0], values.size(), values.begin());
  return values;
}

inline bool is_contiguous(const Tensor& tensor) {
  const Shape shape = shape_of(tensor);
  const Shape strides = strides_of(tensor);
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (strides[i] != stride) {
      return false;
    }
    stride *= std::max(shape[i], int64_t{1});
  }
  return true;
}

inline int64_t count_of(const Tensor& tensor) {
  int64_t count = 1;
  for (const int64_t size : shape_of(tensor)) {
    count *= size;
  }
  return count;
}

inline const void* data_of(const Tensor& tensor) {
  const void* data = nullptr;
  must(bsq_tensor_data(tensor.get(), &data));
  return data;
}

// The elements in row-major order, as numbers of type T.
template <class T>
std::vector<T> read(const Tensor& tensor) {
  std::vector<T> values(static_cast<size_t>(count_of(tensor)), T{77});
  must(bsq_tensor_read(tensor.get(), kDtype<T>, values.data(), bytes(values)));
  return values;
}

inline bsq_losses losses_of(const Quantization& quantization) {
  bsq_losses losses = empty_losses();
  must(bsq_quantization_losses(quantization.get(), &losses));
  return losses;
}

}  // namespace bsq::test
