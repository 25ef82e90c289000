#include "operators/quantizer.h"

#include <limits>

#include "operators/codes.h"
#include "operators/constants.h"
#include "operators/losses.h"

namespace bsq::operators {
namespace {

Tensor nan_like(const Tensor& tensor) {
  return scalar(std::numeric_limits<double>::quiet_NaN(), dtype(tensor), device(tensor));
}

// Rows that are not finite, as the reference's arithmetic quantizes them: see
// cpu::quantize_non_finite.
Tensor propagate_non_finite(const Tensor& x, const Tensor& quantized) {
  const Tensor is_lost = bitwise_or(any(is_nan(x), 1, /*keep_dim=*/true), is_inf(x));
  return where(is_lost, nan_like(quantized), quantized);
}

}  // namespace

Forward forward(const Options& options, const Tensor& x) {
  const auto [indices, is_not_finite] = row_signs(options, x);
  Tensor quantized = decode_unchecked(options, indices, dtype(x));
  if (options.propagate_non_finite) {
    quantized = propagate_non_finite(x, quantized);
  }
  Tensor entropies = shape(x)[0] == 0 ? zeros({2}, DType::kFloat64, device(x)) : losses(options, x);
  return {std::move(quantized), indices, std::move(entropies),
          find_non_finite(options, x, is_not_finite)};
}

Tensor backward(const Options& options, const Tensor& x, const Tensor* grad_quantized,
                double grad_aux_loss) {
  if (shape(x)[0] == 0) {
    return zeros(shape(x), dtype(x), device(x));
  }
  Tensor grad_x = gradient(options, x, grad_quantized, grad_aux_loss);
  if (!options.propagate_non_finite) {
    return grad_x;
  }
  // One such row makes the loss NaN, and with it every row's gradient.
  const Tensor finite = is_finite(x);
  const Tensor keeps = grad_aux_loss != 0 ? all(finite) : unsqueeze(all(finite, 1), 1);
  return where(keeps, grad_x, nan_like(grad_x));
}

}  // namespace bsq::operators
