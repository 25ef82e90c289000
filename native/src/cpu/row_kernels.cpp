// Compiled once for each instruction set: see dispatch.cpp. Nothing but the table is visible
// outside, and nothing is shared with other files, lest the linker take code for one instruction
// set to serve another.
#include "cpu/row_kernels.h"

#include <cmath>
#include <type_traits>

#include "cpu/signs.h"
#include "cpu/simd.h"
#include "cpu/unit_row.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {
namespace {

// kMaxLossCodeDim of options.h.
constexpr int64_t kMaxDim = 24;
// Rows whose elementary functions are computed together.
constexpr int64_t kBlockRows = 32;

// The bits of an inner block: its 2^7 sets of flips are enumerated by vectors.
constexpr int64_t kInnerBits = 7;
constexpr int64_t kInnerSize = int64_t{1} << kInnerBits;

template <class T>
constexpr int64_t kLaneBits = Simd<T>::kWidth == 16 ? 4 : 3;

template <class T>
inline T minimum(T a, T b) {
  return b < a ? b : a;
}

// Lane i holds whether bit b of i is set.
template <class T>
inline Integers<T> lanes_with_bit(int64_t b) {
  Integers<T> mask{};
  for (int64_t lane = 0; lane < Simd<T>::kWidth; ++lane) {
    mask[lane] = (lane >> b & 1) != 0 ? -1 : 0;
  }
  return mask;
}

// A block of rows, prepared: [rows, dim] each, row after row without gaps. The elementary functions
// are computed in double, since an error of a large logit is a relative error of its probability.
template <class T>
struct Block {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): fills what is used of each array
  Block(const T* x, int64_t rows, int64_t dim, double logit_scale) {
    alignas(64) double logits[kSize];
    for (int64_t row = 0; row < rows; ++row) {
      norms[row] = row_norm(x + row * dim, dim);
      const double factor = 1 / norms[row].divisor();
      for (int64_t d = row * dim; d < (row + 1) * dim; ++d) {
        unit[d] = x[d] * norms[row].scale * factor;
        logits[d] = unit[d] * logit_scale;
      }
    }
    const int64_t size = rows * dim;
    constexpr int64_t kWidth = Simd<double>::kWidth;
    store<double>(splat(0.0), logits + size);  // so that the last vector is defined
    for (int64_t i = 0; i < size; i += kWidth) {
      const Vector<double> t = load(logits + i);
      const Vector<double> costs = t < 0 ? -t : t;
      const Vector<double> ratios = exp_negative < double, kExact ? 13 : 9 > (costs);
      const Vector<double> larger = 1 / (1 + ratios);
      const Vector<double> smaller = ratios * larger;
      convert(costs, cost + i);
      convert(ratios, ratio + i);
      store<double>(log1p < double, kExact ? 17 : 9 > (ratios), log1p_ratio + i);
      convert(t > 0 ? larger : smaller, p1 + i);
      convert(t > 0 ? smaller : larger, p0 + i);
    }
  }

  static void convert(Vector<double> values, T* to) {
    for (int64_t i = 0; i < Simd<double>::kWidth; ++i) {
      to[i] = static_cast<T>(values[i]);
    }
  }

  static constexpr bool kExact = std::is_same_v<T, double>;
  static constexpr int64_t kSize = kBlockRows * kMaxDim + Simd<double>::kWidth;
  RowNorm norms[kBlockRows];
  alignas(64) double unit[kSize];
  alignas(64) double log1p_ratio[kSize];  // -log of the larger probability
  alignas(64) T cost[kSize];              // |t|
  alignas(64) T ratio[kSize];             // exp(-|t|)
  alignas(64) T p1[kSize];
  alignas(64) T p0[kSize];
};

// probabilities[2^count]: the products over `count` bits in index order, the first bit being the
// most significant.
template <class T>
inline void expand(const T* p1, const T* p0, int64_t count, T* probabilities) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  if (count < kLaneBits<T>) {
    probabilities[0] = 1;
    int64_t size = 1;
    for (int64_t d = count - 1; d >= 0; --d, size *= 2) {
      for (int64_t i = 0; i < size; ++i) {
        probabilities[size + i] = probabilities[i] * p1[d];
        probabilities[i] *= p0[d];
      }
    }
    return;
  }
  // From the last bit to the first: the last ones make up a vector, each other one doubles the
  // vectors by one block of contiguous products.
  Vector<T> first = splat<T>(1);
  for (int64_t b = 0; b < kLaneBits<T>; ++b) {
    const int64_t d = count - 1 - b;
    first *= lanes_with_bit<T>(b) ? splat(p1[d]) : splat(p0[d]);
  }
  store<T>(first, probabilities);
  int64_t size = kWidth;
  for (int64_t d = count - 1 - kLaneBits<T>; d >= 0; --d, size *= 2) {
    for (int64_t i = 0; i < size; i += kWidth) {
      const auto p = load(probabilities + i);
      store<T>(p * p1[d], probabilities + size + i);
      store<T>(p * p0[d], probabilities + i);
    }
  }
}

