#include "torch_runtime.h"

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/c/shim.h>

#include "thread_pool.h"
#include "torch_error.h"

namespace bsq {
uint64_t torch_version() noexcept { return aoti_torch_abi_version(); }

int32_t num_threads() noexcept {
  uint32_t threads = 1;
  torch_get_num_threads(&threads);
  return static_cast<int32_t>(threads);
}

void detail::parallel_for(int64_t size, int64_t grain, RangeFunction function, void* context) {
  if (size <= grain) {  // also spares the call where size is 0
    if (size > 0) {
      function(0, size, context);
    }
    return;
  }
  require_thread_pool();
  check_torch(torch_parallel_for(0, size, grain, function, context), "parallel_for");
}

}  // namespace bsq
