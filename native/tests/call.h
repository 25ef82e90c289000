// The quantizer for tests: vectors in, outcomes out. Everything goes through libbsq.so, along the
// path that the environment variable BSQ_TEST_PATH names:
//   host       the host functions (also where it is not set)
//   tensor     tensors, computed by kernels
//   operators  tensors, computed by LibTorch's operators
#pragma once

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "bsq/bsq.h"
#include "check.h"
#include "outcome.h"
#include "random.h"
#include "tensor.h"

namespace bsq::test {

enum class Path { kHost, kTensor, kOperators };

inline Path path() {
  static const Path chosen = [] {
    const char* const value = std::getenv("BSQ_TEST_PATH");
    const std::string name = value == nullptr ? "host" : value;
    if (name == "host") {
      return Path::kHost;
    }
    if (name == "tensor") {
      return Path::kTensor;
    }
    if (name == "operators") {
      return Path::kOperators;
    }
    throw std::invalid_argument("BSQ_TEST_PATH is \"" + name +
                                "\", expected host, tensor or operators");
  }();
  return chosen;
}

// The largest code_dim that backward takes with grad_aux_loss = 0: on tensors it follows forward,
// which computes the losses.
inline int64_t max_backward_dim() { return path() == Path::kHost ? 63 : 24; }

// The options for tensors.
inline bsq_options on_path(bsq_options options) {
  options.implementation =
      path() == Path::kOperators ? BSQ_IMPLEMENTATION_OPERATORS : BSQ_IMPLEMENTATION_KERNELS;
  return options;
}

template <class T>
int64_t row_count(const bsq_options& options, const std::vector<T>& x) {
  return static_cast<int64_t>(x.size()) / options.code_dim;
}

template <class T>
Tensor rows_of(const bsq_options& options, const std::vector<T>& x) {
  return tensor_of(x, {row_count(options, x), options.code_dim});
}

template <class T>
Outcome encode(const bsq_options& options, const std::vector<T>& x, std::vector<int64_t>& indices) {
  const int64_t rows = row_count(options, x);
  indices.assign(static_cast<size_t>(rows), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_encode(&options, kDtype<T>, rows, 1, x.data(), bytes(x), indices.data(),
                                   bytes(indices)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of(
      [&] { indices = read<int64_t>(make(bsq_tensor_encode, &opts, rows_of(options, x).get())); });
}

template <class T>
Outcome decode(const bsq_options& options, const std::vector<int64_t>& indices,
               std::vector<T>& quantized) {
  const auto rows = static_cast<int64_t>(indices.size());
  quantized.assign(indices.size() * static_cast<size_t>(options.code_dim), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_decode(&options, kDtype<T>, rows, 1, indices.data(), bytes(indices),
                                   quantized.data(), bytes(quantized)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    quantized =
        read<T>(make(bsq_tensor_decode, &opts, tensor_of(indices, {rows}).get(), kDtype<T>));
  });
}

template <class T>
Outcome codes_to_indices(const bsq_options& options, const std::vector<T>& codes,
                         std::vector<int64_t>& indices) {
  const int64_t rows = row_count(options, codes);
  indices.assign(static_cast<size_t>(rows), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_codes_to_indices(&options, kDtype<T>, rows, 1, codes.data(),
                                             bytes(codes), indices.data(), bytes(indices)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    indices =
        read<int64_t>(make(bsq_tensor_codes_to_indices, &opts, rows_of(options, codes).get()));
  });
}

template <class T>
Outcome bits_to_codes(const std::vector<T>& bits, std::vector<T>& codes) {
  const auto count = static_cast<int64_t>(bits.size());
  codes.assign(bits.size(), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_bits_to_codes(kDtype<T>, count, bits.data(), bytes(bits), codes.data(),
                                          bytes(codes)));
  }
  return outcome_of(
      [&] { codes = read<T>(make(bsq_tensor_bits_to_codes, tensor_of(bits, {count}).get())); });
}

template <class T>
struct Forward {
  std::vector<T> quantized;
  std::vector<int64_t> indices;
  bsq_losses losses = empty_losses();
};

// A quantization of tensors.
template <class T>
Quantization quantize(const bsq_options& options, const std::vector<T>& x) {
  const bsq_options opts = on_path(options);
  return make<bsq_quantization>(bsq_tensor_forward, &opts, rows_of(options, x).get(), kNoTensor);
}

template <class T>
Outcome forward(const bsq_options& options, const std::vector<T>& x, Forward<T>& out) {
  const int64_t rows = row_count(options, x);
  out.quantized.assign(x.size(), T{-77});
  out.indices.assign(static_cast<size_t>(rows), -1);
  out.losses = empty_losses();
  if (path() == Path::kHost) {
    return Outcome(bsq_host_forward(&options, kDtype<T>, rows, 1, x.data(), bytes(x), nullptr, 0,
                                    out.quantized.data(), bytes(out.quantized), out.indices.data(),
                                    bytes(out.indices), &out.losses));
  }
  return outcome_of([&] {
    const Quantization quantization = quantize(options, x);
    out = {read<T>(make(bsq_quantization_quantized, quantization.get())),
           read<int64_t>(make(bsq_quantization_indices, quantization.get())),
           losses_of(quantization)};
  });
}

// The losses alone.
template <class T>
Outcome losses(const bsq_options& options, const std::vector<T>& x, bsq_losses& out) {
  out = empty_losses();
  if (path() == Path::kHost) {
    return Outcome(bsq_host_forward(&options, kDtype<T>, row_count(options, x), 1, x.data(),
                                    bytes(x), nullptr, 0, nullptr, 0, nullptr, 0, &out));
  }
  return outcome_of([&] { out = losses_of(quantize(options, x)); });
}

// An empty grad_quantized is passed as NULL.
template <class T>
Outcome backward(const bsq_options& options, const std::vector<T>& x,
                 const std::vector<T>& grad_quantized, double grad_aux_loss,
                 std::vector<T>& grad_x) {
  grad_x.assign(x.size(), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_backward(
        &options, kDtype<T>, row_count(options, x), 1, x.data(), bytes(x), nullptr, 0, nullptr, 0,
        grad_quantized.empty() ? nullptr : grad_quantized.data(), bytes(grad_quantized),
        grad_aux_loss, grad_x.data(), bytes(grad_x)));
  }
  return outcome_of([&] {
    const Tensor gradient = grad_quantized.empty() ? Tensor() : rows_of(options, grad_quantized);
    grad_x = read<T>(make(bsq_quantization_backward, quantize(options, x).get(), kNoTensor,
                          gradient.get(), grad_aux_loss));
  });
}

}  // namespace bsq::test
