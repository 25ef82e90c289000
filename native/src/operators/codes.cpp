#include "operators/codes.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "operators/constants.h"
#include "operators/evidence.h"
#include "operators/unit_codes.h"
#include "refusals.h"

namespace bsq::operators {
namespace {

// Bits are expanded to int64 for this many elements at once, which bounds the memory of a call.
constexpr int64_t kChunkElements = int64_t{16} * 1024 * 1024;

int64_t chunk_rows(const Options& options) {
  return std::max(int64_t{1}, kChunkElements / options.row_length());
}

Tensor as_codes(const Options& options, const Tensor& matrix) {
  return reshape(matrix, {shape(matrix)[0], options.codebooks, options.code_dim});
}

// How far each bit of a group is shifted in its index.
Tensor index_shifts(const Options& options, const Device& device) {
  return options.least_first ? arange(options.group_size, device)
                             : bit_shifts(options.group_size, device);
}

Tensor not_finite(const Tensor& values) { return logical_not(is_finite(values)); }

// The signs of rows, part by part, and what of them is refused.
class Signs {
 public:
  Signs(const Options& options, const Rows& x)
      : options_(options),
        indices_(empty({x.count(), options.row_indices()}, DType::kInt64, device(x.tensor()))),
        refused_rows_(empty({x.count()}, DType::kUInt8, device(x.tensor()))),
        weights_(left_shift(integer(1, device(x.tensor())),
                            index_shifts(options, device(x.tensor())))) {}

  // Of a part's matrix, where refused_in(matrix) tells the elements that are refused. Codes with
  // one of these get the index 0. Returns the bits, bool [rows, codebooks, code_dim].
  template <class RefusedIn>
  [[nodiscard]] Tensor add(const Tensor& matrix, const Part& part, const RefusedIn& refused_in) {
    const Tensor refused_codes = any(as_codes(options_, refused_in(matrix)), 2, /*keep_dim=*/true);
    Tensor bits =
        bitwise_and(as_codes(options_, ones_of(options_, matrix)), logical_not(refused_codes));
    const Tensor groups = reshape(bits, {part.rows(), options_.row_indices(), options_.group_size});
    copy(sum(mul(groups, weights_), 2), rows_of(indices_, part));
    copy(reshape(any(refused_codes, 1), {part.rows()}), rows_of(refused_rows_, part));
    return bits;
  }

  // int64 [rows, row_indices]
  [[nodiscard]] const Tensor& indices() const { return indices_; }
  // uint8 [rows]
  [[nodiscard]] const Tensor& refused_rows() const { return refused_rows_; }

 private:
  const Options& options_;
  Tensor indices_;
  Tensor refused_rows_;
  Tensor weights_;
};

std::shared_ptr<const Finding> find_non_finite(const Options& options, const Rows& x,
                                               const Tensor& refused_rows) {
  if (options.propagate_non_finite || x.count() == 0) {
    return nullptr;
  }
  return std::make_shared<const Finding>(
      evidence(x, refused_rows, not_finite), [](const Finding::Refused& refused) {
        refuse_non_finite(refused.row, refused.column, refused.number);
      });
}

// The components of quantized from their bits.
class Corners {
 public:
  Corners(const Options& options, DType dtype, const Device& device)
      : positive_(scalar(options.quantized_scale(), dtype, device)),
        negative_(scalar(-options.quantized_scale(), dtype, device)) {}

  [[nodiscard]] Tensor of(const Tensor& bits) const { return where(bits, positive_, negative_); }

 private:
  Tensor positive_;
  Tensor negative_;
};

// Codes that are not finite, as the reference's arithmetic quantizes them: see
// cpu::quantize_non_finite. Both are [rows, codebooks, code_dim].
Tensor propagate_non_finite(const Tensor& x, const Tensor& quantized) {
  const Tensor is_lost = bitwise_or(any(is_nan(x), 2, /*keep_dim=*/true), is_inf(x));
  return where(is_lost,
               scalar(std::numeric_limits<double>::quiet_NaN(), dtype(quantized), device(x)),
               quantized);
}

// Codes of a layout, int64 [rows, codebooks * elements], and their bits, bool [rows, codebooks,
// code_dim].
class StoredCodes {
 public:
  StoredCodes(const Options& options, cpu::CodeLayout layout, const Device& device)
      : options_(options),
        format_(options.code_format(layout)),
        bits_(layout == cpu::CodeLayout::kIndices ? options.group_size
              : layout == cpu::CodeLayout::kBytes ? 8
              : layout == cpu::CodeLayout::kWords ? cpu::kWordBits
                                                  : 1),
        shifts_(options.least_first ? arange(bits_, device) : bit_shifts(bits_, device)),
        one_(integer(1, device)),
        offset_(integer(options.byte_offset != 0 && layout == cpu::CodeLayout::kBytes ? 128 : 0,
                        device)) {}

