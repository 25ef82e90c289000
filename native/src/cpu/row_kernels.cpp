// Compiled once for each instruction set: see dispatch.cpp. Nothing but the table is visible
// outside, and nothing is shared with other files, lest the linker take code for one instruction
// set to serve another.
#include "cpu/row_kernels.h"

#include <algorithm>
#include <cmath>

#include "cpu/average.h"
#include "cpu/decode.h"
#include "cpu/row_block.h"
#include "cpu/row_entropies.h"
#include "cpu/row_gradients.h"
#include "cpu/signs.h"
#include "cpu/simd.h"
#include "cpu/unit_row.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {
namespace {

template <class T>
int64_t factors_workspace(const CodeSplit<T>& split, int64_t stride) {
  Carver carver(nullptr);
  const RowBlock<T> block(split, stride, carver);
  const RowEntropies<T> entropies(block, carver);
  return carver.bytes();
}

template <class T>
void expand_factors(const CodeSplit<T>& split, double logit_scale, const T* x, int64_t rows,
                    void* workspace, T* factors, double* entropies) {
  const FlushSubnormals<T> flush;
  const int64_t stride = block_stride(rows);
  Carver carver(workspace);
  RowBlock<T> block(split, stride, carver);
  const Factors<T> to(split, stride, factors);
  block.middle_ratio = to.middle;
  block.inner_ratio = to.inner;
  block.prepare(x, rows, logit_scale);
  if (entropies != nullptr) {
    RowEntropies<T>(block, carver).compute(rows, entropies);
  }
  // The lanes that fill up the vectors hold no rows.
  std::fill(block.largest + rows, block.largest + stride, 0.0);
  for (int64_t i = 0; i < split.leading() * stride; i += stride) {
    for (int64_t r = 0; r < stride; ++r) {
      to.leading[i + r] = block.leading_ratio[i + r] * static_cast<T>(block.largest[r]);
    }
  }
}

template <class T>
void add_factors(const CodeSplit<T>& split, const T* factors, int64_t rows, int64_t begin,
                 int64_t end, T* sums) {
  const FlushSubnormals<T> flush;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): Factors are only read here
  const Factors<T> from(split, block_stride(rows), const_cast<T*>(factors));
  add_distributions(split, from, block_stride(rows), begin, end, sums);
}

template <class T>
void update_mean(const T* sums, int64_t size, int64_t rows, int64_t all_rows, T* mean) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  const auto scale = static_cast<T>(1.0 / static_cast<double>(rows));
  const auto share = static_cast<T>(static_cast<double>(rows) / static_cast<double>(all_rows));
  for (int64_t i = 0; i < size; i += kWidth) {
    const Vector<T> more = load(sums + i) * scale;
    // Where there were no rows before, the mean is uninitialised.
    const Vector<T> before = rows == all_rows ? more : load(mean + i);
    store<T>(before + share * (more - before), mean + i);
  }
}

template <class T>
int64_t backward_workspace(const CodeSplit<T>& split, int64_t stride) {
  Carver carver(nullptr);
  const RowBlock<T> block(split, stride, carver);
  const RowGradients<T> gradients(block, carver);
  return carver.bytes();
}

template <class T>
void backward(const CodeSplit<T>& split, double logit_scale, double weight, double sample_weight,
              const T* x, int64_t rows, const T* codebook_gradient, const T* grad_quantized,
              void* workspace, T* grad_x) {
  Carver carver(workspace);
  RowBlock<T> block(split, block_stride(rows), carver);
  RowGradients<T> gradients(block, carver);
  {
    const FlushSubnormals<T> flush;
    block.prepare(x, rows, logit_scale);
    gradients.add_up(rows, static_cast<T>(sample_weight), codebook_gradient);
  }
  gradients.finish(rows, logit_scale, weight, grad_quantized, grad_x);
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

template <class T>
double codebook_entropy(const T* average, int64_t size) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  double total = 0;
  for (int64_t begin = 0; begin < size; begin += 64 * kWidth) {
    // In float32 a sum of many loses digits.
    Vector<T> part{};
    for (int64_t i = begin; i < std::min(size, begin + 64 * kWidth); i += kWidth) {
      const auto q = load(average + i);
      part -= q * log_clamped<T>(q);
    }
    total += sum(part);
  }
  return total;
}

template <class T>
inline Vector<T> codebook_gradient_of(Vector<T> q, T weight) {
  const T epsilon = static_cast<T>(kEpsilon);
  const Vector<T> one = q >= epsilon ? splat<T>(1) : splat<T>(0);
  return weight * (static_cast<T>(kLogEpsilon) - log_clamped<T>(q) - one);
}

template <class T>
void codebook_gradient(T* average, int64_t size, double weight) {
  for (int64_t i = 0; i < size; i += Simd<T>::kWidth) {
    store<T>(codebook_gradient_of<T>(load(average + i), static_cast<T>(weight)), average + i);
  }
}

}  // namespace

extern const RowKernels<float> kFloatKernels;
extern const RowKernels<double> kDoubleKernels;
template <class T>
constexpr RowKernels<T> kKernels{
    encode<T>,         decode<T>,           straight_through<T>, factors_workspace<T>,
    expand_factors<T>, add_factors<T>,      update_mean<T>,      backward_workspace<T>,
    backward<T>,       codebook_entropy<T>, codebook_gradient<T>};
const RowKernels<float> kFloatKernels = kKernels<float>;
const RowKernels<double> kDoubleKernels = kKernels<double>;

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
