// The losses and their gradients. What a team of lanes does for one distribution is what
// operators/distributions.h and cpu/row_kernels.h do in other ways: see design notes there. Here
// all pairs of a leading and a trailing code are multiplied out, but for leading codes whose
// largest product is below the floor's cutoff, of which there are many at the usual inverse
// temperatures.
//
// Sums over threads are always added up in the same order, so results do not vary from run to run.
#include <cfloat>

#include "cuda/launch.cuh"

namespace bsq::cuda {
namespace {

constexpr double kMinNorm = 1e-12;           // as formula.h has it
constexpr double kOverflowScale = 0x1p-520;  // likewise
constexpr double kLargestUnscaled = 1e150;   // whose squares can still be added up
constexpr int64_t kMaxSumBlocks = 2048;      // that each leave a partial sum

// Bits of a factor of the largest distribution with losses, 24.
constexpr int kHalfBits = 12;
// Trailing codes that a lane holds at once.
constexpr int kColumns = 4;

__device__ double quiet_nan() { return __longlong_as_double(0x7ff8000000000000LL); }

int64_t sum_blocks(int64_t work, int64_t per_block) {
  const int64_t blocks = divide_up(work, per_block);
  return blocks < 1 ? 1 : blocks < kMaxSumBlocks ? blocks : kMaxSumBlocks;
}

// A code on the unit sphere, for a team; all lanes of the warp make it.
class UnitCode {
 public:
  __device__ UnitCode(const Chunk& chunk, int64_t code, int lane, int width)
      : chunk_(chunk),
        first_(code % chunk.codebooks * chunk.code_dim),
        offset_(offset_of(chunk.x, chunk.begin + code / chunk.codebooks)) {
    if (chunk.x.type == Element::kFloat64) {  // whose squares may overflow
      double largest = 0;
      for (int64_t d = lane; d < chunk.code_dim; d += width) {
        const double magnitude = fabs(component(d));
        largest = magnitude > largest ? magnitude : largest;
      }
      scale_ = team_max(largest, width) > kLargestUnscaled ? kOverflowScale : 1;
    }
    double squares = 0;
    for (int64_t d = lane; d < chunk.code_dim; d += width) {
      const double value = component(d) * scale_;
      squares += value * value;
    }
    norm_ = sqrt(team_sum(squares, width));
    divisor_ = norm_ <= kMinNorm ? kMinNorm : norm_;  // NaN stays
  }

  __device__ double unit(int64_t d) const { return component(d) * scale_ / divisor_; }

  // unit(d) less that of the corner to which the code is quantized.
  __device__ double from_corner(int64_t d) const {
    const double value = component(d);
    const bool one = chunk_.zero_is_one ? value >= 0 : value > 0;
    return unit(d) - (one ? chunk_.code_scale : -chunk_.code_scale);
  }

  // Of x, of the gradient `across` the unit code's direction: grad - unit * <unit, grad>.
  __device__ double through_norm(double across) const { return across / divisor_ * scale_; }
  __device__ bool has_constant_norm() const { return !(norm_ > kMinNorm); }

 private:
  __device__ double component(int64_t d) const {
    return as_double(chunk_.x.data, chunk_.x.type,
                     offset_ + (first_ + d) * chunk_.x.component_stride);
  }

