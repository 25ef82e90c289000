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

// Makes a factor by a team: the products of `count` bits, whose first is the most significant. A
// lane has 2^kBits codes at a time, which differ in the last bits alone.
template <class C, int kBits>
__device__ void expand_codes(const C* bits, int count, bool is_zero, int lane, int width, C* p) {
  constexpr int kCodes = 1 << kBits;
  const int upper = count - kBits;
  for (uint32_t code = static_cast<uint32_t>(lane); code < 1U << upper;
       code += static_cast<uint32_t>(width)) {
    Vector<C, kCodes> products{};
    if (!is_zero) {
      products.values[0] = 1;
      for (int k = 0; k < upper; ++k) {
        products.values[0] *= bits[2 * k + (code >> (upper - 1 - k) & 1U)];
      }
#pragma unroll
      for (int k = 0; k < kBits; ++k) {  // each doubles the codes
#pragma unroll
        for (int i = (1 << k) - 1; i >= 0; --i) {
          const C before = products.values[i];
          products.values[2 * i + 1] = before * bits[2 * (upper + k) + 1];
          products.values[2 * i] = before * bits[2 * (upper + k)];
        }
      }
    }
    reinterpret_cast<Vector<C, kCodes>*>(p)[code] = products;
  }
}

template <class C>
__device__ void expand_factor(const C* bits, int count, bool is_zero, int lane, int width, C* p) {
  switch (count) {
    case 0:
      return expand_codes<C, 0>(bits, count, is_zero, lane, width, p);
    case 1:
      return expand_codes<C, 1>(bits, count, is_zero, lane, width, p);
    default:
      return expand_codes<C, 2>(bits, count, is_zero, lane, width, p);
  }
}

// The factors of the rows that are drawn, zeros for others, and their entropies, if wanted.
template <class C, bool kAdds>
__global__ void distribution_factors(Chunk chunk, Floor floor, Factors<C> factors, int width,
                                     double* entropies) {
  double sum = 0;
  for_each_team(chunk.places(), width, [&](int64_t i, int lane, bool is_inside) {
    const Pair pair = Pair::at(chunk, i);
    const bool is_zero =
        pair.row >= chunk.rows || (chunk.drawn != nullptr && !chunk.drawn[chunk.begin + pair.row]);
    const auto leading_bits = static_cast<int>(chunk.leading_bits());
    const C* const bits =
        factors.bits + 2 * (pair.row * chunk.row_length() + pair.distribution * chunk.bits);
    C* const leading = factors.leading + pair.place * chunk.leading();
    C* const trailing = factors.trailing + pair.place * chunk.trailing();
    expand_factor(bits, leading_bits, is_zero, lane, width, leading);
    expand_factor(bits + 2 * leading_bits, static_cast<int>(chunk.trailing_bits()), is_zero, lane,
                  width, trailing);
    if (entropies != nullptr) {
      __syncwarp();  // lanes read what the others of their team wrote
      EntropySums<C> entropy;
      add_pairs<C, kAdds, false>(chunk, floor, leading, trailing, lane, width, &entropy, nullptr);
      if (is_inside) {
        sum -= entropy.above + floor.log_epsilon * entropy.below;
      }
    }
  });
  if (entropies != nullptr) {
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
      entropies[blockIdx.x] = sum;
    }
  }
}

__device__ double value_of(const RowCount& count) {
  return count.on_device == nullptr ? count.known : *count.on_device;
}

// One of the two sums of the header, and how many rows it is of.
__device__ void add_to_header(const PartialSums& from, const RowCount& rows, bool is_first,
                              double* sum, double* count) {
  double of_thread = 0;
  for (int64_t i = threadIdx.x; i < from.count; i += kBlock) {
    of_thread += from.values[i];
  }
  const double total = block_sum(of_thread);
  if (threadIdx.x == 0) {
    *sum = is_first ? total : *sum + total;
    *count = value_of(rows);
  }
}

constexpr unsigned kHeaderBlocks = 2;

// The first blocks have a sum of the header each, the others the elements.
template <class C>
__global__ void add_up_sums(HeaderSums header, const C* products, int64_t distributions,
                            int64_t splits, int64_t elements, bool is_first, double* sums) {
  if (blockIdx.x == 0) {
    return add_to_header(header.entropies, header.entropy_rows, is_first, sums + 2, sums + 1);
  }
  if (blockIdx.x == 1) {
    return add_to_header(header.distances, header.rows, is_first, sums + 3, sums);
  }
  double* const probabilities = sums + 4;
  for (int64_t t = int64_t{blockIdx.x - kHeaderBlocks} * kBlock + threadIdx.x;
       t < distributions * elements; t += int64_t{gridDim.x - kHeaderBlocks} * kBlock) {
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
    probabilities[t] = is_first ? sum : probabilities[t] + sum;
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
  return sum_blocks(chunk.places(), kBlock / pair_width(chunk));
}

int64_t single_bit_splits(const Chunk& chunk) { return divide_up(chunk.rows, kSplitRows); }

template <class C>
Failure expand(const Chunk& chunk, const Floor& floor, const Factors<C>& factors, double* distances,
               double* entropies, void* stream) {
  BSQ_LAUNCH(bit_probabilities<C>, grid_of(factor_partials(chunk)), kBlock, stream, chunk,
             code_width(chunk), factors.bits, distances);
  auto* const kernel = floor.adds ? distribution_factors<C, true> : distribution_factors<C, false>;
  BSQ_LAUNCH(kernel, grid_of(entropy_partials(chunk)), kBlock, stream, chunk, floor, factors,
             pair_width(chunk), entropies);
  return launched();
}

template <class C>
Failure add_to_sums(const HeaderSums& header, const C* products, int64_t distributions,
                    int64_t splits, int64_t elements, bool is_first, double* sums, void* stream) {
  BSQ_LAUNCH(add_up_sums<C>, kHeaderBlocks + grid_of(divide_up(distributions * elements, kBlock)),
             kBlock, stream, header, products, distributions, splits, elements, is_first, sums);
  return launched();
}

template <class C>
Failure add_single_bits(const HeaderSums& header, const Chunk& chunk, const C* trailing,
                        double* partials, bool is_first, double* sums, void* stream) {
  const int64_t splits = single_bit_splits(chunk);
  BSQ_LAUNCH(single_bit_partials<C>, grid_of(chunk.distributions * splits), kBlock, stream, chunk,
             splits, trailing, partials);
  return add_to_sums<double>(header, partials, chunk.distributions, splits, 2, is_first, sums,
                             stream);
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

#define BSQ_INSTANTIATE(C)                                                                         \
  template Failure expand(const Chunk&, const Floor&, const Factors<C>&, double*, double*, void*); \
  template Failure add_to_sums(const HeaderSums&, const C*, int64_t, int64_t, int64_t, bool,       \
                               double*, void*);                                                    \
  template Failure add_single_bits(const HeaderSums&, const Chunk&, const C*, double*, bool,       \
                                   double*, void*);
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cuda
