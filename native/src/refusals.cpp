#include "refusals.h"

#include "error.h"

namespace bsq {

void refuse_non_finite(int64_t row, int64_t column, double value) {
  fail(Code::kInvalidArgument, "x[", row, ", ", column, "] is ", value,
       ", expected a finite number");
}

void refuse_index(int64_t row, int64_t index, int64_t code_dim) {
  fail(Code::kInvalidArgument, "indices[", row, "] is ", index, ", expected 0 to ",
       (uint64_t{1} << code_dim) - 1, " for code_dim ", code_dim);
}

void refuse_code(int64_t row, int64_t column, double value) {
  fail(Code::kInvalidArgument, "codes[", row, ", ", column, "] is ", value,
       ", expected a code value: finite and not 0 (encode takes any numbers)");
}

}  // namespace bsq
