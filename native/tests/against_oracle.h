// All that the library computes of a batch, compared with the dense oracle.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"
#include "oracle.h"

namespace bsq::test {

template <class T>
struct Case {
  std::string what;  // for the messages
  bsq_options options{};
  std::vector<T> rows;            // [distinct rows, codebooks * code_dim]
  std::vector<int64_t> copies{};  // of each row, one after the other; empty: one
  int64_t positions = 1;          // of each item; divides the number of rows
  std::vector<uint8_t> mask{};    // [rows]; empty where all count. Only of rows without copies
  bool with_grad_quantized = true;
  double grad_aux_loss = 1;
};

// The rows that the entropies are of, 0 or 1 each: those that get a gradient of them. It depends on
// nothing but the mask, the fraction and the seed.
inline std::vector<uint8_t> drawn_rows(const bsq_options& options, const Batch& batch) {
  bsq_options probe = options_for(2);
  probe.inverse_temperature = 1;
  probe.diversity_gamma = 0;
  probe.entropy_fraction = options.entropy_fraction;
  probe.entropy_seed = options.entropy_seed;
  std::vector<double> x;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    x.insert(x.end(), {1, 2});
  }
  std::vector<double> gradient;
  CHECK_OK(backward(probe, batch, x, {}, {}, 1.0, gradient));
  std::vector<uint8_t> drawn;
  for (size_t i = 0; i < gradient.size(); i += 2) {
    drawn.push_back(gradient[i] != 0 ? 1 : 0);
  }
  return drawn;
}

// A case as the library takes it, and what the oracle says to it.
template <class T>
class OracleCase {
 public:
  explicit OracleCase(const Case<T>& from) : OracleCase(from, std::vector<uint8_t>()) {}

  // With the rows that the entropies are of; empty where the options' fraction draws them.
  OracleCase(const Case<T>& from, std::vector<uint8_t> drawn) : case_(from) {
    const auto length = static_cast<size_t>(row_length(from.options));
    const size_t distinct = from.rows.size() / length;
    OracleInput input{from.options,     {from.rows.begin(), from.rows.end()},
                      from.copies,      from.mask,
                      std::move(drawn), {}};
    if (input.copies.empty()) {
      input.copies.assign(distinct, 1);
    }
    if (input.counts.empty()) {
      input.counts.assign(distinct, 1);
    }
    std::vector<T> gradients;
    if (from.with_grad_quantized) {
      gradients = Random(99).normals<T>(static_cast<int64_t>(from.rows.size()));
      input.grad_quantized.assign(gradients.begin(), gradients.end());
    }
    for (size_t n = 0; n < distinct; ++n) {
      for (int64_t copy = 0; copy < input.copies[n]; ++copy) {
        append(from.rows, n, rows_);
        append(gradients, n, grad_quantized_);
        origin_.push_back(n);
      }
    }
    batch_ = {static_cast<int64_t>(origin_.size()) / from.positions, from.positions, from.mask};
    if (input.drawn.empty()) {
      input.drawn =
          from.options.entropy_fraction < 1 ? drawn_rows(from.options, batch_) : input.counts;
    }
    input.grad_aux_loss = from.grad_aux_loss;
    input.unit_roundoff = std::numeric_limits<T>::epsilon() / 2;
    expected_ = dense_oracle(input);
    x_ = to_layout(from.options, batch_, rows_);
    grad_quantized_ = to_layout(from.options, batch_, grad_quantized_);
  }

  [[nodiscard]] const Batch& batch() const { return batch_; }
  [[nodiscard]] const std::vector<T>& x() const { return x_; }
  [[nodiscard]] const std::vector<T>& grad_quantized() const { return grad_quantized_; }
  [[nodiscard]] const OracleResult& expected() const { return expected_; }

  void check_losses(const bsq_losses& actual, const char* from) const {
    near(actual.per_sample_entropy, expected_.per_sample_entropy, from, ": sample entropy");
    near(actual.codebook_entropy, expected_.codebook_entropy, from, ": codebook entropy");
    near(actual.entropy_loss, expected_.entropy_loss, from, ": entropy loss");
    near(actual.commitment, expected_.commitment, from, ": commitment");
    near(actual.aux_loss, expected_.aux_loss, from, ": aux loss");
    check_eq(actual.rows, expected_.rows, __FILE__, __LINE__, case_.what.c_str());
    check_eq(actual.entropy_rows, expected_.entropy_rows, __FILE__, __LINE__, case_.what.c_str());
    if (case_.options.entropy_floor == BSQ_FLOOR_CLAMP) {
      CHECK(actual.per_sample_entropy >= 0);
      CHECK(actual.codebook_entropy >= 0);
    }
  }

