#include "live_handles.h"

#include <atomic>

namespace bsq {
namespace {

std::atomic<int64_t>& live() noexcept {
  static std::atomic<int64_t> count{0};
  return count;
}

}  // namespace

LiveHandle::LiveHandle() noexcept { live().fetch_add(1, std::memory_order_relaxed); }

LiveHandle::~LiveHandle() { live().fetch_sub(1, std::memory_order_relaxed); }

int64_t live_handles() noexcept { return live().load(std::memory_order_relaxed); }

}  // namespace bsq
