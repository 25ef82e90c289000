#include "residual.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "aligned_buffer.h"
#include "codes.h"
#include "cpu/codes.h"
#include "cpu/row_kernels.h"
#include "error.h"
#include "first_row.h"
#include "formula.h"
#include "quantizer.h"
#include "refusals.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer components, of all levels, are not worth waking a second thread for.
constexpr int64_t kGrain = int64_t{16} * 1024;
constexpr int64_t kAddGrain = int64_t{64} * 1024;

// Codes are worked on by blocks of about so many components, which stay in the nearest cache.
constexpr int64_t kBlockComponents = 512;

int64_t row_grain(const Options& options, int64_t levels) {
  return std::max(int64_t{1}, kGrain / (options.row_length() * levels));
}

// unit[dim] = x / max(|x|, 1e-12) of a code whose components are `step` apart from each other.
// Returns whether it is finite; if not, unit holds a NaN.
template <class T>
bool normalize(const T* code, int64_t dim, int64_t step, double* unit) {
  double squares = 0;
  for (int64_t d = 0; d < dim; ++d) {
    const auto value = static_cast<double>(code[d * step]);
    unit[d] = value;
    squares += value * value;
  }
  double scale = 1;
  bool finite = true;
  if (!(squares <= std::numeric_limits<double>::max())) {
    finite = cpu::first_non_finite(code, dim, step) < 0;
    scale = kOverflowScale;
    squares = 0;
    for (int64_t d = 0; d < dim; ++d) {
      unit[d] *= scale;
      squares += unit[d] * unit[d];
    }
  }
  const double norm = std::sqrt(squares);
  const double divisor = norm <= kMinNorm ? kMinNorm : norm;  // NaN stays
  for (int64_t d = 0; d < dim; ++d) {
    unit[d] /= divisor;
    if (unit[d] == 0) {  // where it underflows, it keeps the sign by which it is quantized
      const T value = code[d * step];
      constexpr double kLeast = std::numeric_limits<double>::denorm_min();
      unit[d] = finite && value > 0 ? kLeast : finite && value < 0 ? -kLeast : 0;
    }
  }
  return finite;
}

// The codes of some rows, for one thread. A code's number is row * codebooks + codebook.
template <class T>
class LevelCodes {
 public:
  LevelCodes(const Options& options, int64_t levels, const RowShape& shape)
      : options_(options),
        layout_(options, shape),
        levels_(levels),
        dim_(options.code_dim),
        groups_(options.groups()),
        block_codes_(std::max(int64_t{1}, kBlockComponents / dim_)),
        size_((block_codes_ * dim_ + cpu::kBlockRows - 1) / cpu::kBlockRows * cpu::kBlockRows),
        residual_(size_, "the residuals of some codes"),
        signs_(size_, "the signs of some codes"),
        sums_(size_, "the quantized components of some codes"),
        level_indices_(block_codes_ * groups_, "the indices of some codes") {
    std::fill_n(residual_.get(), size_, 0.0);
    std::fill_n(sums_.get(), size_, T{0});
  }

  // Returns the first row that is not finite, or -1.
  int64_t quantize(const T* x, int64_t begin, int64_t end, T* quantized, int64_t* indices) const {
    int64_t first_bad = -1;
    for_each_block(begin, end, [&](int64_t first, int64_t count) {
      const int64_t bad = load(x, first, count);
      std::fill_n(sums_.get(), count * dim_, T{0});
      for (int64_t level = 0; level < levels_; ++level) {
        take_level(count, level);
        if (indices != nullptr) {
          store_level(first, count, level, indices);
        }
      }
      if (quantized != nullptr) {
        store_sums(first, count, quantized);
      }
      if (bad >= 0) {
        store_non_finite(x, bad, first + count, quantized, indices);
        first_bad = first_bad < 0 ? bad / options_.codebooks : first_bad;
      }
    });
    return first_bad;
  }

