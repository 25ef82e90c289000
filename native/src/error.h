// The one exception type of this library. It never leaves it: status.h turns it into a bsq_status.
#pragma once

#include <cmath>
#include <cstdint>
#include <exception>
#include <locale>
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

class Error : public std::exception {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  Code code_;
  std::string message_;
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

// Throws an Error whose message is all parts, one after the other.
template <class... Parts>
[[noreturn]] void fail(Code code, const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());  // not the host program's: no digits grouped
  message.precision(9);
  message.exceptions(std::ios::badbit);  // no memory: rather no message than half of one
  (detail::write(message, parts), ...);
  throw Error(code, std::move(message).str());
}

}  // namespace bsq
