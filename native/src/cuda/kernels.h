// The CUDA kernels, as plain functions that put them on a stream. This header is all that the C++
// side and nvcc's side share: plain structs, device pointers, no LibTorch.
//
// Nothing here allocates, waits or throws. Functions return what CUDA says of a launch that failed.
// Work of no rows is not launched. tests/cuda_emulation runs the same sources on the CPU.
#pragma once

#include <cstdint>

namespace bsq::cuda {

// No text: none.
struct Failure {
  const char* text = nullptr;
  bool out_of_memory = false;
};

enum class Element : int32_t { kFloat32, kFloat64, kFloat16, kBFloat16 };

// Rows [items, positions, length] of any strides, in elements. NULL data: none.
struct RowsView {
  const void* data = nullptr;
  Element type = Element::kFloat32;
  int64_t positions = 1;
  int64_t item_stride = 0;
  int64_t position_stride = 0;
  int64_t component_stride = 1;
};

struct MutableRowsView {
  void* data = nullptr;
  Element type = Element::kFloat32;
  int64_t positions = 1;
  int64_t item_stride = 0;
  int64_t position_stride = 0;
  int64_t component_stride = 1;
};

// The first value that is refused: its position (row * elements of a row + element), or all ones
// where there is none, then its bits, those of a double where it is a float.
struct Evidence {
  uint64_t position;
  uint64_t value;
};

// How the bits of a code are stored: in `fields` integers of `width` bits, of which a code has
// code_dim bits.
struct FieldFormat {
  int64_t code_dim = 0;
  int64_t fields = 0;
  int64_t width = 0;   // 1 to 64
  bool bytes = false;  // uint8 elements rather than int64
  bool least_first = false;
  uint64_t mask = 0;  // XORed: BSQ_BYTES_OFFSET
};

// codes = rows * codebooks; all rows of x are of `row_codes` codes.
struct QuantizeWork {
  RowsView x{};
  int64_t codes = 0;
  int64_t row_codes = 0;
  FieldFormat format{};
  bool contiguous = false;  // x, in row-major order, and quantized likewise
  bool zero_is_one = false;
  bool propagate = false;        // a code that is not finite makes quantized NaN
  double scale = 0;              // of quantized: +-scale
  void* fields = nullptr;        // [codes, format.fields]; NULL where they are not wanted
  MutableRowsView quantized{};   // of the type of x; no data where it is not wanted
  Evidence* evidence = nullptr;  // set to all ones first
};

[[nodiscard]] Failure quantize(const QuantizeWork& work, void* stream);

struct DequantizeWork {
  const void* fields = nullptr;  // [codes, format.fields]
  int64_t codes = 0;
  int64_t row_codes = 0;
  FieldFormat format{};
  double scale = 0;
  MutableRowsView quantized{};
  bool contiguous = false;       // quantized, in row-major order
  Evidence* evidence = nullptr;  // about fields with bits that no code has
};

[[nodiscard]] Failure dequantize(const DequantizeWork& work, void* stream);

// Losses. C is the type that they are computed in, float or double. A chunk is consecutive rows,
// from `begin` on; a distribution has 2^bits codes whose probabilities are the products of a
// leading factor, over its first bits / 2 bits, and a trailing one, as in cpu/row_kernels.h.
struct Chunk {
  RowsView x{};
  int64_t begin = 0;
  int64_t rows = 0;
  int64_t padded_rows = 0;        // of the factors; those beyond `rows` are 0
  const bool* counted = nullptr;  // [all rows]; NULL: all
  const bool* drawn = nullptr;    // likewise
  int64_t codebooks = 0;
  int64_t code_dim = 0;
  int64_t distributions = 0;  // of a row
  int64_t bits = 0;           // of a distribution
  double logit_scale = 0;
  double code_scale = 0;
  bool zero_is_one = false;
  bool commits = false;