  [[nodiscard]] Tensor store(const Tensor& bits) const {
    const int64_t elements = format_.elements();
    const Tensor padded = pad(to(bits, DType::kUInt8), 0, elements * bits_ - options_.code_dim);
    const Tensor by_element =
        reshape(padded, {shape(bits)[0], options_.codebooks * elements, bits_});
    return bitwise_xor(sum(mul(by_element, left_shift(one_, shifts_)), 2), offset_);
  }

  [[nodiscard]] Tensor load(const Tensor& stored) const {
    const Tensor elements = unsqueeze(bitwise_xor(stored, offset_), 2);
    const Tensor bits = equal(bitwise_and(right_shift(elements, shifts_), one_), one_);
    return narrow(reshape(bits, {shape(stored)[0], options_.codebooks, format_.elements() * bits_}),
                  2, 0, options_.code_dim);
  }

  // The finding about elements that are those of no code. NULL where there are no elements.
  [[nodiscard]] std::shared_ptr<const Finding> find_no_code(const Tensor& stored) const {
    if (shape(stored)[0] == 0) {
      return nullptr;
    }
    const Tensor padding = padding_mask(device(stored));
    const auto beyond = [&](const Tensor& values) {
      return logical_not(
          equal(bitwise_and(bitwise_xor(values, offset_), padding), integer(0, device(values))));
    };
    const Tensor refused_rows = to(any(beyond(stored), 1), DType::kUInt8);
    return std::make_shared<const Finding>(
        evidence(Rows(unsqueeze(stored, 0)), refused_rows, beyond),
        [options = options_, format = format_](const Finding::Refused& refused) {
          if (format.layout == cpu::CodeLayout::kIndices) {
            refuse_index(options, refused.row, refused.column, refused.integer);
          }
          refuse_packed(options, format, refused.row, refused.column,
                        static_cast<uint64_t>(refused.integer));
        });
  }

 private:
  // The bits of each element of a row that are none of a code: int64 [codebooks * elements].
  [[nodiscard]] Tensor padding_mask(const Device& device) const {
    const int64_t elements = format_.elements();
    const Tensor bits = to(pad(full({options_.code_dim}, 1, DType::kUInt8, device), 0,
                               elements * bits_ - options_.code_dim),
                           DType::kInt64);
    const Tensor used = sum(mul(reshape(bits, {elements, bits_}), left_shift(one_, shifts_)), 1);
    const Tensor of_codes = zeros({options_.codebooks, elements}, DType::kInt64, device);
    return reshape(bitwise_or(of_codes, bitwise_not(used)), {options_.codebooks * elements});
  }

