#include "status.h"

#include <new>
#include <optional>
#include <string>

#include "live_handles.h"

struct bsq_status {
  bsq::Code code;
  std::string message;
  std::optional<bsq::Shortage> shortage;
  std::optional<bsq::LiveHandle> live;  // of those that callers own
};

namespace bsq {
namespace {

// Short enough for the string's own buffer, so that making it allocates nothing.
bsq_status& no_memory_for_status() noexcept {
  static bsq_status status{Code::kOutOfMemory, "out of memory", std::nullopt, std::nullopt};
  return status;
}

}  // namespace

bsq_status* make_status(Code code, const char* message,
                        const std::optional<Shortage>& shortage) noexcept {
  try {
    return new bsq_status{code, message, shortage, std::optional<LiveHandle>(std::in_place)};
  } catch (const std::bad_alloc&) {
    return &no_memory_for_status();
  }
}

bsq_status* status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return make_status(error.code(), error.what(), error.shortage());
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

int32_t bsq_status_shortage(const bsq_status* status, bsq_memory_shortage* shortage) {
  if (status == nullptr || !status->shortage || shortage == nullptr ||
      shortage->struct_size < sizeof(bsq_memory_shortage)) {
    return 0;
  }
  const bsq::Shortage& from = *status->shortage;
  *shortage = {shortage->struct_size, from.device_type, from.device_index,
               from.requested_bytes,  from.free_bytes,  from.total_bytes};
  return 1;
}

void bsq_status_free(bsq_status* status) {
  if (status == nullptr || status == &bsq::no_memory_for_status()) {
    return;
  }
  delete status;
}
