#include "status.h"

#include <new>
#include <optional>
#include <string>

#include "live_handles.h"

struct bsq_status {
  bsq::Code code;
  std::string message;
  std::optional<bsq::LiveHandle> live;  // of those that callers own
};

namespace bsq {
namespace {

// Short enough for the string's own buffer, so that making it allocates nothing.
bsq_status& no_memory_for_status() noexcept {
  static bsq_status status{Code::kOutOfMemory, "out of memory", std::nullopt};
  return status;
}

}  // namespace

bsq_status* make_status(Code code, const char* message) noexcept {
  try {
    return new bsq_status{code, message, std::optional<LiveHandle>(std::in_place)};
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
  delete status;
}
