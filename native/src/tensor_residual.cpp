#include "tensor_residual.h"

#include <optional>
#include <utility>

#include "error.h"
#include "operators/codes.h"
#include "operators/residual.h"
#include "residual.h"
#include "tensor_inputs.h"
#include "tensor_shapes.h"

namespace bsq {
namespace {

struct Quantized {
  TensorValue quantized;
  TensorValue indices;
};

// Components are multiples of a bit of the last level. Rounding moves the largest ones by nearly
// 2^(levels - 12) of it in float16, and 2^(levels - 9) in bfloat16, where an eighth is let through.
void check_levels_of(DType dtype, int64_t levels) {
  const int64_t most = dtype == DType::kFloat16    ? 9
                       : dtype == DType::kBFloat16 ? 6
                                                   : BSQ_MAX_LEVELS;
  if (levels > most) {
    fail(Code::kInvalidArgument, "quantized has dtype ", name(dtype), ", which does not tell ",
         levels, " levels apart: expected at most ", most,
         " levels, or quantized as float32, to which the indices can be decoded");
  }
}

// x is of a type that is computed in.
Quantized quantize(const Options& options, int64_t levels, const TensorValue& x, DType dtype) {
  const Shape rows = shape(x.tensor);
  const Shape indices_shape =
      options.has_indices() ? level_indices_shape(options, levels, rows) : Shape{0};
  if (uses_operators(options, device(x.tensor))) {
    operators::Quantized result =
        operators::residual_quantize(options, levels, as_rows(options, x.tensor));
    const Findings findings = with(x.findings, std::move(result.finding));
    return {{to(as_tensor(options, result.rows, rows), dtype), findings},
            {options.has_indices() ? reshape(result.indices, indices_shape)
                                   : empty(indices_shape, DType::kInt64, device(x.tensor)),
             findings}};
  }
  return with_compute_type(bsq::dtype(x.tensor), [&](auto type) -> Quantized {
    using T = decltype(type);
    const KernelInput<T> in(&x);
    const Tensor quantized = empty(rows, dtype_of<T>(), kCpu);
    const Tensor indices = empty(indices_shape, DType::kInt64, kCpu);
    static_cast<void>(residual_quantize(
        options, levels, row_shape(options, rows), in.data(), mutable_data<T>(quantized),
        options.has_indices() ? mutable_data<int64_t>(indices) : nullptr));
    return {{to(quantized, dtype), {}}, {indices, {}}};
  });
}

// Of rows that have been checked, in the type that is computed in.
TensorValue residual_of_rows(const Options& options, int64_t level, const TensorValue& x) {
  const Shape rows = shape(x.tensor);
  const DType type = compute_type(dtype(x.tensor));
  if (uses_operators(options, device(x.tensor))) {
    const operators::Rows residual =
        operators::residual_of(options, level, as_rows(options, x.tensor), type);
    return {as_tensor(options, residual, rows), x.findings};
  }
  return with_compute_type(type, [&](auto number) -> TensorValue {
    using T = decltype(number);
    const KernelInput<T> in(&x);
    const Tensor residual = empty(rows, type, kCpu);
    residual_of(options, level, row_shape(options, rows), in.data(), mutable_data<T>(residual));
    return {residual, {}};
  });
}

// The gradient of a level beyond the first, as backward has just made it.
TensorValue without_noise(const Quantization& level, const TensorValue& gradient) {
  const Options& options = level.options;
  const Tensor& residual = level.x.tensor;
  return with_compute_type(dtype(residual), [&](auto type) -> TensorValue {
    using T = decltype(type);
    if (uses_operators(options, device(residual))) {
      const operators::Rows kept =
          operators::drop_noise(options, as_rows(options, residual),
                                as_rows(options, gradient.tensor), least_residual(sizeof(T)));
      return {as_tensor(options, kept, shape(residual)), gradient.findings};
    }
    const KernelInput<T> in(&level.x);
    drop_noise(options, row_shape(options, shape(residual)), in.data(),
               mutable_data<T>(gradient.tensor));
    return gradient;
  });
}

TensorValue sum_of(const TensorValue& a, const TensorValue& b) {
  return {add(a.tensor, b.tensor), merge(a.findings, b.findings)};
}

}  // namespace

TensorValue residual_encode(const Options& options, int64_t levels, const TensorValue& x) {
  options.require_indices();
  check_floating_point(x, "x");
  const Shape rows = shape(x.tensor);
  check_rows_shape(options, rows, "x");
  const Shape indices_shape = level_indices_shape(options, levels, rows);
  if (uses_operators(options, device(x.tensor))) {
    operators::Result result =
        operators::residual_encode(options, levels, as_rows(options, x.tensor));
    return {reshape(result.tensor, indices_shape), with(x.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype(x.tensor), [&](auto type) -> TensorValue {
    using T = decltype(type);
    const KernelInput<T> in(&x);
    const Tensor indices = empty(indices_shape, DType::kInt64, kCpu);
    static_cast<void>(residual_quantize<T>(options, levels, row_shape(options, rows), in.data(),
                                           nullptr, mutable_data<int64_t>(indices)));
    return {indices, {}};
  });
}

TensorValue residual_decode(const Options& options, int64_t levels, int64_t used,
                            const TensorValue& indices, DType dtype) {
  options.require_indices();
  check_integers(indices);
  check_result_dtype(dtype);
  const Shape shape = level_rows_shape(options, levels, bsq::shape(indices.tensor));
  const RowShape rows = row_shape(options, shape);
  const TensorValue wide{to(indices.tensor, DType::kInt64), indices.findings};
  if (uses_operators(options, device(wide.tensor))) {
    operators::Result result = operators::residual_decode(
        options, used, reshape(wide.tensor, {rows.rows(), levels * options.row_indices()}),
        rows.items, rows.positions, dtype);
    return {as_tensor(options, operators::Rows(result.tensor), shape),
            with(indices.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype, [&](auto type) -> TensorValue {
    using T = decltype(type);
    const KernelInput<int64_t> in(&wide);
    const Tensor quantized = empty(shape, dtype_of<T>(), kCpu);
    residual_decode(options, levels, used, rows, in.data(), mutable_data<T>(quantized));
    return {to(quantized, dtype), {}};
  });
}

TensorValue residual_codes_to_indices(const Options& options, int64_t levels,
                                      const TensorValue& quantized) {
  options.require_indices();
  check_floating_point(quantized, "quantized");
  const Shape rows = shape(quantized.tensor);
  check_rows_shape(options, rows, "quantized");
  check_levels_of(dtype(quantized.tensor), levels);
  const Shape indices_shape = level_indices_shape(options, levels, rows);
  if (uses_operators(options, device(quantized.tensor))) {
    operators::Result result =
        operators::residual_codes_to_indices(options, levels, as_rows(options, quantized.tensor));
    return {reshape(result.tensor, indices_shape),
            with(quantized.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype(quantized.tensor), [&](auto type) -> TensorValue {
    const KernelInput<decltype(type)> in(&quantized);
    const Tensor indices = empty(indices_shape, DType::kInt64, kCpu);
    residual_codes_to_indices(options, levels, row_shape(options, rows), in.data(),
                              mutable_data<int64_t>(indices));
    return {indices, {}};
  });
}

TensorValue residual_of(const Options& options, int64_t level, const TensorValue& x) {
  check_floating_point(x, "x");
  check_rows_shape(options, shape(x.tensor), "x");
  TensorValue residual = residual_of_rows(options, level, x);
  if (uses_operators(options, device(x.tensor))) {
    residual.findings =
        with(residual.findings, operators::find_non_finite(options, as_rows(options, x.tensor)));
  }
  return {to(residual.tensor, dtype(x.tensor)), residual.findings};
}

ResidualQuantization residual_forward(const Options& options, int64_t levels, const TensorValue& x,
                                      const TensorValue* mask) {
  check_floating_point(x, "x");
  check_rows_shape(options, shape(x.tensor), "x");
  options.require_losses();
  if (mask != nullptr) {
    check_mask(options, *mask, x.tensor);
  }
  const DType dtype = bsq::dtype(x.tensor);
  const TensorValue own{to(owned(x), compute_type(dtype)), with(x.findings, mask)};
  std::optional<TensorValue> own_mask;
  if (mask != nullptr) {
    own_mask = TensorValue{owned(*mask), mask->findings};
  }
  const TensorValue* const mask_in = own_mask ? &*own_mask : nullptr;
  Quantized quantized = quantize(options, levels, own, dtype);
  ResidualQuantization result{
      dtype, std::move(quantized.quantized), std::move(quantized.indices), {}};
  for (int64_t level = 0; level < levels; ++level) {
    const TensorValue rest = level == 0 ? own : residual_of_rows(options, level, own);
    result.levels.push_back(
        forward(options, {rest.tensor, merge(result.quantized.findings, rest.findings)}, mask_in));
  }
  return result;
}

TensorValue residual_backward(const ResidualQuantization& quantization,
                              const TensorValue* grad_quantized, const double* grad_aux_losses) {
  const Quantization& first = quantization.levels.front();
  TensorValue total = backward(first, nullptr, grad_quantized, grad_aux_losses[0]);
  // The gradients of the residuals are those of the unit rows, since codes count as constants.
  std::optional<TensorValue> sum;
  for (size_t level = 1; level < quantization.levels.size(); ++level) {
    if (grad_aux_losses[level] != 0) {
      const Quantization& rest = quantization.levels[level];
      const TensorValue gradient =
          without_noise(rest, backward(rest, nullptr, nullptr, grad_aux_losses[level]));
      sum = sum ? sum_of(*sum, gradient) : gradient;
    }
  }
  if (sum) {
    Quantization through = first;
    through.options.straight_through_scale = 1;
    total = sum_of(total, backward(through, nullptr, &*sum, 0));
  }
  return {to(total.tensor, quantization.dtype), total.findings};
}

}  // namespace bsq
