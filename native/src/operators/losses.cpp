#include "operators/losses.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "formula.h"
#include "operators/constants.h"

namespace bsq::operators {
namespace {

// The factors of this many elements are expanded at once, which bounds the memory of a call.
constexpr int64_t kChunkElements = int64_t{2} * 1024 * 1024;
// And at most this many rows: a matrix product may add them up one after the other, which in
// float32 loses too much of a sum of very many.
constexpr int64_t kMaxChunkRows = 1024;

// The D bits of a code as leading and trailing bits: index = i * trailing() + j.
struct Halves {
  explicit Halves(int64_t dim) : leading_bits(dim / 2), trailing_bits(dim - dim / 2) {}

  [[nodiscard]] int64_t leading() const { return int64_t{1} << leading_bits; }
  [[nodiscard]] int64_t trailing() const { return int64_t{1} << trailing_bits; }
  [[nodiscard]] int64_t codes() const { return leading() * trailing(); }

  int64_t leading_bits;
  int64_t trailing_bits;
};

// Calls body(begin, length) for consecutive chunks of rows.
template <class Body>
void for_each_chunk(int64_t rows, int64_t row_elements, const Body& body) {
  const int64_t chunk = std::clamp(kChunkElements / row_elements, int64_t{16}, kMaxChunkRows);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    body(begin, std::min(chunk, rows - begin));
  }
}

Tensor number(double value, const Tensor& like) {
  return scalar(value, DType::kFloat64, device(like));
}

// A chunk of rows on the unit sphere, in float64. [rows, code_dim] and [rows, 1].
struct UnitRows {
  explicit UnitRows(const Tensor& x)
      : scale(overflow_scale(x)),
        scaled(mul(to(x, DType::kFloat64), scale)),
        norm(sqrt(sum(mul(scaled, scaled), -1, /*keep_dim=*/true))),
        divisor(maximum(norm, number(kMinNorm, x))),
        unit(div(scaled, divisor)) {}

  // The gradient with respect to x from that with respect to the unit rows: see
  // cpu/unit_row.h.
  [[nodiscard]] Tensor backward(const Tensor& grad_unit) const {
    const Tensor along = where(greater(norm, number(kMinNorm, norm)),
                               sum(mul(unit, grad_unit), -1, /*keep_dim=*/true), number(0, norm));
    return mul(div(sub(grad_unit, mul(unit, along)), divisor), scale);
  }

  // Only float64 has components whose squares overflow float64.
  static Tensor overflow_scale(const Tensor& x) {
    if (dtype(x) != DType::kFloat64) {
      return number(1, x);
    }
    const Tensor largest = amax(abs(x), -1, /*keep_dim=*/true);
    return where(greater(largest, number(1e150, x)), number(kOverflowScale, x), number(1, x));
  }

  Tensor scale;
  Tensor scaled;
  Tensor norm;
  Tensor divisor;
  Tensor unit;
};

double logit_scale(const Options& options) {
  return 4 * options.inverse_temperature / std::sqrt(static_cast<double>(options.code_dim));
}

// The probabilities of a chunk's bits, [rows, code_dim, 2]: of being 0 and of being 1.
struct Bits {
  Bits(const Options& options, const UnitRows& rows) {
    const Device device = bsq::device(rows.unit);
    const Tensor logits = mul(rows.unit, number(logit_scale(options), rows.unit));
    // -1 and 1
    const Tensor zero_one = to(arange(2, device), DType::kFloat64);
    const Tensor signs = sub(mul(zero_one, number(2, logits)), number(1, logits));
    const Tensor both = mul(unsqueeze(logits, 2), signs);
    p = sigmoid(both);
    log_p = log_sigmoid(both);
  }

  Tensor p;
  Tensor log_p;
};

// Combines the pairs of `count` bits, from `first` on, to [rows, 2^count] in index order: from the
// last bit to the first, each doubles the tensor.
template <class Combine>
Tensor expand(const Tensor& pairs, int64_t first, int64_t count, DType type, double neutral,
              const Combine& combine) {
  const int64_t rows = shape(pairs)[0];
  Tensor product = full({rows, 1}, neutral, type, device(pairs));
  int64_t size = 1;
  for (int64_t d = first + count - 1; d >= first; --d, size *= 2) {
    const Tensor pair = reshape(to(narrow(pairs, 1, d, 1), type), {rows, 2, 1});
    product = reshape(combine(pair, unsqueeze(product, 1)), {rows, 2 * size});
  }
  return product;
}

// The probabilities over one half of the bits, [rows, size], in the type that losses are computed
// in.
struct Factor {
  Factor(const Bits& bits, int64_t first, int64_t count, DType type)
      : p(expand(bits.p, first, count, type, 1, mul)),
        log_p(expand(bits.log_p, first, count, type, 0, add)) {}

