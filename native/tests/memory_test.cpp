// Running out of memory: a status, no leak, and later calls work. Address space is limited in a
// child process, forked before LibTorch has any thread (OpenMP's threads do not survive a fork).
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr int64_t kDim = 24;
#ifdef __SANITIZE_ADDRESS__
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif

constexpr uint64_t kMegabyte = uint64_t{1} << 20U;

// The process's address space in bytes, as RLIMIT_AS counts it.
uint64_t address_space() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void limit_address_space(uint64_t limit) {
  rlimit limits{};
  CHECK_EQ(getrlimit(RLIMIT_AS, &limits), 0);
  limits.rlim_cur = limit;
  CHECK_EQ(setrlimit(RLIMIT_AS, &limits), 0);
}

// Runs body in a child process, whose checks are printed there and counted here as one.
template <class Body>
void in_child(const Body& body) {
  (void)std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const int failed = body();
    (void)std::fflush(stdout);
    _exit(failed == 0 ? 0 : 1);
  }
  CHECK(child > 0);
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

struct Calls {
  bsq_options options = options_for(kDim);
  std::vector<double> x = Random(1).normals<double>(70 * kDim);
  std::vector<double> grad_x;
  bsq_losses losses_out = empty_losses();

  Outcome backward() { return test::backward(options, x, {}, 1.0, grad_x); }
  Outcome forward() { return losses(options, x, losses_out); }
};

// The number of failed expectations.
int run_out_of_memory() {
  int failed = 0;
  const auto expect = [&failed](bool condition, const std::string& text) {
    if (!condition) {
      ++failed;
      std::printf("expected %s\n", text.c_str());
    }
  };
  Calls calls;
  expect(calls.backward().code == BSQ_OK && calls.forward().code == BSQ_OK,
         "success before the limit");  // this also starts the threads
  const std::vector<double> first_result = calls.grad_x;
  const uint64_t before = address_space();
  int refused = 0;
  const auto fail_everywhere = [&] {
    // Each limit fails at another allocation. The largest (128 MB) is wanted after some small ones.
    for (const uint64_t spare :
         {0, 1, 4, 8, 16, 17, 20, 24, 33, 64, 128, 132, 144, 150, 160, 200}) {
      for (const bool is_forward : {false, true}) {
        limit_address_space(before + spare * kMegabyte);
        const Outcome outcome = is_forward ? calls.forward() : calls.backward();
        limit_address_space(RLIM_INFINITY);
        refused += outcome.code == BSQ_OUT_OF_MEMORY ? 1 : 0;
        expect(
            outcome.code == BSQ_OK || outcome.code == BSQ_OUT_OF_MEMORY,
            "out of memory with " + std::to_string(spare) + " MB spare, not: " + outcome.message);
        expect(outcome.code == BSQ_OK || outcome.message.find("bytes") != std::string::npos ||
                   outcome.message == "out of memory",
               "a message with the size, not: " + outcome.message);
      }
    }
  };
  fail_everywhere();
  // malloc keeps some of what is freed, and where memory fails it reserves an arena more for the
  // thread, in one round or the next: a leak is what grows in all of them.
  uint64_t grown = 0;
  for (int round = 0; round < 4 && (round == 0 || grown >= 16 * kMegabyte); ++round) {
    const uint64_t before_round = address_space();
    fail_everywhere();
    const uint64_t after_round = address_space();
    grown = after_round > before_round ? after_round - before_round : 0;
  }
  expect(refused > 10, "many refusals, not " + std::to_string(refused));
  expect(bsq_debug_live_handles() == 0, "no live handles");
  expect(grown < 16 * kMegabyte,
         "no leak, not " + std::to_string(grown / kMegabyte) + " MB in each round");
  expect(calls.backward().code == BSQ_OK, "success after the limit");
  expect(calls.grad_x == first_result, "the same result as before the limit");
  std::printf("%d calls were refused for want of memory\n", refused);
  return failed;
}

