#include "refusals.h"

#include <string>

#include "error.h"

namespace bsq {

void refuse_non_finite(int64_t row, int64_t column, double value) {
  fail(Code::kInvalidArgument, "x[", row, ", ", column, "] is ", value,
       ", expected a finite number");
}

void refuse_index(const Options& options, int64_t row, int64_t column, int64_t index) {
  const std::string position = options.row_indices() == 1
                                   ? std::to_string(row)
                                   : std::to_string(row) + ", " + std::to_string(column);
  fail(Code::kInvalidArgument, "indices[", position, "] is ", index, ", expected 0 to ",
       (uint64_t{1} << options.group_size) - 1, " for ",
       options.groups() == 1 ? "code_dim " : "group_size ", options.group_size);
}

void refuse_code(int64_t row, int64_t column, double value) {
  fail(Code::kInvalidArgument, "codes[", row, ", ", column, "] is ", value,
       ", expected a code value: finite and not 0 (encode takes any numbers)");
}

}  // namespace bsq
