// Which rows of a batch take part in which losses.
#pragma once

#include <cstdint>
#include <optional>

#include "aligned_buffer.h"
#include "cpu/code_split.h"
#include "options.h"
#include "row_shape.h"

namespace bsq {

// The rows in an order in which those that the entropies are of come first, then the others that
// count, then those that do not.
class LossRows {
 public:
  // The mask may be NULL. Throws Error.
  LossRows(const Options& options, const RowShape& shape, const uint8_t* mask);

  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t counted() const { return counted_; }
  [[nodiscard]] int64_t drawn() const { return drawn_; }

  // The number of the row that is i-th in this order.
  [[nodiscard]] int64_t row(int64_t i) const { return order_ ? (*order_)[i] : i; }

  [[nodiscard]] const RowLayout& layout() const { return layout_; }

  // A block of rows from the i-th on.
  [[nodiscard]] cpu::BlockRows block(int64_t i, int64_t count) const;

 private:
  RowLayout layout_;
  int64_t rows_;
  int64_t counted_;
  int64_t drawn_;
  std::optional<AlignedBuffer<int64_t>> order_;  // none where it is that of the rows
};

}  // namespace bsq