// The bits of a row that some code with p >= e flips, the cheapest first.
template <class T>
struct ActiveBits {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): fills the first `count` of each array
  ActiveBits(const Block<T>& block, int64_t row, int64_t dim) {
    const T* const costs = block.cost + row * dim;
    const double* const logs = block.log1p_ratio + row * dim;
    double log_sum = 0;
    for (int64_t d = 0; d < dim; ++d) {
      log_sum += logs[d];
    }
    log_largest = -log_sum;
    budget = static_cast<T>(log_largest - kLogEpsilon);
    for (int64_t d = 0; d < dim; ++d) {
      if (costs[d] <= budget) {
        int64_t i = count++;
        for (; i > 0 && cost[i - 1] > costs[d]; --i) {
          cost[i] = cost[i - 1];
          dimension[i] = dimension[i - 1];
        }
        cost[i] = costs[d];
        dimension[i] = d;
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      ratio[i] = block.ratio[row * dim + dimension[i]];
    }
  }

  double log_largest;  // log of the largest probability
  T budget;            // log(largest p / e); below 0 no code reaches e
  int64_t count = 0;
  T cost[kMaxDim];
  T ratio[kMaxDim];
  int64_t dimension[kMaxDim];
};

// The sets of flips of the cheapest bits, in vectors: what each costs, and multiplies p by.
template <class T>
struct InnerFlips {
  explicit InnerFlips(const ActiveBits<T>& bits) : count(minimum(bits.count, kInnerBits)) {
    constexpr int64_t kWidth = Simd<T>::kWidth;
    Vector<T> first_cost = splat<T>(0);
    Vector<T> first_ratio = splat<T>(1);
    for (int64_t b = 0; b < kLaneBits<T>; ++b) {
      // What has no bit is beyond every budget.
      const T bit_cost = b < count ? bits.cost[b] : static_cast<T>(1e30);
      const T bit_ratio = b < count ? bits.ratio[b] : 0;
      const Integers<T> flipped = lanes_with_bit<T>(b);
      first_cost += flipped ? splat(bit_cost) : splat<T>(0);
      first_ratio *= flipped ? splat(bit_ratio) : splat<T>(1);
    }
    store<T>(first_cost, cost);
    store<T>(first_ratio, ratio);
    int64_t size = kWidth;
    for (int64_t b = kLaneBits<T>; b < count; ++b, size *= 2) {
      for (int64_t i = 0; i < size; i += kWidth) {
        store<T>(load(cost + i) + bits.cost[b], cost + size + i);
        store<T>(load(ratio + i) * bits.ratio[b], ratio + size + i);
      }
    }
  }

  // How many elements can be within the budget: those of the bits that are.
  [[nodiscard]] int64_t reach(const ActiveBits<T>& bits, T budget) const {
    auto b = minimum(count, kLaneBits<T>);
    while (b < count && bits.cost[b] <= budget) {
      ++b;
    }
    return b <= kLaneBits<T> ? Simd<T>::kWidth : int64_t{1} << b;
  }

  int64_t count;
  alignas(64) T cost[kInnerSize];
  alignas(64) T ratio[kInnerSize];
};

// Calls leaf(cost, ratio, flipped) for every set of flips of the bits beyond the inner ones whose
// cost is within the budget; bit i of `flipped` is for the i-th such bit.
template <class T, class Leaf>
inline void for_each_outer(const ActiveBits<T>& bits, const Leaf& leaf) {
  struct Node {
    T cost;
    T ratio;
    uint32_t flipped;
    int32_t next;
  };
  const auto outer = static_cast<int32_t>(bits.count - minimum(bits.count, kInnerBits));
  Node stack[kMaxDim * kMaxDim];
  int64_t size = 0;
  stack[size++] = {0, 1, 0, 0};
  while (size > 0) {
    const Node node = stack[--size];
    leaf(node.cost, node.ratio, node.flipped);
    for (int32_t i = node.next; i < outer; ++i) {
      const T cost = node.cost + bits.cost[kInnerBits + i];
      if (cost > bits.budget) {
        break;  // the others cost more
      }
      stack[size++] = {cost, node.ratio * bits.ratio[kInnerBits + i],
                       node.flipped | uint32_t{1} << i, i + 1};
    }
  }
}

