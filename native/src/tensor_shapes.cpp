#include "tensor_shapes.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

#include "bsq/bsq.h"
#include "error.h"

namespace bsq {
namespace {

using cpu::CodeLayout;

// The dimension of the components.
size_t row_dimension(const Options& options, const Shape& rows) {
  return options.channel_first ? 1 : rows.size() - 1;
}

// "code_dim 13" or "codebooks * code_dim 26".
std::string row_length_text(const Options& options) {
  return (options.codebooks == 1 ? "code_dim " : "codebooks * code_dim ") +
         std::to_string(options.row_length());
}

// What the shape of codes of a layout depends on.
std::string codes_text(const Options& options, CodeLayout layout) {
  return "codebooks " + std::to_string(options.codebooks) +
         (layout == CodeLayout::kIndices ? " and group_size " + std::to_string(options.group_size)
                                         : " and code_dim " + std::to_string(options.code_dim));
}

Shape without_components(const Options& options, Shape rows) {
  rows.erase(rows.begin() + static_cast<int64_t>(row_dimension(options, rows)));
  return rows;
}

// What the shape of codes of a layout ends with.
Shape row_codes_shape(const Options& options, CodeLayout layout) {
  Shape shape;
  if (options.codebooks > 1) {
    shape.push_back(options.codebooks);
  }
  const int64_t elements = options.code_format(layout).elements();
  if (layout != CodeLayout::kIndices || elements > 1) {
    shape.push_back(elements);
  }
  return shape;
}

Shape one_at_least(const Shape& shape) { return shape.empty() ? Shape{1} : shape; }

// The leading dimensions of codes; may be none.
Shape checked_leading(const Options& options, CodeLayout layout, const Shape& codes,
                      const char* what) {
  const Shape last = row_codes_shape(options, layout);
  if (codes.size() < last.size() || !std::equal(last.rbegin(), last.rend(), codes.rbegin())) {
    fail(Code::kInvalidArgument, what, " has shape ", to_string(codes), ", expected to end with ",
         to_string(last), ", for ", codes_text(options, layout));
  }
  return {codes.begin(), codes.end() - static_cast<int64_t>(last.size())};
}

// The shape of codes with these leading dimensions. `rank` is that of `what` they are made of.
Shape with_codes(const Options& options, CodeLayout layout, Shape leading, size_t rank,
                 const char* what) {
  for (const int64_t size : row_codes_shape(options, layout)) {
    leading.push_back(size);
  }
  if (leading.size() > BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, what, " has rank ", rank, ", expected at most ", BSQ_MAX_RANK - 1,
         ", since ", layout == CodeLayout::kIndices ? "its indices have" : "packed codes have",
         " one dimension more, for ", codes_text(options, layout));
  }
  return one_at_least(leading);
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

Shape codes_shape(const Options& options, CodeLayout layout, const Shape& rows, const char* what) {
  return with_codes(options, layout, without_components(options, rows), rows.size(), what);
}

Shape rows_shape(const Options& options, CodeLayout layout, const Shape& codes, const char* what) {
  Shape shape = checked_leading(options, layout, codes, what);
  if (options.channel_first && shape.empty()) {
    fail(Code::kInvalidArgument, what, " has shape ", to_string(codes),
         ", expected a dimension of items before ", to_string(row_codes_shape(options, layout)),
         ", for channel_first");
  }
  if (shape.size() == BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, what, " has rank ", codes.size(), ", expected at most ",
         BSQ_MAX_RANK - 1);
  }
  shape.insert(options.channel_first ? shape.begin() + 1 : shape.end(), options.row_length());
  return shape;
}

Shape converted_shape(const Options& from_options, CodeLayout from_layout,
                      const Options& to_options, CodeLayout to_layout, const Shape& codes,
                      const char* what) {
  return with_codes(to_options, to_layout, checked_leading(from_options, from_layout, codes, what),
                    codes.size(), what);
}

Shape leading_codes_shape(const Options& options, CodeLayout layout, const Shape& codes,
                          const char* what) {
  return one_at_least(checked_leading(options, layout, codes, what));
}

Shape margins_shape(const Options& options, const Shape& rows) {
  Shape shape = without_components(options, rows);
  if (options.codebooks > 1) {
    shape.push_back(options.codebooks);
  }
  return one_at_least(shape);
}

Shape level_indices_shape(const Options& options, int64_t levels, const Shape& rows) {
  Shape shape = without_components(options, rows);
  shape.push_back(levels);
  for (const int64_t size : row_codes_shape(options, CodeLayout::kIndices)) {
    shape.push_back(size);
  }
  if (shape.size() > BSQ_MAX_RANK) {
    fail(Code::kInvalidArgument, "x has rank ", rows.size(), ", expected at most ",
         BSQ_MAX_RANK - (shape.size() - rows.size()),
         ", since the indices of its levels have rank ", shape.size());
  }
  return shape;
}

Shape level_rows_shape(const Options& options, int64_t levels, const Shape& indices) {
  Shape last = row_codes_shape(options, CodeLayout::kIndices);
  last.insert(last.begin(), levels);
  if (indices.size() < last.size() || !std::equal(last.rbegin(), last.rend(), indices.rbegin())) {
    fail(Code::kInvalidArgument, "indices has shape ", to_string(indices),
         ", expected to end with ", to_string(last), ", for levels ", levels, ", ",
         codes_text(options, CodeLayout::kIndices));
  }
  Shape shape(indices.begin(), indices.end() - static_cast<int64_t>(last.size()));
  if (options.channel_first && shape.empty()) {
    fail(Code::kInvalidArgument, "indices has shape ", to_string(indices),
         ", expected a dimension of items before ", to_string(last), ", for channel_first");
  }
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
