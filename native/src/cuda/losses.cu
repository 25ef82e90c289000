// The losses: the rows' factors and entropies, the sums over rows, and the terms.
//
// Sums over threads are always added up in the same order, so results do not vary from run to run.
#include "cuda/code_pairs.cuh"
#include "cuda/launch.cuh"
#include "cuda/teams.cuh"

namespace bsq::cuda {
namespace {

constexpr int64_t kMaxSumBlocks = 2048;  // that each leave a partial sum
constexpr int64_t kSplitRows = 4096;     // of single bits, that one block adds up

int64_t sum_blocks(int64_t work, int64_t per_block) {
  const int64_t blocks = divide_up(work, per_block);
  return blocks < 1 ? 1 : blocks < kMaxSumBlocks ? blocks : kMaxSumBlocks;
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

// A factor: the products of `count` bits from `first` on, whose first is the most significant.
template <class C>
struct Factor {
  int first;
  int count;
  C* p;
  C* log_p;  // NULL: not wanted

  // A thread has the codes that differ in the last bits alone.
  [[nodiscard]] __host__ __device__ int bits_of_thread() const { return count < 2 ? count : 2; }
  [[nodiscard]] __host__ __device__ int64_t threads(int64_t places) const {
    return places << (count - bits_of_thread());
  }
};

// Those of a thread, 2^kBits.
template <class C, int kBits>
__device__ void expand_codes(const Chunk& chunk, const C* bits, const Factor<C>& factor,
                             int64_t t) {
  constexpr int kCodes = 1 << kBits;
  const int upper = factor.count - kBits;
  const auto code = static_cast<uint32_t>(t & ((int64_t{1} << upper) - 1));
  const auto place = static_cast<uint32_t>(t >> upper);
  const auto padded_rows = static_cast<uint32_t>(chunk.padded_rows);
  const uint32_t row = place % padded_rows;
  const uint32_t distribution = place / padded_rows;
  Vector<C, kCodes> p{};
  if (row < chunk.rows && (chunk.drawn == nullptr || chunk.drawn[chunk.begin + row])) {
    const C* const of_bits =
        bits + 2 * (row * chunk.row_length() + distribution * chunk.bits + factor.first);
    p.values[0] = 1;
    for (int k = 0; k < upper; ++k) {
      p.values[0] *= of_bits[2 * k + (code >> (upper - 1 - k) & 1U)];
    }
#pragma unroll
    for (int k = 0; k < kBits; ++k) {  // each doubles the codes
#pragma unroll
      for (int i = (1 << k) - 1; i >= 0; --i) {
        const C before = p.values[i];
        p.values[2 * i + 1] = before * of_bits[2 * (upper + k) + 1];
        p.values[2 * i] = before * of_bits[2 * (upper + k)];
      }
    }
  }
  reinterpret_cast<Vector<C, kCodes>*>(factor.p)[t] = p;
  if (factor.log_p != nullptr) {
#pragma unroll
    for (int i = 0; i < kCodes; ++i) {
      p.values[i] = p.values[i] == 0 ? 0 : log(p.values[i]);
    }
    reinterpret_cast<Vector<C, kCodes>*>(factor.log_p)[t] = p;
  }
}

template <class C>
__device__ void expand_factor(const Chunk& chunk, const C* bits, const Factor<C>& factor,
                              int64_t t) {
  switch (factor.bits_of_thread()) {
    case 0:
      return expand_codes<C, 0>(chunk, bits, factor, t);
    case 1:
      return expand_codes<C, 1>(chunk, bits, factor, t);
    default:
      return expand_codes<C, 2>(chunk, bits, factor, t);
  }
}

template <class C>
__global__ void expand_factors(Chunk chunk, const C* bits, Factor<C> leading, Factor<C> trailing) {
  const int64_t places = chunk.distributions * chunk.padded_rows;
  const int64_t of_leading = leading.threads(places);
  const int64_t threads = of_leading + trailing.threads(places);
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < threads;
       t += int64_t{gridDim.x} * kBlock) {
    if (t < of_leading) {
      expand_factor(chunk, bits, leading, t);
    } else {
      expand_factor(chunk, bits, trailing, t - of_leading);
    }
  }
}

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

// Each of the header's sums by a block.
__global__ void add_up_header(HeaderSums work) {
  const bool adds_entropies = blockIdx.x == 0;
  const PartialSums from = adds_entropies ? work.entropies : work.distances;
  double of_thread = 0;
  for (int64_t i = threadIdx.x; i < from.count; i += kBlock) {
    of_thread += from.values[i];
  }
  const double total = block_sum(of_thread);
  if (threadIdx.x == 0) {
    work.sums[adds_entropies ? 2 : 3] += total;
    work.sums[adds_entropies ? 1 : 0] = adds_entropies ? *work.entropy_rows : *work.rows;
  }
}

template <class C>
__global__ void add_product_splits(const C* products, int64_t distributions, int64_t splits,
                                   int64_t elements, double* sums) {
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < distributions * elements;
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t distribution = t / elements;
    const C* const first = products + distribution * splits * elements + t % elements;
    constexpr int kUnroll = 8;  // loads under way at once
    double sum = 0;
    int64_t s = 0;
    for (; s + kUnroll <= splits; s += kUnroll) {
      C values[kUnroll];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        values[u] = first[(s + u) * elements];
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        sum += values[u];
      }
    }
    for (; s < splits; ++s) {
      sum += first[s * elements];
    }
    sums[t] += sum;
  }
}

