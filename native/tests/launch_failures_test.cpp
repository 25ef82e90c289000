// What launches of the CUDA kernels that fail are told as, where the emulation makes them fail.
#include <cstdlib>
#include <string>
#include <vector>

#include "check.h"
#include "tensor_calls.h"

namespace bsq::test {
namespace {

constexpr const char* kVariable = "BSQ_EMULATED_CUDA_ERROR";

// As long as it lives, launches fail with this cudaError_t.
class FailingLaunches {
 public:
  explicit FailingLaunches(const char* error) {
    setenv(kVariable, error, 1);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  ~FailingLaunches() { unsetenv(kVariable); }  // NOLINT(concurrency-mt-unsafe)
  FailingLaunches(const FailingLaunches&) = delete;
  FailingLaunches& operator=(const FailingLaunches&) = delete;
  FailingLaunches(FailingLaunches&&) = delete;
  FailingLaunches& operator=(FailingLaunches&&) = delete;
};

// Every call that launches kernels, on what has been made before they failed.
template <class Check>
void check_each_call(const char* error, const Check& check) {
  bsq_options options = options_for(3);
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  const Tensor x = tensor_of<float>({1, -2, 3, -4, 5, -6}, {2, 3});
  const Tensor indices = tensor_of<int64_t>({5, 2}, {2});
  const Quantization quantization = forward(options, x);
  const int64_t handles = bsq_debug_live_handles();
  {
    const FailingLaunches failing(error);
    check("quantize", [&] { encode(options, x); });
    check("dequantize", [&] { decode(options, indices, BSQ_FLOAT32); });
    check("quantize", [&] { forward(options, x); });
    check("the loss weights", [&] { backward(quantization, x, 1.0); });
    check("backward", [&] { backward(quantization, x, 0.0); });
  }
  CHECK_EQ(bsq_debug_live_handles(), handles);
  CHECK(read<int64_t>(encode(options, x)) == (std::vector<int64_t>{5, 2}));
}

}  // namespace

TEST(device_errors) {
  check_each_call("700", [](const std::string& what, const auto& call) {
    const Outcome outcome = outcome_of(call);
    CHECK_EQ(outcome.code, BSQ_DEVICE_ERROR);
    CHECK_EQ(outcome.message,
             "CUDA failed to launch " + what + " on cpu: an illegal memory access");
  });
}

TEST(out_of_memory) {
  check_each_call("2", [](const std::string& what, const auto& call) {
    const Outcome outcome = outcome_of(call);
    CHECK_EQ(outcome.code, BSQ_OUT_OF_MEMORY);
    const std::string expected = "CUDA failed to launch " + what + " on cpu: out of memory: ";
    CHECK_EQ(outcome.message.substr(0, expected.size()), expected);
  });
}

TEST(out_of_memory_is_told_with_the_device) {
  const bsq_options options = options_for(3);
  const Tensor x = tensor_of<float>({1, -2, 3}, {1, 3});
  const FailingLaunches failing("2");
  bsq_tensor* tensor = nullptr;
  bsq_status* const status = bsq_tensor_encode(&options, x.get(), &tensor);
  bsq_memory_shortage shortage{};
  shortage.struct_size = sizeof(shortage);
  CHECK_EQ(bsq_status_shortage(status, &shortage), 1);
  CHECK_EQ(shortage.device_type, BSQ_DEVICE_CPU);
  CHECK_EQ(shortage.requested_bytes, -1);
  CHECK(shortage.total_bytes > 0 && shortage.free_bytes > 0);
  bsq_status_free(status);
}

}  // namespace bsq::test
