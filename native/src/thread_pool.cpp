#include "thread_pool.h"

#include <cstdint>
#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#include "error.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Starts so many threads, all alive at the same time, and ends them.
void try_threads(int32_t count) {
  std::latch all_started(1);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  const auto end_all = [&] {
    all_started.count_down();
    for (std::thread& thread : threads) {
      thread.join();
    }
  };
  try {
    for (int32_t i = 0; i < count; ++i) {
      threads.emplace_back([&] { all_started.wait(); });
    }
  } catch (const std::system_error& error) {
    const size_t started = threads.size();
    end_all();
    fail(Code::kOutOfMemory, "could not start thread ", started + 1, " of the ", count,
         " that LibTorch uses for calls from this thread: ", error.code().message(),
         "; set OMP_NUM_THREADS to fewer");
  }
  end_all();
}

}  // namespace

void require_thread_pool() {
  thread_local bool has_pool = false;
  if (!has_pool) {
    try_threads(num_threads() - 1);
    has_pool = true;  // from now on LibTorch has its own, or can have them
  }
}

}  // namespace bsq
