#include "finding.h"

#include <algorithm>

#include "torch_cuda.h"

namespace bsq {
namespace {

template <class T>
T read_one(const Tensor& tensor, DType dtype) {
  const Tensor on_cpu = to(tensor, dtype, kCpu);
  return *static_cast<const T*>(on_cpu.const_data_ptr());
}

std::optional<Finding::Refused> read(const Finding::Evidence& evidence) {
  if (read_one<int64_t>(evidence.refused, DType::kInt64) == 0) {
    return std::nullopt;
  }
  Finding::Refused refused{read_one<int64_t>(evidence.row, DType::kInt64),
                           read_one<int64_t>(evidence.column, DType::kInt64), 0, 0};
  if (is_floating_point(dtype(evidence.value))) {
    refused.number = read_one<double>(evidence.value, DType::kFloat64);
  } else {
    refused.integer = read_one<int64_t>(evidence.value, DType::kInt64);
  }
  return refused;
}

}  // namespace

Finding::Finding(const Evidence& evidence, Refuse refuse)
    : Finding(
          [work = StreamOfWork(device(evidence.refused)), evidence] {
            work.wait();
            return read(evidence);
          },
          std::move(refuse)) {}

void Finding::check() const {
  std::call_once(once_, [this] { error_ = find(); });
  if (error_) {
    throw Error(*error_);
  }
}

std::optional<Error> Finding::find() const {
  const std::optional<Refused> refused = read_();
  if (!refused) {
    return std::nullopt;
  }
  try {
    refuse_(*refused);
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
