// Hamming distances by LibTorch's operators.
#pragma once

#include <cstdint>
#include <utility>

#include "torch_ops.h"

namespace bsq::operators {

// int32 [queries, codes] from uint8 [queries, bytes] and [codes, bytes].
[[nodiscard]] Tensor hamming_distances(const Tensor& queries, const Tensor& codes);

// Positions, int64, and distances, int32, both [queries, k].
[[nodiscard]] std::pair<Tensor, Tensor> hamming_nearest(const Tensor& queries, const Tensor& codes,
                                                        int64_t k);

}  // namespace bsq::operators
