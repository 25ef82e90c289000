// Statuses: how the outcome of a call crosses the C interface.
#pragma once

#include <optional>

#include "bsq/bsq.h"
#include "error.h"

namespace bsq {

// A new status, counted as a LiveHandle. Never NULL: when even the status cannot be allocated,
// a static one that says so is returned, which bsq_status_free ignores.
[[nodiscard]] bsq_status* make_status(Code code, const char* message,
                                      const std::optional<Shortage>& shortage = {}) noexcept;

// The status for the exception that is being handled. Call it in a catch block only.
[[nodiscard]] bsq_status* status_of_current_exception() noexcept;

// Runs the body of an exported function; no exception gets past it.
template <class Body>
[[nodiscard]] bsq_status* guard(const Body& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (...) {
    return status_of_current_exception();
  }
}

}  // namespace bsq
