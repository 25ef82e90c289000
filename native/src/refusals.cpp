#include "refusals.h"

#include <sstream>
#include <string>

#include "error.h"

namespace bsq {

void refuse_non_finite(int64_t row, int64_t column, double value) {
  fail(Code::kInvalidArgument, "x[", row, ", ", column, "] is ", value,
       ", expected a finite number");
}

namespace {

[[noreturn]] void refuse_index_at(const Options& options, const std::string& position,
                                  int64_t index) {
  fail(Code::kInvalidArgument, "indices[", position, "] is ", index, ", expected 0 to ",
       (uint64_t{1} << options.group_size) - 1, " for ",
       options.groups() == 1 ? "code_dim " : "group_size ", options.group_size);
}

}  // namespace

void refuse_index(const Options& options, int64_t row, int64_t column, int64_t index) {
  refuse_index_at(options,
                  options.row_indices() == 1 ? std::to_string(row)
                                             : std::to_string(row) + ", " + std::to_string(column),
                  index);
}

void refuse_level_index(const Options& options, int64_t row, int64_t column, int64_t index) {
  const int64_t count = options.row_indices();
  std::string position = std::to_string(row) + ", " + std::to_string(column / count);
  if (count > 1) {
    position += ", " + std::to_string(column % count);
  }
  refuse_index_at(options, position, index);
}

void refuse_packed(const Options& options, const cpu::CodeFormat& format, int64_t row,
                   int64_t column, uint64_t value) {
  if (format.layout == cpu::CodeLayout::kBits) {
    fail(Code::kInvalidArgument, "bits[", row, ", ", column, "] is ", value, ", expected 0 or 1");
  }
  std::ostringstream hex;
  hex << "0x" << std::hex << value;
  fail(Code::kInvalidArgument, "packed[", row, ", ", column, "] is ", hex.str(),
       ", whose padding is not 0: codes of code_dim ", options.code_dim, " fill ",
       (options.code_dim - 1) % (8 * format.element_size()) + 1, " bits of their last ",
       format.layout == cpu::CodeLayout::kBytes ? "byte" : "word", ", the ",
       format.least_first ? "least" : "most", " significant ones",
       format.byte_offset != 0 ? ", after adding 128" : "");
}

void refuse_code(int64_t row, int64_t column, double value) {
  fail(Code::kInvalidArgument, "codes[", row, ", ", column, "] is ", value,
       ", expected a code value: finite and not 0 (encode takes any numbers)");
}

void refuse_level_sum(const Options& options, int64_t levels, int64_t row, int64_t column,
                      double value) {
  fail(Code::kInvalidArgument, "quantized[", row, ", ", column, "] is ", value, ", which ", levels,
       levels == 1 ? " level does not give: expected +-"
                   : " levels do not give: expected an odd multiple of ",
       options.level_step(levels),
       levels == 1 ? "" : ", up to " + std::to_string((int64_t{1} << levels) - 1) + " of them");
}

}  // namespace bsq