  // Returns the position of the first index that is refused, or -1.
  int64_t decode(const int64_t* indices, int64_t used, int64_t begin, int64_t end,
                 T* quantized) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    int64_t first_bad = -1;
    for_each_block(begin, end, [&](int64_t first, int64_t count) {
      std::fill_n(sums_.get(), count * dim_, T{0});
      for (int64_t level = 0; level < used; ++level) {
        const int64_t bad = load_level(indices, first, count, level);
        if (bad >= 0 && (first_bad < 0 || bad < first_bad)) {
          first_bad = bad;
        }
        kernels.decode(level_indices_.get(), count * groups_, options_.group_size,
                       options_.least_first, static_cast<T>(level_scale(level)), signs_.get());
        std::transform(sums_.get(), sums_.get() + count * dim_, signs_.get(), sums_.get(),
                       std::plus<>());
      }
      store_sums(first, count, quantized);
    });
    return first_bad;
  }

  // Returns the first row with a component that no codes give, or -1.
  int64_t codes_to_indices(const T* quantized, int64_t begin, int64_t end, int64_t* indices) const {
    int64_t first_bad = -1;
    for_each_block(begin, end, [&](int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t d = 0; d < dim_; ++d) {
          // A number of `levels_` bits, one for each level, in a double.
          const double bits = level_bits(quantized[offset(first + i) + d * layout_.step()]);
          residual_[i * dim_ + d] = bits;
          if (bits < 0 && first_bad < 0) {
            first_bad = (first + i) / options_.codebooks;
          }
        }
      }
      // A level's bit is 1 where what is left of the number is at least 2^(levels - 1 - level).
      for (int64_t level = 0; level < levels_; ++level) {
        const auto one = static_cast<double>(int64_t{1} << (levels_ - 1 - level));
        for (int64_t i = 0; i < count * dim_; ++i) {
          const bool bit = residual_[i] >= one;
          residual_[i] -= bit ? one : 0;
          signs_[i] = bit ? T{1} : T{-1};
        }
        store_level(first, count, level, indices);
      }
    });
    return first_bad;
  }

  [[noreturn]] void refuse_row(const T* quantized, int64_t row) const {
    for (int64_t column = 0; column < options_.row_length(); ++column) {
      const T value = quantized[layout_.offset(row) + column * layout_.step()];
      if (level_bits(value) < 0) {
        refuse_level_sum(options_, levels_, row, column, value);
      }
    }
    fail(Code::kInvalidArgument, "quantized[", row,
         "] was not made of levels, and was changed during the call");
  }

  // What all levels leave over. Returns the first row that is not finite, or -1.
  int64_t residual(const T* x, int64_t begin, int64_t end, T* to) const {
    int64_t first_bad = -1;
    for_each_block(begin, end, [&](int64_t first, int64_t count) {
      const int64_t bad = load(x, first, count);
      first_bad = first_bad < 0 && bad >= 0 ? bad / options_.codebooks : first_bad;
      for (int64_t level = 0; level < levels_; ++level) {
        take_level(count, level);
      }
      for_each_component(first, count,
                         [&](int64_t i, int64_t at) { to[at] = static_cast<T>(residual_[i]); });
    });
    return first_bad;
  }

 private:
  template <class Body>
  void for_each_block(int64_t begin, int64_t end, const Body& body) const {
    const int64_t last = end * options_.codebooks;
    for (int64_t code = begin * options_.codebooks; code < last; code += block_codes_) {
      body(code, std::min(block_codes_, last - code));
    }
  }

  // Calls body(position in the block, offset in the rows).
  template <class Body>
  void for_each_component(int64_t first, int64_t count, const Body& body) const {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t begin = offset(first + i);
      for (int64_t d = 0; d < dim_; ++d) {
        body(i * dim_ + d, begin + d * layout_.step());
      }
    }
  }

  [[nodiscard]] int64_t offset(int64_t code) const {
    return layout_.offset(code / options_.codebooks) +
           code % options_.codebooks * dim_ * layout_.step();
  }

  // Where a code's indices of a level are.
  [[nodiscard]] int64_t position(int64_t code, int64_t level) const {
    return ((code / options_.codebooks * levels_ + level) * options_.codebooks +
            code % options_.codebooks) *
           groups_;
  }

  // Returns the first code that is not finite, or -1.
  int64_t load(const T* x, int64_t first, int64_t count) const {
    int64_t bad = -1;
    for (int64_t i = 0; i < count; ++i) {
      if (!normalize(x + offset(first + i), dim_, layout_.step(), residual_.get() + i * dim_) &&
          bad < 0) {
        bad = first + i;
      }
    }
    return bad;
  }

  void take_level(int64_t count, int64_t level) const {
    const double scale = level_scale(level);
    cpu::row_kernels<T>().take_level(residual_.get(), count * dim_, options_.code_scale() * scale,
                                     options_.zero_is_one, static_cast<T>(scale), signs_.get(),
                                     sums_.get());
  }

  void store_level(int64_t first, int64_t count, int64_t level, int64_t* indices) const {
    cpu::row_kernels<T>().encode(signs_.get(), count * groups_, options_.group_size,
                                 options_.bit_rules(), level_indices_.get(), false);
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(level_indices_.get() + i * groups_, groups_,
                  indices + position(first + i, level));
    }
  }

  // Returns the position of the first index that is refused, or -1.
  int64_t load_level(const int64_t* indices, int64_t first, int64_t count, int64_t level) const {
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(indices + position(first + i, level), groups_,
                  level_indices_.get() + i * groups_);
    }
    const int64_t bad =
        cpu::first_bad_index(level_indices_.get(), count * groups_, options_.group_size);
    return bad < 0 ? -1 : position(first + bad / groups_, level) + bad % groups_;
  }

  // The sums of +-2^-level are exact, so there is one rounding.
  void store_sums(int64_t first, int64_t count, T* quantized) const {
    const auto scale = static_cast<T>(options_.quantized_scale());
    for_each_component(first, count,
                       [&](int64_t i, int64_t at) { quantized[at] = sums_[i] * scale; });
  }

  // Of the codes [begin, end) that are not finite. After the first level, a NaN has spread.
  void store_non_finite(const T* x, int64_t begin, int64_t end, T* quantized,
                        int64_t* indices) const {
    for (int64_t code = begin; code < end; ++code) {
      const T* const components = x + offset(code);
      if (cpu::first_non_finite(components, dim_, layout_.step()) < 0) {
        continue;
      }
      for (int64_t level = 0; indices != nullptr && level < levels_; ++level) {
        std::fill_n(indices + position(code, level), groups_, 0);
      }
      if (quantized != nullptr && levels_ == 1) {
        cpu::quantize_non_finite(components, dim_, layout_.step(),
                                 static_cast<T>(options_.quantized_scale()),
                                 quantized + offset(code));
      } else if (quantized != nullptr) {
        for (int64_t d = 0; d < dim_; ++d) {
          quantized[offset(code) + d * layout_.step()] = std::numeric_limits<T>::quiet_NaN();
        }
      }
    }
  }

  // The levels' bits of a component, the first as the most significant; -1 where there are none.
  // Sums may have been rounded differently, so it need not be exact.
  [[nodiscard]] double level_bits(T value) const {
    constexpr double kTolerance = 0.125;
    const auto most = static_cast<double>((int64_t{1} << levels_) - 1);
    const double bits = (static_cast<double>(value) / options_.level_step(levels_) + most) / 2;
    const double nearest = std::nearbyint(bits);
    return std::abs(bits - nearest) <= kTolerance && nearest >= 0 && nearest <= most ? nearest : -1;
  }

  const Options& options_;
  RowLayout layout_;
  int64_t levels_;
  int64_t dim_;
  int64_t groups_;
  int64_t block_codes_;
  int64_t size_;
  AlignedBuffer<double> residual_;
  AlignedBuffer<T> signs_;
  AlignedBuffer<T> sums_;
  AlignedBuffer<int64_t> level_indices_;
};

}  // namespace