  const Chunk& chunk_;
  int64_t first_;
  int64_t offset_;
  double scale_ = 1;
  double norm_;
  double divisor_;
};

// Calls body(code, lane) for the codes of a block's teams, by all lanes of a warp together: for
// codes beyond the last, is_inside is false.
template <class Body>
__device__ void for_each_team(int64_t count, int width, const Body& body) {
  const int64_t teams = kBlock / width;
  const int lane = static_cast<int>(threadIdx.x % width);
  for (int64_t first = blockIdx.x * teams; first < count; first += gridDim.x * teams) {
    const int64_t i = first + threadIdx.x / width;
    body(i < count ? i : count - 1, lane, i < count);
  }
}

template <class C>
__global__ void bit_probabilities(Chunk chunk, int width, C* bits, double* distances) {
  double distance = 0;
  for_each_team(chunk.rows * chunk.codebooks, width, [&](int64_t code, int lane, bool is_inside) {
    const UnitCode unit_code(chunk, code, lane, width);
    const bool counts =
        chunk.commits && is_inside &&
        (chunk.counted == nullptr || chunk.counted[chunk.begin + code / chunk.codebooks]);
    for (int64_t d = lane; is_inside && d < chunk.code_dim; d += width) {
      const double logit = chunk.logit_scale * unit_code.unit(d);
      const double ratio = exp(-fabs(logit));
      const double larger = 1 / (1 + ratio);
      const double smaller = ratio / (1 + ratio);
      C* const pair = bits + 2 * (code * chunk.code_dim + d);
      pair[0] = static_cast<C>(logit > 0 ? smaller : larger);
      pair[1] = static_cast<C>(logit > 0 ? larger : smaller);
      if (counts) {
        const double offset = unit_code.from_corner(d);
        distance += offset * offset;
      }
    }
  });
  if (chunk.commits) {
    distance = block_sum(distance);
    if (threadIdx.x == 0) {
      distances[blockIdx.x] = distance;
    }
  }
}

// One factor: the products of `count` bits from `first` on, whose first is the most significant.
template <class C>
__global__ void expand_factor(Chunk chunk, const C* bits, int first, int count, C* factor,
                              C* log_factor) {
  const int64_t elements = chunk.distributions * chunk.padded_rows << count;
  const auto padded_rows = static_cast<uint32_t>(chunk.padded_rows);
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < elements;
       t += int64_t{gridDim.x} * kBlock) {
    const auto code = static_cast<uint32_t>(t & ((int64_t{1} << count) - 1));
    const auto pair = static_cast<uint32_t>(t >> count);
    const uint32_t row = pair % padded_rows;
    const uint32_t distribution = pair / padded_rows;
    C p = 0;
    if (row < chunk.rows && (chunk.drawn == nullptr || chunk.drawn[chunk.begin + row])) {
      const C* const of_bits =
          bits + 2 * (row * chunk.row_length() + distribution * chunk.bits + first);
      p = 1;
      for (int k = 0; k < count; ++k) {
        p *= of_bits[2 * k + (code >> (count - 1 - k) & 1U)];
      }
    }
    factor[t] = p;
    if (log_factor != nullptr) {
      log_factor[t] = p == 0 ? 0 : log(p);
    }
  }
}

// Sums over some bits of what their codes contribute: of the codes that differ in bit k from the
// row's own, the likeliest one. With that, the rounding of the likeliest code's contribution, which
// is nearly all of it where a row is nearly certain, cancels out in no sum.
template <class C>
struct FlippedSums {
  // bits: [count, 2], the probabilities of each to be 0 and 1.
  __device__ void begin(const C* bits, int count_of_bits) {
    count = count_of_bits;
    own = 0;
    for (int k = 0; k < count; ++k) {
      own |= (bits[2 * k + 1] > bits[2 * k] ? 1U : 0U) << (count - 1 - k);
    }
    for (int k = 0; k < kHalfBits; ++k) {
      sums[k] = 0;
    }
  }

  __device__ void add(uint32_t code, C value) {
    const uint32_t flipped = code ^ own;
#pragma unroll
    for (int k = 0; k < kHalfBits; ++k) {
      if (k < count && (flipped >> k & 1U) != 0) {
        sums[k] += value;
      }
    }
  }