  Tensor p;
  Tensor log_p;
};

// A factor in descending order, with running sums in float64, [rows, size + 1].
struct SortedFactor {
  explicit SortedFactor(const Factor& factor) {
    const auto [log_p, order] = sort_descending(factor.log_p);
    const Tensor p = to(gather(factor.p, -1, order), DType::kFloat64);
    ascending = negative(log_p);
    sum_p = pad(cumsum(p, -1), 1, 0);
    sum_p_log_p = pad(cumsum(mul(p, to(log_p, DType::kFloat64)), -1), 1, 0);
    rest_p = pad(flip(cumsum(flip(p, -1), -1), -1), 0, 1);
  }

  // What the pairs of this factor with each element of the other contribute, [rows, size of other].
  struct Share {
    Tensor entropy;  // sum of -q log max(q, e) over the pairs' probabilities q
    Tensor above;    // sum of the q >= e
  };
  [[nodiscard]] Share share(const Factor& other) const {
    // log p >= log e - (the other's log p), both sides negated.
    const Tensor count = count_at_most(
        ascending, sub(other.log_p, scalar(kLogEpsilon, dtype(other.log_p), device(other.log_p))));
    const Tensor p = to(other.p, DType::kFloat64);
    const Tensor p_above = gather(sum_p, -1, count);
    const Tensor terms =
        add(add(mul(to(other.log_p, DType::kFloat64), p_above), gather(sum_p_log_p, -1, count)),
            mul(gather(rest_p, -1, count), number(kLogEpsilon, p)));
    return {negative(mul(p, terms)), mul(p, p_above)};
  }

  Tensor ascending;  // -log p
  Tensor sum_p;
  Tensor sum_p_log_p;
  Tensor rest_p;  // sum of all but the k largest, without cancellation
};

// A chunk of rows, with the factors of its distribution over the codes.
struct Chunk {
  Chunk(const Options& options, const Tensor& x)
      : Chunk(options, x, compute_type(dtype(x)), Halves(options.code_dim)) {}

  [[nodiscard]] int64_t size() const { return shape(rows.unit)[0]; }

  UnitRows rows;
  Bits bits;
  Factor leading;
  Factor trailing;

 private:
  Chunk(const Options& options, const Tensor& x, DType type, const Halves& halves)
      : rows(x),
        bits(options, rows),
        leading(bits, 0, halves.leading_bits, type),
        trailing(bits, halves.leading_bits, halves.trailing_bits, type) {}
};

// The chunks' average distributions, added up in float64, [leading, trailing].
class Average {
 public:
  Average(const Options& options, const Tensor& x)
      : rows_(shape(x)[0]),
        sum_(zeros({Halves(options.code_dim).leading(), Halves(options.code_dim).trailing()},
                   DType::kFloat64, device(x))) {}

  void add(const Chunk& chunk) {
    const Tensor product = matmul(transpose(chunk.leading.p), chunk.trailing.p);
    sum_ = bsq::add(sum_, to(product, DType::kFloat64));
  }

  [[nodiscard]] Tensor mean() const { return div(sum_, number(static_cast<double>(rows_), sum_)); }

