// Codes in other forms than indices, and in other conventions, against bits that are computed one
// by one.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"
#include "stored_codes.h"

namespace bsq::test {
namespace {

Bytes read_codes(const Tensor& tensor, size_t size, int32_t layout) {
  Bytes result(size);
  must(bsq_tensor_read(tensor.get(), codes_dtype(layout), result.data(), bytes(result)));
  return result;
}

template <class T>
Outcome pack(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
             int32_t layout, Bytes& packed) {
  const size_t size = codes_bytes(options, batch, layout);
  if (path() == Path::kHost) {
    // At an address aligned to words and no more, and with bytes behind it.
    packed.assign(size + 16, 0xA5);
    Outcome outcome(bsq_host_pack(&options, kDtype<T>, batch.items, batch.positions, x.data(),
                                  bytes(x), layout, packed.data(), static_cast<int64_t>(size)));
    CHECK(std::all_of(packed.begin() + static_cast<int64_t>(size), packed.end(),
                      [](uint8_t byte) { return byte == 0xA5; }));
    packed.resize(size);
    return outcome;
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    packed = read_codes(make(bsq_tensor_pack, &opts, rows_of(options, batch, x).get(), layout),
                        size, layout);
  });
}

template <class T>
Outcome unpack(const bsq_options& options, const Batch& batch, int32_t layout, const Bytes& packed,
               std::vector<T>& quantized) {
  quantized.assign(static_cast<size_t>(batch.rows() * row_length(options)), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_unpack(&options, kDtype<T>, batch.items, batch.positions, layout,
                                   packed.data(), bytes(packed), quantized.data(),
                                   bytes(quantized)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    quantized =
        read<T>(make(bsq_tensor_unpack, &opts, codes_tensor(options, batch, layout, packed).get(),
                     layout, kDtype<T>));
  });
}

Outcome convert(const bsq_options& from_options, int32_t from_layout, const bsq_options& to_options,
                int32_t to_layout, int64_t rows, const Bytes& from, Bytes& to) {
  const Batch batch{rows};
  to.assign(codes_bytes(to_options, batch, to_layout), 0xA5);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_convert(&from_options, from_layout, &to_options, to_layout, rows,
                                    from.data(), bytes(from), to.data(), bytes(to)));
  }
  const bsq_options from_opts = on_path(from_options);
  const bsq_options to_opts = on_path(to_options);
  return outcome_of([&] {
    to = read_codes(make(bsq_tensor_convert, &from_opts, from_layout, &to_opts, to_layout,
                         codes_tensor(from_options, batch, from_layout, from).get()),
                    to.size(), to_layout);
  });
}

template <class T>
Outcome sign_margins(const bsq_options& options, const Batch& batch, const std::vector<T>& x,
                     std::vector<T>& margins) {
  margins.assign(static_cast<size_t>(batch.rows() * options.codebooks), T{-77});
  if (path() == Path::kHost) {
    return Outcome(bsq_host_sign_margins(&options, kDtype<T>, batch.items, batch.positions,
                                         x.data(), bytes(x), margins.data(), bytes(margins)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    margins = read<T>(make(bsq_tensor_sign_margins, &opts, rows_of(options, batch, x).get()));
  });
}

// Normal numbers, some of them 0 or -0.0.
template <class T>
std::vector<T> rows_with_zeros(Random& random, int64_t size) {
  std::vector<T> x = random.normals<T>(size);
  for (T& value : x) {
    const uint64_t choice = random.bits() % 8;
    value = choice == 0 ? T{0} : choice == 1 ? -T{0} : value;
  }
  return x;
}

// In channel-first order, if so.
template <class T>
std::vector<T> laid_out(const bsq_options& options, const Batch& batch, const std::vector<T>& x) {
  if (options.channel_first == 0) {
    return x;
  }
  std::vector<T> result(x.size());
  const auto length = static_cast<size_t>(row_length(options));
  const auto positions = static_cast<size_t>(batch.positions);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t row = i / length;
    const size_t d = i % length;
    result[(row / positions * length + d) * positions + row % positions] = x[i];
  }
  return result;
}

template <class T>
Bits bits_of(const bsq_options& options, const std::vector<T>& x) {
  Bits bits;
  for (const T value : x) {
    bits.push_back(options.tie == BSQ_TIE_ONE ? value >= 0 : value > 0);
  }
  return bits;
}