  uint32_t own;
  int count;
  C sums[kHalfBits];  // of bit count - 1 - k
};

// Writes the gradients of a factor's bits: the sum over the codes with a 1, times the probability
// of 0, less the sum over those with a 0, times the probability of 1.
template <class C>
__device__ void store_by_logit(const FlippedSums<C>& flipped, C total, const C* bits, int lane,
                               int width, bool is_inside, double* by_logit) {
#pragma unroll
  for (int k = 0; k < kHalfBits; ++k) {
    if (k < flipped.count) {  // the same for all lanes
      const auto sum = static_cast<double>(team_sum(flipped.sums[k], width));
      const int bit = flipped.count - 1 - k;
      if (is_inside && lane == 0) {
        const auto p_zero = static_cast<double>(bits[2 * bit]);
        const auto p_one = static_cast<double>(bits[2 * bit + 1]);
        const bool own_is_one = (flipped.own >> k & 1U) != 0;
        by_logit[bit] = own_is_one ? p_zero * total - sum : sum - p_one * total;
      }
    }
  }
}

// What lanes add up of a distribution's entropy, the sum of -p * log of what the floor makes of p.
template <class C>
struct EntropySums {
  double above = 0;  // of p * log, p >= cutoff
  double below = 0;  // of p
};

// Goes through the pairs of codes of a distribution: with kGradient adds p * gradient to the sums
// of flipped bits, without adds to the entropy.
template <class C, bool kAdds, bool kGradient>
__device__ void add_pairs(const Chunk& chunk, const Floor& floor, const C* leading,
                          const C* log_leading, const C* trailing, int lane, int width,
                          EntropySums<C>* entropy, FlippedSums<C>* by_leading,
                          FlippedSums<C>* by_trailing, C* total) {
  const auto rows = static_cast<int>(chunk.leading());
  const auto columns = static_cast<int>(chunk.trailing());
  const auto cutoff = static_cast<C>(floor.cutoff);
  const auto epsilon = static_cast<C>(floor.epsilon);
  const auto log_epsilon = static_cast<C>(floor.log_epsilon);
  for (int begin = 0; begin < columns; begin += kColumns * width) {
    C p[kColumns];
    C log_p[kColumns];
    C sums[kColumns];
    C largest = 0;
    C all = 0;
    for (int t = 0; t < kColumns; ++t) {
      const int j = begin + t * width + lane;
      p[t] = j < columns ? trailing[j] : C{0};
      log_p[t] = kAdds || p[t] == 0 ? C{0} : log(p[t]);
      sums[t] = 0;
      largest = p[t] > largest ? p[t] : largest;
      all += p[t];
    }
    largest = team_max(largest, width);
    // Groups of leading codes: too many products are not added up in float32.
    for (int group = 0; group < rows; group += kWarp) {
      C above = 0;
      C below = 0;
      for (int i = group; i < rows && i < group + kWarp; ++i) {
        const C p_leading = leading[i];
        if (p_leading * largest < cutoff) {
          below += p_leading * all;
          continue;
        }
        const C log_p_leading = kAdds ? C{0} : log_leading[i];
        C sum = 0;
        for (int t = 0; t < kColumns; ++t) {
          const C product = p_leading * p[t];
          if (product >= cutoff) {
            const C logarithm = kAdds ? log(product + epsilon) : log_p_leading + log_p[t];
            if (kGradient) {
              const C slope =
                  log_epsilon - logarithm - (kAdds ? product / (product + epsilon) : C{1});
              const C value = product * slope;
              sums[t] += value;
              sum += value;
            } else {
              above += product * logarithm;
            }
          } else {
            below += product;
          }
        }
        if (kGradient) {
          by_leading->add(static_cast<uint32_t>(i), sum);
          *total += sum;
        }
      }
      if (!kGradient) {
        entropy->above += above;
        entropy->below += below;
      }
    }
    if (kGradient) {
      for (int t = 0; t < kColumns; ++t) {
        by_trailing->add(static_cast<uint32_t>(begin + t * width + lane), sums[t]);
      }
    }
  }
}

// Where a chunk's pair i of a row and a distribution is.
struct Pair {
  __device__ Pair(const Chunk& chunk, int64_t i)
      : row(i % chunk.rows),
        distribution(i / chunk.rows),
        place(distribution * chunk.padded_rows + row) {}