template <class T>
inline double row_entropy(const Block<T>& block, int64_t row, int64_t dim) {
  const ActiveBits<T> bits(block, row, dim);
  if (bits.budget < 0) {
    return -kLogEpsilon;
  }
  const InnerFlips<T> inner(bits);
  Vector<T> ratios{};  // sum of p / (largest p) over the codes with p >= e
  Vector<T> costs{};   // the same, times -log(p / (largest p))
  for_each_outer(bits, [&](T cost, T ratio, uint32_t /*flipped*/) {
    const T budget = bits.budget - cost;
    const int64_t reach = inner.reach(bits, budget);
    for (int64_t i = 0; i < reach; i += Simd<T>::kWidth) {
      const auto inner_cost = load(inner.cost + i);
      const Vector<T> flips = inner_cost <= budget ? load(inner.ratio + i) * ratio : splat<T>(0);
      ratios += flips;
      costs += flips * (inner_cost + cost);
    }
  });
  const double largest = std::exp(bits.log_largest);
  const double above = largest * sum<T>(ratios);
  const double above_log = bits.log_largest * above - largest * sum<T>(costs);
  return -above_log - kLogEpsilon * (1 - above);
}

// Adds the gradient of weight * (the row's entropy) with respect to its logits.
template <class T>
inline void add_entropy_gradient(const Block<T>& block, int64_t row, int64_t dim, double weight,
                                 double* grad_logits) {
  const ActiveBits<T> bits(block, row, dim);
  if (bits.budget < 0) {
    return;  // the clamped entropy is constant
  }
  const InnerFlips<T> inner(bits);
  // With g = dH/dp less the constant -log e, which no logit sees: of the codes with p >= e, v = g p
  // = p (log e - 1 - log p); 0 for the others.
  alignas(64) T columns[kInnerSize] = {};  // sum of v over the outer sets
  double outer_sums[kMaxDim] = {};         // sum of v where an outer bit is flipped
  const auto offset = static_cast<T>(kLogEpsilon - 1 - bits.log_largest);
  for_each_outer(bits, [&](T cost, T ratio, uint32_t flipped) {
    const T budget = bits.budget - cost;
    const T leaf_offset = offset + cost;
    const int64_t reach = inner.reach(bits, budget);
    Vector<T> leaf{};
    for (int64_t i = 0; i < reach; i += Simd<T>::kWidth) {
      const auto inner_cost = load(inner.cost + i);
      const Vector<T> flips = inner_cost <= budget ? load(inner.ratio + i) * ratio : splat<T>(0);
      const Vector<T> v = flips * (inner_cost + leaf_offset);
      leaf += v;
      store<T>(load(columns + i) + v, columns + i);
    }
    if (flipped != 0) {
      const auto leaf_sum = static_cast<double>(sum<T>(leaf));
      for (uint32_t rest = flipped; rest != 0; rest &= rest - 1) {
        outer_sums[__builtin_ctz(rest)] += leaf_sum;
      }
    }
  });
  double flipped_sums[kMaxDim] = {};  // of active bits, the cheapest first
  int64_t b = inner.count - 1;
  for (; b >= kLaneBits<T>; --b) {
    const int64_t half = int64_t{1} << b;
    Vector<T> flipped{};
    for (int64_t i = 0; i < half; i += Simd<T>::kWidth) {
      const auto v = load(columns + half + i);
      flipped += v;
      store<T>(load(columns + i) + v, columns + i);
    }
    flipped_sums[b] = sum<T>(flipped);
  }
  for (; b >= 0; --b) {
    flipped_sums[b] = sum<T>(lanes_with_bit<T>(b) ? load(columns) : splat<T>(0));
  }
  const auto total = static_cast<double>(sum<T>(load(columns)));
  for (int64_t i = kInnerBits; i < bits.count; ++i) {
    flipped_sums[i] = outer_sums[i - kInnerBits];
  }
  const double scale = weight * std::exp(bits.log_largest);
  const double* const unit = block.unit + row * dim;
  const T* const p1 = block.p1 + row * dim;
  const T* const p0 = block.p0 + row * dim;
  double flipped_of[kMaxDim] = {};
  for (int64_t i = 0; i < bits.count; ++i) {
    flipped_of[bits.dimension[i]] = flipped_sums[i];
  }
  for (int64_t d = 0; d < dim; ++d) {
    const double kept = total - flipped_of[d];
    const double ones = unit[d] > 0 ? kept : flipped_of[d];
    const double zeros = unit[d] > 0 ? flipped_of[d] : kept;
    grad_logits[d] += scale * (p0[d] * ones - p1[d] * zeros);
  }
}

