#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <type_traits>

#include "error.h"

namespace bsq {

// Uninitialised scratch memory for `size` numbers on a cache line's boundary. A failed allocation
// is reported with its size and purpose.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivial_v<T>);

 public:
  AlignedBuffer(int64_t size, const char* purpose) {
    if (size > kMaxSize) {
      fail(Code::kOutOfMemory, "could not allocate ", size, " numbers of ", sizeof(T),
           " bytes of CPU memory for ", purpose);
    }
    const size_t bytes = (static_cast<size_t>(size) * sizeof(T) + kAlignment - 1) &
                         ~static_cast<size_t>(kAlignment - 1);
    data_.reset(static_cast<T*>(std::aligned_alloc(kAlignment, bytes == 0 ? kAlignment : bytes)));
    if (data_ == nullptr) {
      fail(Code::kOutOfMemory, "could not allocate ", bytes, " bytes of CPU memory for ", purpose);
    }
  }

  [[nodiscard]] T* get() const noexcept { return data_.get(); }
  [[nodiscard]] T& operator[](int64_t i) const noexcept { return data_.get()[i]; }

 private:
  static constexpr size_t kAlignment = 64;
  // So that the number of bytes cannot overflow.
  static constexpr int64_t kMaxSize = std::numeric_limits<int64_t>::max() / (2 * sizeof(T));

  struct Free {
    // NOLINTNEXTLINE(cppcoreguidelines-no-malloc): the other half of aligned_alloc
    void operator()(T* pointer) const noexcept { std::free(pointer); }
  };
  std::unique_ptr<T, Free> data_;
};

}  // namespace bsq
