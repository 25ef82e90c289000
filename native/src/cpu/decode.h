// Indices as quantized rows. Part of the row kernels.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/packed_codes.h"
#include "cpu/simd.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// quantized[rows, dim] of +-scale from indices[rows], dim up to 63. Bits beyond dim are ignored.
template <class T>
void decode(const int64_t* indices, int64_t rows, int64_t dim, bool least_first, T scale,
            T* quantized) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  const auto positive = splat(scale);
  Integers<T> lane_bits{};
  for (int64_t lane = 0; lane < kWidth; ++lane) {
    lane_bits[lane] = 1 << (kWidth - 1 - lane);
  }
  const int64_t whole_vectors = (dim + kWidth - 1) / kWidth * kWidth;
  const auto decode_row = [&](int64_t index, T* to) {
    // Component 0 comes first.
    uint64_t bits = least_first ? reverse_bits(static_cast<uint64_t>(index))
                                : static_cast<uint64_t>(index) << (64 - dim);
    for (int64_t d = 0; d < whole_vectors; d += kWidth, bits <<= kWidth) {
      const Integers<T> ones =
          (Integers<T>{} + static_cast<int>(bits >> (64 - kWidth))) & lane_bits;
      store<T>(ones != 0 ? positive : -positive, to + d);
    }
  };
  const int64_t size = rows * dim;
  for (int64_t row = 0; row < rows; ++row) {
    T* const to = quantized + row * dim;
    if (row * dim + whole_vectors <= size) {
      decode_row(indices[row], to);  // the next rows overwrite what is too much of its last vector
    } else {
      T last[64];
      decode_row(indices[row], last);
      std::memcpy(to, last, static_cast<size_t>(dim) * sizeof(T));
    }
  }
}

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