template <class T>
bool residual_quantize(const Options& options, int64_t levels, const RowShape& shape, const T* x,
                       T* quantized, int64_t* indices) {
  const Options grouped = options.with_indices();
  FirstRow bad;
  parallel_for(shape.rows(), row_grain(options, levels), [&](int64_t begin, int64_t end) {
    const int64_t row =
        LevelCodes<T>(grouped, levels, shape).quantize(x, begin, end, quantized, indices);
    if (row >= 0) {
      bad.report(row);
    }
  });
  if (bad.found() && !options.propagate_non_finite) {
    refuse_non_finite_row(options, shape, x, bad.row());
  }
  return !bad.found();
}

template <class T>
void residual_decode(const Options& options, int64_t levels, int64_t used, const RowShape& shape,
                     const int64_t* indices, T* quantized) {
  FirstRow bad;  // position, rather than row
  parallel_for(shape.rows(), row_grain(options, used), [&](int64_t begin, int64_t end) {
    const int64_t position =
        LevelCodes<T>(options, levels, shape).decode(indices, used, begin, end, quantized);
    if (position >= 0) {
      bad.report(position);
    }
  });
  if (bad.found()) {
    const int64_t count = levels * options.row_indices();
    refuse_level_index(options, bad.row() / count, bad.row() % count, indices[bad.row()]);
  }
}

template <class T>
void residual_codes_to_indices(const Options& options, int64_t levels, const RowShape& shape,
                               const T* quantized, int64_t* indices) {
  FirstRow bad;
  parallel_for(shape.rows(), row_grain(options, levels), [&](int64_t begin, int64_t end) {
    const int64_t row =
        LevelCodes<T>(options, levels, shape).codes_to_indices(quantized, begin, end, indices);
    if (row >= 0) {
      bad.report(row);
    }
  });
  if (bad.found()) {
    LevelCodes<T>(options, levels, shape).refuse_row(quantized, bad.row());
  }
}

