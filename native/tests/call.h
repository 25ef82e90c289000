// The C interface for tests: vectors in, outcomes out. Everything goes through libbsq.so.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "bsq/bsq.h"
#include "check.h"

namespace bsq::test {

template <class T>
inline constexpr int32_t kDtype = std::is_same_v<T, float> ? BSQ_FLOAT32 : BSQ_FLOAT64;

template <class T>
int64_t bytes(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

// What a call returned, its status freed.
struct Outcome {
  explicit Outcome(bsq_status* status)
      : code(bsq_status_code(status)), message(bsq_status_message(status)) {
    bsq_status_free(status);
  }

  int32_t code;
  std::string message;
};

inline void check_succeeded(const Outcome& outcome, const char* file, int line, const char* call) {
  check_eq(outcome.code, BSQ_OK, file, line, call);
  check_eq(outcome.message, "", file, line, call);
}

inline void check_refused(const Outcome& outcome, int32_t code, const std::string& part,
                          const char* file, int line, const char* call) {
  check_eq(outcome.code, code, file, line, call);
  check_contains(outcome.message, part, file, line, call);
}

// The reference's defaults.
inline bsq_options options_for(int64_t dim) {
  bsq_options options{};
  options.struct_size = sizeof(bsq_options);
  options.code_dim = dim;
  options.entropy_loss_weight = 0.1;
  options.diversity_gamma = 1.0;
  options.inverse_temperature = 100.0;
  return options;
}

inline bsq_losses empty_losses() {
  bsq_losses losses{};
  losses.struct_size = sizeof(bsq_losses);
  losses.aux_loss = losses.per_sample_entropy = losses.codebook_entropy = -12345;
  return losses;
}

template <class T>
int64_t row_count(const bsq_options& options, const std::vector<T>& x) {
  return static_cast<int64_t>(x.size()) / options.code_dim;
}

template <class T>
Outcome encode(const bsq_options& options, const std::vector<T>& x, std::vector<int64_t>& indices) {
  const int64_t rows = row_count(options, x);
  indices.assign(static_cast<size_t>(rows), -1);
  return Outcome(bsq_host_encode(&options, kDtype<T>, rows, x.data(), bytes(x), indices.data(),
                                 bytes(indices)));
}

template <class T>
Outcome decode(const bsq_options& options, const std::vector<int64_t>& indices,
               std::vector<T>& quantized) {
  quantized.assign(indices.size() * static_cast<size_t>(options.code_dim), T{-77});
  return Outcome(bsq_host_decode(&options, kDtype<T>, static_cast<int64_t>(indices.size()),
                                 indices.data(), bytes(indices), quantized.data(),
                                 bytes(quantized)));
}

template <class T>
Outcome codes_to_indices(const bsq_options& options, const std::vector<T>& codes,
                         std::vector<int64_t>& indices) {
  const int64_t rows = row_count(options, codes);
  indices.assign(static_cast<size_t>(rows), -1);
  return Outcome(bsq_host_codes_to_indices(&options, kDtype<T>, rows, codes.data(), bytes(codes),
                                           indices.data(), bytes(indices)));
}

template <class T>
struct Forward {
  std::vector<T> quantized;
  std::vector<int64_t> indices;
  bsq_losses losses = empty_losses();
};

template <class T>
Outcome forward(const bsq_options& options, const std::vector<T>& x, Forward<T>& out) {
  const int64_t rows = row_count(options, x);
  out.quantized.assign(x.size(), T{-77});
  out.indices.assign(static_cast<size_t>(rows), -1);
  out.losses = empty_losses();
  return Outcome(bsq_host_forward(&options, kDtype<T>, rows, x.data(), bytes(x),
                                  out.quantized.data(), bytes(out.quantized), out.indices.data(),
                                  bytes(out.indices), &out.losses));
}

// The losses alone.
template <class T>
Outcome losses(const bsq_options& options, const std::vector<T>& x, bsq_losses& out) {
  out = empty_losses();
  return Outcome(bsq_host_forward(&options, kDtype<T>, row_count(options, x), x.data(), bytes(x),
                                  nullptr, 0, nullptr, 0, &out));
}

// An empty grad_quantized is passed as NULL.
template <class T>
Outcome backward(const bsq_options& options, const std::vector<T>& x,
                 const std::vector<T>& grad_quantized, double grad_aux_loss,
                 std::vector<T>& grad_x) {
  grad_x.assign(x.size(), T{-77});
  return Outcome(bsq_host_backward(&options, kDtype<T>, row_count(options, x), x.data(), bytes(x),
                                   grad_quantized.empty() ? nullptr : grad_quantized.data(),
                                   bytes(grad_quantized), grad_aux_loss, grad_x.data(),
                                   bytes(grad_x)));
}

// Numbers that are the same everywhere, unlike those of the standard distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 1) {}

  uint64_t bits() {  // SplitMix64
    uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30U) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27U) * 0x94D049BB133111EBU;
    return z ^ z >> 31U;
  }

  double uniform() { return static_cast<double>(bits() >> 11U) * 0x1p-53; }

  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * 3.14159265358979323846 * uniform());
  }

  template <class T>
  std::vector<T> normals(int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) {
      value = static_cast<T>(normal());
    }
    return values;
  }

 private:
  uint64_t state_;
};

}  // namespace bsq::test

#define CHECK_OK(call) \
  bsq::test::check_succeeded(bsq::test::Outcome(call), __FILE__, __LINE__, #call)
#define CHECK_REFUSED(call, code, part) \
  bsq::test::check_refused(bsq::test::Outcome(call), (code), (part), __FILE__, __LINE__, #call)