  int64_t row;
  int64_t distribution;
  int64_t place;  // among the factors
};

template <class C, bool kAdds>
__global__ void distribution_entropies(Chunk chunk, Floor floor, Factors<C> factors, int width,
                                       double* entropies) {
  double sum = 0;
  for_each_team(chunk.pairs(), width, [&](int64_t i, int lane, bool is_inside) {
    const Pair pair(chunk, i);
    EntropySums<C> entropy;
    add_pairs<C, kAdds, false>(chunk, floor, factors.leading + pair.place * chunk.leading(),
                               kAdds ? nullptr : factors.log_leading + pair.place * chunk.leading(),
                               factors.trailing + pair.place * chunk.trailing(), lane, width,
                               &entropy, nullptr, nullptr, nullptr);
    if (is_inside) {
      sum -= entropy.above + floor.log_epsilon * entropy.below;
    }
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    entropies[blockIdx.x] = sum;
  }
}

template <class C, bool kAdds>
__global__ void distribution_gradients(Chunk chunk, Floor floor, Factors<C> factors,
                                       GradientWork<C> work, int width) {
  for_each_team(chunk.pairs(), width, [&](int64_t i, int lane, bool is_inside) {
    const Pair pair(chunk, i);
    const int leading_bits = static_cast<int>(chunk.leading_bits());
    const int64_t first_bit = pair.row * chunk.row_length() + pair.distribution * chunk.bits;
    const C* const bits = factors.bits + 2 * first_bit;
    const C* const leading = factors.leading + pair.place * chunk.leading();
    const C* const trailing = factors.trailing + pair.place * chunk.trailing();
    FlippedSums<C> by_leading;
    FlippedSums<C> by_trailing;
    by_leading.begin(bits, leading_bits);
    by_trailing.begin(bits + 2 * leading_bits, static_cast<int>(chunk.trailing_bits()));
    C total = 0;
    add_pairs<C, kAdds, true>(chunk, floor, leading,
                              kAdds ? nullptr : factors.log_leading + pair.place * chunk.leading(),
                              trailing, lane, width, nullptr, &by_leading, &by_trailing, &total);
    const C weight = work.sample_entropy_weight;
    for (int k = 0; k < kHalfBits; ++k) {
      by_leading.sums[k] *= weight;
      by_trailing.sums[k] *= weight;
    }
    total *= weight;
    // The codebook entropy's share, of which both factors' products have the same sum.
    C leading_total = total;
    C trailing_total = total;
    const C* const leading_products = work.leading_products + pair.place * chunk.leading();
    for (int64_t k = lane; k < chunk.leading(); k += width) {
      const C value = leading[k] * leading_products[k];
      by_leading.add(static_cast<uint32_t>(k), value);
      leading_total += value;
    }
    const C* const trailing_products = work.trailing_products + pair.place * chunk.trailing();
    for (int64_t k = lane; k < chunk.trailing(); k += width) {
      const C value = trailing[k] * trailing_products[k];
      by_trailing.add(static_cast<uint32_t>(k), value);
      trailing_total += value;
    }
    store_by_logit(by_leading, team_sum(leading_total, width), bits, lane, width, is_inside,
                   work.by_logit + first_bit);
    store_by_logit(by_trailing, team_sum(trailing_total, width), bits + 2 * leading_bits, lane,
                   width, is_inside, work.by_logit + first_bit + leading_bits);
  });
}

// The gradient by -p log of what the floor makes of p.
__device__ double entropy_slope(const Floor& floor, double p) {
  if (floor.adds) {
    return -log(p + floor.epsilon) - p / (p + floor.epsilon);
  }
  return p < floor.epsilon ? -floor.log_epsilon : -log(p) - 1;
}

// Of single bits, where sums over codes would only lose digits.
template <class C>
__global__ void single_bit_gradients(Chunk chunk, Floor floor, Factors<C> factors,
                                     GradientWork<C> work) {
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < chunk.pairs();
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t row = t / chunk.distributions;
    const int64_t distribution = t % chunk.distributions;
    double gradient = 0;
    if (chunk.drawn == nullptr || chunk.drawn[chunk.begin + row]) {
      const auto p_zero = static_cast<double>(factors.bits[2 * t]);
      const auto p_one = static_cast<double>(factors.bits[2 * t + 1]);
      const C* const slopes = work.slopes + 2 * distribution;
      gradient = p_zero * p_one *
                 (static_cast<double>(work.sample_entropy_weight) *
                      (entropy_slope(floor, p_one) - entropy_slope(floor, p_zero)) +
                  (static_cast<double>(slopes[1]) - static_cast<double>(slopes[0])));
    }
    work.by_logit[t] = gradient;
  }
}

__global__ void add_up_values(const double* values, int64_t count, double* sum) {
  double of_thread = 0;
  for (int64_t i = threadIdx.x; i < count; i += kBlock) {
    of_thread += values[i];
  }
  const double total = block_sum(of_thread);
  if (threadIdx.x == 0) {
    *sum += total;
  }
}

template <class C>
__global__ void add_product_splits(const C* products, int64_t distributions, int64_t splits,
                                   int64_t elements, double* sums) {
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < distributions * elements;
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t distribution = t / elements;
    const C* const first = products + distribution * splits * elements + t % elements;
    double sum = 0;
    for (int64_t s = 0; s < splits; ++s) {
      sum += first[s * elements];
    }
    sums[t] += sum;
  }
}

