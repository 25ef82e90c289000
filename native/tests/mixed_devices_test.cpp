// Tensors on different devices in one call, refused before anything is computed. A machine without
// a GPU has LibTorch's device "meta", whose tensors have no memory: to this library all that is not
// the CPU is CUDA. It links the library's objects rather than libbsq.so, which makes no such
// tensor.
#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <array>
#include <cstdint>
#include <string>

#include "call.h"
#include "check.h"
#include "status.h"
#include "tensor_quantizer.h"
#include "tensor_residual.h"
#include "torch_error.h"
#include "torch_ops.h"

namespace bsq::test {
namespace {

using Value = TensorValue;

Value here(DType dtype, const bsq::Shape& shape) { return {zeros(shape, dtype, kCpu), {}}; }

Value there(DType dtype, const bsq::Shape& shape) {
  const bsq::Shape strides = bsq::strides(zeros(shape, dtype, kCpu));
  const int32_t type = dtype == DType::kFloat32   ? aoti_torch_dtype_float32()
                       : dtype == DType::kFloat64 ? aoti_torch_dtype_float64()
                                                  : aoti_torch_dtype_uint8();
  AtenTensorHandle tensor = nullptr;
  check_torch(
      aoti_torch_empty_strided(static_cast<int64_t>(shape.size()), shape.data(), strides.data(),
                               type, aoti_torch_device_type_meta(), 0, &tensor),
      "empty_strided");
  return {bsq::Tensor(tensor), {}};
}

// The call names both: what is elsewhere, and what it was expected beside.
template <class Body>
void check_refused(const std::string& what, const std::string& beside, const Body& body) {
  const Outcome outcome(guard([&] { static_cast<void>(body()); }));
  CHECK_EQ(outcome.code, BSQ_INVALID_ARGUMENT);
  CHECK_CONTAINS(outcome.message, what + " is on c");
  CHECK_CONTAINS(outcome.message, ", but " + beside + " is on c");
  CHECK(outcome.message.find("cuda:") != std::string::npos);
  CHECK(outcome.message.find("on cpu") != std::string::npos);
}

}  // namespace

TEST(of_the_quantizer) {
  bsq_options raw = options_for(3);
  for (const int32_t implementation :
       {BSQ_IMPLEMENTATION_AUTOMATIC, BSQ_IMPLEMENTATION_OPERATORS}) {
    raw.implementation = implementation;
    const Options options = Options::from(&raw);
    const Value x = here(DType::kFloat32, {2, 3});
    const Value mask = there(DType::kUInt8, {2});
    const Value gradient = there(DType::kFloat32, {2, 3});
    const Value sums = there(DType::kFloat64, {options.loss_sums_size()});
    const std::array<double, 2> weights{1, 1};
    check_refused("mask", "x", [&] { return forward(options, x, &mask); });
    const Value cpu_mask = here(DType::kUInt8, {2});
    raw.implementation = BSQ_IMPLEMENTATION_AUTOMATIC;
    check_refused("mask", "x", [&] { return forward(Options::from(&raw), gradient, &cpu_mask); });
    const bsq::Quantization result = forward(options, x, nullptr);
    check_refused("sums", "x", [&] { return backward(result, &sums, nullptr, 1); });
    check_refused("grad_quantized", "x", [&] { return backward(result, nullptr, &gradient, 1); });
    check_refused("mask", "x", [&] { return residual_forward(options, 2, x, &mask); });
    const bsq::ResidualQuantization levels = residual_forward(options, 2, x, nullptr);
    check_refused("grad_quantized", "x",
                  [&] { return residual_backward(levels, &gradient, weights.data()); });
  }
}

TEST(of_usage_and_search) {
  const bsq_options raw = options_for(3);
  const Options options = Options::from(&raw);
  const Value mask = there(DType::kUInt8, {2});
  check_refused("mask", "codes", [&] {
    return usage(options, here(DType::kInt64, {2}), cpu::CodeLayout::kIndices, &mask);
  });
  const Value packed = here(DType::kUInt8, {2, 1});
  const Value elsewhere = there(DType::kUInt8, {2, 1});
  for (const int32_t implementation :
       {BSQ_IMPLEMENTATION_AUTOMATIC, BSQ_IMPLEMENTATION_OPERATORS}) {
    check_refused("codes", "queries",
                  [&] { return hamming_distances(packed, elsewhere, implementation); });
    check_refused("codes", "queries",
                  [&] { return hamming_nearest(elsewhere, packed, 1, implementation); });
  }
}

}  // namespace bsq::test
