#include "operators/quantizer.h"

#include <utility>

#include "operators/codes.h"
#include "operators/losses.h"

namespace bsq::operators {

Forward forward(const Options& options, const Rows& x, const std::optional<Tensor>& mask) {
  Quantized quantized = quantize(options, x);
  CountedRows counted(options, x.count(), mask, device(x.tensor()));
  Tensor sums = loss_sums(options, x, counted);
  Tensor terms = loss_terms(options, sums);
  return {std::move(quantized.rows),
          std::move(quantized.indices),
          {std::move(counted), std::move(sums), std::move(terms)},
          std::move(quantized.finding)};
}

Backward backward(const Options& options, const Rows& x, const DeviceLosses& losses,
                  const Tensor* sums, const Rows* grad_quantized, double grad_aux_loss) {
  const bool looks_at_sums = sums != nullptr && grad_aux_loss != 0;
  return {gradient(options, x, losses.counted, sums == nullptr ? &losses.sums : sums,
                   grad_quantized, grad_aux_loss),
          looks_at_sums ? find_wrong_sums(*sums, losses.counted) : nullptr};
}

}  // namespace bsq::operators
