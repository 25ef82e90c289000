#include "tensor_quantizer.h"

#include <cstddef>
#include <type_traits>
#include <utility>

#include "codes.h"
#include "cpu/dispatch.h"
#include "cuda/kernel_support.h"
#include "error.h"
#include "hamming.h"
#include "operators/code_usage.h"
#include "operators/codes.h"
#include "operators/hamming.h"
#include "operators/losses.h"
#include "packing.h"
#include "quantizer.h"
#include "tensor_inputs.h"
#include "tensor_shapes.h"
#include "usage.h"

namespace bsq {
namespace {

using cpu::CodeLayout;

// Where there are no indices, of none.
Shape forward_indices_shape(const Options& options, const Shape& rows) {
  return options.has_indices() ? codes_shape(options, CodeLayout::kIndices, rows, "x") : Shape{0};
}

template <class T>
Quantization kernel_forward(const Options& options, const TensorValue& x,
                            const std::optional<Tensor>& mask) {
  const KernelInput<T> in(&x);
  const Shape rows = shape(x.tensor);
  const Tensor quantized = empty(rows, dtype_of<T>(), kCpu);
  const Tensor indices = empty(forward_indices_shape(options, rows), DType::kInt64, kCpu);
  Losses losses;
  forward(options, row_shape(options, rows), in.data(), KernelInput<uint8_t>(mask).data(),
          mutable_data<T>(quantized),
          options.has_indices() ? mutable_data<int64_t>(indices) : nullptr, &losses);
  return {options, x, mask, {to(quantized, dtype(x.tensor)), {}}, {indices, {}}, losses};
}

template <class T>
Tensor kernel_loss_sums(const Quantization& quantization) {
  const Options& options = quantization.options;
  const TensorValue& x = quantization.x;
  const KernelInput<T> in(&x);
  const KernelInput<uint8_t> mask(quantization.mask);
  Tensor sums = empty({options.loss_sums_size()}, DType::kFloat64, kCpu);
  loss_sums(options, row_shape(options, shape(x.tensor)), in.data(), mask.data(),
            mutable_data<double>(sums));
  return sums;
}

template <class T>
Tensor kernel_backward(const Quantization& quantization, const TensorValue* sums,
                       const TensorValue* grad_quantized, double grad_aux_loss) {
  const Tensor& x = quantization.x.tensor;
  const KernelInput<T> in(&quantization.x);
  const KernelInput<uint8_t> mask(quantization.mask);
  const KernelInput<double> sums_in(sums);
  const KernelInput<T> gradient(grad_quantized);
  const Tensor grad_x = empty(shape(x), dtype_of<T>(), kCpu);
  backward(quantization.options, row_shape(quantization.options, shape(x)), in.data(), mask.data(),
           sums_in.data(), gradient.data(), grad_aux_loss, mutable_data<T>(grad_x));
  return to(grad_x, dtype(x));
}

DType codes_dtype(CodeLayout layout) {
  return layout == CodeLayout::kIndices || layout == CodeLayout::kWords ? DType::kInt64
                                                                        : DType::kUInt8;
}

// Codes as the functions for devices take them: [rows, codebooks * elements].
Tensor as_stored(const Options& options, CodeLayout layout, int64_t rows, const Tensor& codes) {
  return reshape(codes, {rows, options.codebooks * options.code_format(layout).elements()});
}

Quantization device_forward(const DeviceFunctions& on_device, const Options& options,
                            const TensorValue& x, const std::optional<Tensor>& mask) {
  const Shape rows = shape(x.tensor);
  const Shape indices = forward_indices_shape(options, rows);
  operators::Forward result = on_device.forward(options, as_rows(options, x.tensor), flat(mask));
  const Findings findings = with(x.findings, std::move(result.finding));
  return {options,
          {x.tensor, findings},
          mask,
          {as_tensor(options, result.quantized, rows), findings},
          {options.has_indices() ? reshape(result.indices, indices)
                                 : empty(indices, DType::kInt64, device(x.tensor)),
           findings},
          std::move(result.losses)};
}

TensorValue device_backward(const DeviceFunctions& on_device, const Quantization& quantization,
                            const TensorValue* sums, const TensorValue* grad_quantized,
                            double grad_aux_loss) {
  const Options& options = quantization.options;
  const TensorValue& x = quantization.x;
  std::optional<operators::Rows> gradient;
  if (grad_quantized != nullptr) {
    gradient.emplace(as_rows(options, grad_quantized->tensor));
  }
  operators::Backward result = on_device.backward(
      options, as_rows(options, x.tensor), std::get<operators::DeviceLosses>(quantization.losses),
      sums == nullptr ? nullptr : &sums->tensor, gradient ? &*gradient : nullptr, grad_aux_loss);
  return {as_tensor(options, result.grad_x, shape(x.tensor)),
          with(with(with(x.findings, sums), std::move(result.finding)), grad_quantized)};
}

}  // namespace

const char* implementation(DeviceType type) {
  return type == DeviceType::kCpu ? cpu::implementation() : cuda::implementation();
}

TensorValue encode(const Options& options, const TensorValue& x) {
  options.require_indices();
  check_floating_point(x, "x");
  const Shape rows = shape(x.tensor);
  check_rows_shape(options, rows, "x");
  const Shape shape = codes_shape(options, CodeLayout::kIndices, rows, "x");
  if (const auto* const on_device = device_functions(options, device(x.tensor))) {
    operators::Result result = on_device->encode(options, as_rows(options, x.tensor));
    return {reshape(result.tensor, shape), with(x.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype(x.tensor), [&](auto type) -> TensorValue {
    const KernelInput<decltype(type)> in(&x);
    const Tensor indices = empty(shape, DType::kInt64, kCpu);
    encode(options, row_shape(options, rows), in.data(), mutable_data<int64_t>(indices));
    return {indices, {}};
  });
}

TensorValue decode(const Options& options, const TensorValue& indices, DType dtype) {
  options.require_indices();
  check_integers(indices);
  check_result_dtype(dtype);
  const Shape shape =
      rows_shape(options, CodeLayout::kIndices, bsq::shape(indices.tensor), "indices");
  const RowShape rows = row_shape(options, shape);
  const TensorValue wide{to(indices.tensor, DType::kInt64), indices.findings};
  if (const auto* const on_device = device_functions(options, device(wide.tensor))) {
    operators::Result result =
        on_device->decode(options, reshape(wide.tensor, {rows.rows(), options.row_indices()}),
                          rows.items, rows.positions, dtype);
    return {as_tensor(options, operators::Rows(result.tensor), shape),
            with(indices.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype, [&](auto type) -> TensorValue {
    using T = decltype(type);
    const KernelInput<int64_t> in(&wide);
    const Tensor quantized = empty(shape, dtype_of<T>(), kCpu);
    decode(options, rows, in.data(), mutable_data<T>(quantized));
    return {to(quantized, dtype), {}};
  });
}

TensorValue bits_to_codes(const TensorValue& bits) {
  check_signed(bits, "bits");
  // One multiplication and one addition: there is nothing that a kernel would gain.
  return {operators::bits_to_codes(bits.tensor), bits.findings};
}

TensorValue codes_to_indices(const Options& options, const TensorValue& codes) {
  options.require_indices();
  check_signed(codes, "codes");
  const Shape rows = shape(codes.tensor);
  check_rows_shape(options, rows, "codes");
  const Shape shape = codes_shape(options, CodeLayout::kIndices, rows, "codes");
  // float64 has every int32, and the sign of every int64.
  const TensorValue numbers{
      is_floating_point(dtype(codes.tensor)) ? codes.tensor : to(codes.tensor, DType::kFloat64),
      codes.findings};
  if (uses_operators(options, device(codes.tensor))) {
    operators::Result result =
        operators::codes_to_indices(options, as_rows(options, numbers.tensor));
    return {reshape(result.tensor, shape), with(codes.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype(numbers.tensor), [&](auto type) -> TensorValue {
    const KernelInput<decltype(type)> in(&numbers);
    const Tensor indices = empty(shape, DType::kInt64, kCpu);
    codes_to_indices(options, row_shape(options, rows), in.data(), mutable_data<int64_t>(indices));
    return {indices, {}};
  });
}

TensorValue pack(const Options& options, const TensorValue& x, CodeLayout layout) {
  check_floating_point(x, "x");
  const Shape rows = shape(x.tensor);
  check_rows_shape(options, rows, "x");
  const Shape shape = codes_shape(options, layout, rows, "x");
  if (const auto* const on_device = device_functions(options, device(x.tensor))) {
    operators::Result result = on_device->pack(options, as_rows(options, x.tensor), layout);
    return {reshape(to(result.tensor, codes_dtype(layout)), shape),
            with(x.findings, std::move(result.finding))};
  }
  return with_compute_type(dtype(x.tensor), [&](auto type) -> TensorValue {
    const KernelInput<decltype(type)> in(&x);
    const Tensor packed = empty(shape, codes_dtype(layout), kCpu);
    pack(options, row_shape(options, rows), in.data(), layout, packed.mutable_data_ptr());
    return {packed, {}};
  });
}

TensorValue unpack(const Options& options, const TensorValue& packed, CodeLayout layout,
                   DType dtype) {
  if (layout == CodeLayout::kIndices) {
    return decode(options, packed, dtype);
  }
  check_dtype(packed, "packed", codes_dtype(layout));
  check_result_dtype(dtype);
  const Shape shape = rows_shape(options, layout, bsq::shape(packed.tensor), "packed");
  const RowShape rows = row_shape(options, shape);
  if (const auto* const on_device = device_functions(options, device(packed.tensor))) {
    operators::Result result =
        on_device->unpack(options, as_stored(options, layout, rows.rows(), packed.tensor), layout,
                          rows.items, rows.positions, dtype);
    return {as_tensor(options, operators::Rows(result.tensor), shape),
            with(packed.findings, std::move(result.finding))};
  }
  check(packed.findings);
  return with_compute_type(dtype, [&](auto type) -> TensorValue {
    using T = decltype(type);
    const Tensor in = contiguous(packed.tensor);
    const Tensor quantized = empty(shape, dtype_of<T>(), kCpu);
    unpack(options, rows, layout, in.const_data_ptr(), mutable_data<T>(quantized));
    return {to(quantized, dtype), {}};
  });
}

TensorValue convert(const Options& from_options, CodeLayout from_layout, const TensorValue& from,
                    const Options& to_options, CodeLayout to_layout) {
  check_same_codes(from_options, to_options);
  for (const auto& [options, layout] :
       {std::pair{&from_options, from_layout}, {&to_options, to_layout}}) {
    if (layout == CodeLayout::kIndices) {
      options->require_indices();
    }
  }
  check_dtype(from, "from", codes_dtype(from_layout));
  const Shape shape = converted_shape(from_options, from_layout, to_options, to_layout,
                                      bsq::shape(from.tensor), "from");
  const int64_t elements = to_options.codebooks * to_options.code_format(to_layout).elements();
  const int64_t rows = count(shape) / elements;
  if (uses_operators(to_options, device(from.tensor))) {
    operators::Result result =
        operators::convert(from_options, as_stored(from_options, from_layout, rows, from.tensor),
                           from_layout, to_options, to_layout);
    return {reshape(to(result.tensor, codes_dtype(to_layout)), shape),
            with(from.findings, std::move(result.finding))};
  }
  check(from.findings);
  const Tensor in = contiguous(from.tensor);
  const Tensor result = empty(shape, codes_dtype(to_layout), kCpu);
  convert(from_options, from_layout, to_options, to_layout, rows, in.const_data_ptr(),
          result.mutable_data_ptr());
  return {result, {}};
}

TensorValue usage(const Options& options, const TensorValue& codes, CodeLayout layout,
                  const TensorValue* mask) {
  if (layout == CodeLayout::kIndices) {
    options.require_indices();
  }
  check_dtype(codes, "codes", codes_dtype(layout));
  const Shape leading = leading_codes_shape(options, layout, bsq::shape(codes.tensor), "codes");
  const int64_t rows = count(leading);
  std::optional<Tensor> counted;
  if (mask != nullptr) {
    check_dtype(*mask, "mask", DType::kUInt8);
    check_shape(*mask, "mask", "the leading dimensions of codes, ", leading);
    check_device(*mask, "mask", codes.tensor, "codes");
    counted = mask->tensor;
  }
  if (uses_operators(options, device(codes.tensor))) {
    operators::Result result = operators::usage(
        options, as_stored(options, layout, rows, codes.tensor), layout, flat(counted));
    return {result.tensor, with(with(codes.findings, mask), std::move(result.finding))};
  }
  check(codes.findings);
  const KernelInput<uint8_t> mask_in(mask);
  const Tensor in = contiguous(codes.tensor);
  const Tensor counts = zeros({usage_size(options)}, DType::kInt64, kCpu);
  add_usage(options, layout, rows, in.const_data_ptr(), mask_in.data(),
            mutable_data<int64_t>(counts));
  return {counts, {}};
}

TensorValue sign_margins(const Options& options, const TensorValue& x) {
  check_floating_point(x, "x");
  const Shape rows = shape(x.tensor);
  check_rows_shape(options, rows, "x");
  const Shape shape = margins_shape(options, rows);
  const DType type = dtype(x.tensor);
  if (uses_operators(options, device(x.tensor))) {
    operators::Result result = operators::sign_margins(options, as_rows(options, x.tensor));
    return {reshape(to(result.tensor, type), shape), with(x.findings, std::move(result.finding))};
  }
  return with_compute_type(type, [&](auto number) -> TensorValue {
    using T = decltype(number);
    const KernelInput<T> in(&x);
    const Tensor margins = empty(shape, dtype_of<T>(), kCpu);
    sign_margins(options, row_shape(options, rows), in.data(), mutable_data<T>(margins));
    return {to(margins, type), {}};
  });
}

namespace {

// Packed codes, uint8 [rows, bytes]; kernels read them where they are.
struct PackedRows {
  PackedRows(const TensorValue& value, const char* what) : rows(value.tensor) {
    check_dtype(value, what, DType::kUInt8);
    const Shape shape = bsq::shape(rows);
    if (shape.size() != 2) {
      fail(Code::kInvalidArgument, what, " has shape ", to_string(shape),
           ", expected [rows, bytes]");
    }
    check_code_bytes(shape[1]);
    count = shape[0];
    bytes = shape[1];
  }

  Tensor rows;
  int64_t count;
  int64_t bytes;
};

// Both checked; whether operators compute.
bool check_hamming(const TensorValue& queries, const TensorValue& codes, int32_t implementation,
                   const PackedRows& query_rows, const PackedRows& code_rows) {
  check_device(codes, "codes", queries.tensor, "queries");
  if (query_rows.bytes != code_rows.bytes) {
    fail(Code::kInvalidArgument, "queries has codes of ", query_rows.bytes, " bytes, and codes of ",
         code_rows.bytes, ", expected as many");
  }
  return uses_operators(checked_implementation(implementation), device(codes.tensor));
}

}  // namespace

TensorValue hamming_distances(const TensorValue& queries, const TensorValue& codes,
                              int32_t implementation) {
  const PackedRows query_rows(queries, "queries");
  const PackedRows code_rows(codes, "codes");
  if (check_hamming(queries, codes, implementation, query_rows, code_rows)) {
    return {operators::hamming_distances(query_rows.rows, code_rows.rows),
            merge(queries.findings, codes.findings)};
  }
  const KernelInput<uint8_t> query(&queries);
  const KernelInput<uint8_t> code(&codes);
  const Tensor distances = empty({query_rows.count, code_rows.count}, DType::kInt32, kCpu);
  for (int64_t q = 0; q < query_rows.count; ++q) {
    hamming_distances(code_rows.bytes, query.data() + q * code_rows.bytes, code_rows.count,
                      code.data(), mutable_data<int32_t>(distances) + q * code_rows.count);
  }
  return {distances, {}};
}

std::pair<TensorValue, TensorValue> hamming_nearest(const TensorValue& queries,
                                                    const TensorValue& codes, int64_t k,
                                                    int32_t implementation) {
  const PackedRows query_rows(queries, "queries");
  const PackedRows code_rows(codes, "codes");
  const bool by_operators = check_hamming(queries, codes, implementation, query_rows, code_rows);
  check_nearest(k, code_rows.count);
  if (by_operators) {
    const auto [positions, distances] =
        operators::hamming_nearest(query_rows.rows, code_rows.rows, k);
    const Findings findings = merge(queries.findings, codes.findings);
    return {{positions, findings}, {distances, findings}};
  }
  const KernelInput<uint8_t> query(&queries);
  const KernelInput<uint8_t> code(&codes);
  const Tensor positions = empty({query_rows.count, k}, DType::kInt64, kCpu);
  const Tensor distances = empty({query_rows.count, k}, DType::kInt32, kCpu);
  hamming_nearest(code_rows.bytes, query_rows.count, query.data(), code_rows.count, code.data(), k,
                  mutable_data<int64_t>(positions), mutable_data<int32_t>(distances));
  return {{positions, {}}, {distances, {}}};
}

Quantization forward(const Options& options, const TensorValue& x, const TensorValue* mask) {
  check_floating_point(x, "x");
  check_rows_shape(options, shape(x.tensor), "x");
  options.require_losses();
  if (mask != nullptr) {
    check_mask(options, *mask, x.tensor);
  }
  const TensorValue own{owned(x), with(x.findings, mask)};
  const std::optional<Tensor> own_mask =
      mask == nullptr ? std::nullopt : std::optional(owned(*mask));
  if (const auto* const on_device = device_functions(options, device(own.tensor))) {
    return device_forward(*on_device, options, own, own_mask);
  }
  return with_compute_type(dtype(own.tensor), [&](auto type) {
    return kernel_forward<decltype(type)>(options, own, own_mask);
  });
}

Losses read_losses(const Quantization& quantization) {
  check(quantization.quantized.findings);
  if (const auto* losses = std::get_if<Losses>(&quantization.losses)) {
    return *losses;
  }
  const Tensor& terms = std::get<operators::DeviceLosses>(quantization.losses).terms;
  return {quantization.options, operators::read_loss_terms(terms)};
}

TensorValue loss_sums(const Quantization& quantization) {
  if (const auto* losses = std::get_if<operators::DeviceLosses>(&quantization.losses)) {
    return {losses->sums, quantization.quantized.findings};
  }
  return with_compute_type(dtype(quantization.x.tensor), [&](auto type) -> TensorValue {
    return {kernel_loss_sums<decltype(type)>(quantization), {}};
  });
}

TensorValue backward(const Quantization& quantization, const TensorValue* sums,
                     const TensorValue* grad_quantized, double grad_aux_loss) {
  const Tensor& x = quantization.x.tensor;
  if (sums != nullptr) {
    check_sums(quantization.options, *sums, x);
  }
  if (grad_quantized != nullptr) {
    check_gradient(*grad_quantized, x);
  }
  if (const auto* const on_device = device_functions(quantization.options, device(x))) {
    return device_backward(*on_device, quantization, sums, grad_quantized, grad_aux_loss);
  }
  return with_compute_type(dtype(x), [&](auto type) -> TensorValue {
    return {kernel_backward<decltype(type)>(quantization, sums, grad_quantized, grad_aux_loss), {}};
  });
}

}  // namespace bsq