template <class T>
void check_codes(const bsq_options& options, const Batch& batch, Random& random) {
  const std::vector<T> rows = rows_with_zeros<T>(random, batch.rows() * row_length(options));
  const std::vector<T> x = laid_out(options, batch, rows);
  const Bits bits = bits_of(options, rows);
  const double corner = options.code_scale == BSQ_SCALE_ONE
                            ? 1
                            : 1 / std::sqrt(static_cast<double>(options.code_dim));
  std::vector<T> expected;
  for (const bool bit : bits) {
    expected.push_back(static_cast<T>(bit ? corner : -corner));
  }
  expected = laid_out(options, batch, expected);
  for (const int32_t layout : kLayouts) {
    const bool has_layout = layout != BSQ_CODES_INDICES || element_bits(options, layout) <= 63;
    if (!has_layout) {
      continue;
    }
    Bytes packed = stored(options, layout, bits);
    if (layout == BSQ_CODES_BYTES || layout == BSQ_CODES_WORDS) {
      Bytes actual;
      CHECK_OK(pack(options, batch, x, layout, actual));
      CHECK(actual == packed);
    }
    if (layout == BSQ_CODES_INDICES) {
      std::vector<int64_t> indices;
      CHECK_OK(encode(options, batch, x, indices));
      const auto* const actual = reinterpret_cast<const uint8_t*>(indices.data());
      CHECK(Bytes(actual, actual + bytes(indices)) == packed);
    }
    std::vector<T> quantized;
    CHECK_OK(unpack(options, batch, layout, packed, quantized));
    CHECK(quantized == expected);
  }
}

template <class T>
void check_all_codes() {
  Random random(61);
  const int64_t scale = path() == Path::kOperators ? 3 : 1;
  for (const int64_t dim : {1,  2,  5,  7,  8,  9,  13,  16,  31,  32,   33,   53,  56,
                            57, 58, 63, 64, 65, 72, 127, 128, 129, 1000, 1024, 4096}) {
    for (int64_t convention = 0; convention < kConventions; convention += scale) {
      bsq_options options = options_for(dim);
      choose_convention(convention, options);
      for (const int64_t rows : {0, 1, 3, 64, 67}) {
        options.codebooks = static_cast<int64_t>(1 + random.bits() % 2);
        options.channel_first = static_cast<int32_t>(random.bits() % 2);
        options.group_size = dim % 4 == 0 && random.bits() % 2 == 0 ? 4 : 0;
        const Batch batch = rows == 64 ? Batch{4, 16} : Batch{rows};
        check_codes<T>(options, batch, random);
      }
    }
  }
}

bsq_options indices_of_groups(bsq_options options) {
  // The largest divisor that fits.
  options.group_size = std::min<int64_t>(63, options.code_dim);
  while (options.code_dim % options.group_size != 0) {
    --options.group_size;
  }
  return options;
}

// From every layout and convention to another and back.
void check_conversions(int64_t dim, const Bits& bits) {
  const auto rows = static_cast<int64_t>(bits.size()) / dim;
  for (int64_t from = 0; from < kConventions * 4; ++from) {
    bsq_options from_options = indices_of_groups(options_for(dim));
    choose_convention(from / 4, from_options);
    const int32_t from_layout = kLayouts[from % 4];
    const int64_t to = from * 7 + 3;
    bsq_options to_options = options_for(dim);
    to_options.group_size = dim % 3 == 0 ? 3 : 1;
    choose_convention(to / 4, to_options);
    const int32_t to_layout = kLayouts[to % 4];
    const Bytes source = stored(from_options, from_layout, bits);
    Bytes target;
    CHECK_OK(convert(from_options, from_layout, to_options, to_layout, rows, source, target));
    CHECK(target == stored(to_options, to_layout, bits));
    Bytes back;
    CHECK_OK(convert(to_options, to_layout, from_options, from_layout, rows, target, back));
    CHECK(back == source);
  }
}

}  // namespace

TEST(codes_float32) { check_all_codes<float>(); }
TEST(codes_float64) { check_all_codes<double>(); }

TEST(conversions_of_random_codes) {
  Random random(62);
  for (const int64_t dim : {1, 3, 8, 31, 32, 33, 53, 63, 64, 65, 127, 1024, 4096}) {
    Bits bits;
    for (int64_t i = 0; i < dim * (dim > 200 ? 3 : 50); ++i) {
      bits.push_back(random.bits() % 2 == 1);
    }
    check_conversions(dim, bits);
  }
}

