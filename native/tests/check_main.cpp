#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "check.h"

namespace bsq::test {
namespace {

constexpr int kMaxPrinted = 20;  // failures of one test; the others are only counted

struct Test {
  const char* name;
  void (*body)();
};

std::vector<Test>& tests() {
  static std::vector<Test> list;
  return list;
}

std::atomic<int> checks{0};
std::atomic<int> failures{0};
std::mutex print_mutex;

void run(const Test& test) {
  try {
    test.body();
  } catch (const std::exception& error) {
    record(false, test.name, 0, std::string("exception: ") + error.what());
  } catch (...) {
    record(false, test.name, 0, "unknown exception");
  }
}

// The number of failed tests.
int run_all() {
  int failed_tests = 0;
  for (const Test& test : tests()) {
    checks = 0;
    failures = 0;
    const auto start = std::chrono::steady_clock::now();
    run(test);
    if (checks == 0) {
      record(false, test.name, 0, "the test made no check");
    }
    if (failures != 0) {
      ++failed_tests;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%s %s: %d checks, %d failed, %.2f s\n", failures == 0 ? "ok    " : "FAILED",
                test.name, checks.load(), failures.load(), seconds.count());
    (void)std::fflush(stdout);
  }
  return failed_tests;
}

}  // namespace

Registration::Registration(const char* name, void (*body)()) { tests().push_back({name, body}); }

void record(bool passed, const char* file, int line, const std::string& text) {
  checks.fetch_add(1);
  if (!passed && failures.fetch_add(1) < kMaxPrinted) {
    const std::lock_guard<std::mutex> lock(print_mutex);
    std::printf("%s:%d: %s\n", file, line, text.c_str());
  }
}

void skip(const char* file, int line, const std::string& reason) {
  checks.fetch_add(1);
  std::printf("%s:%d: SKIPPED: %s\n", file, line, reason.c_str());
}

}  // namespace bsq::test

int main() {
  if (bsq::test::tests().empty()) {
    std::printf("FAILED: no tests in this executable\n");
    return 1;
  }
  return bsq::test::run_all() == 0 ? 0 : 1;
}