  const Options& options_;
  cpu::CodeFormat format_;
  int64_t bits_;  // of an element
  Tensor shifts_;
  Tensor one_;
  Tensor offset_;
};

}  // namespace

Quantized quantize(const Options& options, const Rows& x) {
  const Options grouped = options.with_indices();
  Rows quantized = x.empty_like(grouped);
  const Corners corners(grouped, dtype(x.tensor()), device(x.tensor()));
  Signs signs(grouped, x);
  x.for_each_part(chunk_rows(grouped), [&](const Part& part) {
    const Tensor matrix = x.read(part);
    Tensor codes = corners.of(signs.add(matrix, part, not_finite));
    if (grouped.propagate_non_finite) {
      codes = propagate_non_finite(as_codes(grouped, matrix), codes);
    }
    quantized.write(codes, part);
  });
  return {std::move(quantized), signs.indices(), find_non_finite(grouped, x, signs.refused_rows())};
}

std::shared_ptr<const Finding> find_non_finite(const Options& options, const Rows& x) {
  const Tensor refused_rows = empty({x.count()}, DType::kUInt8, device(x.tensor()));
  x.for_each_part(chunk_rows(options), [&](const Part& part) {
    copy(any(not_finite(x.read(part)), 1), rows_of(refused_rows, part));
  });
  return find_non_finite(options, x, refused_rows);
}

Result encode(const Options& options, const Rows& x) {
  Signs signs(options, x);
  x.for_each_part(chunk_rows(options), [&](const Part& part) {
    static_cast<void>(signs.add(x.read(part), part, not_finite));
  });
  return {signs.indices(), find_non_finite(options, x, signs.refused_rows())};
}

Result codes_to_indices(const Options& options, const Rows& codes) {
  const Tensor zero = scalar(0, dtype(codes.tensor()), device(codes.tensor()));
  const auto no_code = [&zero](const Tensor& values) {
    return bitwise_or(not_finite(values), equal(values, zero));
  };
  Signs signs(options, codes);
  codes.for_each_part(chunk_rows(options), [&](const Part& part) {
    static_cast<void>(signs.add(codes.read(part), part, no_code));
  });
  if (codes.count() == 0) {
    return {signs.indices(), nullptr};
  }
  return {signs.indices(),
          std::make_shared<const Finding>(
              evidence(codes, signs.refused_rows(), no_code), [](const Finding::Refused& refused) {
                refuse_code(refused.row, refused.column, refused.number);
              })};
}

Result decode(const Options& options, const Tensor& indices, int64_t items, int64_t positions,
              DType dtype) {
  const Device device = bsq::device(indices);
  const Rows quantized = Rows::empty(options, items, positions, dtype, device);
  const Corners corners(options, dtype, device);
  const Tensor shifts = index_shifts(options, device);
  const Tensor one = integer(1, device);
  const int64_t row_indices = options.row_indices();
  quantized.for_each_part(chunk_rows(options), [&](const Part& part) {
    const Tensor groups = reshape(rows_of(indices, part), {part.rows(), row_indices, 1});
    quantized.write(corners.of(equal(bitwise_and(right_shift(groups, shifts), one), one)), part);
  });
  if (quantized.count() == 0) {
    return {quantized.tensor(), nullptr};
  }
  const Rows index_rows(unsqueeze(indices, 0));
  // The sign is shifted in from the left, so that this is 0 for valid indices alone.
  const auto beyond = [&](const Tensor& values) {
    return logical_not(
        equal(right_shift(values, integer(options.group_size, device)), integer(0, device)));
  };
  const Tensor refused_rows = to(any(beyond(indices), 1), DType::kUInt8);
  return {quantized.tensor(),
          std::make_shared<const Finding>(evidence(index_rows, refused_rows, beyond),
                                          [options](const Finding::Refused& refused) {
                                            refuse_index(options, refused.row, refused.column,
                                                         refused.integer);
                                          })};
}

Result pack(const Options& options, const Rows& x, cpu::CodeLayout layout) {
  const Options grouped = options.with_indices();
  const Device device = bsq::device(x.tensor());
  const StoredCodes stored(grouped, layout, device);
  const int64_t elements = grouped.codebooks * grouped.code_format(layout).elements();
  Signs signs(grouped, x);
  Tensor packed = empty({x.count(), elements}, DType::kInt64, device);
  x.for_each_part(chunk_rows(grouped), [&](const Part& part) {
    copy(stored.store(signs.add(x.read(part), part, not_finite)), rows_of(packed, part));
  });
  return {packed, find_non_finite(grouped, x, signs.refused_rows())};
}

Result unpack(const Options& options, const Tensor& packed, cpu::CodeLayout layout, int64_t items,
              int64_t positions, DType dtype) {
  const Device device = bsq::device(packed);
  const Tensor stored = to(packed, DType::kInt64);
  const StoredCodes codes(options, layout, device);
  const Rows quantized = Rows::empty(options, items, positions, dtype, device);
  const Corners corners(options, dtype, device);
  quantized.for_each_part(chunk_rows(options), [&](const Part& part) {
    quantized.write(corners.of(codes.load(rows_of(stored, part))), part);
  });
  return {quantized.tensor(), codes.find_no_code(stored)};
}

Result convert(const Options& from_options, const Tensor& codes, cpu::CodeLayout from_layout,
               const Options& to_options, cpu::CodeLayout to_layout) {
  const Device device = bsq::device(codes);
  const Tensor stored = bsq::to(codes, DType::kInt64);
  const StoredCodes from(from_options, from_layout, device);
  const StoredCodes to(to_options, to_layout, device);
  const int64_t rows = shape(stored)[0];
  const int64_t part = chunk_rows(from_options);
  Tensor result = empty({rows, to_options.codebooks * to_options.code_format(to_layout).elements()},
                        DType::kInt64, device);
  for (int64_t begin = 0; begin < rows; begin += part) {
    const int64_t count = std::min(part, rows - begin);
    copy(to.store(from.load(narrow(stored, 0, begin, count))), narrow(result, 0, begin, count));
  }
  return {result, from.find_no_code(stored)};
}

Result sign_margins(const Options& options, const Rows& x) {
  const Device device = bsq::device(x.tensor());
  Tensor margins = empty({x.count(), options.codebooks}, DType::kFloat64, device);
  const Tensor refused_rows = empty({x.count()}, DType::kUInt8, device);
  x.for_each_part(chunk_rows(options), [&](const Part& part) {
    const Tensor matrix = x.read(part);
    const UnitCodes codes(options, matrix);
    copy(negative(amax(negative(abs(codes.unit)), 2)), rows_of(margins, part));
    copy(any(not_finite(matrix), 1), rows_of(refused_rows, part));
  });
  return {margins, find_non_finite(options, x, refused_rows)};
}

Tensor bits_of(const Options& options, const Tensor& stored, cpu::CodeLayout layout) {
  return StoredCodes(options, layout, device(stored)).load(stored);
}

std::shared_ptr<const Finding> find_no_code(const Options& options, const Tensor& stored,
                                            cpu::CodeLayout layout) {
  return StoredCodes(options, layout, device(stored)).find_no_code(stored);
}

Tensor bits_to_codes(const Tensor& bits) {
  const Device device = bsq::device(bits);
  const Tensor twice = contiguous(mul(bits, scalar(2, dtype(bits), device)));
  return is_floating_point(dtype(bits)) ? sub(twice, scalar(1, dtype(bits), device))
                                        : bitwise_not(negative(twice));  // ~y = -y - 1
}

}  // namespace bsq::operators
