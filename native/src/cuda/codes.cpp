#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "cuda/quantizer.h"
#include "cuda/scope.h"
#include "cuda/views.h"
#include "finding.h"
#include "refusals.h"
#include "torch_cuda.h"

namespace bsq::cuda {
namespace {

using cpu::CodeLayout;
using operators::Rows;

FieldFormat field_format(const Options& options, CodeLayout layout) {
  const int64_t width = layout == CodeLayout::kIndices ? options.group_size
                        : layout == CodeLayout::kBytes ? 8
                        : layout == CodeLayout::kWords ? cpu::kWordBits
                                                       : 1;
  const bool bytes = layout == CodeLayout::kBytes || layout == CodeLayout::kBits;
  return {options.code_dim,
          options.code_format(layout).elements(),
          width,
          bytes,
          options.least_first,
          layout == CodeLayout::kBytes ? options.byte_offset & 0xff : 0};
}

// Where kernels leave what they refuse.
Tensor evidence(const Device& device) {
  static_assert(sizeof(Evidence) == 2 * sizeof(int64_t));
  return empty({2}, DType::kInt64, device);
}

Evidence* evidence_of(const Tensor& tensor) { return mutable_data<Evidence>(tensor); }

// The finding about elements of rows of `columns` ones each.
std::shared_ptr<const Finding> finding(const Tensor& evidence, int64_t columns,
                                       Finding::Refuse refuse) {
  return std::make_shared<const Finding>(
      [work = StreamOfWork(device(evidence)), evidence,
       columns]() -> std::optional<Finding::Refused> {
        work.wait();
        const Tensor on_cpu = to(evidence, DType::kInt64, kCpu);
        const auto found = *data<Evidence>(on_cpu);
        if (found.position == std::numeric_limits<uint64_t>::max()) {
          return std::nullopt;
        }
        const auto position = static_cast<int64_t>(found.position);
        Finding::Refused refused{position / columns, position % columns, 0,
                                 static_cast<int64_t>(found.value)};
        static_assert(sizeof(refused.number) == sizeof(found.value));
        std::memcpy(&refused.number, &found.value, sizeof(refused.number));
        return refused;
      },
      std::move(refuse));
}

// Quantizes; a tensor without elements is not wanted. Returns the finding about x.
std::shared_ptr<const Finding> run_quantize(const Options& options, const Rows& x,
                                            const FieldFormat& format, const Tensor* fields,
                                            const Rows* quantized) {
  const Device device = bsq::device(x.tensor());
  const bool finds = !options.propagate_non_finite && x.count() > 0;
  const Tensor found = finds ? evidence(device) : Tensor();
  QuantizeWork work{};
  work.x = view(x);
  work.codes = x.count() * options.codebooks;
  work.row_codes = options.codebooks;
  work.format = format;
  work.contiguous = adjacent(x) && (quantized == nullptr || adjacent(*quantized));
  work.zero_is_one = options.zero_is_one;
  work.propagate = options.propagate_non_finite;
  work.scale = options.quantized_scale();
  work.fields = fields == nullptr ? nullptr : fields->mutable_data_ptr();
  if (quantized != nullptr) {
    work.quantized = mutable_view(*quantized);
  }
  work.evidence = finds ? evidence_of(found) : nullptr;
  const Scope scope(device);
  scope.check(cuda::quantize(work, scope.stream()), "quantize");
  if (!finds) {
    return nullptr;
  }
  return finding(found, options.row_length(), [](const Finding::Refused& refused) {
    refuse_non_finite(refused.row, refused.column, refused.number);
  });
}

operators::Result run_dequantize(const Options& options, const Tensor& fields, CodeLayout layout,
                                 int64_t items, int64_t positions, DType dtype) {
  const Device device = bsq::device(fields);
  const Tensor adjacent_fields = contiguous(fields);
  const Rows quantized = Rows::empty(options, items, positions, dtype, device);
  if (quantized.count() == 0) {
    return {quantized.tensor(), nullptr};
  }
  const Tensor found = evidence(device);
  DequantizeWork work{};
  work.fields = adjacent_fields.const_data_ptr();
  work.codes = quantized.count() * options.codebooks;
  work.row_codes = options.codebooks;
  work.format = field_format(options, layout);
  work.scale = options.quantized_scale();
  work.quantized = mutable_view(quantized);
  work.contiguous = adjacent(quantized);
  work.evidence = evidence_of(found);
  const Scope scope(device);
  scope.check(cuda::dequantize(work, scope.stream()), "dequantize");
  const cpu::CodeFormat format = options.code_format(layout);
  return {quantized.tensor(), finding(found, options.codebooks * format.elements(),
                                      [options, format](const Finding::Refused& refused) {
                                        if (format.layout == CodeLayout::kIndices) {
                                          refuse_index(options, refused.row, refused.column,
                                                       refused.integer);
                                        }
                                        refuse_packed(options, format, refused.row, refused.column,
                                                      static_cast<uint64_t>(refused.integer));
                                      })};
}

}  // namespace

operators::Result encode(const Options& options, const Rows& x) {
  return cuda::pack(options, x, CodeLayout::kIndices);
}

operators::Result pack(const Options& options, const Rows& x, CodeLayout layout) {
  const FieldFormat format = field_format(options, layout);
  const Tensor fields = empty({x.count(), options.codebooks * format.fields},
                              format.bytes ? DType::kUInt8 : DType::kInt64, device(x.tensor()));
  return {fields, run_quantize(options, x, format, &fields, nullptr)};
}

operators::Quantized quantize(const Options& options, const Rows& x) {
  const Options grouped = options.with_indices();
  Rows quantized = x.empty_like(grouped);
  const Tensor indices =
      empty({x.count(), grouped.row_indices()}, DType::kInt64, device(x.tensor()));
  auto found =
      run_quantize(grouped, x, field_format(grouped, CodeLayout::kIndices), &indices, &quantized);
  return {std::move(quantized), indices, std::move(found)};
}

operators::Result decode(const Options& options, const Tensor& indices, int64_t items,
                         int64_t positions, DType dtype) {
  return run_dequantize(options, indices, CodeLayout::kIndices, items, positions, dtype);
}

operators::Result unpack(const Options& options, const Tensor& stored, CodeLayout layout,
                         int64_t items, int64_t positions, DType dtype) {
  return run_dequantize(options, stored, layout, items, positions, dtype);
}

}  // namespace bsq::cuda