 private:
  int64_t rows_;
  Tensor sum_;
};

Tensor log_clamped(const Tensor& p) { return log(maximum(p, number(kEpsilon, p))); }

// d(codebook entropy)/dq for the mean distribution q of all rows.
Tensor codebook_gradient(const Tensor& x, const Average& average) {
  const Tensor q = average.mean();
  const Tensor counts = to(greater_equal(q, number(kEpsilon, q)), DType::kFloat64);
  return to(negative(add(log_clamped(q), counts)), compute_type(dtype(x)));
}

// The gradient with respect to each bit's logit, [rows, count], from the sums of g p over the
// factor's elements, [rows, 2^count]: sum over bit = 1, less sigmoid(logit) times the sum over all.
Tensor logit_gradient(const Tensor& sums, const Bits& bits, int64_t first, int64_t count) {
  const int64_t rows = shape(sums)[0];
  if (count == 0) {
    return zeros({rows, 0}, DType::kFloat64, device(sums));
  }
  const Device device = bsq::device(sums);
  const int64_t size = int64_t{1} << count;
  const Tensor one = scalar(1, DType::kInt64, device);
  // [size, count]: whether a bit of an element is 1.
  const Tensor is_one = equal(
      bitwise_and(right_shift(unsqueeze(arange(size, device), 1), bit_shifts(count, device)), one),
      one);
  const Tensor ones = matmul(sums, to(is_one, DType::kFloat64));
  const Tensor zeros = matmul(sums, to(logical_not(is_one), DType::kFloat64));
  const auto probability = [&](int64_t value) {
    return reshape(narrow(narrow(bits.p, 1, first, count), 2, value, 1), {rows, count});
  };
  return sub(mul(probability(0), ones), mul(probability(1), zeros));
}

// grad_unit[rows, code_dim] of the aux loss.
Tensor unit_gradient(const Options& options, const Chunk& chunk, const Tensor& codebook_gradient,
                     double sample_weight) {
  const double codebook_weight = -sample_weight * options.diversity_gamma;
  const SortedFactor sorted_leading(chunk.leading);
  const SortedFactor sorted_trailing(chunk.trailing);
  const auto weigh = [&](const SortedFactor::Share& share, const Factor& factor,
                         const Tensor& product) {
    // g = -log max(p, e) - [p >= e], so g p is the entropy's term less p where p >= e.
    const Tensor sample = sub(share.entropy, share.above);
    const Tensor codebook = to(mul(factor.p, product), DType::kFloat64);
    return add(mul(sample, number(sample_weight, sample)),
               mul(codebook, number(codebook_weight, sample)));
  };
  const Tensor leading_sums = weigh(sorted_trailing.share(chunk.leading), chunk.leading,
                                    matmul(chunk.trailing.p, transpose(codebook_gradient)));
  const Tensor trailing_sums = weigh(sorted_leading.share(chunk.trailing), chunk.trailing,
                                     matmul(chunk.leading.p, codebook_gradient));
  const Halves halves(options.code_dim);
  Tensor gradient = empty({chunk.size(), options.code_dim}, DType::kFloat64, device(leading_sums));
  copy(logit_gradient(leading_sums, chunk.bits, 0, halves.leading_bits),
       narrow(gradient, 1, 0, halves.leading_bits));
  copy(logit_gradient(trailing_sums, chunk.bits, halves.leading_bits, halves.trailing_bits),
       narrow(gradient, 1, halves.leading_bits, halves.trailing_bits));
  return mul(gradient, number(logit_scale(options), gradient));
}

int64_t row_elements(const Options& options) {
  const Halves halves(options.code_dim);
  return halves.leading() + halves.trailing();
}

}  // namespace

Tensor losses(const Options& options, const Tensor& x) {
  const int64_t rows = shape(x)[0];
  Average average(options, x);
  Tensor entropy_sum = number(0, x);
  for_each_chunk(rows, row_elements(options), [&](int64_t begin, int64_t length) {
    const Chunk chunk(options, narrow(x, 0, begin, length));
    const Tensor entropies = SortedFactor(chunk.trailing).share(chunk.leading).entropy;
    entropy_sum = add(entropy_sum, sum(entropies));
    average.add(chunk);
  });
  const Tensor q = average.mean();
  // Rounding may take an average of equal rows past 1, but no entropy is negative.
  const Tensor codebook = maximum(negative(sum(mul(q, log_clamped(q)))), number(0, x));
  Tensor result = empty({2}, DType::kFloat64, device(x));
  copy(div(entropy_sum, number(static_cast<double>(rows), x)), narrow(result, 0, 0, 1));
  copy(codebook, narrow(result, 0, 1, 1));
  return result;
}

Tensor gradient(const Options& options, const Tensor& x, const Tensor* grad_quantized,
                double grad_aux_loss) {
  const int64_t rows = shape(x)[0];
  const int64_t dim = options.code_dim;
  const double sample_weight =
      grad_aux_loss * options.entropy_loss_weight / static_cast<double>(rows);
  const auto rows_of = [](const Tensor& matrix, int64_t begin, int64_t length) {
    return narrow(matrix, 0, begin, length);
  };
  std::optional<Tensor> codebook;
  if (grad_aux_loss != 0) {
    Average average(options, x);
    for_each_chunk(rows, row_elements(options), [&](int64_t begin, int64_t length) {
      average.add(Chunk(options, rows_of(x, begin, length)));
    });
    codebook = codebook_gradient(x, average);
  }
  Tensor grad_x = empty({rows, dim}, dtype(x), device(x));
  for_each_chunk(rows, codebook ? row_elements(options) : dim, [&](int64_t begin, int64_t length) {
    const Tensor x_rows = rows_of(x, begin, length);
    Tensor grad_unit = grad_quantized == nullptr
                           ? zeros({length, dim}, DType::kFloat64, device(x))
                           : to(rows_of(*grad_quantized, begin, length), DType::kFloat64);
    if (codebook) {
      const Chunk chunk(options, x_rows);
      grad_unit = add(grad_unit, unit_gradient(options, chunk, *codebook, sample_weight));
      copy(chunk.rows.backward(grad_unit), rows_of(grad_x, begin, length));
    } else {
      copy(UnitRows(x_rows).backward(grad_unit), rows_of(grad_x, begin, length));
    }
  });
  return grad_x;
}

}  // namespace bsq::operators
