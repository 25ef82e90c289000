#include "operators/residual.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

#include "operators/constants.h"
#include "operators/evidence.h"
#include "operators/unit_codes.h"
#include "refusals.h"

namespace bsq::operators {
namespace {

// So many components are worked on at once in float64, which bounds the memory of a call.
constexpr int64_t kChunkComponents = int64_t{4} * 1024 * 1024;

int64_t chunk_rows(const Options& options) {
  return std::max(int64_t{1}, kChunkComponents / options.row_length());
}

// +-1 in float32, which has the sums of all levels.
Options signs_of(Options options) {
  options.scaled_to_one = true;
  return options;
}

// Codes that are not finite have been refused, or are let through.
Options lenient(Options options) {
  options.propagate_non_finite = true;
  return options;
}

Tensor level_of(const Options& options, const Tensor& indices, int64_t level) {
  return narrow(indices, 1, level * options.row_indices(), options.row_indices());
}

// What the levels leave over of rows, one level after the other.
class Residuals {
 public:
  // Of level 0.
  Residuals(const Options& options, const Tensor& rows)
      : options_(options),
        rest_(UnitCodes(options, rows).unit),
        signs_(reshape(rows, shape(rest_))) {}

  void take_level() {
    const double scale = options_.code_scale() * level_scale(level_);
    rest_ =
        sub(rest_, where(ones_of(options_, signs_), number(scale, rest_), number(-scale, rest_)));
    signs_ = rest_;
    ++level_;
  }

  // float64 [rows, row_length]
  [[nodiscard]] Tensor rows() const {
    return reshape(rest_, {shape(rest_)[0], options_.row_length()});
  }

 private:
  const Options& options_;
  Tensor rest_;   // [rows, codebooks, code_dim]
  Tensor signs_;  // what has the level's: x first, for u may have lost a sign to underflow
  int64_t level_ = 0;
};

// The numbers that have a bit for each level, in float64, and whether there are such.
struct LevelBits {
  LevelBits(const Options& options, int64_t levels, const Tensor& quantized)
      : most(static_cast<double>((int64_t{1} << levels) - 1)) {
    const Tensor exact =
        mul(add(div(to(quantized, DType::kFloat64), number(options.level_step(levels), quantized)),
                number(most, quantized)),
            number(0.5, quantized));
    const Tensor in_range =
        bitwise_and(greater(exact, number(-0.5, exact)), greater(number(most + 0.5, exact), exact));
    // To an integer is towards zero.
    numbers = to(where(in_range, add(exact, number(0.5, exact)), number(0, exact)), DType::kInt64);
    const Tensor rounded_by = abs(sub(exact, to(numbers, DType::kFloat64)));
    valid = bitwise_and(in_range, greater_equal(number(0.125, exact), rounded_by));
  }

