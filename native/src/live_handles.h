// Counts the objects that callers own.
#pragma once

#include <cstdint>

namespace bsq {

// A member of each such object.
class LiveHandle {
 public:
  LiveHandle() noexcept;
  ~LiveHandle();
  LiveHandle(const LiveHandle&) = delete;
  LiveHandle& operator=(const LiveHandle&) = delete;
  LiveHandle(LiveHandle&&) = delete;
  LiveHandle& operator=(LiveHandle&&) = delete;
};

[[nodiscard]] int64_t live_handles() noexcept;

}  // namespace bsq
