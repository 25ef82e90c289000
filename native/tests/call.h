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

// Components of a row, and its indices.
inline int64_t row_length(const bsq_options& options) {
  return options.codebooks * options.code_dim;
}
inline int64_t row_indices(const bsq_options& options) {
  return options.codebooks * (options.group_size == 0 ? 1 : options.code_dim / options.group_size);
}

// How rows come, and which of them count: see "Shapes" and "Masks" in bsq.h.
struct Batch {
  int64_t items;
  int64_t positions = 1;
  std::vector<uint8_t> mask{};  // [items, positions]; empty where all rows count

  [[nodiscard]] int64_t rows() const { return items * positions; }
  [[nodiscard]] const uint8_t* mask_data() const { return mask.empty() ? nullptr : mask.data(); }
};

template <class T>
int64_t row_count(const bsq_options& options, const std::vector<T>& x) {
  return static_cast<int64_t>(x.size()) / row_length(options);
}

// All the rows of x, which count.
template <class T>
Batch batch_of(const bsq_options& options, const std::vector<T>& x) {
  return {row_count(options, x)};
}

// The shape of one element of each row.
inline Shape leading_shape(const Batch& batch) {
  return batch.positions == 1 ? Shape{batch.items} : Shape{batch.items, batch.positions};
}

// The rows of a batch, in the layout that the options ask for.
template <class T>
Tensor rows_of(const bsq_options& options, const Batch& batch, const std::vector<T>& x) {
  Shape shape = leading_shape(batch);
  shape.insert(options.channel_first != 0 ? shape.begin() + 1 : shape.end(), row_length(options));
  return tensor_of(x, shape);
}

template <class T>
Tensor rows_of(const bsq_options& options, const std::vector<T>& x) {
  return rows_of(options, batch_of(options, x), x);
}

// None where all rows count.
inline Tensor mask_of(const Batch& batch) {
  return batch.mask.empty() ? Tensor() : tensor_of(batch.mask, leading_shape(batch));
}

inline Tensor indices_tensor(const bsq_options& options, const Batch& batch,
                             const std::vector<int64_t>& indices) {
  Shape shape = leading_shape(batch);
  const int64_t groups = row_indices(options) / options.codebooks;
  for (const int64_t size : {options.codebooks, groups}) {
    if (size > 1) {
      shape.push_back(size);
    }
  }
  return tensor_of(indices, shape);
}

template <class T>
Outcome encode(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
               std::vector<int64_t>& indices) {
  indices.assign(static_cast<size_t>(batch.rows() * row_indices(options)), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_encode(&options, kDtype<T>, batch.items, batch.positions, x.data(),
                                   bytes(x), indices.data(), bytes(indices)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    indices = read<int64_t>(make(bsq_tensor_encode, &opts, rows_of(options, batch, x).get()));
  });
}

template <class T>
Outcome encode(const bsq_options& options, const std::vector<T>& x, std::vector<int64_t>& indices) {
  return encode(options, batch_of(options, x), x, indices);
}

template <class T>
Outcome decode(const bsq_options& options, const Batch& batch, const std::vector<int64_t>& indices,
               std::vector<T>& quantized) {
  quantized.assign(static_cast<size_t>(batch.rows() * row_length(options)), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_decode(&options, kDtype<T>, batch.items, batch.positions,
                                   indices.data(), bytes(indices), quantized.data(),
                                   bytes(quantized)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    quantized = read<T>(
        make(bsq_tensor_decode, &opts, indices_tensor(options, batch, indices).get(), kDtype<T>));
  });
}

template <class T>
Outcome decode(const bsq_options& options, const std::vector<int64_t>& indices,
               std::vector<T>& quantized) {
  return decode(options, Batch{static_cast<int64_t>(indices.size()) / row_indices(options)},
                indices, quantized);
}

template <class T>
Outcome codes_to_indices(const bsq_options& options, const Batch& batch,
                         const std::vector<T>& codes, std::vector<int64_t>& indices) {
  indices.assign(static_cast<size_t>(batch.rows() * row_indices(options)), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_codes_to_indices(&options, kDtype<T>, batch.items, batch.positions,
                                             codes.data(), bytes(codes), indices.data(),
                                             bytes(indices)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    indices = read<int64_t>(
        make(bsq_tensor_codes_to_indices, &opts, rows_of(options, batch, codes).get()));
  });
}

