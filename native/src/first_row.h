// The first row that is refused, of those that several threads find.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace bsq {

// The smallest row that any thread reported.
class FirstRow {
 public:
  void report(int64_t row) noexcept {
    int64_t known = row_.load(std::memory_order_relaxed);
    while (row < known && !row_.compare_exchange_weak(known, row, std::memory_order_relaxed)) {
    }
  }

  [[nodiscard]] bool found() const noexcept { return row() != kNone; }
  [[nodiscard]] int64_t row() const noexcept { return row_.load(std::memory_order_relaxed); }

 private:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> row_{kNone};
};

}  // namespace bsq
