// Memory of a kernel's workspace. Part of the row kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Hands out parts of a piece of memory, on cache lines' boundaries. Without memory it only adds up
// how much is needed.
class Carver {
 public:
  explicit Carver(void* memory) : memory_(static_cast<std::byte*>(memory)) {}

  template <class U>
  U* take(int64_t size) {
    constexpr int64_t kAlignment = 64;
    const int64_t offset = bytes_;
    bytes_ += (size * static_cast<int64_t>(sizeof(U)) + kAlignment - 1) / kAlignment * kAlignment;
    return memory_ == nullptr ? nullptr : reinterpret_cast<U*>(memory_ + offset);
  }

  [[nodiscard]] int64_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  int64_t bytes_ = 0;
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
