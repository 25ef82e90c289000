// Sums over the pairs of a leading and a trailing code of a distribution. What a team does for one
// is what operators/distributions.h and cpu/row_kernels.h do in other ways: see design notes there.
// Here all pairs are multiplied out, but for leading codes whose largest product is below the
// floor's cutoff, of which there are many at the usual inverse temperatures.
#pragma once

#include "cuda/teams.cuh"

namespace bsq::cuda {

// Bits of a factor of the largest distribution with losses, 24.
constexpr int kHalfBits = 12;
// As many as most have.
constexpr int kFewBits = 8;

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
    total = 0;
  }

  __device__ void add(uint32_t code, C value) {
    const uint32_t flipped = code ^ own;
#pragma unroll
    for (int k = 0; k < kHalfBits; ++k) {
      if (k == kFewBits && count <= kFewBits) {
        break;
      }
      if ((flipped & (1U << k)) != 0) {  // those from `count` on never are, but with a value of 0
        sums[k] += value;
      }
    }
    total += value;
  }

  uint32_t own;
  int count;
  C sums[kHalfBits];  // of bit count - 1 - k
  C total;            // of all codes
};

// The votes of the lanes of this one's team.
inline __device__ unsigned of_team(unsigned votes, int lane, int width) {
  const unsigned first = threadIdx.x % kWarp - lane;
  return votes >> first & (kAllLanes >> (kWarp - width));
}

// What lanes add up of a distribution's entropy, the sum of -p * log of what the floor makes of p.
template <class C>
struct EntropySums {
  double above = 0;  // of p * log, p >= cutoff
  double below = 0;  // of p
};

// What lanes add up of a distribution's gradient.
template <class C>
struct GradientSums {
  C entropy_weight;
  const C* trailing_products;  // of the codebook entropy: see GradientWork
  FlippedSums<C> by_leading;
  FlippedSums<C> by_trailing;
};

// Goes through the pairs of codes of a distribution: with kGradient adds p * gradient to the sums
// of flipped bits, the trailing products' share included, without adds to the entropy.
template <class C, bool kAdds, bool kGradient>
__device__ void add_pairs(const Chunk& chunk, const Floor& floor, const C* leading,
                          const C* trailing, int lane, int width, EntropySums<C>* entropy,
                          GradientSums<C>* gradient) {
  const auto rows = static_cast<int>(chunk.leading());
  const auto columns = static_cast<int>(chunk.trailing());
  const auto cutoff = static_cast<C>(floor.cutoff);
  const auto epsilon = static_cast<C>(floor.epsilon);
  const auto log_epsilon = static_cast<C>(floor.log_epsilon);
  __shared__ C log_of_lanes[kBlock];  // of the leading code that each lane looks at
  for (int begin = 0; begin < columns; begin += kColumns * width) {
    C p[kColumns];
    C log_p[kColumns];
    C sums[kColumns];
    C largest = 0;
    C all = 0;  // their sum
    for (int t = 0; t < kColumns; ++t) {
      const int j = begin + t * width + lane;
      p[t] = j < columns ? trailing[j] : C{0};
      log_p[t] = kAdds || p[t] == 0 ? C{0} : log(p[t]);
      sums[t] = 0;
      largest = p[t] > largest ? p[t] : largest;
      all += p[t];
    }
    largest = team_max(largest, width);
    all = team_sum(all, width);
    // Groups of leading codes: too many products are not added up in float32.
    for (int group = 0; group < rows; group += kWarp) {
      C above = 0;
      C below = 0;
      for (int first = group; first < rows && first < group + kWarp; first += width) {
        // Each lane looks at one of them. Few are worth more, at the usual inverse temperatures.
        const C p_mine = first + lane < rows ? leading[first + lane] : C{0};
        const bool skips = p_mine * largest < cutoff;  // not NaN
        if (skips) {
          below += p_mine * all;
        }
        __syncwarp();  // those before have been read
        if (!kAdds) {
          log_of_lanes[threadIdx.x] = p_mine == 0 ? C{0} : log(p_mine);
        }
        const unsigned votes = __ballot_sync(kAllLanes, !skips && first + lane < rows);
        __syncwarp();
        for (unsigned left = of_team(votes, lane, width); left != 0; left &= left - 1) {
          const int from = __ffs(static_cast<int>(left)) - 1;  // lane of the team
          const int i = first + from;
          const C p_leading = leading[i];
          const C log_p_leading = kAdds ? C{0} : log_of_lanes[threadIdx.x - lane + from];
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
            gradient->by_leading.add(static_cast<uint32_t>(i), gradient->entropy_weight * sum);
          }
        }
      }
      if (!kGradient) {
        entropy->above += above;
        entropy->below += below;
      }
    }
    if (kGradient) {
      for (int t = 0; t < kColumns; ++t) {
        const int j = begin + t * width + lane;
        const C product = j < columns ? p[t] * gradient->trailing_products[j] : C{0};
        gradient->by_trailing.add(static_cast<uint32_t>(j),
                                  gradient->entropy_weight * sums[t] + product);
      }
    }
  }
}

}  // namespace bsq::cuda