template <class C>
__global__ void add_single_bit_rows(Chunk chunk, const C* trailing, double* sums) {
  for (int64_t distribution = blockIdx.x; distribution < chunk.distributions;
       distribution += gridDim.x) {
    double zero = 0;
    double one = 0;
    for (int64_t row = threadIdx.x; row < chunk.rows; row += kBlock) {
      const C* const p = trailing + 2 * (distribution * chunk.padded_rows + row);
      zero += p[0];
      one += p[1];
    }
    zero = block_sum(zero);
    one = block_sum(one);
    if (threadIdx.x == 0) {
      sums[2 * distribution] += zero;
      sums[2 * distribution + 1] += one;
    }
  }
}

__global__ void set_header(const double* rows, const double* entropy_rows, double* sums) {
  sums[0] = *rows;
  sums[1] = *entropy_rows;
}

// One code that counts and is not finite makes all losses NaN.
__global__ void spread_nan(int64_t size, const double* header, double* sums) {
  if (!isfinite(header[2]) || !isfinite(header[3])) {
    for (int64_t i = 4 + int64_t{blockIdx.x} * kBlock + threadIdx.x; i < size;
         i += int64_t{gridDim.x} * kBlock) {
      sums[i] = quiet_nan();
    }
  }
}

__global__ void spread_nan_in_header(double* sums) {
  if (!isfinite(sums[2]) || !isfinite(sums[3])) {
    sums[2] = quiet_nan();
    sums[3] = quiet_nan();
  }
}

__device__ double at_least_one(double rows) { return rows < 1 ? 1 : rows; }

__global__ void codebook_entropies(LossFormula formula, Floor floor, const double* sums,
                                   double* partials) {
  const double rows = at_least_one(sums[1]);
  double entropy = 0;
  for (int64_t i = 4 + int64_t{blockIdx.x} * kBlock + threadIdx.x; i < formula.sums_size;
       i += int64_t{gridDim.x} * kBlock) {
    const double mean = sums[i] / rows;
    const double floored = floor.adds             ? mean + floor.epsilon
                           : mean < floor.epsilon ? floor.epsilon
                                                  : mean;
    entropy -= mean * log(floored);
  }
  entropy = block_sum(entropy);
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = entropy;
  }
}

__global__ void combine_terms(LossFormula formula, Floor floor, const double* sums,
                              const double* partials, int64_t count, double* terms) {
  double of_thread = 0;
  for (int64_t i = threadIdx.x; i < count; i += kBlock) {
    of_thread += partials[i];
  }
  double entropies = block_sum(of_thread);
  if (threadIdx.x == 0) {
    const auto codebooks = static_cast<double>(formula.codebooks);
    // Rounding may take an average of equal rows past 1, but no entropy with max(p, e) is negative.
    entropies = !floor.adds && entropies < 0 ? 0 : entropies;
    terms[0] = sums[2] / (at_least_one(sums[1]) * codebooks);
    terms[1] = entropies / codebooks;
    terms[2] = formula.commits
                   ? sums[3] * formula.commitment_scale / (at_least_one(sums[0]) * codebooks)
                   : 0;
    terms[3] = sums[0];
    terms[4] = sums[1];
  }
}

__global__ void weigh(LossFormula formula, const double* sums, const double* terms,
                      double grad_aux_loss, LossWeights* weights) {
  // A loss that is not finite has no finite gradient.
  const bool finite =
      isfinite(sums[0]) && isfinite(sums[1]) && isfinite(sums[2]) && isfinite(sums[3]);
  const double gradient = finite ? grad_aux_loss : quiet_nan();
  const auto codebooks = static_cast<double>(formula.codebooks);
  double slope = 1;
  if (formula.softplus) {
    slope = 1 / (1 + exp(-(formula.sample_entropy_weight * terms[0] -
                           formula.diversity_gamma * terms[1] + formula.positive_offset)));
  }
  weights->entropy = gradient * formula.entropy_weight * slope * formula.weight_scale /
                     (at_least_one(sums[1]) * codebooks);
  weights->commitment = gradient * formula.commitment_weight * formula.commitment_scale * 2 /
                        (at_least_one(sums[0]) * codebooks);
}

