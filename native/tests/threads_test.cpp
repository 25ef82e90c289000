// Calls from many threads at once give what one thread gets, to the bit.
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr int kThreads = 16;
constexpr int kRepeats = 4;

template <class T>
struct Results {
  Forward<T> forward;
  std::vector<T> grad_x;
};

template <class T>
Results<T> compute(const bsq_options& options, const std::vector<T>& x) {
  Results<T> results;
  CHECK_OK(forward(options, x, results.forward));
  CHECK_OK(backward(options, x, results.forward.quantized, 1.0, results.grad_x));
  return results;
}

template <class T>
bool same(const Results<T>& a, const Results<T>& b) {
  return a.forward.quantized == b.forward.quantized && a.forward.indices == b.forward.indices &&
         a.forward.losses.aux_loss == b.forward.losses.aux_loss &&
         a.forward.losses.per_sample_entropy == b.forward.losses.per_sample_entropy &&
         a.forward.losses.codebook_entropy == b.forward.losses.codebook_entropy &&
         a.grad_x == b.grad_x;
}

template <class T>
void check_concurrent_calls() {
  bsq_options options = options_for(11);
  options.inverse_temperature = 10;
  std::vector<std::vector<T>> inputs;
  std::vector<Results<T>> expected;
  for (int i = 0; i < kThreads; ++i) {
    inputs.push_back(Random(static_cast<uint64_t>(i)).normals<T>((100 + 37 * i) * 11));
    expected.push_back(compute(options, inputs.back()));
  }
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (size_t repeat = 0; repeat < kRepeats; ++repeat) {
        const size_t input = (i + repeat * 5) % kThreads;
        CHECK(same(compute(options, inputs[input]), expected[input]));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace

TEST(concurrent_calls_float32) { check_concurrent_calls<float>(); }
TEST(concurrent_calls_float64) { check_concurrent_calls<double>(); }

TEST(concurrent_refusals) {
  const bsq_options options = options_for(3);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&options, i] {
      for (int64_t repeat = 0; repeat < 200; ++repeat) {
        const int64_t index = 8 + i * 1000 + repeat;
        std::vector<float> codes;
        CHECK_REFUSED(decode(options, {index}, codes), BSQ_INVALID_ARGUMENT,
                      "indices[0] is " + std::to_string(index) + ",");
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

}  // namespace bsq::test