// Integers alone: no index is lost on the way to bits and back.
TEST(every_index_through_bytes_and_bits) {
  for (int64_t dim = 1; dim <= 20; ++dim) {
    for (const int32_t order : {BSQ_ORDER_MOST_FIRST, BSQ_ORDER_LEAST_FIRST}) {
      const int64_t count = int64_t{1} << static_cast<uint64_t>(dim);
      Bytes indices(static_cast<size_t>(count) * 8);
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(&indices[static_cast<size_t>(i) * 8], &i, 8);
      }
      const bsq_options most = options_for(dim);
      bsq_options options = most;
      options.bit_order = order;
      for (const int32_t layout : {BSQ_CODES_BYTES, BSQ_CODES_BITS}) {
        Bytes packed;
        CHECK_OK(convert(most, BSQ_CODES_INDICES, options, layout, count, indices, packed));
        Bytes back;
        CHECK_OK(convert(options, layout, most, BSQ_CODES_INDICES, count, packed, back));
        CHECK(back == indices);
      }
    }
  }
}

// numpy.packbits([1, 0, 1, 1, 0, 0, 0, 1, 1]) is [177, 128], and with bitorder="little" [141, 1].
TEST(as_numpy_packs) {
  const std::vector<float> x{1, -1, 1, 1, -1, -1, -1, 1, 1};
  bsq_options options = options_for(9);
  Bytes packed;
  CHECK_OK(pack(options, Batch{1}, x, BSQ_CODES_BYTES, packed));
  CHECK(packed == (Bytes{177, 128}));
  options.bit_order = BSQ_ORDER_LEAST_FIRST;
  CHECK_OK(pack(options, Batch{1}, x, BSQ_CODES_BYTES, packed));
  CHECK(packed == (Bytes{141, 1}));
  options = options_for(9);
  options.byte_form = BSQ_BYTES_OFFSET;
  CHECK_OK(pack(options, Batch{1}, x, BSQ_CODES_BYTES, packed));
  CHECK(packed == (Bytes{177 - 128, 0}));
}

TEST(what_is_no_code) {
  bsq_options options = options_for(13);
  options.codebooks = 2;
  Bytes packed(8, 0);
  std::vector<float> quantized;
  packed[7] = 0x19;
  const std::string padding =
      ", whose padding is not 0: codes of code_dim 13 fill 5 bits of their last byte, the ";
  CHECK_FAILS(unpack(options, Batch{2}, BSQ_CODES_BYTES, packed, quantized), BSQ_INVALID_ARGUMENT,
              "packed[1, 3] is 0x19" + padding + "most significant ones");
  options.bit_order = BSQ_ORDER_LEAST_FIRST;
  CHECK_OK(unpack(options, Batch{2}, BSQ_CODES_BYTES, packed, quantized));
  packed[7] = 0x20;
  CHECK_FAILS(unpack(options, Batch{2}, BSQ_CODES_BYTES, packed, quantized), BSQ_INVALID_ARGUMENT,
              "packed[1, 3] is 0x20" + padding + "least significant ones");
  options.byte_form = BSQ_BYTES_OFFSET;
  packed.assign(8, 0x80);
  CHECK_OK(unpack(options, Batch{2}, BSQ_CODES_BYTES, packed, quantized));
  packed[1] = 0;
  packed[7] = 0;
  CHECK_FAILS(unpack(options, Batch{2}, BSQ_CODES_BYTES, packed, quantized), BSQ_INVALID_ARGUMENT,
              "packed[0, 1] is 0x0" + padding + "least significant ones, after adding 128");
  Bytes to;
  CHECK_FAILS(convert(options, BSQ_CODES_BYTES, options_for(13), BSQ_CODES_BITS, 2, packed, to),
              BSQ_INVALID_ARGUMENT,
              "to_options has code_dim 13 and codebooks 1, expected 13 and 2 as from_options has");
  options = options_for(3);
  Bytes bits{0, 1, 1, 0, 2, 1};
  CHECK_FAILS(convert(options, BSQ_CODES_BITS, options, BSQ_CODES_BYTES, 2, bits, to),
              BSQ_INVALID_ARGUMENT, "bits[1, 1] is 2, expected 0 or 1");
  Bytes indices(16, 0);
  indices[8] = 8;
  CHECK_FAILS(convert(options, BSQ_CODES_INDICES, options, BSQ_CODES_BYTES, 2, indices, to),
              BSQ_INVALID_ARGUMENT, "indices[1] is 8, expected 0 to 7 for code_dim 3");
  indices[8] = 0;
  indices[7] = 0x80;
  CHECK_FAILS(convert(options, BSQ_CODES_INDICES, options, BSQ_CODES_BYTES, 2, indices, to),
              BSQ_INVALID_ARGUMENT,
              "indices[0] is -9223372036854775808, expected 0 to 7 for code_dim 3");
  Bytes words(8, 0xFF);
  CHECK_FAILS(unpack(options, Batch{1}, BSQ_CODES_WORDS, words, quantized), BSQ_INVALID_ARGUMENT,
              "packed[0, 0] is 0xffffffffffffffff, whose padding is not 0: codes of code_dim 3 "
              "fill 3 bits of their last word, the most significant ones");
}