  void check_sums(const std::vector<double>& actual) const {
    check_eq(actual.size(), expected_.sums.size(), __FILE__, __LINE__, case_.what.c_str());
    for (size_t i = 0; i < std::min(actual.size(), expected_.sums.size()); ++i) {
      if (!is_near(actual[i], expected_.sums[i])) {
        near(actual[i], expected_.sums[i], "sums", ": element " + std::to_string(i));
      }
    }
  }

  // In the layout of x.
  void check_gradient(const std::vector<T>& grad_x, const char* from) const {
    const auto length = static_cast<size_t>(row_length(case_.options));
    const std::vector<T> gradient = from_layout(case_.options, batch_, grad_x);
    for (size_t i = 0; i < gradient.size(); ++i) {
      const size_t row = i / length;
      const Approximate& expected = expected_.grad_x[origin_[row] * length + i % length];
      const bool overflows =
          std::abs(expected.value) > std::numeric_limits<T>::max() &&
          gradient[i] == std::copysign(std::numeric_limits<T>::infinity(), expected.value);
      if (!is_near(gradient[i], expected) && !overflows) {
        near(gradient[i], expected, from,
             ": gradient of row " + std::to_string(row) + " column " + std::to_string(i % length));
      }
    }
  }

  void check_quantized(const Forward<T>& actual) const {
    const auto dim = static_cast<size_t>(case_.options.code_dim);
    const auto bits = rows_.size() / actual.indices.size();
    const T corner = static_cast<T>(1 / std::sqrt(static_cast<double>(dim)));
    const std::vector<T> quantized = from_layout(case_.options, batch_, actual.quantized);
    int64_t wrong = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const bool bit = rows_[i] > 0;
      wrong += quantized[i] == (bit ? corner : -corner) ? 0 : 1;
      const size_t place = bits - 1 - i % bits;
      const bool indexed = (static_cast<uint64_t>(actual.indices[i / bits]) >> place & 1U) != 0;
      wrong += indexed == bit && actual.indices[i / bits] >= 0 ? 0 : 1;
    }
    check_eq(wrong, 0, __FILE__, __LINE__, (case_.what + ": wrong signs").c_str());
  }

 private:
  void append(const std::vector<T>& from, size_t row, std::vector<T>& to) const {
    const auto length = row_length(case_.options);
    if (!from.empty()) {
      const auto begin = from.begin() + static_cast<int64_t>(row) * length;
      to.insert(to.end(), begin, begin + length);
    }
  }

  static bool is_near(double value, const Approximate& expected) {
    return std::abs(value - expected.value) <= expected.tolerance;
  }

  void near(double value, const Approximate& expected, const char* from,
            const std::string& what) const {
    check_near(value, expected.value, expected.tolerance, __FILE__, __LINE__,
               (case_.what + ": " + from + what).c_str());
  }

  Case<T> case_;
  Batch batch_{};
  std::vector<T> rows_;  // with their copies
  std::vector<size_t> origin_;
  std::vector<T> x_;
  std::vector<T> grad_quantized_;
  OracleResult expected_;
};

// Forward, the loss sums, the losses from these, and backward, with and without the sums.
template <class T>
void check_against_oracle(const Case<T>& given) {
  const OracleCase<T> oracle(given);
  const bsq_options& options = given.options;
  Forward<T> actual;
  CHECK_OK(forward(options, oracle.batch(), oracle.x(), actual));
  oracle.check_quantized(actual);
  oracle.check_losses(actual.losses, "forward");
  std::vector<double> sums;
  CHECK_OK(loss_sums(options, oracle.batch(), oracle.x(), sums));
  oracle.check_sums(sums);
  bsq_losses from_sums{};
  CHECK_OK(losses_from_sums(options, sums, from_sums));
  oracle.check_losses(from_sums, "losses from sums");
  std::vector<T> grad_x;
  CHECK_OK(backward(options, oracle.batch(), oracle.x(), {}, oracle.grad_quantized(),
                    given.grad_aux_loss, grad_x));
  oracle.check_gradient(grad_x, "backward");
  CHECK_OK(backward(options, oracle.batch(), oracle.x(), sums, oracle.grad_quantized(),
                    given.grad_aux_loss, grad_x));
  oracle.check_gradient(grad_x, "backward with sums");
}

}  // namespace bsq::test