template <class C>
__global__ void slopes_of_means(LossFormula formula, Floor floor, const double* sums, C* slopes) {
  const double rows = at_least_one(sums[1]);
  const double weight = -formula.diversity_gamma / formula.weight_scale;
  for (int64_t i = int64_t{blockIdx.x} * kBlock + threadIdx.x; i < formula.sums_size - 4;
       i += int64_t{gridDim.x} * kBlock) {
    const double mean = sums[4 + i] / rows;
    double slope = 0;
    if (!isfinite(mean)) {
      slope = quiet_nan();
    } else if (floor.adds) {
      slope = floor.log_epsilon - log(mean + floor.epsilon) - mean / (mean + floor.epsilon);
    } else if (mean >= floor.epsilon) {
      slope = floor.log_epsilon - log(mean) - 1;
    }
    slopes[i] = static_cast<C>(weight * slope);
  }
}

__global__ void rows_backward(Chunk chunk, BackwardWork work, int width) {
  for_each_team(chunk.rows * chunk.codebooks, width, [&](int64_t code, int lane, bool is_inside) {
    const UnitCode unit_code(chunk, code, lane, width);
    const int64_t row = chunk.begin + code / chunk.codebooks;
    const int64_t first = code % chunk.codebooks * chunk.code_dim;  // component
    const bool commits = work.weights != nullptr && chunk.commits &&
                         (chunk.counted == nullptr || chunk.counted[row]);
    const int64_t from =
        work.grad_quantized.data == nullptr ? 0 : offset_of(work.grad_quantized, row);
    const auto by_unit = [&](int64_t d) {
      double gradient = 0;
      if (work.grad_quantized.data != nullptr) {
        gradient = work.straight_through_scale *
                   as_double(work.grad_quantized.data, work.grad_quantized.type,
                             from + (first + d) * work.grad_quantized.component_stride);
      }
      if (work.weights != nullptr) {
        gradient +=
            work.weights->entropy * chunk.logit_scale * work.by_logit[code * chunk.code_dim + d];
      }
      return commits ? gradient + work.weights->commitment * unit_code.from_corner(d) : gradient;
    };
    double along = 0;
    for (int64_t d = lane; d < chunk.code_dim; d += width) {
      along += unit_code.unit(d) * by_unit(d);
    }
    along = team_sum(along, width);
    if (unit_code.has_constant_norm() && !isnan(along)) {
      along = 0;
    }
    const int64_t to = offset_of(work.grad_x, row);
    for (int64_t d = lane; is_inside && d < chunk.code_dim; d += width) {
      store(work.grad_x.data, work.grad_x.type, to + (first + d) * work.grad_x.component_stride,
            unit_code.through_norm(by_unit(d) - unit_code.unit(d) * along));
    }
  });
}

int code_width(const Chunk& chunk) { return team_width(chunk.code_dim); }
int pair_width(const Chunk& chunk) { return team_width(divide_up(chunk.trailing(), kColumns)); }

}  // namespace

int64_t factor_partials(const Chunk& chunk) {
  return sum_blocks(chunk.rows * chunk.codebooks, kBlock / code_width(chunk));
}

int64_t entropy_partials(const Chunk& chunk) {
  return sum_blocks(chunk.pairs(), kBlock / pair_width(chunk));
}

template <class C>
Failure expand(const Chunk& chunk, const Floor& floor, const Factors<C>& factors, double* distances,
               void* stream) {
  BSQ_LAUNCH(bit_probabilities<C>, grid_of(factor_partials(chunk)), kBlock, stream, chunk,
             code_width(chunk), factors.bits, distances);
  const int64_t places = chunk.distributions * chunk.padded_rows;
  const auto leading_bits = static_cast<int>(chunk.leading_bits());
  C* const log_leading = floor.adds ? nullptr : factors.log_leading;
  BSQ_LAUNCH(expand_factor<C>, grid_of(divide_up(places * chunk.leading(), kBlock)), kBlock, stream,
             chunk, factors.bits, 0, leading_bits, factors.leading, log_leading);
  C* const no_logarithms = nullptr;
  BSQ_LAUNCH(expand_factor<C>, grid_of(divide_up(places * chunk.trailing(), kBlock)), kBlock,
             stream, chunk, factors.bits, leading_bits, static_cast<int>(chunk.trailing_bits()),
             factors.trailing, no_logarithms);
  return launched();
}

template <class C>
Failure entropies(const Chunk& chunk, const Floor& floor, const Factors<C>& factors,
                  double* entropies, void* stream) {
  auto* const kernel =
      floor.adds ? distribution_entropies<C, true> : distribution_entropies<C, false>;
  BSQ_LAUNCH(kernel, grid_of(entropy_partials(chunk)), kBlock, stream, chunk, floor, factors,
             pair_width(chunk), entropies);
  return launched();
}