TEST(layouts) {
  const bsq_options options = options_for(3);
  const std::vector<float> x(3, 1);
  Bytes packed;
  for (const int32_t layout : {-1, 0, 3, 4}) {
    CHECK_FAILS(pack(options, Batch{1}, x, layout, packed), BSQ_INVALID_ARGUMENT,
                "layout is " + std::to_string(layout) +
                    ", expected BSQ_CODES_BYTES (1) or BSQ_CODES_WORDS (2)");
  }
  std::vector<float> quantized;
  for (const int32_t layout : {-1, 4}) {
    CHECK_FAILS(unpack(options, Batch{1}, layout, Bytes(3), quantized), BSQ_INVALID_ARGUMENT,
                "layout is " + std::to_string(layout) +
                    ", expected BSQ_CODES_INDICES (0) to BSQ_CODES_BITS (3)");
  }
}

TEST(rows_that_are_not_finite) {
  bsq_options options = options_for(5);
  options.codebooks = 2;
  std::vector<float> x(40, 1);
  x[27] = std::numeric_limits<float>::infinity();
  Bytes packed;
  CHECK_FAILS(pack(options, Batch{4}, x, BSQ_CODES_BYTES, packed), BSQ_INVALID_ARGUMENT,
              "x[2, 7] is inf, expected a finite number");
  std::vector<float> margins;
  CHECK_FAILS(sign_margins(options, Batch{4}, x, margins), BSQ_INVALID_ARGUMENT,
              "x[2, 7] is inf, expected a finite number");
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  CHECK_OK(pack(options, Batch{4}, x, BSQ_CODES_BYTES, packed));
  CHECK(packed == (Bytes{0xF8, 0xF8, 0xF8, 0xF8, 0xF8, 0, 0xF8, 0xF8}));
  CHECK_OK(sign_margins(options, Batch{4}, x, margins));
  for (size_t i = 0; i < margins.size(); ++i) {
    CHECK(i == 5 ? std::isnan(margins[i]) : std::abs(margins[i] - 1 / std::sqrt(5.0F)) < 1e-6F);
  }
}

TEST(margins) {
  Random random(63);
  for (const int64_t dim : {1, 2, 13, 64, 127, 4096}) {
    bsq_options options = options_for(dim);
    options.codebooks = 2;
    for (const int32_t channel_first : {0, 1}) {
      options.channel_first = channel_first;
      const Batch batch{3, 5};
      std::vector<double> rows = random.normals<double>(batch.rows() * row_length(options));
      rows[0] = 0;
      rows[rows.size() - 1] = 1e300;
      rows[rows.size() - 2] = dim == 1 ? 1 : -1e299;
      std::vector<double> margins;
      CHECK_OK(sign_margins(options, batch, laid_out(options, batch, rows), margins));
      for (size_t code = 0; code < margins.size(); ++code) {
        long double squares = 0;
        long double least = std::numeric_limits<long double>::infinity();
        for (int64_t d = 0; d < dim; ++d) {
          const long double value = rows[code * static_cast<size_t>(dim) + static_cast<size_t>(d)];
          squares += value * value;
          least = std::min(least, std::abs(value));
        }
        const auto expected = static_cast<double>(least / std::max(std::sqrt(squares), 1e-12L));
        CHECK_NEAR(margins[code], expected, 1e-14 * expected);
      }
    }
  }
}

