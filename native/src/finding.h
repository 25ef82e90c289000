// Values that are refused, found on a device that nobody waits for: the finding travels with the
// result, and the first caller that waits for the device gets the error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "error.h"
#include "torch_ops.h"

namespace bsq {

class Finding {
 public:
  // A value that is refused.
  struct Refused {
    int64_t row;
    int64_t column;
    double number;    // the value, where it is a float
    int64_t integer;  // where it is an integer
  };
  // The first refused value, if there is one. Waits for the device; called once.
  using Read = std::function<std::optional<Refused>()>;
  // Throws the Error for it.
  using Refuse = std::function<void(const Refused&)>;

  // Tensors of one element each, on the device. `refused` is not 0 where a value is refused; then
  // the others tell the first: its position and value, a float64 or int64.
  struct Evidence {
    Tensor refused;
    Tensor row;
    Tensor column;
    Tensor value;
  };

  Finding(Read read, Refuse refuse) : read_(std::move(read)), refuse_(std::move(refuse)) {}
  // Of work that this thread has put on its current stream.
  Finding(const Evidence& evidence, Refuse refuse);

  // Waits for the device. Throws Error if a value is refused. Any thread may call it.
  void check() const;

 private:
  [[nodiscard]] std::optional<Error> find() const;

  Read read_;
  Refuse refuse_;
  mutable std::once_flag once_;
  mutable std::optional<Error> error_;
};

// All that a tensor's values depend on.
using Findings = std::vector<std::shared_ptr<const Finding>>;

// Both, each finding once.
[[nodiscard]] Findings merge(Findings a, const Findings& b);

// Waits for the device. Throws the first Error.
void check(const Findings& findings);

}  // namespace bsq