  double most;
  Tensor numbers;
  Tensor valid;
};

}  // namespace

Rows residual_of(const Options& options, int64_t level, const Rows& x, DType dtype) {
  Rows residual = Rows::empty(options, x.items(), x.positions(), dtype, device(x.tensor()));
  x.for_each_part(chunk_rows(options), [&](const Part& part) {
    Residuals rest(options, x.read(part));
    for (int64_t i = 0; i < level; ++i) {
      rest.take_level();
    }
    residual.write(rest.rows(), part);
  });
  return residual;
}

Result residual_encode(const Options& options, int64_t levels, const Rows& x) {
  Tensor indices =
      empty({x.count(), levels * options.row_indices()}, DType::kInt64, device(x.tensor()));
  const Result first = encode(options, x);
  copy(first.tensor, level_of(options, indices, 0));
  if (levels == 1) {
    return {indices, first.finding};
  }
  x.for_each_part(chunk_rows(options), [&](const Part& part) {
    Residuals rest(options, x.read(part));
    for (int64_t level = 1; level < levels; ++level) {
      rest.take_level();
      copy(encode(lenient(options), Rows(unsqueeze(rest.rows(), 0))).tensor,
           level_of(options, rows_of(indices, part), level));
    }
  });
  return {indices, first.finding};
}

Quantized residual_quantize(const Options& options, int64_t levels, const Rows& x) {
  if (levels == 1) {
    return quantize(options, x);
  }
  const Options grouped = options.with_indices();
  const DType type = dtype(x.tensor());
  Result encoded = residual_encode(grouped, levels, x);
  const Rows quantized(
      residual_decode(grouped, levels, encoded.tensor, x.items(), x.positions(), type).tensor);
  if (!grouped.propagate_non_finite) {
    return {quantized, encoded.tensor, encoded.finding};
  }
  Rows result = x.empty_like(grouped);
  const Tensor nan = scalar(std::numeric_limits<double>::quiet_NaN(), type, device(x.tensor()));
  x.for_each_part(chunk_rows(grouped), [&](const Part& part) {
    const Shape codes{part.rows(), grouped.codebooks, grouped.code_dim};
    const Tensor lost = any(logical_not(is_finite(reshape(x.read(part), codes))), 2, true);
    result.write(where(lost, nan, reshape(quantized.read(part), codes)), part);
  });
  return {result, encoded.tensor, encoded.finding};
}

Result residual_decode(const Options& options, int64_t used, const Tensor& indices, int64_t items,
                       int64_t positions, DType dtype) {
  const Device device = bsq::device(indices);
  const DType type = compute_type(dtype);
  Tensor sum = zeros({items, positions, options.row_length()}, type, device);
  for (int64_t level = 0; level < used; ++level) {
    const Tensor signs = decode(signs_of(options), contiguous(level_of(options, indices, level)),
                                items, positions, type)
                             .tensor;
    sum = add(sum, mul(signs, scalar(level_scale(level), type, device)));
  }
  const Rows quantized = Rows::empty(options, items, positions, dtype, device);
  copy(mul(sum, scalar(options.quantized_scale(), type, device)), quantized.tensor());
  if (quantized.count() == 0) {
    return {quantized.tensor(), nullptr};
  }
  const Tensor read = contiguous(narrow(indices, 1, 0, used * options.row_indices()));
  // The sign is shifted in from the left, so that this is 0 for valid indices alone.
  const auto beyond = [&](const Tensor& values) {
    return logical_not(
        equal(right_shift(values, integer(options.group_size, device)), integer(0, device)));
  };
  return {quantized.tensor(),
          std::make_shared<const Finding>(
              evidence(Rows(unsqueeze(read, 0)), to(any(beyond(read), 1), DType::kUInt8), beyond),
              [options](const Finding::Refused& refused) {
                refuse_level_index(options, refused.row, refused.column, refused.integer);
              })};
}

Result residual_codes_to_indices(const Options& options, int64_t levels, const Rows& quantized) {
  const Device device = bsq::device(quantized.tensor());
  Tensor indices =
      empty({quantized.count(), levels * options.row_indices()}, DType::kInt64, device);
  const Tensor refused_rows = empty({quantized.count()}, DType::kUInt8, device);
  const Tensor one = integer(1, device);
  quantized.for_each_part(chunk_rows(options), [&](const Part& part) {
    const LevelBits bits(options, levels, quantized.read(part));
    copy(any(logical_not(bits.valid), 1), rows_of(refused_rows, part));
    for (int64_t level = 0; level < levels; ++level) {
      const Tensor shift = integer(levels - 1 - level, device);
      const Tensor codes =
          bits_to_codes(to(bitwise_and(right_shift(bits.numbers, shift), one), DType::kFloat32));
      copy(encode(lenient(options), Rows(unsqueeze(codes, 0))).tensor,
           level_of(options, rows_of(indices, part), level));
    }
  });
  if (quantized.count() == 0) {
    return {indices, nullptr};
  }
  const auto invalid = [&](const Tensor& values) {
    return logical_not(LevelBits(options, levels, values).valid);
  };
  return {indices,
          std::make_shared<const Finding>(evidence(quantized, refused_rows, invalid),
                                          [options, levels](const Finding::Refused& refused) {
                                            refuse_level_sum(options, levels, refused.row,
                                                             refused.column, refused.number);
                                          })};
}

Rows drop_noise(const Options& options, const Rows& residual, const Rows& gradient,
                double least_norm) {
  Rows result = gradient.empty_like(options);
  const Tensor none = scalar(0, dtype(gradient.tensor()), device(gradient.tensor()));
  residual.for_each_part(chunk_rows(options), [&](const Part& part) {
    const UnitCodes codes(options, residual.read(part));
    // false for NaN
    const Tensor is_noise = greater_equal(number(least_norm, codes.norm), codes.norm);
    result.write(where(is_noise, none, reshape(gradient.read(part), shape(codes.x))), part);
  });
  return result;
}

}  // namespace bsq::operators
