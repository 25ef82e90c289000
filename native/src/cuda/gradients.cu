// The losses' gradients.
#include "cuda/code_pairs.cuh"
#include "cuda/launch.cuh"
#include "cuda/teams.cuh"

namespace bsq::cuda {
namespace {

// Writes the gradients of a factor's bits: the sum over the codes with a 1, times the probability
// of 0, less the sum over those with a 0, times the probability of 1.
template <class C>
__device__ void store_by_logit(const FlippedSums<C>& flipped, const C* bits, int lane, int width,
                               bool is_inside, double* by_logit) {
  const C total = team_sum(flipped.total, width);
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
    // The codebook entropy's share has the same sum over the codes of both factors.
    GradientSums<C> gradient;
    gradient.entropy_weight = work.sample_entropy_weight;
    gradient.trailing_products = work.trailing_products + pair.place * chunk.trailing();
    gradient.by_leading.begin(bits, leading_bits);
    gradient.by_trailing.begin(bits + 2 * leading_bits, static_cast<int>(chunk.trailing_bits()));
    add_pairs<C, kAdds, true>(chunk, floor, leading, trailing, lane, width, nullptr, &gradient);
    const C* const leading_products = work.leading_products + pair.place * chunk.leading();
    for (int64_t k = lane; k < chunk.leading(); k += width) {
      gradient.by_leading.add(static_cast<uint32_t>(k), leading[k] * leading_products[k]);
    }
    store_by_logit(gradient.by_leading, bits, lane, width, is_inside, work.by_logit + first_bit);
    store_by_logit(gradient.by_trailing, bits + 2 * leading_bits, lane, width, is_inside,
                   work.by_logit + first_bit + leading_bits);
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

__device__ void weigh(const LossFormula& formula, const double* sums, const double* terms,
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
__global__ void weights_and_slopes(LossFormula formula, Floor floor, const double* sums,
                                   const double* terms, double grad_aux_loss, LossWeights* weights,
                                   C* slopes) {
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    weigh(formula, sums, terms, grad_aux_loss, weights);
  }
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

}  // namespace

template <class C>
Failure weigh_losses(const LossFormula& formula, const Floor& floor, const double* sums,
                     const double* terms, double grad_aux_loss, LossWeights* weights, C* slopes,
                     void* stream) {
  BSQ_LAUNCH(weights_and_slopes<C>, grid_of(divide_up(formula.sums_size, kBlock)), kBlock, stream,
             formula, floor, sums, terms, grad_aux_loss, weights, slopes);
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

Failure backward(const Chunk& chunk, const BackwardWork& work, void* stream) {
  const int width = code_width(chunk);
  BSQ_LAUNCH(rows_backward, grid_of(divide_up(chunk.rows * chunk.codebooks, kBlock / width)),
             kBlock, stream, chunk, work, width);
  return launched();
}

#define BSQ_INSTANTIATE(C)                                                                      \
  template Failure weigh_losses(const LossFormula&, const Floor&, const double*, const double*, \
                                double, LossWeights*, C*, void*);                               \
  template Failure logit_gradients(const Chunk&, const Floor&, const Factors<C>&,               \
                                   const GradientWork<C>&, void*);
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq::cuda