// Adds the gradient of the codebook term with respect to one half's logits: sum of g p over bit = 1
// less sigmoid(logit) times the sum over all, where factor[i] * product[i] is the sum of g p over
// the codes whose half is i.
template <class T>
inline void add_codebook_gradient(const T* factor, const T* product, const T* p1, const T* p0,
                                  int64_t count, double weight, double* grad_logits) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  constexpr int64_t kMaxSize = int64_t{1} << (kMaxDim / 2);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): the first `size` are set below
  alignas(64) T sums[kMaxSize];
  int64_t size = int64_t{1} << count;
  int64_t d = 0;
  if (size >= 2 * kWidth) {
    // The first bit together with the products.
    size /= 2;
    Vector<T> zeros{};
    Vector<T> ones{};
    for (int64_t i = 0; i < size; i += kWidth) {
      const auto zero = load(factor + i) * load(product + i);
      const auto one = load(factor + size + i) * load(product + size + i);
      zeros += zero;
      ones += one;
      store<T>(zero + one, sums + i);
    }
    grad_logits[0] += weight * (p0[0] * static_cast<double>(sum<T>(ones)) -
                                p1[0] * static_cast<double>(sum<T>(zeros)));
    for (d = 1; size >= 2 * kWidth; ++d) {
      size /= 2;
      zeros = ones = splat<T>(0);
      for (int64_t i = 0; i < size; i += kWidth) {
        const auto zero = load(sums + i);
        const auto one = load(sums + size + i);
        zeros += zero;
        ones += one;
        store<T>(zero + one, sums + i);
      }
      grad_logits[d] += weight * (p0[d] * static_cast<double>(sum<T>(ones)) -
                                  p1[d] * static_cast<double>(sum<T>(zeros)));
    }
  } else {
    for (int64_t i = 0; i < size; ++i) {
      sums[i] = factor[i] * product[i];
    }
  }
  for (; d < count; ++d) {
    size /= 2;
    double zeros = 0;
    double ones = 0;
    for (int64_t i = 0; i < size; ++i) {
      zeros += sums[i];  // NOLINT(clang-analyzer-core.uninitialized.Assign): set above
      ones += sums[size + i];
      sums[i] += sums[size + i];
    }
    grad_logits[d] += weight * (p0[d] * ones - p1[d] * zeros);
  }
}

template <class T>
void forward(const Halves& halves, double logit_scale, const T* x, int64_t rows, T* leading,
             T* trailing, double* entropies) {
  const int64_t dim = halves.leading_bits + halves.trailing_bits;
  for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
    const int64_t size = minimum(kBlockRows, rows - begin);
    const Block<T> block(x + begin * dim, size, dim, logit_scale);
    for (int64_t row = 0; row < size; ++row) {
      const T* const p1 = block.p1 + row * dim;
      const T* const p0 = block.p0 + row * dim;
      expand(p1, p0, halves.leading_bits, leading + (begin + row) * halves.leading());
      expand(p1 + halves.leading_bits, p0 + halves.leading_bits, halves.trailing_bits,
             trailing + (begin + row) * halves.trailing());
      if (entropies != nullptr) {
        entropies[begin + row] = row_entropy(block, row, dim);
      }
    }
  }
}

