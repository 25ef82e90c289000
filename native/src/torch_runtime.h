// LibTorch's version and its threads, through its Stable ABI.
#pragma once

#include <cstdint>
#include <exception>
#include <mutex>
#include <type_traits>

namespace bsq {

// Packed as bsq_torch_version documents.
[[nodiscard]] uint64_t torch_version() noexcept;

[[nodiscard]] int32_t num_threads() noexcept;

namespace detail {
using RangeFunction = void (*)(int64_t begin, int64_t end, void* context);
void parallel_for(int64_t size, int64_t grain, RangeFunction function, void* context);
}  // namespace detail

// Calls body(begin, end) on LibTorch's threads for ranges that make up [0, size), each of at least
// `grain` elements but for the last; on this thread alone where one range is enough. The first
// exception of a body is thrown again here, after all have ended.
template <class Body>
void parallel_for(int64_t size, int64_t grain, const Body& body) {
  struct Context {
    const Body& body;
    std::mutex mutex;
    std::exception_ptr failure;
  } context{body, {}, nullptr};
  detail::parallel_for(
      size, grain,
      [](int64_t begin, int64_t end, void* pointer) {
        auto& shared = *static_cast<Context*>(pointer);
        try {
          shared.body(begin, end);
        } catch (...) {
          const std::lock_guard<std::mutex> lock(shared.mutex);
          if (!shared.failure) {
            shared.failure = std::current_exception();
          }
        }
      },
      &context);
  if (context.failure) {
    std::rethrow_exception(context.failure);
  }
}

}  // namespace bsq