  [[nodiscard]] constexpr int64_t leading_bits() const { return bits / 2; }
  [[nodiscard]] constexpr int64_t trailing_bits() const { return bits - bits / 2; }
  [[nodiscard]] constexpr int64_t leading() const { return int64_t{1} << leading_bits(); }
  [[nodiscard]] constexpr int64_t trailing() const { return int64_t{1} << trailing_bits(); }
  [[nodiscard]] constexpr int64_t pairs() const { return rows * distributions; }
  [[nodiscard]] constexpr int64_t places() const { return padded_rows * distributions; }
  [[nodiscard]] constexpr int64_t row_length() const { return codebooks * code_dim; }
};

struct Floor {
  bool adds;
  double epsilon;
  double log_epsilon;
  // Codes with less have -log epsilon as the logarithm: see cpu/entropy_floor.h.
  double cutoff;
};

// What is made of a chunk's rows.
template <class C>
struct Factors {
  C* bits;      // [rows, row_length, 2]: of being 0 and of being 1
  C* leading;   // [distributions, padded_rows, 2^leading_bits]
  C* trailing;  // [distributions, padded_rows, 2^trailing_bits]
};

// How many partial sums the functions below leave.
[[nodiscard]] int64_t factor_partials(const Chunk& chunk);
[[nodiscard]] int64_t entropy_partials(const Chunk& chunk);

// Makes the factors. distances, if chunk.commits: factor_partials sums of |u - q|^2 over the rows
// that count. A code that is not finite and counts makes them NaN, its probabilities too.
// entropies, if not NULL: entropy_partials sums over the drawn rows.
template <class C>
[[nodiscard]] Failure expand(const Chunk& chunk, const Floor& floor, const Factors<C>& factors,
                             double* distances, double* entropies, void* stream);

struct PartialSums {
  const double* values = nullptr;
  int64_t count = 0;
};

// A number of rows, which may be known on the device alone.
struct RowCount {
  double known = 0;
  const double* on_device = nullptr;  // if not NULL, it counts
};

// What the header of loss sums is made of.
struct HeaderSums {
  PartialSums entropies{};
  PartialSums distances{};
  RowCount rows{};          // that count
  RowCount entropy_rows{};  // of which the entropies are
};

// sums, loss sums: of products[distributions, splits, elements] over the splits, and the header.
// is_first: nothing has been added to them yet, and what is there is not looked at.
template <class C>
[[nodiscard]] Failure add_to_sums(const HeaderSums& header, const C* products,
                                  int64_t distributions, int64_t splits, int64_t elements,
                                  bool is_first, double* sums, void* stream);

// The same where distributions are of single bits, from a chunk's trailing factors.
// partials[distributions, single_bit_splits, 2] is scratch.
[[nodiscard]] int64_t single_bit_splits(const Chunk& chunk);
template <class C>
[[nodiscard]] Failure add_single_bits(const HeaderSums& header, const Chunk& chunk,
                                      const C* trailing, double* partials, bool is_first,
                                      double* sums, void* stream);

// Of loss sums.
struct LossFormula {
  int64_t sums_size;  // of which the header is the first 4
  int64_t codebooks;
  double entropy_weight;
  double sample_entropy_weight;
  double diversity_gamma;
  double weight_scale;  // by which both are divided where they may be float32
  bool softplus;
  double positive_offset;
  double commitment_weight;  // times its scale
  double commitment_scale;
  bool commits;
};

// Where the sums of the header are not finite, all others become NaN, too.
[[nodiscard]] Failure propagate_nan(int64_t sums_size, double* sums, void* stream);

[[nodiscard]] int64_t term_partials(int64_t sums_size);

// terms[5] as operators/losses.h has them. partials[term_partials] is scratch.
[[nodiscard]] Failure loss_terms(const LossFormula& formula, const Floor& floor, const double* sums,
                                 double* partials, double* terms, void* stream);

// What a gradient is multiplied with, on the device.
struct LossWeights {
  double entropy;     // of sample_entropy_weight * entropies - diversity_gamma * codebook entropies
  double commitment;  // of u - q
};

// From sums and, for softplus, their terms: the weights, and slopes[sums_size - 4], which are
// -diversity_gamma * the codebook entropy's derivatives by each mean probability, less -log
// epsilon, which no logit sees.
template <class C>
[[nodiscard]] Failure weigh_losses(const LossFormula& formula, const Floor& floor,
                                   const double* sums, const double* terms, double grad_aux_loss,
                                   LossWeights* weights, C* slopes, void* stream);

// Of a chunk's logits: the gradient of the entropy loss over weights->entropy.
template <class C>
struct GradientWork {
  C sample_entropy_weight;
  const C* slopes;  // [distributions, 2^leading_bits, 2^trailing_bits]
  // The slopes times the other factor: [distributions, padded_rows, 2^leading_bits] and [...,
  // 2^trailing_bits]. Not of single bits.
  const C* leading_products;
  const C* trailing_products;
  double* by_logit;  // [rows, row_length]
};

template <class C>
[[nodiscard]] Failure logit_gradients(const Chunk& chunk, const Floor& floor,
                                      const Factors<C>& factors, const GradientWork<C>& work,
                                      void* stream);

// grad_x of a chunk's rows.
struct BackwardWork {
  RowsView grad_quantized{};  // no data: none
  double straight_through_scale = 0;
  const double* by_logit = nullptr;      // NULL: no loss
  const LossWeights* weights = nullptr;  // likewise
  MutableRowsView grad_x{};
};

[[nodiscard]] Failure backward(const Chunk& chunk, const BackwardWork& work, void* stream);

}  // namespace bsq::cuda
