#include "finding.h"

#include <algorithm>

namespace bsq {
namespace {

template <class T>
T read_one(const Tensor& tensor, DType dtype) {
  const Tensor on_cpu = to(tensor, dtype, kCpu);
  return *static_cast<const T*>(on_cpu.const_data_ptr());
}

}  // namespace

void Finding::check() const {
  std::call_once(once_, [this] { error_ = read(); });
  if (error_) {
    throw Error(*error_);
  }
}

std::optional<Error> Finding::read() const {
  if (read_one<int64_t>(evidence_.refused, DType::kInt64) == 0) {
    return std::nullopt;
  }
  Refused refused{read_one<int64_t>(evidence_.row, DType::kInt64),
                  read_one<int64_t>(evidence_.column, DType::kInt64), 0, 0};
  if (is_floating_point(dtype(evidence_.value))) {
    refused.number = read_one<double>(evidence_.value, DType::kFloat64);
  } else {
    refused.integer = read_one<int64_t>(evidence_.value, DType::kInt64);
  }
  try {
    refuse_(refused);
  } catch (const Error& error) {
    return error;
  }
  fail(Code::kInternal, "a refused value was accepted");
}

Findings merge(Findings a, const Findings& b) {
  for (const auto& finding : b) {
    if (std::find(a.begin(), a.end(), finding) == a.end()) {
      a.push_back(finding);
    }
  }
  return a;
}

void check(const Findings& findings) {
  for (const auto& finding : findings) {
    finding->check();
  }
}

}  // namespace bsq