template <class C>
__global__ void single_bit_partials(Chunk chunk, int64_t splits, const C* trailing,
                                    double* partials) {
  const int64_t blocks = chunk.distributions * splits;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t distribution = block / splits;
    const int64_t begin = block % splits * kSplitRows;
    double zero = 0;
    double one = 0;
    for (int64_t row = begin + threadIdx.x; row < begin + kSplitRows && row < chunk.rows;
         row += kBlock) {
      const C* const p = trailing + 2 * (distribution * chunk.padded_rows + row);
      zero += p[0];
      one += p[1];
    }
    zero = block_sum(zero);
    one = block_sum(one);
    if (threadIdx.x == 0) {
      partials[2 * block] = zero;
      partials[2 * block + 1] = one;
    }
  }
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

}  // namespace

int64_t factor_partials(const Chunk& chunk) {
  return sum_blocks(chunk.rows * chunk.codebooks, kBlock / code_width(chunk));
}

int64_t entropy_partials(const Chunk& chunk) {
  return sum_blocks(chunk.pairs(), kBlock / pair_width(chunk));
}

int64_t single_bit_splits(const Chunk& chunk) { return divide_up(chunk.rows, kSplitRows); }

template <class C>
Failure expand(const Chunk& chunk, const Floor& floor, const Factors<C>& factors, double* distances,
               void* stream) {
  BSQ_LAUNCH(bit_probabilities<C>, grid_of(factor_partials(chunk)), kBlock, stream, chunk,
             code_width(chunk), factors.bits, distances);
  const auto leading_bits = static_cast<int>(chunk.leading_bits());
  const Factor<C> leading{0, leading_bits, factors.leading,
                          floor.adds ? nullptr : factors.log_leading};
  const Factor<C> trailing{leading_bits, static_cast<int>(chunk.trailing_bits()), factors.trailing,
                           nullptr};
  const int64_t places = chunk.distributions * chunk.padded_rows;
  BSQ_LAUNCH(expand_factors<C>,
             grid_of(divide_up(leading.threads(places) + trailing.threads(places), kBlock)), kBlock,
             stream, chunk, factors.bits, leading, trailing);
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

Failure add_to_header(const HeaderSums& work, void* stream) {
  BSQ_LAUNCH(add_up_header, 2, kBlock, stream, work);
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
Failure add_single_bits(const Chunk& chunk, const C* trailing, double* partials, double* sums,
                        void* stream) {
  const int64_t splits = single_bit_splits(chunk);
  BSQ_LAUNCH(single_bit_partials<C>, grid_of(chunk.distributions * splits), kBlock, stream, chunk,
             splits, trailing, partials);
  return add_products<double>(partials, chunk.distributions, splits, 2, sums, stream);
}

Failure propagate_nan(int64_t sums_size, double* sums, void* stream) {
  BSQ_LAUNCH(spread_nan, grid_of(divide_up(sums_size, kBlock)), kBlock, stream, sums_size, sums,
             sums);
  BSQ_LAUNCH(spread_nan_in_header, 1, 1, stream, sums);
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

#define BSQ_INSTANTIATE(C)                                                                   \
  template Failure expand(const Chunk&, const Floor&, const Factors<C>&, double*, void*);    \
  template Failure entropies(const Chunk&, const Floor&, const Factors<C>&, double*, void*); \
  template Failure add_products(const C*, int64_t, int64_t, int64_t, double*, void*);        \
  template Failure add_single_bits(const Chunk&, const C*, double*, double*, void*);
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cuda
