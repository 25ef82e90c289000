// Codes as they must be stored, from bits that are put together one by one.
#pragma once

#include <cstdint>
#include <vector>

#include "call.h"

namespace bsq::test {

using Bytes = std::vector<uint8_t>;
using Bits = std::vector<bool>;

inline constexpr int32_t kLayouts[] = {BSQ_CODES_INDICES, BSQ_CODES_BYTES, BSQ_CODES_WORDS,
                                       BSQ_CODES_BITS};

// Of a code: the bits of an element, and the elements.
inline int64_t element_bits(const bsq_options& options, int32_t layout) {
  switch (layout) {
    case BSQ_CODES_INDICES:
      return options.group_size == 0 ? options.code_dim : options.group_size;
    case BSQ_CODES_BYTES:
      return 8;
    case BSQ_CODES_WORDS:
      return 64;
    default:
      return 1;
  }
}
inline int64_t element_count(const bsq_options& options, int32_t layout) {
  const int64_t bits = element_bits(options, layout);
  return (options.code_dim + bits - 1) / bits;
}
inline int64_t element_size(int32_t layout) {
  return layout == BSQ_CODES_INDICES || layout == BSQ_CODES_WORDS ? 8 : 1;
}

// The bits of codes as they must be stored.
inline Bytes stored(const bsq_options& options, int32_t layout, const Bits& bits) {
  const auto dim = static_cast<size_t>(options.code_dim);
  const auto width = static_cast<size_t>(element_bits(options, layout));
  const auto elements = static_cast<size_t>(element_count(options, layout));
  Bytes result;
  for (size_t code = 0; code * dim < bits.size(); ++code) {
    for (size_t element = 0; element < elements; ++element) {
      uint64_t value = 0;
      for (size_t i = 0; i < width; ++i) {
        const size_t d = element * width + i;
        const uint64_t bit = d < dim && bits[code * dim + d] ? 1 : 0;
        value |= bit << (options.bit_order == BSQ_ORDER_LEAST_FIRST ? i : width - 1 - i);
      }
      if (layout == BSQ_CODES_BYTES && options.byte_form == BSQ_BYTES_OFFSET) {
        value = static_cast<uint8_t>(value - 128);
      }
      for (int64_t byte = 0; byte < element_size(layout); ++byte) {
        result.push_back(static_cast<uint8_t>(value >> static_cast<uint64_t>(8 * byte)));
      }
    }
  }
  return result;
}

inline Shape codes_shape(const bsq_options& options, const Batch& batch, int32_t layout) {
  Shape shape = leading_shape(batch);
  if (options.codebooks > 1) {
    shape.push_back(options.codebooks);
  }
  const int64_t elements = element_count(options, layout);
  if (layout != BSQ_CODES_INDICES || elements > 1) {
    shape.push_back(elements);
  }
  return shape;
}

inline size_t codes_bytes(const bsq_options& options, const Batch& batch, int32_t layout) {
  return static_cast<size_t>(batch.rows() * options.codebooks * element_count(options, layout) *
                             element_size(layout));
}

inline int32_t codes_dtype(int32_t layout) {
  return element_size(layout) == 8 ? BSQ_INT64 : BSQ_UINT8;
}

inline Tensor codes_tensor(const bsq_options& options, const Batch& batch, int32_t layout,
                           const Bytes& codes) {
  const Shape shape = codes_shape(options, batch, layout);
  return make(bsq_tensor_copy, codes_dtype(layout), BSQ_DEVICE_CPU, 0, shape.data(),
              static_cast<int64_t>(shape.size()), codes.data(), bytes(codes));
}

// All options of conventions in turn.
inline void choose_convention(int64_t i, bsq_options& options) {
  options.bit_order = i % 2 == 0 ? BSQ_ORDER_MOST_FIRST : BSQ_ORDER_LEAST_FIRST;
  options.tie = i / 2 % 2 == 0 ? BSQ_TIE_ZERO : BSQ_TIE_ONE;
  options.code_scale = i / 4 % 2 == 0 ? BSQ_SCALE_UNIT : BSQ_SCALE_ONE;
  options.byte_form = i / 8 % 2 == 0 ? BSQ_BYTES_PLAIN : BSQ_BYTES_OFFSET;
}
inline constexpr int64_t kConventions = 16;

}  // namespace bsq::test
