// The one exception type of this library. It never leaves it: status.h turns it into a bsq_status.
#pragma once

#include <cstdint>
#include <exception>
#include <locale>
#include <sstream>
#include <string>
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

// Throws an Error whose message is all parts, streamed one after the other.
template <class... Parts>
[[noreturn]] void fail(Code code, const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());  // not the host program's: no digits grouped
  message.precision(9);
  (message << ... << parts);
  throw Error(code, std::move(message).str());
}

}  // namespace bsq
