// Where the rows of a batch are in memory: see "Shapes" in bsq.h.
#pragma once

#include <cstdint>

#include "options.h"

namespace bsq {

struct RowShape {
  [[nodiscard]] int64_t rows() const { return items * positions; }

  int64_t items;
  int64_t positions;
};

// Component d of a row is at offset(row) + d * step().
class RowLayout {
 public:
  RowLayout(const Options& options, const RowShape& shape)
      : positions_(shape.positions),
        row_length_(options.row_length()),
        // With one position, the components of a row are next to each other either way.
        channel_first_(options.channel_first && shape.positions > 1) {}

  // Whether the components of a row are apart from each other, and rows next to each other.
  [[nodiscard]] bool channel_first() const { return channel_first_; }

  [[nodiscard]] int64_t offset(int64_t row) const {
    return channel_first_ ? row / positions_ * positions_ * row_length_ + row % positions_
                          : row * row_length_;
  }

  [[nodiscard]] int64_t step() const { return channel_first_ ? positions_ : 1; }

  // How many rows from this one on are next to each other.
  [[nodiscard]] int64_t neighbours(int64_t row) const { return positions_ - row % positions_; }

 private:
  int64_t positions_;
  int64_t row_length_;
  bool channel_first_;
};

}  // namespace bsq
