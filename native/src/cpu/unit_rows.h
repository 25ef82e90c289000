// One code of each row of a block on the unit sphere, and gradients back through the
// normalisation. Part of the row kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu/carver.h"
#include "cpu/code_split.h"
#include "cpu/simd.h"
#include "formula.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {

// Arrays are [what, stride], rows being lanes, all in double, where squares of floats never
// overflow. Lanes that fill up the last vector hold rows of zeros.
template <class T>
class UnitRows {
 public:
  UnitRows(int64_t code_dim, int64_t lanes, Carver& carver)
      : dim_(code_dim),
        stride_(lanes),
        unit_(carver.take<double>(dim_ * stride_)),
        inverse_norm_(carver.take<double>(stride_)),
        scale_(carver.take<double>(stride_)),
        varying_(carver.take<double>(stride_)) {}

  // Of the components of x that begin at x itself.
  void load_rows(const T* x, const BlockRows& rows) {
    transpose(x, rows, unit_);
    for (int64_t r = 0; r < stride_; r += kWidth) {
      normalize(r);
    }
  }

  // Adds |u - q|^2, q being the code with components +-code_scale, to distances[stride].
  void add_distances(double code_scale, double* distances) const {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      Vector<double> sum = load(distances + r);
      for (int64_t d = 0; d < dim_; ++d) {
        const auto u = load(unit_ + d * stride_ + r);
        const Vector<double> difference = (u > 0 ? u : -u) - code_scale;
        sum += difference * difference;
      }
      store<double>(sum, distances + r);
    }
  }

  // grad_unit[dim, stride] = scale * grad_quantized, which may be NULL, + commitment * (u - q).
  // A component of 0 belongs to a q of +code_scale if zero_is_one.
  void start_gradient(const T* grad_quantized, double scale, double commitment, double code_scale,
                      bool zero_is_one, const BlockRows& rows, double* grad_unit) const {
    if (grad_quantized == nullptr) {
      std::fill_n(grad_unit, dim_ * stride_, 0.0);
    } else {
      transpose(grad_quantized, rows, grad_unit);
    }
    if (grad_quantized != nullptr && scale != 1) {
      for (int64_t i = 0; i < dim_ * stride_; i += kWidth) {
        store<double>(load(grad_unit + i) * scale, grad_unit + i);
      }
    }
    if (commitment != 0) {
      for (int64_t i = 0; i < dim_ * stride_; i += kWidth) {
        const auto u = load(unit_ + i);
        const Integers<double> one = zero_is_one ? u >= 0 : u > 0;
        const Vector<double> q = one ? splat(code_scale) : splat(-code_scale);
        store<double>(load(grad_unit + i) + commitment * (u - q), grad_unit + i);
      }
    }
  }

  // grad_x from the gradient with respect to the unit rows, which is overwritten:
  // (g - u <u, g>) / |x|, or g / 1e-12 where the norm counts as a constant.
  void finish_gradient(double* grad_unit, const BlockRows& rows, T* grad_x) const {
    for (int64_t r = 0; r < stride_; r += kWidth) {
      Vector<double> along{};
      for (int64_t d = 0; d < dim_; ++d) {
        along += load(unit_ + d * stride_ + r) * load(grad_unit + d * stride_ + r);
      }
      along *= load(varying_ + r);
      for (int64_t d = 0; d < dim_; ++d) {
        double* const at = grad_unit + d * stride_ + r;
        const Vector<double> across = load(at) - load(unit_ + d * stride_ + r) * along;
        store<double>(across * load(inverse_norm_ + r) * load(scale_ + r), at);
      }
    }
    for (int64_t r = 0; r < rows.count; ++r) {
      for (int64_t d = 0; d < dim_; ++d) {
        grad_x[rows.offset[r] + d * rows.step] = static_cast<T>(grad_unit[d * stride_ + r]);
      }
    }
  }

  [[nodiscard]] const double* unit() const { return unit_; }

 private:
  static constexpr int64_t kWidth = Simd<double>::kWidth;
  static constexpr double kLeast = std::numeric_limits<double>::denorm_min();

  // to[dim, stride] from the components of rows.
  void transpose(const T* from, const BlockRows& rows, double* to) const {
    int64_t r = 0;
    for (; r + kWidth <= rows.count; r += kWidth) {
      if (rows.step == 1 && dim_ >= kWidth) {
        transpose_squares(from, rows.offset + r, to + r);
      } else if (adjacent(rows, r)) {
        convert(from + rows.offset[r], rows.step, to + r);
      } else {
        gather(from, rows, r, r + kWidth, to);
      }
    }
    gather(from, rows, r, rows.count, to);
    for (int64_t d = 0; d < dim_; ++d) {
      std::fill(to + d * stride_ + rows.count, to + (d + 1) * stride_, 0.0);
    }
  }

  static bool adjacent(const BlockRows& rows, int64_t r) {
    bool all = true;
    for (int64_t i = 1; i < kWidth; ++i) {
      all = all && rows.offset[r + i] == rows.offset[r] + i;
    }
    return all;
  }

  // Of as many rows as a vector holds, whose components are next to each other.
  void transpose_squares(const T* from, const int64_t* offsets, double* to) const {
    for (int64_t begin = 0; begin < dim_; begin += kWidth) {
      // The last square overlaps the one before.
      const int64_t d = std::min(begin, dim_ - kWidth);
      DoubleLanes<T> square[kWidth];
      for (int64_t i = 0; i < kWidth; ++i) {
        std::memcpy(square + i, from + offsets[i] + d, sizeof(square[i]));
      }
      transpose_square<kWidth>(square);
      for (int64_t i = 0; i < kWidth; ++i) {
        store<double>(__builtin_convertvector(square[i], Vector<double>), to + (d + i) * stride_);
      }
    }
  }

  // Of as many rows as a vector holds, which are next to each other.
  void convert(const T* from, int64_t step, double* to) const {
    for (int64_t d = 0; d < dim_; ++d) {
      store<double>(load_converted(from + d * step), to + d * stride_);
    }
  }

  // Of the rows [begin, end), wherever they are.
  void gather(const T* from, const BlockRows& rows, int64_t begin, int64_t end, double* to) const {
    for (int64_t d = 0; d < dim_; ++d) {
      for (int64_t r = begin; r < end; ++r) {
        to[d * stride_ + r] = from[rows.offset[r] + d * rows.step];
      }
    }
  }

  void normalize(int64_t r) {
    Vector<double> squares{};
    for (int64_t d = 0; d < dim_; ++d) {
      const auto value = load(unit_ + d * stride_ + r);
      squares += value * value;
    }
    Vector<double> row_scale = splat(1.0);
    if constexpr (std::is_same_v<T, double>) {
      const Integers<double> overflows = squares > std::numeric_limits<double>::max();
      if (lanes_of<double>(overflows) != 0) {
        row_scale = overflows ? splat(kOverflowScale) : row_scale;
        squares = splat(0.0);
        for (int64_t d = 0; d < dim_; ++d) {
          const Vector<double> value = load(unit_ + d * stride_ + r) * row_scale;
          squares += value * value;
        }
      }
    }
    const Vector<double> norm = square_root(squares);
    const Integers<double> constant = norm <= kMinNorm;
    const Vector<double> inverse = 1 / (constant ? splat(kMinNorm) : norm);
    store<double>(inverse, inverse_norm_ + r);
    store<double>(row_scale, scale_ + r);
    store<double>(constant ? splat(0.0) : splat(1.0), varying_ + r);
    for (int64_t d = 0; d < dim_; ++d) {
      double* const u = unit_ + d * stride_ + r;
      const auto value = load(u);
      const Vector<double> on_sphere = value * row_scale * inverse;
      if constexpr (std::is_same_v<T, double>) {
        // Where it underflows, it keeps the sign by which it is quantized.
        const Vector<double> least = value > 0 ? splat(kLeast) : splat(-kLeast);
        const Integers<double> lost = (value != 0) & (on_sphere == 0);
        store<double>(lost ? least : on_sphere, u);
      } else {
        store<double>(on_sphere, u);
      }
    }
  }

  int64_t dim_;
  int64_t stride_;
  double* unit_;          // [dim]
  double* inverse_norm_;  // 1 / max(|x|, 1e-12), after scaling
  double* scale_;         // by which x is multiplied first
  double* varying_;       // 0 where the norm counts as a constant, otherwise 1
};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
