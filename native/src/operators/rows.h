// Rows of any layout, [items, positions, length], in parts of which each is a matrix: only a part
// is ever copied to have its rows together, as those of channel_first are not.
#pragma once

#include <algorithm>
#include <cstdint>

#include "options.h"
#include "torch_ops.h"

namespace bsq::operators {

// Consecutive rows: whole items, or positions of one.
struct Part {
  int64_t first_item;
  int64_t items;
  int64_t first_position;
  int64_t positions;
  int64_t begin;  // the number of the first row

  [[nodiscard]] int64_t rows() const { return items * positions; }
};

class Rows {
 public:
  // Of [items, positions, length], any strides.
  explicit Rows(Tensor tensor) : tensor_(std::move(tensor)), shape_(bsq::shape(tensor_)) {}

  // Contiguous in the layout of the options, elements not set.
  static Rows empty(const Options& options, int64_t items, int64_t positions, DType dtype,
                    const Device& device) {
    const int64_t length = options.row_length();
    return Rows(options.channel_first
                    ? permute(bsq::empty({items, length, positions}, dtype, device), {0, 2, 1})
                    : bsq::empty({items, positions, length}, dtype, device));
  }
  [[nodiscard]] Rows empty_like(const Options& options) const {
    return empty(options, items(), positions(), dtype(tensor_), device(tensor_));
  }

  [[nodiscard]] const Tensor& tensor() const { return tensor_; }
  [[nodiscard]] int64_t items() const { return shape_[0]; }
  [[nodiscard]] int64_t positions() const { return shape_[1]; }
  [[nodiscard]] int64_t length() const { return shape_[2]; }
  [[nodiscard]] int64_t count() const { return items() * positions(); }

  // [part.rows(), length].
  [[nodiscard]] Tensor read(const Part& part) const {
    return reshape(view(part), {part.rows(), length()});
  }
  // Converts to the type of these rows.
  void write(const Tensor& matrix, const Part& part) const {
    copy(reshape(matrix, {part.items, part.positions, length()}), view(part));
  }

  // Calls body(part) for all rows, at most max_rows at a time.
  template <class Body>
  void for_each_part(int64_t max_rows, const Body& body) const {
    if (count() == 0) {
      return;
    }
    const int64_t max_items = std::max(int64_t{1}, max_rows / positions());
    const int64_t max_positions = std::min(positions(), max_rows);
    for (int64_t item = 0; item < items(); item += max_items) {
      const int64_t part_items = std::min(max_items, items() - item);
      for (int64_t position = 0; position < positions(); position += max_positions) {
        body(Part{item, part_items, position, std::min(max_positions, positions() - position),
                  item * positions() + position});
      }
    }
  }

 private:
  [[nodiscard]] Tensor view(const Part& part) const {
    return narrow(narrow(tensor_, 0, part.first_item, part.items), 1, part.first_position,
                  part.positions);
  }

  Tensor tensor_;
  Shape shape_;
};

// The rows of a part out of a tensor with all rows as its first dimension.
[[nodiscard]] inline Tensor rows_of(const Tensor& tensor, const Part& part) {
  return narrow(tensor, 0, part.begin, part.rows());
}

}  // namespace bsq::operators