template <class T>
Outcome codes_to_indices(const bsq_options& options, const std::vector<T>& codes,
                         std::vector<int64_t>& indices) {
  return codes_to_indices(options, batch_of(options, codes), codes, indices);
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
Quantization quantize(const bsq_options& options, const Batch& batch, const std::vector<T>& x) {
  const bsq_options opts = on_path(options);
  return make<bsq_quantization>(bsq_tensor_forward, &opts, rows_of(options, batch, x).get(),
                                mask_of(batch).get());
}

template <class T>
Outcome forward(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
                Forward<T>& out) {
  out.quantized.assign(x.size(), T{-77});
  out.indices.assign(static_cast<size_t>(batch.rows() * row_indices(options)), -1);
  out.losses = empty_losses();
  if (path() == Path::kHost) {
    return Outcome(bsq_host_forward(&options, kDtype<T>, batch.items, batch.positions, x.data(),
                                    bytes(x), batch.mask_data(), bytes(batch.mask),
                                    out.quantized.data(), bytes(out.quantized), out.indices.data(),
                                    bytes(out.indices), &out.losses));
  }
  return outcome_of([&] {
    const Quantization quantization = quantize(options, batch, x);
    out = {read<T>(make(bsq_quantization_quantized, quantization.get())),
           read<int64_t>(make(bsq_quantization_indices, quantization.get())),
           losses_of(quantization)};
  });
}

template <class T>
Outcome forward(const bsq_options& options, const std::vector<T>& x, Forward<T>& out) {
  return forward(options, batch_of(options, x), x, out);
}

// The losses alone.
template <class T>
Outcome losses(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
               bsq_losses& out) {
  out = empty_losses();
  if (path() == Path::kHost) {
    return Outcome(bsq_host_forward(&options, kDtype<T>, batch.items, batch.positions, x.data(),
                                    bytes(x), batch.mask_data(), bytes(batch.mask), nullptr, 0,
                                    nullptr, 0, &out));
  }
  return outcome_of([&] { out = losses_of(quantize(options, batch, x)); });
}

template <class T>
Outcome losses(const bsq_options& options, const std::vector<T>& x, bsq_losses& out) {
  return losses(options, batch_of(options, x), x, out);
}

inline size_t loss_sums_size(const bsq_options& options) {
  int64_t size = 0;
  must(bsq_loss_sums_size(&options, &size));
  return static_cast<size_t>(size);
}

template <class T>
Outcome loss_sums(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
                  std::vector<double>& sums) {
  sums.assign(loss_sums_size(options), -77);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_loss_sums(&options, kDtype<T>, batch.items, batch.positions, x.data(),
                                      bytes(x), batch.mask_data(), bytes(batch.mask), sums.data(),
                                      bytes(sums)));
  }
  return outcome_of([&] {
    sums = read<double>(make(bsq_quantization_loss_sums, quantize(options, batch, x).get()));
  });
}

// The same along all paths.
inline Outcome losses_from_sums(const bsq_options& options, const std::vector<double>& sums,
                                bsq_losses& out) {
  out = empty_losses();
  return Outcome(bsq_losses_from_sums(&options, sums.data(), bytes(sums), &out));
}

// Empty sums and an empty grad_quantized are passed as NULL.
template <class T>
Outcome backward(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
                 const std::vector<double>& sums, const std::vector<T>& grad_quantized,
                 double grad_aux_loss, std::vector<T>& grad_x) {
  grad_x.assign(x.size(), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_backward(
        &options, kDtype<T>, batch.items, batch.positions, x.data(), bytes(x), batch.mask_data(),
        bytes(batch.mask), sums.empty() ? nullptr : sums.data(), bytes(sums),
        grad_quantized.empty() ? nullptr : grad_quantized.data(), bytes(grad_quantized),
        grad_aux_loss, grad_x.data(), bytes(grad_x)));
  }
  return outcome_of([&] {
    const Tensor all_sums =
        sums.empty() ? Tensor() : tensor_of(sums, {static_cast<int64_t>(sums.size())});
    const Tensor gradient =
        grad_quantized.empty() ? Tensor() : rows_of(options, batch, grad_quantized);
    grad_x = read<T>(make(bsq_quantization_backward, quantize(options, batch, x).get(),
                          all_sums.get(), gradient.get(), grad_aux_loss));
  });
}

template <class T>
Outcome backward(const bsq_options& options, const std::vector<T>& x,
                 const std::vector<T>& grad_quantized, double grad_aux_loss,
                 std::vector<T>& grad_x) {
  return backward(options, batch_of(options, x), x, {}, grad_quantized, grad_aux_loss, grad_x);
}

// Rows in the layout that the options ask for, from rows one after the other (or none); and back.
template <class T>
std::vector<T> to_layout(const bsq_options& options, const Batch& batch,
                         const std::vector<T>& rows) {
  if (options.channel_first == 0 || rows.empty()) {
    return rows;
  }
  std::vector<T> x(rows.size());
  const int64_t length = row_length(options);
  for (int64_t row = 0; row < batch.rows(); ++row) {
    const int64_t first = row / batch.positions * length * batch.positions + row % batch.positions;
    for (int64_t i = 0; i < length; ++i) {
      x[static_cast<size_t>(first + i * batch.positions)] =
          rows[static_cast<size_t>(row * length + i)];
    }
  }
  return x;
}

template <class T>
std::vector<T> from_layout(const bsq_options& options, const Batch& batch,
                           const std::vector<T>& x) {
  if (options.channel_first == 0) {
    return x;
  }
  // To exchange the last two dimensions back, positions and components change places.
  bsq_options exchanged = options;
  exchanged.codebooks = 1;
  exchanged.code_dim = batch.positions;
  return to_layout(exchanged, {batch.items, row_length(options), {}}, x);
}

}  // namespace bsq::test
