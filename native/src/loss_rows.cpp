#include "loss_rows.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "drawn_rows.h"

namespace bsq {
namespace {

bool counts(const uint8_t* mask, int64_t row) { return mask == nullptr || mask[row] != 0; }

int64_t count_rows(const uint8_t* mask, int64_t rows) {
  return mask == nullptr ? rows : rows - std::count(mask, mask + rows, uint8_t{0});
}

// The smallest key of a row that is drawn, of `counted` rows that count.
int64_t smallest_drawn_key(const Options& options, const uint8_t* mask, int64_t rows,
                           int64_t counted) {
  const int64_t drawn = drawn_row_count(counted, options.entropy_fraction);
  if (drawn == counted) {
    return std::numeric_limits<int64_t>::min();
  }
  const AlignedBuffer<int64_t> keys(counted, "the keys of the rows");
  int64_t* end = keys.get();
  for (int64_t row = 0; row < rows; ++row) {
    if (counts(mask, row)) {
      *end++ = row_key(options.entropy_seed, row);
    }
  }
  std::nth_element(keys.get(), keys.get() + drawn - 1, end, std::greater<>());
  return keys[drawn - 1];
}

}  // namespace

LossRows::LossRows(const Options& options, const RowShape& shape, const uint8_t* mask)
    : layout_(options, shape),
      rows_(shape.rows()),
      counted_(count_rows(mask, rows_)),
      drawn_(counted_) {
  if (counted_ == rows_ && (options.entropy_fraction == 1 || rows_ == 0)) {
    return;
  }
  const int64_t smallest = smallest_drawn_key(options, mask, rows_, counted_);
  const auto is_drawn = [&](int64_t row) {
    return counts(mask, row) && row_key(options.entropy_seed, row) >= smallest;
  };
  drawn_ = 0;
  for (int64_t row = 0; row < rows_; ++row) {
    drawn_ += is_drawn(row) ? 1 : 0;
  }
  order_.emplace(rows_, "the order of the rows");
  int64_t next_drawn = 0;
  int64_t next_counted = drawn_;
  int64_t next_other = counted_;
  for (int64_t row = 0; row < rows_; ++row) {
    int64_t& next = is_drawn(row) ? next_drawn : counts(mask, row) ? next_counted : next_other;
    (*order_)[next++] = row;
  }
}

cpu::BlockRows LossRows::block(int64_t i, int64_t count) const {
  cpu::BlockRows block;  // NOLINT(cppcoreguidelines-pro-type-member-init): half a kilobyte
  block.count = count;
  block.step = layout_.step();
  for (int64_t r = 0; r < count; ++r) {
    block.offset[r] = layout_.offset(row(i + r));
  }
  return block;
}

}  // namespace bsq
