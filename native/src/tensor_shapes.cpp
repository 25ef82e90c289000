#include "tensor_shapes.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

#include "bsq/bsq.h"
#include "error.h"

namespace bsq {
namespace {

// The dimension of the components.
size_t row_dimension(const Options& options, const Shape& rows) {
  return options.channel_first ? 1 : rows.size() - 1;
}

// "code_dim 13" or "codebooks * code_dim 26".
std::string row_length_text(const Options& options) {
  return (options.codebooks == 1 ? "code_dim " : "codebooks * code_dim ") +
         std::to_string(options.row_length());
}

// What the shape of indices depends on.
std::string indices_text(const Options& options) {
  return "codebooks " + std::to_string(options.codebooks) + " and group_size " +
         std::to_string(options.group_size);
}

Shape without_components(const Options& options, Shape rows) {
  rows.erase(rows.begin() + static_cast<int64_t>(row_dimension(options, rows)));
  return rows;
}

// What the shape of indices ends with.
Shape row_indices_shape(const Options& options) {
  Shape shape;
  for (const int64_t size : {options.codebooks, options.groups()}) {
    if (size > 1) {
      shape.push_back(size);
    }
  }
  return shape;
}

Shape one_at_least(const Shape& shape) { return shape.empty() ? Shape{1} : shape; }

// The leading dimensions of indices; may be none.
Shape checked_leading(const Options& options, const Shape& indices) {
  const Shape last = row_indices_shape(options);
  if (indices.size() < last.size() || !std::equal(last.rbegin(), last.rend(), indices.rbegin())) {
    fail(Code::kInvalidArgument, "indices has shape ", to_string(indices),
         ", expected to end with ", to_string(last), ", for ", indices_text(options));
  }
  Shape leading(indices.begin(), indices.end() - static_cast<int64_t>(last.size()));
  if (options.channel_first && leading.empty()) {
    fail(Code::kInvalidArgument, "indices has shape ", to_string(indices),
         ", expected a dimension of items before ", to_string(last), ", for channel_first");
  }
  if (leading.size() == BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, "indices has rank ", indices.size(), ", expected at most ",
         BSQ_MAX_RANK - 1);
  }
  return leading;
}

}  // namespace

int64_t count(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

void check_rows_shape(const Options& options, const Shape& shape, const char* what) {
  if (options.channel_first) {
    if (shape.size() < 2 || shape[1] != options.row_length()) {
      fail(Code::kInvalidArgument, what, " has shape ", to_string(shape),
           ", expected dimension 1 of ", row_length_text(options), ", for channel_first");
    }
  } else if (shape.back() != options.row_length()) {
    fail(Code::kInvalidArgument, what, " has shape ", to_string(shape),
         ", expected a last dimension of ", row_length_text(options));
  }
}

Shape leading_shape(const Options& options, const Shape& rows) {
  return one_at_least(without_components(options, rows));
}

Shape indices_shape(const Options& options, const Shape& rows, const char* what) {
  Shape shape = without_components(options, rows);
  for (const int64_t size : row_indices_shape(options)) {
    shape.push_back(size);
  }
  if (shape.size() > BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, what, " has rank ", rows.size(), ", expected at most ",
         BSQ_MAX_RANK - 1, ", since its indices have one dimension more, for ",
         indices_text(options));
  }
  return one_at_least(shape);
}

Shape rows_shape(const Options& options, const Shape& indices) {
  Shape shape = checked_leading(options, indices);
  shape.insert(options.channel_first ? shape.begin() + 1 : shape.end(), options.row_length());
  return shape;
}

RowShape row_shape(const Options& options, const Shape& rows) {
  const Shape leading = without_components(options, rows);
  if (!options.channel_first) {
    return {1, count(leading)};
  }
  return {leading.front(), count({leading.begin() + 1, leading.end()})};
}

}  // namespace bsq