template <class T>
void residual_of(const Options& options, int64_t level, const RowShape& shape, const T* x,
                 T* residual) {
  const Options grouped = options.with_indices();
  FirstRow bad;
  parallel_for(shape.rows(), row_grain(options, level + 1), [&](int64_t begin, int64_t end) {
    const int64_t row = LevelCodes<T>(grouped, level, shape).residual(x, begin, end, residual);
    if (row >= 0) {
      bad.report(row);
    }
  });
  if (bad.found() && !options.propagate_non_finite) {
    refuse_non_finite_row(options, shape, x, bad.row());
  }
}

template <class T>
void residual_forward(const Options& options, int64_t levels, const RowShape& shape, const T* x,
                      const uint8_t* mask, T* quantized, int64_t* indices, Losses* losses) {
  if (losses != nullptr) {
    options.require_losses();
  }
  residual_quantize(options, levels, shape, x, quantized, indices);
  if (losses == nullptr) {
    return;
  }
  forward<T>(options, shape, x, mask, nullptr, nullptr, losses);
  if (levels == 1) {
    return;
  }
  const AlignedBuffer<T> residual(shape.rows() * options.row_length(), "the residuals of a level");
  for (int64_t level = 1; level < levels; ++level) {
    residual_of(options, level, shape, x, residual.get());
    forward<T>(options, shape, residual.get(), mask, nullptr, nullptr, losses + level);
  }
}

template <class T>
void drop_noise(const Options& options, const RowShape& shape, const T* residual, T* gradient) {
  const RowLayout layout(options, shape);
  const int64_t dim = options.code_dim;
  parallel_for(shape.rows(), row_grain(options, 1), [&](int64_t begin, int64_t end) {
    for (int64_t code = begin * options.codebooks; code < end * options.codebooks; ++code) {
      const int64_t first =
          layout.offset(code / options.codebooks) + code % options.codebooks * dim * layout.step();
      double squares = 0;
      for (int64_t d = 0; d < dim; ++d) {
        const auto value = static_cast<double>(residual[first + d * layout.step()]);
        squares += value * value;
      }
      if (std::sqrt(squares) <= least_residual(sizeof(T))) {  // false for NaN
        for (int64_t d = 0; d < dim; ++d) {
          gradient[first + d * layout.step()] = 0;
        }
      }
    }
  });
}

template <class T>
void residual_backward(const Options& options, int64_t levels, const RowShape& shape, const T* x,
                       const uint8_t* mask, const T* grad_quantized, const double* grad_aux_losses,
                       T* grad_x) {
  backward<T>(options, shape, x, mask, nullptr, grad_quantized, grad_aux_losses[0], grad_x);
  if (std::all_of(grad_aux_losses + 1, grad_aux_losses + levels,
                  [](double weight) { return weight == 0; })) {
    return;
  }
  // The gradients of the residuals are those of the unit rows, since codes count as constants.
  const int64_t size = shape.rows() * options.row_length();
  const AlignedBuffer<T> residual(size, "the residuals of a level");
  const AlignedBuffer<T> gradient(size, "the gradient of a level");
  const AlignedBuffer<T> sum(size, "the gradient of the levels");
  const auto add = [size](const T* from, T* to) {
    parallel_for(size, kAddGrain, [&](int64_t begin, int64_t end) {
      std::transform(from + begin, from + end, to + begin, to + begin, std::plus<>());
    });
  };
  std::fill_n(sum.get(), size, T{0});
  for (int64_t level = 1; level < levels; ++level) {
    if (grad_aux_losses[level] != 0) {
      residual_of(options, level, shape, x, residual.get());
      backward<T>(options, shape, residual.get(), mask, nullptr, nullptr, grad_aux_losses[level],
                  gradient.get());
      drop_noise(options, shape, residual.get(), gradient.get());
      add(gradient.get(), sum.get());
    }
  }
  Options through = options;
  through.straight_through_scale = 1;
  backward<T>(through, shape, x, nullptr, nullptr, sum.get(), 0, gradient.get());
  add(gradient.get(), grad_x);
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                                         \
  template bool residual_quantize(const Options&, int64_t, const RowShape&, const T*, T*,          \
                                  int64_t*);                                                       \
  template void residual_decode(const Options&, int64_t, int64_t, const RowShape&, const int64_t*, \
                                T*);                                                               \
  template void residual_codes_to_indices(const Options&, int64_t, const RowShape&, const T*,      \
                                          int64_t*);                                               \
  template void residual_of(const Options&, int64_t, const RowShape&, const T*, T*);               \
  template void residual_forward(const Options&, int64_t, const RowShape&, const T*,               \
                                 const uint8_t*, T*, int64_t*, Losses*);                           \
  template void drop_noise(const Options&, const RowShape&, const T*, T*);                         \
  template void residual_backward(const Options&, int64_t, const RowShape&, const T*,              \
                                  const uint8_t*, const T*, const double*, T*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
