#include "status.h"

#include <atomic>
#include <new>
#include <string>

struct bsq_status {
  bsq::Code code;
  std::string message;
};

namespace bsq {
namespace {

std::atomic<int64_t>& live() noexcept {
  static std::atomic<int64_t> count{0};
  return count;
}

// Short enough for the string's own buffer, so that making it allocates nothing.
bsq_status& no_memory_for_status() noexcept {
  static bsq_status status{Code::kOutOfMemory, "out of memory"};
  return status;
}

}  // namespace

bsq_status* make_status(Code code, const char* message) noexcept {
  try {
    auto* status = new bsq_status{code, message};
    live().fetch_add(1, std::memory_order_relaxed);
    return status;
  } catch (const std::bad_alloc&) {
    return &no_memory_for_status();
  }
}

bsq_status* status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return make_status(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return make_status(Code::kOutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    return make_status(Code::kInternal, error.what());
  } catch (...) {
    return make_status(Code::kInternal, "unknown C++ exception");
  }
}

int64_t live_handles() noexcept { return live().load(std::memory_order_relaxed); }

}  // namespace bsq

int32_t bsq_status_code(const bsq_status* status) {
  return status == nullptr ? BSQ_OK : static_cast<int32_t>(status->code);
}

const char* bsq_status_message(const bsq_status* status) {
  return status == nullptr ? "" : status->message.c_str();
}

void bsq_status_free(bsq_status* status) {
  if (status == nullptr || status == &bsq::no_memory_for_status()) {
    return;
  }
  bsq::live().fetch_sub(1, std::memory_order_relaxed);
  delete status;
}
