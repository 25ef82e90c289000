#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "bsq/bsq.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr int kMaxPrinted = 20;  // failures of one test; the others are only counted

struct State {
  const Registration* last = nullptr;
  std::atomic<int> checks{0};    // of the test that runs
  std::atomic<int> failures{0};  // likewise
  std::mutex print_mutex;
};

State& state() noexcept {
  static State instance;
  return instance;
}

void run(const Registration& test) {
  try {
    test.body();
  } catch (const std::exception& error) {
    record(false, test.name, 0, std::string("exception: ") + error.what());
  } catch (...) {
    record(false, test.name, 0, "unknown exception");
  }
}

// Whether the test passed.
bool run_and_report(const Registration& test) {
  State& shared = state();
  shared.checks = 0;
  shared.failures = 0;
  const auto start = std::chrono::steady_clock::now();
  run(test);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (bsq_debug_live_handles() != 0) {
    record(false, test.name, 0,
           "objects that were not freed: " + std::to_string(bsq_debug_live_handles()));
  }
  if (shared.checks == 0) {
    record(false, test.name, 0, "the test made no check");
  }
  const bool passed = shared.failures == 0;
  std::printf("%s %s: %d checks, %d failed, %.2f s\n", passed ? "ok    " : "FAILED", test.name,
              shared.checks.load(), shared.failures.load(), seconds.count());
  (void)std::fflush(stdout);
  return passed;
}

// All tests, or those of these names. The exit status.
int run_all(const std::vector<std::string>& names) {
  std::vector<const Registration*> tests;
  for (const Registration* test = state().last; test != nullptr; test = test->previous) {
    tests.push_back(test);
  }
  std::reverse(tests.begin(), tests.end());  // now as in the file
  size_t count = 0;
  bool passed = true;
  for (const Registration* test : tests) {
    if (names.empty() || std::find(names.begin(), names.end(), test->name) != names.end()) {
      passed = run_and_report(*test) && passed;
      ++count;
    }
  }
  if (count == 0 || (!names.empty() && count != names.size())) {
    std::printf("FAILED: of %zu names, %zu are those of tests\n", names.size(), count);
    passed = false;
  }
  return passed ? 0 : 1;
}

}  // namespace

Registration::Registration(const char* test_name, void (*test_body)()) noexcept
    : name(test_name), body(test_body), previous(state().last) {
  state().last = this;
}

void record(bool passed, const char* file, int line, const std::string& text) {
  State& shared = state();
  shared.checks.fetch_add(1);
  if (!passed && shared.failures.fetch_add(1) < kMaxPrinted) {
    const std::lock_guard<std::mutex> lock(shared.print_mutex);
    std::printf("%s:%d: %s\n", file, line, text.c_str());
  }
}

void skip(const char* file, int line, const std::string& reason) {
  state().checks.fetch_add(1);
  std::printf("%s:%d: SKIPPED: %s\n", file, line, reason.c_str());
}

}  // namespace bsq::test

int main(int count, char** arguments) {
  try {
    return bsq::test::run_all({arguments + 1, arguments + count});
  } catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
  }
}
