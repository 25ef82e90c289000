// Which rows the losses are of.
#pragma once

#include <cstdint>
#include <optional>

#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

struct CountedRows {
  // Of `rows` rows. mask is uint8 [rows]; absent: all count.
  CountedRows(const Options& options, int64_t rows, const std::optional<Tensor>& mask,
              const Device& device);

  // bool [rows]: the rows that count, and those of them that the entropies are of. Absent: all.
  std::optional<Tensor> counted;
  std::optional<Tensor> drawn;
  // How many they are: float64 of rank 0. Absent: all.
  std::optional<Tensor> marked_count;
  std::optional<Tensor> marked_drawn_count;
  int64_t all_count;

  // The same where all are, too.
  [[nodiscard]] Tensor count(const Device& device) const;
  [[nodiscard]] Tensor drawn_count(const Device& device) const;
};

}  // namespace bsq::operators
