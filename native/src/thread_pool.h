// LibTorch's threads.
#pragma once

namespace bsq {

// Makes sure that LibTorch can start the threads that it uses for calls from this thread: its
// OpenMP starts them at the first such call, and ends the whole process if it cannot. Throws Error
// where they cannot be had. To be called before anything that may run in parallel.
void require_thread_pool();

}  // namespace bsq
