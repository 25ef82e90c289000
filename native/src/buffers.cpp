#include "buffers.h"

namespace bsq {

Buffer checked(const Buffer& buffer, int64_t rows, int64_t columns, int64_t element_size) {
  int64_t row_bytes = 0;
  int64_t needed = 0;
  if (__builtin_mul_overflow(columns, element_size, &row_bytes) ||
      __builtin_mul_overflow(rows, row_bytes, &needed)) {
    fail(Code::kInvalidArgument, buffer.name, ": ", rows, " rows of ", columns, " elements of ",
         element_size, " bytes are more than 2^63 - 1 bytes");
  }
  if (buffer.bytes < needed) {
    fail(Code::kInvalidArgument, buffer.name, " has ", buffer.bytes, " bytes, expected at least ",
         needed, " (", rows, " rows of ", columns, " elements of ", element_size, " bytes)");
  }
  if (needed > 0 && buffer.data == nullptr) {
    fail(Code::kInvalidArgument, buffer.name, " is NULL, expected ", needed, " bytes");
  }
  const auto address = reinterpret_cast<uintptr_t>(buffer.data);
  if (needed > 0 && (address & static_cast<uintptr_t>(element_size - 1)) != 0) {
    fail(Code::kInvalidArgument, buffer.name, " is at an address not aligned to ", element_size,
         " bytes");
  }
  if (address + static_cast<uintptr_t>(needed) < address) {
    fail(Code::kInvalidArgument, buffer.name, " does not fit into the address space: ", needed,
         " bytes from address ", address);
  }
  return {buffer.name, buffer.data, needed};
}

void check_no_overlap(const Buffer& output, std::initializer_list<Buffer> others) {
  const auto begin = reinterpret_cast<uintptr_t>(output.data);
  const auto end = begin + static_cast<uintptr_t>(output.bytes);
  for (const Buffer& other : others) {
    const auto other_begin = reinterpret_cast<uintptr_t>(other.data);
    const auto other_end = other_begin + static_cast<uintptr_t>(other.bytes);
    if (output.bytes > 0 && other.bytes > 0 && begin < other_end && other_begin < end) {
      fail(Code::kInvalidArgument, output.name, " overlaps ", other.name,
           ", expected memory of its own");
    }
  }
}

void check_count(int64_t count, const char* name) {
  if (count < 0) {
    fail(Code::kInvalidArgument, name, " is ", count, ", expected at least 0");
  }
}

}  // namespace bsq
