// How the losses' kernels go through codes and distributions: by teams, adjacent lanes of a warp
// that have one of them together.
#pragma once

#include "cuda/launch.cuh"

namespace bsq::cuda {

constexpr double kMinNorm = 1e-12;           // as formula.h has it
constexpr double kOverflowScale = 0x1p-520;  // likewise
constexpr double kLargestUnscaled = 1e150;   // whose squares can still be added up

// Trailing codes that a lane holds at once.
constexpr int kColumns = 4;

inline int code_width(const Chunk& chunk) { return team_width(chunk.code_dim); }
inline int pair_width(const Chunk& chunk) {
  return team_width(divide_up(chunk.trailing(), kColumns));
}

inline __device__ double at_least_one(double rows) { return rows < 1 ? 1 : rows; }

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

// Where a chunk's pair i of a row and a distribution is. There are fewer than 2^32: each has more
// than one element of the factors, and 64-bit divisions are slow.
struct Pair {
  __device__ Pair(const Chunk& chunk, int64_t i)
      : Pair(chunk, static_cast<uint32_t>(i), static_cast<uint32_t>(chunk.rows)) {}

  // The place i, which may be beyond the last row.
  static __device__ Pair at(const Chunk& chunk, int64_t i) {
    return {chunk, static_cast<uint32_t>(i), static_cast<uint32_t>(chunk.padded_rows)};
  }

  int64_t row;
  int64_t distribution;
  int64_t place;  // among the factors

 private:
  __device__ Pair(const Chunk& chunk, uint32_t i, uint32_t rows)
      : row(i % rows), distribution(i / rows), place(distribution * chunk.padded_rows + row) {}
};

}  // namespace bsq::cuda
