// What there is to tell of values that are refused, without waiting for the device.
#pragma once

#include "finding.h"
#include "operators/rows.h"
#include "torch_ops.h"

namespace bsq::operators {

// The row of this item and position, tensors [1] on the device: [1, length].
inline Tensor select_row(const Rows& rows, const Tensor& item, const Tensor& position) {
  // First along the longer dimension: the rest is copied.
  const Tensor row = rows.items() > rows.positions()
                         ? index_select(index_select(rows.tensor(), 0, item), 1, position)
                         : index_select(index_select(rows.tensor(), 1, position), 0, item);
  return reshape(row, {1, rows.length()});
}

// What there is to tell of the first row that `refused`, uint8 [rows], marks, where refused_in
// gives the elements of that row.
template <class RefusedIn>
Finding::Evidence evidence(const Rows& rows, const Tensor& refused, const RefusedIn& refused_in) {
  const Tensor by_item = reshape(refused, {rows.items(), rows.positions()});
  const Tensor item = unsqueeze(argmax(amax(by_item, 1), 0), 0);
  const Tensor position = argmax(index_select(by_item, 0, item), 1);
  const Tensor values = select_row(rows, item, position);
  const Tensor column = argmax(to(refused_in(values), DType::kUInt8), 1);
  const Tensor value = gather(values, 1, unsqueeze(column, 1));
  return {amax(refused, 0), argmax(refused, 0), column,
          is_floating_point(dtype(value)) ? to(value, DType::kFloat64) : value};
}

}  // namespace bsq::operators
