// A process that cannot have more threads. LibTorch's OpenMP would end it.
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "call.h"

namespace bsq::test {
namespace {

// The process's address space in bytes.
rlim_t address_space() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

// Leaves no room for another thread's stack, but for small allocations, as long as it lives.
class NoRoomForThreads {
 public:
  NoRoomForThreads() {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit limit{address_space() + rlim_t{1024} * 1024, before_.rlim_max};
    setrlimit(RLIMIT_AS, &limit);
  }
  ~NoRoomForThreads() { setrlimit(RLIMIT_AS, &before_); }
  NoRoomForThreads(const NoRoomForThreads&) = delete;
  NoRoomForThreads& operator=(const NoRoomForThreads&) = delete;
  NoRoomForThreads(NoRoomForThreads&&) = delete;
  NoRoomForThreads& operator=(NoRoomForThreads&&) = delete;

 private:
  rlimit before_{};
};

TEST(threads_that_cannot_be_had) {
#if defined(__SANITIZE_ADDRESS__)
  SKIP("the address sanitizer needs the address space");
#endif
  CHECK(bsq_num_threads() > 1);
  constexpr int64_t kRows = 200'000;
  const bsq_options options = options_for(8);
  const std::vector<float> x = Random(1).normals<float>(kRows * 8);
  std::vector<int64_t> indices(kRows);
  const auto encode_all = [&] {
    return bsq_host_encode(&options, BSQ_FLOAT32, kRows, 1, x.data(), bytes(x), indices.data(),
                           bytes(indices));
  };
  // On a thread of its own, since LibTorch starts threads for each that calls.
  std::thread([&] {
    {
      const NoRoomForThreads limit;
      CHECK_REFUSED(encode_all(), BSQ_OUT_OF_MEMORY, "could not start thread 1 of the ");
    }
    CHECK_OK(encode_all());
  }).join();
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

}  // namespace
}  // namespace bsq::test
