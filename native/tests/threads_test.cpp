// Calls from many threads at once give what one thread gets, to the bit; and so do calls that use
// any number of LibTorch's threads.
#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
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
  std::vector<double> sums;
  std::vector<T> grad_x;
};

template <class T>
Results<T> compute(const bsq_options& options, const Batch& batch, const std::vector<T>& x) {
  Results<T> results;
  CHECK_OK(forward(options, batch, x, results.forward));
  CHECK_OK(loss_sums(options, batch, x, results.sums));
  CHECK_OK(backward(options, batch, x, {}, results.forward.quantized, 1.0, results.grad_x));
  return results;
}

template <class T>
bool same(const Results<T>& a, const Results<T>& b) {
  const bsq_losses& left = a.forward.losses;
  const bsq_losses& right = b.forward.losses;
  return a.forward.quantized == b.forward.quantized && a.forward.indices == b.forward.indices &&
         left.aux_loss == right.aux_loss && left.per_sample_entropy == right.per_sample_entropy &&
         left.codebook_entropy == right.codebook_entropy &&
         left.entropy_loss == right.entropy_loss && left.commitment == right.commitment &&
         left.rows == right.rows && left.entropy_rows == right.entropy_rows && a.sums == b.sums &&
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
    expected.push_back(compute(options, batch_of(options, inputs.back()), inputs.back()));
  }
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (size_t repeat = 0; repeat < kRepeats; ++repeat) {
        const size_t input = (i + repeat * 5) % kThreads;
        CHECK(same(compute(options, batch_of(options, inputs[input]), inputs[input]),
                   expected[input]));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// OpenMP's own function for the number of threads that calls from this thread use: libbsq.so reads
// it, and never sets it.
void set_num_threads(int count) {
  using Function = void (*)(int);
  void* const symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (symbol == nullptr) {
    throw std::runtime_error("no omp_set_num_threads: LibTorch is not built with OpenMP");
  }
  reinterpret_cast<Function>(symbol)(count);
  CHECK_EQ(bsq_num_threads(), count);
}

// Of codes for each kind of kernel, and more rows than are expanded at once.
template <class T>
void check_numbers_of_threads(int64_t groups, int64_t bits) {
  bsq_options options = options_for(groups * bits);
  options.group_size = bits;
  options.codebooks = 2;
  options.inverse_temperature = 8;
  options.commitment_weight = 0.5;
  options.entropy_fraction = 0.8;
  options.channel_first = groups == 1 ? 0 : 1;
  Batch batch{50, 53, {}};
  for (int64_t row = 0; row < batch.rows(); ++row) {
    batch.mask.push_back(row % 7 == 2 ? 0 : 1);
  }
  const std::vector<T> x = Random(9).normals<T>(batch.rows() * row_length(options));
  const int before = bsq_num_threads();
  set_num_threads(1);
  const Results<T> expected = compute(options, batch, x);
  for (const int count : {2, 3, 7}) {
    set_num_threads(count);
    CHECK(same(compute(options, batch, x), expected));
  }
  set_num_threads(before);
}

}  // namespace

TEST(concurrent_calls_float32) { check_concurrent_calls<float>(); }
TEST(concurrent_calls_float64) { check_concurrent_calls<double>(); }

// LibTorch's operators promise no such thing.
TEST(any_number_of_threads) {
  if (path() == Path::kOperators) {
    SKIP("operators add up in an order of LibTorch's choice");
    return;
  }
  check_numbers_of_threads<float>(1, 9);
  check_numbers_of_threads<double>(3, 4);
  check_numbers_of_threads<float>(2, 12);
  check_numbers_of_threads<double>(1, 13);
  check_numbers_of_threads<float>(1, 16);
}

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
