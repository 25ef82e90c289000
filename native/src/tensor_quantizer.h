// The quantizer on tensors: checks shapes and types, chooses between kernels and operators. Shapes
// as in bsq.h. All functions throw Error.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "finding.h"
#include "operators/quantizer.h"
#include "options.h"
#include "torch_ops.h"

namespace bsq {

// A tensor of the C interface.
struct TensorValue {
  Tensor tensor;
  Findings findings;
  bool borrowed = false;  // the memory is not the tensor's own: others may write to it, or free it
  std::shared_ptr<const void> owner = nullptr;  // of borrowed memory, where it has to be kept alive
};

struct Quantization {
  Options options;
  TensorValue x;               // never borrowed
  std::optional<Tensor> mask;  // likewise
  TensorValue quantized;
  TensorValue indices;
  std::variant<Losses, operators::DeviceLosses> losses;
};

// The name of what computes on such devices unless options ask for another.
[[nodiscard]] const char* implementation(DeviceType type);

[[nodiscard]] TensorValue encode(const Options& options, const TensorValue& x);

[[nodiscard]] TensorValue decode(const Options& options, const TensorValue& indices, DType dtype);

[[nodiscard]] TensorValue bits_to_codes(const TensorValue& bits);

[[nodiscard]] TensorValue codes_to_indices(const Options& options, const TensorValue& codes);

[[nodiscard]] TensorValue pack(const Options& options, const TensorValue& x,
                               cpu::CodeLayout layout);

[[nodiscard]] TensorValue unpack(const Options& options, const TensorValue& packed,
                                 cpu::CodeLayout layout, DType dtype);

[[nodiscard]] TensorValue convert(const Options& from_options, cpu::CodeLayout from_layout,
                                  const TensorValue& from, const Options& to_options,
                                  cpu::CodeLayout to_layout);

// mask may be NULL.
[[nodiscard]] TensorValue usage(const Options& options, const TensorValue& codes,
                                cpu::CodeLayout layout, const TensorValue* mask);

[[nodiscard]] TensorValue sign_margins(const Options& options, const TensorValue& x);

// Of uint8 [queries, bytes] and [codes, bytes]: int32 [queries, codes], or positions, int64, and
// distances, int32, both [queries, k].
[[nodiscard]] TensorValue hamming_distances(const TensorValue& queries, const TensorValue& codes,
                                            int32_t implementation);
[[nodiscard]] std::pair<TensorValue, TensorValue> hamming_nearest(const TensorValue& queries,
                                                                  const TensorValue& codes,
                                                                  int64_t k,
                                                                  int32_t implementation);

// mask may be NULL.
[[nodiscard]] Quantization forward(const Options& options, const TensorValue& x,
                                   const TensorValue* mask);

// Waits for the device.
[[nodiscard]] Losses read_losses(const Quantization& quantization);

[[nodiscard]] TensorValue loss_sums(const Quantization& quantization);

// sums and grad_quantized may be NULL.
[[nodiscard]] TensorValue backward(const Quantization& quantization, const TensorValue* sums,
                                   const TensorValue* grad_quantized, double grad_aux_loss);

}  // namespace bsq
