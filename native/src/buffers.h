// Checks of the caller's memory, made before anything is read or written.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "error.h"

namespace bsq {

// A buffer of the caller as the C interface got it.
struct Buffer {
  const char* name;
  const void* data;
  int64_t bytes;

  [[nodiscard]] bool absent() const { return data == nullptr && bytes == 0; }
};

// The part of the buffer that rows * columns elements of element_size bytes, a power of two, take.
// Throws Error where the buffer is shorter, NULL or not aligned to element_size.
[[nodiscard]] Buffer checked(const Buffer& buffer, int64_t rows, int64_t columns,
                             int64_t element_size);

// Throws Error where the output shares a byte with one of the others.
void check_no_overlap(const Buffer& output, std::initializer_list<Buffer> others);

// Throws Error where rows (or another count) is negative.
void check_count(int64_t count, const char* name);

}  // namespace bsq