// A million rows, forward and backward, in little more memory than their results take. The number
// of failed calls.
int run_a_million_rows(const bsq_options& options) {
  constexpr int64_t kRows = 1000000;
  constexpr int64_t kWarmUpRows = 4000;  // starts the threads, whose arenas take address space
  constexpr uint64_t kSpareMegabytes = 64;
  const int64_t length = row_length(options);
  // The same rows again and again: they only have to be many.
  const std::vector<float> some = Random(2).normals<float>(kWarmUpRows * length);
  std::vector<float> x;
  x.reserve(static_cast<size_t>(kRows * length));
  for (int64_t row = 0; row < kRows; row += kWarmUpRows) {
    x.insert(x.end(), some.begin(), some.end());
  }
  std::vector<float> quantized(x.size());
  std::vector<float> grad_x(x.size());
  std::vector<int64_t> indices(static_cast<size_t>(kRows * row_indices(options)));
  const auto succeed = [&](int64_t rows) {
    const int64_t row_bytes = rows * length * static_cast<int64_t>(sizeof(float));
    const int64_t index_bytes = rows * row_indices(options) * static_cast<int64_t>(sizeof(int64_t));
    bsq_losses losses = empty_losses();
    const Outcome forward(bsq_host_forward(&options, BSQ_FLOAT32, rows, 1, x.data(), row_bytes,
                                           nullptr, 0, quantized.data(), row_bytes, indices.data(),
                                           index_bytes, &losses));
    const Outcome backward(bsq_host_backward(&options, BSQ_FLOAT32, rows, 1, x.data(), row_bytes,
                                             nullptr, 0, nullptr, 0, nullptr, 0, 1.0, grad_x.data(),
                                             row_bytes));
    std::printf("%s%s", forward.message.c_str(), backward.message.c_str());
    return forward.code == BSQ_OK && backward.code == BSQ_OK;
  };
  int failed = succeed(kWarmUpRows) ? 0 : 1;
  limit_address_space(address_space() + kSpareMegabytes * kMegabyte);
  failed += succeed(kRows) ? 0 : 1;
  limit_address_space(RLIM_INFINITY);
  return failed;
}

int run_a_million_rows_of_groups() {
  bsq_options options = options_for(36);
  options.group_size = 9;
  options.entropy_floor = BSQ_FLOOR_ADD;
  options.entropy_epsilon = 1e-8;
  options.commitment_weight = 0.25;
  options.entropy_fraction = 0.9;
  return run_a_million_rows(options);
}

// Several levels of a million rows take the copies of x that bsq.h tells of, and little more.
int run_levels_of_a_million_rows() {
  constexpr int64_t kRows = 1000000;
  constexpr int64_t kWarmUpRows = 4000;
  constexpr uint64_t kSpareMegabytes = 64;
  const bsq_options options = options_for(13);
  const std::vector<float> some = Random(3).normals<float>(kWarmUpRows * 13);
  std::vector<float> x;
  x.reserve(size_t{kRows} * 13);
  for (int64_t row = 0; row < kRows; row += kWarmUpRows) {
    x.insert(x.end(), some.begin(), some.end());
  }
  std::vector<float> grad_x(x.size());
  const std::vector<double> weights{1, 1, 1};
  std::vector<bsq_losses> losses(3, empty_losses());
  const auto forward = [&](int64_t rows) {
    return Outcome(bsq_host_residual_forward(&options, 3, BSQ_FLOAT32, rows, 1, x.data(), bytes(x),
                                             nullptr, 0, nullptr, 0, nullptr, 0, losses.data()));
  };
  const auto backward = [&](int64_t rows) {
    return Outcome(bsq_host_residual_backward(&options, 3, BSQ_FLOAT32, rows, 1, x.data(), bytes(x),
                                              nullptr, 0, nullptr, 0, weights.data(),
                                              bytes(weights), grad_x.data(), bytes(grad_x)));
  };
  int failed = 0;
  const auto expect = [&failed](const Outcome& outcome, int32_t code) {
    if (outcome.code != code) {
      ++failed;
      std::printf("expected code %d, not %d: %s\n", code, outcome.code, outcome.message.c_str());
    }
  };
  expect(forward(kWarmUpRows), BSQ_OK);
  expect(backward(kWarmUpRows), BSQ_OK);
  const uint64_t copy = x.size() * sizeof(float);
  const auto within = [&](uint64_t copies, const auto& call, int32_t code) {
    limit_address_space(address_space() + copies * copy + kSpareMegabytes * kMegabyte);
    const Outcome outcome = call(kRows);
    limit_address_space(RLIM_INFINITY);
    expect(outcome, code);
  };
  within(1, forward, BSQ_OK);
  within(3, backward, BSQ_OK);
  within(1, backward, BSQ_OUT_OF_MEMORY);
  return failed;
}