template <class T>
void backward(const Halves& halves, double logit_scale, const RowWeights& weights, const T* x,
              int64_t rows, const T* leading, const T* trailing, const T* leading_products,
              const T* trailing_products, const T* grad_quantized, T* grad_x) {
  const int64_t dim = halves.leading_bits + halves.trailing_bits;
  for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
    const int64_t size = minimum(kBlockRows, rows - begin);
    const Block<T> block(x + begin * dim, size, dim, logit_scale);
    for (int64_t row = 0; row < size; ++row) {
      double grad_unit[kMaxDim] = {};  // with respect to the logits at first
      const T* const p1 = block.p1 + row * dim;
      const T* const p0 = block.p0 + row * dim;
      add_entropy_gradient(block, row, dim, weights.sample, grad_unit);
      add_codebook_gradient(leading + (begin + row) * halves.leading(),
                            leading_products + (begin + row) * halves.leading(), p1, p0,
                            halves.leading_bits, weights.codebook, grad_unit);
      add_codebook_gradient(trailing + (begin + row) * halves.trailing(),
                            trailing_products + (begin + row) * halves.trailing(),
                            p1 + halves.leading_bits, p0 + halves.leading_bits,
                            halves.trailing_bits, weights.codebook,
                            grad_unit + halves.leading_bits);
      for (int64_t d = 0; d < dim; ++d) {
        grad_unit[d] *= logit_scale;
        if (grad_quantized != nullptr) {
          grad_unit[d] += grad_quantized[(begin + row) * dim + d];
        }
      }
      normalize_backward(block.unit + row * dim, grad_unit, dim, block.norms[row],
                         grad_x + (begin + row) * dim);
    }
  }
}

template <class T>
void straight_through(const T* x, int64_t rows, int64_t dim, const T* grad_quantized, T* grad_x) {
  constexpr int64_t kMaxCodeDim = 63;
  for (int64_t row = 0; row < rows; ++row) {
    const T* const x_row = x + row * dim;
    double unit[kMaxCodeDim];
    double grad_unit[kMaxCodeDim];
    const RowNorm norm = row_norm(x_row, dim);
    T poison = 0;  // 0 * v is NaN for a v that is not finite
    for (int64_t d = 0; d < dim; ++d) {
      poison += x_row[d] * 0;
      grad_unit[d] = grad_quantized == nullptr ? 0 : grad_quantized[row * dim + d];
    }
    normalize(x_row, dim, norm, unit);
    normalize_backward(unit, grad_unit, dim, norm, grad_x + row * dim);
    for (int64_t d = 0; d < dim && std::isnan(poison); ++d) {
      grad_x[row * dim + d] = poison;
    }
  }
}

template <class T>
inline Vector<T> log_clamped(Vector<T> q) {
  const T epsilon = static_cast<T>(kEpsilon);
  return log<T>(q > epsilon ? q : splat(epsilon));
}

// Calls body(vector of elements) for all, and returns its results' sum; the last vector is filled
// up with zeros.
template <class T>
double codebook_entropy(const T* average, int64_t size) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  double total = 0;
  int64_t i = 0;
  while (i < size) {
    // In float32 a sum of many loses digits.
    Vector<T> part{};
    const int64_t end = minimum(size, i + 64 * kWidth);
    for (; i + kWidth <= end; i += kWidth) {
      const auto q = load(average + i);
      part -= q * log_clamped<T>(q);
    }
    if (i < end) {
      T last[kWidth] = {};
      for (int64_t k = 0; i < end; ++k, ++i) {
        last[k] = average[i];
      }
      const auto q = load(last);
      part -= q * log_clamped<T>(q);
    }
    total += sum<T>(part);
  }
  return total;
}

template <class T>
inline Vector<T> codebook_gradient_of(Vector<T> q) {
  const T epsilon = static_cast<T>(kEpsilon);
  const Vector<T> one = q >= epsilon ? splat<T>(1) : splat<T>(0);
  return static_cast<T>(kLogEpsilon) - log_clamped<T>(q) - one;
}

template <class T>
void codebook_gradient(T* average, int64_t size) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    store<T>(codebook_gradient_of<T>(load(average + i)), average + i);
  }
  if (i < size) {
    T last[kWidth] = {};
    for (int64_t k = 0; i + k < size; ++k) {
      last[k] = average[i + k];
    }
    store<T>(codebook_gradient_of<T>(load(last)), last);
    for (int64_t k = 0; i + k < size; ++k) {
      average[i + k] = last[k];
    }
  }
}

}  // namespace

extern const RowKernels<float> kFloatKernels;
extern const RowKernels<double> kDoubleKernels;
const RowKernels<float> kFloatKernels{encode<float>,           straight_through<float>,
                                      forward<float>,          backward<float>,
                                      codebook_entropy<float>, codebook_gradient<float>};
const RowKernels<double> kDoubleKernels{encode<double>,           straight_through<double>,
                                        forward<double>,          backward<double>,
                                        codebook_entropy<double>, codebook_gradient<double>};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
