// The one exception type of this library. It never leaves it: status.h turns it into a bsq_status.
#pragma once

#include <cmath>
#include <cstdint>
#include <exception>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "bsq/bsq.h"

namespace bsq {

enum class Code : int32_t {
  kInvalidArgument = BSQ_INVALID_ARGUMENT,
  kUnsupported = BSQ_UNSUPPORTED,
  kOutOfMemory = BSQ_OUT_OF_MEMORY,
  kDeviceError = BSQ_DEVICE_ERROR,
  kInternal = BSQ_INTERNAL,
};

// Memory that a device did not have. Bytes are -1 where unknown.
struct Shortage {
  int32_t device_type = 0;
  int32_t device_index = 0;
  int64_t requested_bytes = -1;
  int64_t free_bytes = -1;
  int64_t total_bytes = -1;
};

class Error : public std::exception {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  Error(const Shortage& shortage, std::string message)
      : code_(Code::kOutOfMemory), message_(std::move(message)), shortage_(shortage) {}

  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
  // Of kOutOfMemory, where the device is known.
  [[nodiscard]] const std::optional<Shortage>& shortage() const noexcept { return shortage_; }

 private:
  Code code_;
  std::string message_;
  std::optional<Shortage> shortage_;
};

namespace detail {

template <class Part>
void write(std::ostream& message, const Part& part) {
  if constexpr (std::is_floating_point_v<Part>) {
    if (std::isnan(part)) {  // whose sign means nothing
      message << "nan";
      return;
    }
  }
  message << part;
}

}  // namespace detail

// All parts, one after the other.
template <class... Parts>
[[nodiscard]] std::string text(const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());  // not the host program's: no digits grouped
  message.precision(9);
  message.exceptions(std::ios::badbit);  // no memory: rather no message than half of one
  (detail::write(message, parts), ...);
  return std::move(message).str();
}

// Throws an Error whose message is all parts, one after the other. `code` may be a Shortage.
template <class Reason, class... Parts>
[[noreturn]] void fail(const Reason& code, const Parts&... parts) {
  throw Error(code, text(parts...));
}

}  // namespace bsq