// Codes of more bits than an index has.
TEST(codes_without_indices) {
  bsq_options options = options_for(127);
  options.entropy_form = BSQ_ENTROPY_ANALYTICAL;
  const std::vector<float> x = Random(64).normals<float>(int64_t{3} * 127);
  std::vector<int64_t> indices(3);
  const char* const refusal =
      "code_dim is 127, but an index has at most 63 bits: set group_size, for an index of each "
      "group, or pack the bits";
  CHECK_REFUSED(Outcome(bsq_host_encode(&options, BSQ_FLOAT32, 3, 1, x.data(), bytes(x),
                                        indices.data(), bytes(indices))),
                BSQ_INVALID_ARGUMENT, refusal);
  const bsq_options opts = on_path(options);
  const Tensor rows = rows_of(options, x);
  const auto quantization =
      make<bsq_quantization>(bsq_tensor_forward, &opts, rows.get(), kNoTensor);
  CHECK_REFUSED(try_make(bsq_quantization_indices, quantization.get()), BSQ_INVALID_ARGUMENT,
                refusal);
  CHECK_REFUSED(try_make(bsq_tensor_encode, &opts, rows.get()), BSQ_INVALID_ARGUMENT, refusal);
  std::vector<float> quantized(x.size());
  bsq_losses losses{};
  losses.struct_size = sizeof(losses);
  CHECK_OK(Outcome(bsq_host_forward(&options, BSQ_FLOAT32, 3, 1, x.data(), bytes(x), nullptr, 0,
                                    quantized.data(), bytes(quantized), nullptr, 0, &losses)));
  CHECK(losses.codebook_entropy > 0);
  CHECK(read<float>(make(bsq_quantization_quantized, quantization.get())) == quantized);
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK(std::signbit(x[i]) == std::signbit(quantized[i]));
  }
  // The losses are those that groups have, whose distributions are the bits', too.
  options.group_size = 1;
  bsq_losses of_groups = losses;
  CHECK_OK(Outcome(bsq_host_forward(&options, BSQ_FLOAT32, 3, 1, x.data(), bytes(x), nullptr, 0,
                                    nullptr, 0, nullptr, 0, &of_groups)));
  CHECK_EQ(of_groups.aux_loss, losses.aux_loss);
}

// Conventions change codes, and no loss or gradient, but for the side that a 0 is committed to.
TEST(losses_have_no_convention) {
  bsq_options options = options_for(6);
  options.group_size = 3;
  options.commitment_weight = 0.5;
  std::vector<double> x = Random(65).normals<double>(60);
  bsq_losses expected{};
  CHECK_OK(losses(options, x, expected));
  std::vector<double> expected_gradient;
  CHECK_OK(backward(options, batch_of(options, x), x, {}, x, 1.0, expected_gradient));
  for (int64_t convention = 1; convention < kConventions; ++convention) {
    choose_convention(convention, options);
    bsq_losses actual{};
    CHECK_OK(losses(options, x, actual));
    CHECK_EQ(actual.aux_loss, expected.aux_loss);
    std::vector<double> gradient;
    CHECK_OK(backward(options, batch_of(options, x), x, {}, x, 1.0, gradient));
    CHECK(gradient == expected_gradient);
  }
  // u = (0, 1), q = (+-1, 1) / sqrt(2): the gradient of |u - q|^2 along the first is -+sqrt(2).
  options = options_for(2);
  options.entropy_loss_weight = 0;
  options.commitment_weight = 1;
  x = {0, 1, -0.0, 1, -5e-324, 1e17};
  std::vector<double> gradient;
  CHECK_OK(backward(options, batch_of(options, x), x, {}, {}, 3.0, gradient));
  CHECK_NEAR(gradient[0], std::sqrt(2.0), 1e-15);
  CHECK_NEAR(gradient[2], std::sqrt(2.0), 1e-15);
  CHECK_NEAR(gradient[4] * 1e17, std::sqrt(2.0), 1e-15);
  options.tie = BSQ_TIE_ONE;
  CHECK_OK(backward(options, batch_of(options, x), x, {}, {}, 3.0, gradient));
  CHECK_NEAR(gradient[0], -std::sqrt(2.0), 1e-15);
  CHECK_NEAR(gradient[2], -std::sqrt(2.0), 1e-15);
  CHECK_NEAR(gradient[4] * 1e17, std::sqrt(2.0), 1e-15);
}

TEST(non_finite_codes_have_the_scale) {
  bsq_options options = options_for(3);
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  options.code_scale = BSQ_SCALE_ONE;
  const std::vector<float> x{1, std::numeric_limits<float>::infinity(), 1};
  const bsq_options opts = on_path(options);
  const auto quantization =
      make<bsq_quantization>(bsq_tensor_forward, &opts, rows_of(options, x).get(), kNoTensor);
  const auto quantized = read<float>(make(bsq_quantization_quantized, quantization.get()));
  CHECK(quantized[0] == -1 && std::isnan(quantized[1]) && quantized[2] == -1);
}

TEST(options_of_conventions) {
  for (const auto field : {&bsq_options::bit_order, &bsq_options::tie, &bsq_options::code_scale,
                           &bsq_options::byte_form}) {
    for (const int32_t bad : {-1, 2, std::numeric_limits<int32_t>::max()}) {
      bsq_options options = options_for(3);
      options.*field = bad;
      std::vector<int64_t> indices;
      CHECK_REFUSED(encode(options, std::vector<float>(3, 1), indices), BSQ_INVALID_ARGUMENT,
                    " is " + std::to_string(bad) + ", expected BSQ_");
    }
  }
}

}  // namespace bsq::test
