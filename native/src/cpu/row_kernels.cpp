// Compiled once for each instruction set: see dispatch.cpp. Nothing but the table is visible
// outside, and nothing is shared with other files, lest the linker take code for one instruction
// set to serve another.
#include "cpu/row_kernels.h"

#include <algorithm>

#include "cpu/average.h"
#include "cpu/bit_pairs.h"
#include "cpu/carver.h"
#include "cpu/channels.h"
#include "cpu/decode.h"
#include "cpu/dense_group.h"
#include "cpu/entropy_floor.h"
#include "cpu/levels.h"
#include "cpu/packing.h"
#include "cpu/row_block.h"
#include "cpu/row_entropies.h"
#include "cpu/row_gradients.h"
#include "cpu/signs.h"
#include "cpu/simd.h"
#include "cpu/unit_rows.h"

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {
namespace {

bool is_dense(const LossFormula& formula) { return formula.bits <= kMaxDenseBits; }

// Calls body(code, unit rows) for each code of the rows, which it loads.
template <class T, class Body>
void for_each_code(const LossFormula& formula, const T* x, const BlockRows& rows,
                   UnitRows<T>& unit_rows, const Body& body) {
  for (int64_t code = 0; code < formula.codebooks; ++code) {
    const int64_t first = code * formula.code_dim * rows.step;
    unit_rows.load_rows(x + first, rows);
    body(code, first);
  }
}

// Calls body(distribution of the row, offset of its bits in the code's unit rows) for each
// distribution of a code.
template <class Body>
void for_each_distribution(const LossFormula& formula, int64_t code, int64_t stride,
                           const Body& body) {
  const int64_t count = formula.code_distributions();
  for (int64_t i = 0; i < count; ++i) {
    body(code * count + i, i * formula.bits * stride);
  }
}

// Forward

template <class T>
int64_t expand_workspace(const LossFormula& formula, int64_t stride) {
  Carver carver(nullptr);
  const UnitRows<T> unit_rows(formula.code_dim, stride, carver);
  carver.take<double>(stride);
  if (is_dense(formula)) {
    const DenseGroup<T> group(formula.bits, stride, carver);
  } else {
    const RowBlock<T> block(CodeSplit<T>(formula.bits), stride, carver);
    const RowEntropies<T> entropies(block, carver);
  }
  return carver.bytes();
}

template <class T>
void expand_dense(const LossFormula& formula, const T* x, const BlockRows& rows, int64_t stride,
                  UnitRows<T>& unit_rows, Carver& carver, double* sums, double* entropies) {
  const Floor floor(formula);
  DenseGroup<T> group(formula.bits, stride, carver);
  std::fill_n(sums, formula.row_distributions() << formula.bits, 0.0);
  for_each_code(formula, x, rows, unit_rows, [&](int64_t code, int64_t /*first*/) {
    for_each_distribution(formula, code, stride, [&](int64_t distribution, int64_t bits) {
      group.prepare(unit_rows.unit() + bits, rows.count, formula.logit_scale,
                    entropies != nullptr && !floor.adds);
      group.add_distributions(sums + (distribution << formula.bits));
      if (entropies != nullptr) {
        group.add_entropies(floor, entropies);
      }
    });
  });
}

template <class T>
void expand_split(const LossFormula& formula, const T* x, const BlockRows& rows, int64_t stride,
                  UnitRows<T>& unit_rows, Carver& carver, T* factors, double* entropies) {
  const Floor floor(formula);
  const double log_cutoff = floor.log_cutoff<T>(formula.bits);
  const CodeSplit<T> split(formula.bits);
  RowBlock<T> block(split, stride, carver);
  RowEntropies<T> row_entropies(block, carver);
  for_each_code(formula, x, rows, unit_rows, [&](int64_t code, int64_t /*first*/) {
    for_each_distribution(formula, code, stride, [&](int64_t distribution, int64_t bits) {
      const Factors<T> to(split, stride, factors + distribution * factors_size(split, stride));
      block.middle_ratio = to.middle;
      block.inner_ratio = to.inner;
      block.prepare(unit_rows.unit() + bits, rows.count, formula.logit_scale, log_cutoff);
      if (entropies != nullptr) {
        row_entropies.add_to(floor, rows.count, entropies);
      }
      // The lanes that fill up the vectors hold no rows.
      std::fill(block.largest + rows.count, block.largest + stride, 0.0);
      for (int64_t i = 0; i < split.leading() * stride; i += stride) {
        for (int64_t r = 0; r < stride; ++r) {
          to.leading[i + r] = block.leading_ratio[i + r] * static_cast<T>(block.largest[r]);
        }
      }
    });
  });
}

template <class T>
void expand(const LossFormula& formula, const T* x, const BlockRows& rows, void* workspace,
            T* factors, double* sums, double* entropies) {
  const FlushSubnormals<T> flush;
  const int64_t stride = block_stride(rows.count);
  Carver carver(workspace);
  UnitRows<T> unit_rows(formula.code_dim, stride, carver);
  auto* const lanes = carver.take<double>(stride);
  double* const row_entropies = entropies == nullptr ? nullptr : lanes;
  std::fill_n(lanes, stride, 0.0);
  if (is_dense(formula)) {
    expand_dense(formula, x, rows, stride, unit_rows, carver, sums, row_entropies);
  } else {
    expand_split(formula, x, rows, stride, unit_rows, carver, factors, row_entropies);
  }
  if (entropies != nullptr) {
    std::copy_n(lanes, rows.count, entropies);
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
int64_t distances_workspace(const LossFormula& formula, int64_t stride) {
  Carver carver(nullptr);
  const UnitRows<T> unit_rows(formula.code_dim, stride, carver);
  carver.take<double>(stride);
  return carver.bytes();
}

template <class T>
void distances(const LossFormula& formula, const T* x, const BlockRows& rows, void* workspace,
               double* distances) {
  const int64_t stride = block_stride(rows.count);
  Carver carver(workspace);
  UnitRows<T> unit_rows(formula.code_dim, stride, carver);
  auto* const lanes = carver.take<double>(stride);
  std::fill_n(lanes, stride, 0.0);
  for_each_code(formula, x, rows, unit_rows, [&](int64_t /*code*/, int64_t /*first*/) {
    unit_rows.add_distances(formula.code_scale, lanes);
  });
  std::copy_n(lanes, rows.count, distances);
}

template <class T>
double codebook_entropy(const LossFormula& formula, const T* average, int64_t size) {
  constexpr int64_t kWidth = Simd<T>::kWidth;
  const Floor floor(formula);
  double total = 0;
  for (int64_t begin = 0; begin < size; begin += 64 * kWidth) {
    // In float32 a sum of many loses digits.
    Vector<T> part{};
    for (int64_t i = begin; i < std::min(size, begin + 64 * kWidth); i += kWidth) {
      const auto q = load(average + i);
      part += q * floor.loss<T>(q);
    }
    total += sum(part);
  }
  return total;
}

// Backward

template <class T>
int64_t backward_workspace(const LossFormula& formula, int64_t stride, bool entropies) {
  Carver carver(nullptr);
  const UnitRows<T> unit_rows(formula.code_dim, stride, carver);
  carver.take<double>(formula.code_dim * stride);
  if (entropies && is_dense(formula)) {
    const DenseGroup<T> group(formula.bits, stride, carver);
  } else if (entropies) {
    const RowBlock<T> block(CodeSplit<T>(formula.bits), stride, carver);
    const RowGradients<T> gradients(block, carver);
  }
  return carver.bytes();
}

// The gradient of the entropies of one code of the rows.
template <class T>
class EntropyGradient {
 public:
  EntropyGradient(const LossFormula& formula, const GradientWeights& weights, int64_t rows,
                  int64_t stride, const Carver& carver)
      : formula_(formula),
        weights_(weights),
        floor_(formula),
        rows_(rows),
        stride_(stride),
        carver_(carver) {}

  // grad_unit[code_dim, stride] += the gradient by the unit rows.
  void add_split(int64_t code, const double* unit, const T* codebook_gradient, double* grad_unit) {
    const FlushSubnormals<T> flush;
    Carver carver = carver_;
    const CodeSplit<T> split(formula_.bits);
    RowBlock<T> block(split, stride_, carver);
    RowGradients<T> gradients(block, carver);
    const double log_cutoff = floor_.log_cutoff<T>(formula_.bits);
    for_each_distribution(formula_, code, stride_, [&](int64_t distribution, int64_t bits) {
      block.prepare(unit + bits, rows_, formula_.logit_scale, log_cutoff);
      gradients.add_to(floor_, rows_, formula_.logit_scale, weights_.entropy, weights_.sample,
                       codebook_gradient + distribution * split.codes(), grad_unit + bits);
    });
  }

  void add_dense(int64_t code, const double* unit, const T* codebook_gradient, double* grad_unit) {
    const FlushSubnormals<T> flush;
    Carver carver = carver_;
    DenseGroup<T> group(formula_.bits, stride_, carver);
    for_each_distribution(formula_, code, stride_, [&](int64_t distribution, int64_t bits) {
      group.prepare(unit + bits, rows_, formula_.logit_scale, !floor_.adds);
      group.add_gradient(floor_, formula_.logit_scale, weights_.entropy, weights_.sample,
                         codebook_gradient + (distribution << formula_.bits), grad_unit + bits);
    });
  }

 private:
  const LossFormula& formula_;
  const GradientWeights& weights_;
  Floor floor_;
  int64_t rows_;
  int64_t stride_;
  const Carver& carver_;
};

template <class T>
void backward(const LossFormula& formula, const GradientWeights& weights, const T* x,
              const BlockRows& rows, const T* codebook_gradient, const T* grad_quantized,
              void* workspace, T* grad_x) {
  const int64_t stride = block_stride(rows.count);
  Carver carver(workspace);
  UnitRows<T> unit_rows(formula.code_dim, stride, carver);
  auto* const grad_unit = carver.take<double>(formula.code_dim * stride);
  EntropyGradient<T> entropies(formula, weights, rows.count, stride, carver);
  for_each_code(formula, x, rows, unit_rows, [&](int64_t code, int64_t first) {
    unit_rows.start_gradient(grad_quantized == nullptr ? nullptr : grad_quantized + first,
                             weights.straight_through, weights.commitment, formula.code_scale,
                             formula.zero_is_one, rows, grad_unit);
    if (codebook_gradient != nullptr && is_dense(formula)) {
      entropies.add_dense(code, unit_rows.unit(), codebook_gradient, grad_unit);
    } else if (codebook_gradient != nullptr) {
      entropies.add_split(code, unit_rows.unit(), codebook_gradient, grad_unit);
    }
    unit_rows.finish_gradient(grad_unit, rows, grad_x + first);
  });
}

template <class T>
void codebook_gradient(const LossFormula& formula, T* average, int64_t size, double weight) {
  const Floor floor(formula);
  for (int64_t i = 0; i < size; i += Simd<T>::kWidth) {
    store<T>(static_cast<T>(weight) * floor.gradient<T>(load(average + i)), average + i);
  }
}

}  // namespace

extern const RowKernels<float> kFloatKernels;
extern const RowKernels<double> kDoubleKernels;
template <class T>
constexpr RowKernels<T> kKernels{encode<T>,
                                 decode<T>,
                                 encode_channels<T>,
                                 decode_channels<T>,
                                 pack<T>,
                                 unpack<T>,
                                 take_level<T>,
                                 expand_workspace<T>,
                                 expand<T>,
                                 add_factors<T>,
                                 update_mean<T>,
                                 distances_workspace<T>,
                                 distances<T>,
                                 backward_workspace<T>,
                                 backward<T>,
                                 codebook_entropy<T>,
                                 codebook_gradient<T>};
const RowKernels<float> kFloatKernels = kKernels<float>;
const RowKernels<double> kDoubleKernels = kKernels<double>;

extern const BitKernels kBitKernels;
const BitKernels kBitKernels{count_pairs};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