// Usage and search, each of which wants more than there is: a status, and later calls work.
int run_out_of_memory_for_codes() {
  constexpr int64_t kCodes = 1 << 20;
  int failed = 0;
  bsq_options options = options_for(20);
  options.codebooks = 8;
  const std::vector<int64_t> indices(size_t{kCodes} * 8, 7);
  std::vector<int64_t> counts(size_t{1} << 23U);
  const std::vector<uint8_t> codes(size_t{kCodes} * 8, 1);
  std::vector<int64_t> positions(kCodes);
  std::vector<int32_t> distances(kCodes);
  const auto usage = [&](int64_t rows) {
    return Outcome(bsq_host_usage_add(&options, BSQ_CODES_INDICES, rows, indices.data(),
                                      bytes(indices), nullptr, 0, counts.data(), bytes(counts)));
  };
  const auto nearest = [&](int64_t k) {
    return Outcome(bsq_host_nearest(8, 1, codes.data(), 8, kCodes, codes.data(), bytes(codes), k,
                                    positions.data(), bytes(positions), distances.data(),
                                    bytes(distances)));
  };
  const auto check = [&failed](bool condition, const char* what, const Outcome& outcome) {
    if (!condition) {
      ++failed;
      std::printf("%s: %d %s\n", what, outcome.code, outcome.message.c_str());
    }
  };
  // This also starts the threads.
  for (int32_t i = 0; i < 2; ++i) {
    const Outcome first_usage = usage(1000);
    check(first_usage.code == BSQ_OK, "usage before the limit", first_usage);
    const Outcome first_nearest = nearest(3);
    check(first_nearest.code == BSQ_OK, "search before the limit", first_nearest);
  }
  std::fill(counts.begin(), counts.end(), 0);
  limit_address_space(address_space() + 2 * kMegabyte);
  const Outcome no_usage = usage(kCodes);
  const Outcome no_nearest = nearest(kCodes);
  limit_address_space(RLIM_INFINITY);
  // Usage does without counters of the threads' own, where these cannot be had, or says so.
  check(no_usage.code == BSQ_OK || no_usage.code == BSQ_OUT_OF_MEMORY, "usage", no_usage);
  const int64_t counted = no_usage.code == BSQ_OK ? kCodes : 0;
  check(counts[7] == counted, "what was counted", no_usage);
  check(no_nearest.code == BSQ_OUT_OF_MEMORY, "search", no_nearest);
  check(bsq_debug_live_handles() == 0, "live handles", no_nearest);
  const Outcome later_usage = usage(kCodes);
  check(later_usage.code == BSQ_OK && counts[7] == counted + kCodes, "usage later", later_usage);
  const Outcome later_nearest = nearest(kCodes);
  check(later_nearest.code == BSQ_OK && positions[kCodes - 1] == kCodes - 1, "search later",
        later_nearest);
  std::printf("usage: %s\nsearch: %s\n", no_usage.message.c_str(), no_nearest.message.c_str());
  return failed;
}

constexpr const char* kNoLimit =
    "the address sanitizer needs terabytes of address space: no RLIMIT_AS under it";

}  // namespace

TEST(a_million_rows_take_little_memory) {
  if (kAddressSanitizer) {
    SKIP(kNoLimit);
  } else if (path() != Path::kHost) {
    SKIP("these are the host functions");
  } else {
    in_child([] { return run_a_million_rows(options_for(13)); });
    in_child(run_a_million_rows_of_groups);
    in_child(run_levels_of_a_million_rows);
  }
}

TEST(out_of_memory_for_codes) {
  if (kAddressSanitizer) {
    SKIP(kNoLimit);
  } else if (path() != Path::kHost) {
    SKIP("these are the host functions");
  } else {
    in_child(run_out_of_memory_for_codes);
  }
}

TEST(out_of_memory) {
  if (kAddressSanitizer) {
    SKIP(kNoLimit);
  } else {
    in_child(run_out_of_memory);
  }
}

// Nothing is allocated for what a wrong call claims: refused by the checks alone.
TEST(claimed_sizes_are_not_allocated) {
  const bsq_options options = options_for(1);
  const float x = 1;
  int64_t index = 0;
  const int64_t rows = (int64_t{1} << 61U) - 1;
  CHECK_REFUSED(
      bsq_host_encode(&options, BSQ_FLOAT32, rows, 1, &x, sizeof(x), &index, sizeof(index)),
      BSQ_INVALID_ARGUMENT, "x has 4 bytes, expected at least 9223372036854775804");
}

}  // namespace bsq::test