template <class C>
Failure logit_gradients(const Chunk& chunk, const Floor& floor, const Factors<C>& factors,
                        const GradientWork<C>& work, void* stream) {
  if (chunk.bits == 1) {
    BSQ_LAUNCH(single_bit_gradients<C>, grid_of(divide_up(chunk.pairs(), kBlock)), kBlock, stream,
               chunk, floor, factors, work);
    return launched();
  }
  auto* const kernel =
      floor.adds ? distribution_gradients<C, true> : distribution_gradients<C, false>;
  BSQ_LAUNCH(kernel, grid_of(divide_up(chunk.pairs(), kBlock / pair_width(chunk))), kBlock, stream,
             chunk, floor, factors, work, pair_width(chunk));
  return launched();
}

Failure add_up(const double* values, int64_t count, double* sum, void* stream) {
  BSQ_LAUNCH(add_up_values, 1, kBlock, stream, values, count, sum);
  return launched();
}

template <class C>
Failure add_products(const C* products, int64_t distributions, int64_t splits, int64_t elements,
                     double* sums, void* stream) {
  BSQ_LAUNCH(add_product_splits<C>, grid_of(divide_up(distributions * elements, kBlock)), kBlock,
             stream, products, distributions, splits, elements, sums);
  return launched();
}

template <class C>
Failure add_single_bits(const Chunk& chunk, const C* trailing, double* sums, void* stream) {
  BSQ_LAUNCH(add_single_bit_rows<C>, grid_of(chunk.distributions), kBlock, stream, chunk, trailing,
             sums);
  return launched();
}

Failure finish_sums(const double* rows, const double* entropy_rows, bool propagate,
                    int64_t sums_size, double* sums, void* stream) {
  BSQ_LAUNCH(set_header, 1, 1, stream, rows, entropy_rows, sums);
  if (propagate) {
    BSQ_LAUNCH(spread_nan, grid_of(divide_up(sums_size, kBlock)), kBlock, stream, sums_size, sums,
               sums);
    BSQ_LAUNCH(spread_nan_in_header, 1, 1, stream, sums);
  }
  return launched();
}

int64_t term_partials(int64_t sums_size) { return sum_blocks(sums_size, kBlock); }

Failure loss_terms(const LossFormula& formula, const Floor& floor, const double* sums,
                   double* partials, double* terms, void* stream) {
  const int64_t count = term_partials(formula.sums_size);
  BSQ_LAUNCH(codebook_entropies, grid_of(count), kBlock, stream, formula, floor, sums, partials);
  BSQ_LAUNCH(combine_terms, 1, kBlock, stream, formula, floor, sums, partials, count, terms);
  return launched();
}

Failure loss_weights(const LossFormula& formula, const double* sums, const double* terms,
                     double grad_aux_loss, LossWeights* weights, void* stream) {
  BSQ_LAUNCH(weigh, 1, 1, stream, formula, sums, terms, grad_aux_loss, weights);
  return launched();
}

template <class C>
Failure codebook_slopes(const LossFormula& formula, const Floor& floor, const double* sums,
                        C* slopes, void* stream) {
  BSQ_LAUNCH(slopes_of_means<C>, grid_of(divide_up(formula.sums_size, kBlock)), kBlock, stream,
             formula, floor, sums, slopes);
  return launched();
}

Failure backward(const Chunk& chunk, const BackwardWork& work, void* stream) {
  const int width = code_width(chunk);
  BSQ_LAUNCH(rows_backward, grid_of(divide_up(chunk.rows * chunk.codebooks, kBlock / width)),
             kBlock, stream, chunk, work, width);
  return launched();
}

#define BSQ_INSTANTIATE(C)                                                                   \
  template Failure expand(const Chunk&, const Floor&, const Factors<C>&, double*, void*);    \
  template Failure entropies(const Chunk&, const Floor&, const Factors<C>&, double*, void*); \
  template Failure logit_gradients(const Chunk&, const Floor&, const Factors<C>&,            \
                                   const GradientWork<C>&, void*);                           \
  template Failure add_products(const C*, int64_t, int64_t, int64_t, double*, void*);        \
  template Failure add_single_bits(const Chunk&, const C*, double*, void*);                  \
  template Failure codebook_slopes(const LossFormula&, const Floor&, const double*, C*, void*);
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cuda
