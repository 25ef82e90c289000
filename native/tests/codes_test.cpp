// Signs, indices and codes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

// component d of the code with this index, dimension 0 being the most significant bit.
bool bit_of(int64_t index, int64_t dim, int64_t d) {
  return (static_cast<uint64_t>(index) >> static_cast<uint64_t>(dim - 1 - d) & 1U) != 0;
}

template <class T>
void check_round_trip(int64_t dim, const std::vector<int64_t>& indices) {
  const bsq_options options = options_for(dim);
  const T corner = static_cast<T>(1 / std::sqrt(static_cast<double>(dim)));
  std::vector<T> codes;
  CHECK_OK(decode(options, indices, codes));
  int64_t wrong = 0;
  for (size_t n = 0; n < indices.size(); ++n) {
    for (int64_t d = 0; d < dim; ++d) {
      const T expected = bit_of(indices[n], dim, d) ? corner : -corner;
      wrong += codes[n * static_cast<size_t>(dim) + static_cast<size_t>(d)] == expected ? 0 : 1;
    }
  }
  CHECK_EQ(wrong, 0);
  std::vector<int64_t> back;
  CHECK_OK(encode(options, codes, back));
  CHECK(back == indices);
  CHECK_OK(codes_to_indices(options, codes, back));
  CHECK(back == indices);
  for (T& code : codes) {
    code *= 1000;  // any scale
  }
  CHECK_OK(codes_to_indices(options, codes, back));
  CHECK(back == indices);
  // Without losses, which only the host functions can leave out.
  std::vector<T> quantized(codes.size());
  CHECK_OK(bsq_host_forward(&options, kDtype<T>, static_cast<int64_t>(indices.size()), 1,
                            codes.data(), bytes(codes), nullptr, 0, quantized.data(),
                            bytes(quantized), back.data(), bytes(back), nullptr));
  CHECK(back == indices);
  CHECK(quantized[0] == (bit_of(indices[0], dim, 0) ? corner : -corner));
}

int64_t largest_index(int64_t dim) {
  return static_cast<int64_t>((uint64_t{1} << static_cast<uint64_t>(dim)) - 1);
}

// However many rows end within what is encoded and decoded at once, and whatever follows in memory.
template <class T>
void check_numbers_of_rows(int64_t dim) {
  const bsq_options options = options_for(dim);
  const T corner = static_cast<T>(1 / std::sqrt(static_cast<double>(dim)));
  Random random(8);
  for (int64_t rows = 0; rows <= 140; ++rows) {
    const std::vector<T> x = random.normals<T>(rows * dim);
    constexpr size_t kGuards = 8;
    constexpr int64_t kGuard = -7;
    std::vector<int64_t> indices(static_cast<size_t>(rows) + kGuards, kGuard);
    std::vector<T> quantized(x.size() + kGuards, kGuard);
    CHECK_OK(bsq_host_encode(&options, kDtype<T>, rows, 1, x.data(), bytes(x), indices.data(),
                             rows * static_cast<int64_t>(sizeof(int64_t))));
    CHECK_OK(bsq_host_decode(&options, kDtype<T>, rows, 1, indices.data(), bytes(indices),
                             quantized.data(), bytes(x)));
    int64_t wrong = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const int64_t index = indices[i / static_cast<size_t>(dim)];
      const bool bit = bit_of(index, dim, static_cast<int64_t>(i) % dim);
      wrong += bit == (x[i] > 0) && quantized[i] == (bit ? corner : -corner) ? 0 : 1;
    }
    for (size_t i = 0; i < kGuards; ++i) {
      wrong += indices[static_cast<size_t>(rows) + i] == kGuard && quantized[x.size() + i] == kGuard
                   ? 0
                   : 1;
    }
    CHECK_EQ(wrong, 0);
  }
}

}  // namespace

TEST(every_index) {
  for (int64_t dim = 1; dim <= 16; ++dim) {
    std::vector<int64_t> indices(static_cast<size_t>(largest_index(dim)) + 1);
    for (size_t i = 0; i < indices.size(); ++i) {
      indices[i] = static_cast<int64_t>(i);
    }
    check_round_trip<float>(dim, indices);
    check_round_trip<double>(dim, indices);
  }
}

TEST(random_indices) {
  Random random(6);
  for (const int64_t dim : {17, 24, 25, 31, 32, 33, 53, 54, 62, 63}) {
    std::vector<int64_t> indices{largest_index(dim), 0, 1, int64_t{1} << (dim - 1),
                                 largest_index(dim) - 1};
    for (int i = 0; i < 3000; ++i) {
      indices.push_back(
          static_cast<int64_t>(random.bits() & static_cast<uint64_t>(largest_index(dim))));
    }
    check_round_trip<float>(dim, indices);
    check_round_trip<double>(dim, indices);
  }
}

TEST(encode_takes_the_sign_alone) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> x{0.0F,  -0.0F,  tiny,    -tiny, 3e38F,
                             1e17F, 1e-30F, -1e-30F, 1.0F,  std::numeric_limits<float>::min()};
  std::vector<int64_t> indices;
  CHECK_OK(encode(options_for(5), x, indices));
  CHECK_EQ(indices[0], 0b00101);
  CHECK_EQ(indices[1], 0b11011);
  CHECK_OK(encode(options_for(1), x, indices));
  CHECK(indices == (std::vector<int64_t>{0, 0, 1, 0, 1, 1, 1, 0, 1, 1}));
  const std::vector<double> wide{std::numeric_limits<double>::denorm_min(),
                                 -std::numeric_limits<double>::denorm_min(), 1.7e308, -1.7e308};
  CHECK_OK(encode(options_for(4), wide, indices));
  CHECK_EQ(indices[0], 0b1010);
}

TEST(any_number_of_rows) {
  for (const int64_t dim : {1, 2, 7, 8, 9, 13, 16, 17, 31, 57, 58, 63}) {
    check_numbers_of_rows<float>(dim);
    check_numbers_of_rows<double>(dim);
  }
}

// So many that their indices are written past the caches, in whole lines of these.
TEST(many_rows_at_any_address) {
  constexpr int64_t kRows = 2 * 1024 * 1024 + 77;
  constexpr int64_t kBad = 1234567;
  bsq_options options = options_for(1);
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  std::vector<float> x = Random(9).normals<float>(kRows);
  x[kBad] = std::numeric_limits<float>::infinity();
  std::vector<int64_t> indices(kRows + 9);
  for (size_t offset = 0; offset < 8; ++offset) {
    std::fill(indices.begin(), indices.end(), -1);
    CHECK_OK(bsq_host_encode(&options, BSQ_FLOAT32, kRows, 1, x.data(), bytes(x),
                             indices.data() + offset, kRows * 8));
    int64_t wrong = 0;
    for (size_t row = 0; row < kRows; ++row) {
      wrong += indices[offset + row] == (row != kBad && x[row] > 0 ? 1 : 0) ? 0 : 1;
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(std::count(indices.begin(), indices.end(), -1), 9);
  }
}

TEST(decode_refuses_indices_out_of_range) {
  for (const int64_t dim : {1, 13, 32, 62, 63}) {
    const bsq_options options = options_for(dim);
    std::vector<int64_t> bad{-1, std::numeric_limits<int64_t>::min()};
    if (dim < 63) {
      bad.push_back(largest_index(dim) + 1);
      bad.push_back(std::numeric_limits<int64_t>::max());
    }
    for (const int64_t value : bad) {
      std::vector<int64_t> indices(3, largest_index(dim));
      std::vector<float> codes;
      CHECK_OK(decode(options, indices, codes));
      indices[1] = value;
      indices[2] = value;
      CHECK_REFUSED(decode(options, indices, codes), BSQ_INVALID_ARGUMENT,
                    "indices[1] is " + std::to_string(value) + ", expected 0 to " +
                        std::to_string(largest_index(dim)) + " for code_dim " +
                        std::to_string(dim));
    }
  }
}

// With many bad ones, on many threads, the first is named.
TEST(the_first_bad_index_is_named) {
  constexpr int64_t kRows = 200000;
  for (const int64_t first : {int64_t{0}, int64_t{70001}, kRows - 1}) {
    std::vector<int64_t> indices(kRows, 5);
    for (int64_t row = first; row < kRows; row += 1 + row % 7) {
      indices[static_cast<size_t>(row)] = 8;
    }
    std::vector<double> codes;
    CHECK_REFUSED(decode(options_for(3), indices, codes), BSQ_INVALID_ARGUMENT,
                  "indices[" + std::to_string(first) + "] is 8,");
  }
}

template <class T>
void check_code_refusals() {
  const bsq_options options = options_for(4);
  constexpr int64_t kRows = 100000;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T infinity = std::numeric_limits<T>::infinity();
  for (const T bad : {T{0}, -T{0}, nan, infinity, -infinity}) {
    for (const int64_t row : {int64_t{0}, int64_t{51234}, kRows - 1}) {
      for (const int64_t column : {0, 2, 3}) {
        std::vector<T> codes(static_cast<size_t>(kRows * 4), T{-1});
        for (int64_t i = row * 4 + column; i < kRows * 4; i += 1 + i % 5) {
          codes[static_cast<size_t>(i)] = bad;
        }
        std::vector<int64_t> indices;
        CHECK_REFUSED(codes_to_indices(options, codes, indices), BSQ_INVALID_ARGUMENT,
                      "codes[" + std::to_string(row) + ", " + std::to_string(column) + "] is " +
                          show(bad) + ", expected a code value");
      }
    }
  }
}

TEST(codes_to_indices_refuses_what_is_no_code) {
  check_code_refusals<float>();
  check_code_refusals<double>();
}

// More rows than one thread gets: the same as row by row.
template <class T>
void check_many_rows(int64_t dim, int64_t rows) {
  const bsq_options options = options_for(dim);
  const std::vector<T> x = Random(static_cast<uint64_t>(dim)).normals<T>(rows * dim);
  std::vector<int64_t> indices;
  CHECK_OK(encode(options, x, indices));
  std::vector<T> codes;
  CHECK_OK(decode(options, indices, codes));
  std::vector<int64_t> back;
  CHECK_OK(codes_to_indices(options, codes, back));
  CHECK(back == indices);
  const bool with_backward = dim <= max_backward_dim();
  std::vector<T> gradient;
  if (with_backward) {
    CHECK_OK(backward(options, x, codes, 0.0, gradient));
  }
  int64_t wrong = 0;
  // Objects for every row take too long.
  for (int64_t row = 0; row < rows; row += path() == Path::kHost ? 1 : rows / 100) {
    const auto row_of = [&](const std::vector<T>& all) {
      return std::vector<T>(all.begin() + row * dim, all.begin() + (row + 1) * dim);
    };
    const int64_t index = indices[static_cast<size_t>(row)];
    std::vector<T> code;
    std::vector<T> row_gradient;
    const bool same =
        encode(options, row_of(x), back).code == BSQ_OK && back[0] == index &&
        decode(options, {index}, code).code == BSQ_OK && code == row_of(codes) &&
        (!with_backward || (backward(options, row_of(x), code, 0.0, row_gradient).code == BSQ_OK &&
                            row_gradient == row_of(gradient)));
    wrong += same ? 0 : 1;
  }
  CHECK_EQ(wrong, 0);
}

TEST(many_rows_are_as_one_by_one) {
  check_many_rows<float>(13, 20001);  // a thread gets 65536 elements or more
  check_many_rows<double>(13, 20001);
  check_many_rows<float>(63, 5001);
  check_many_rows<double>(1, 200001);
}

// Indices of groups and codebooks are those of the bits one after the other, in every layout.
template <class T>
void check_groups(int64_t codebooks, int64_t groups, int64_t bits, const Batch& batch) {
  for (const int32_t channel_first : {0, 1}) {
    bsq_options options = options_for(groups * bits);
    options.codebooks = codebooks;
    options.group_size = bits;
    options.channel_first = channel_first;
    const std::vector<T> rows =
        Random(static_cast<uint64_t>(bits)).normals<T>(batch.rows() * row_length(options));
    const std::vector<T> x = to_layout(options, batch, rows);
    std::vector<int64_t> indices;
    CHECK_OK(encode(options, batch, x, indices));
    std::vector<T> quantized;
    CHECK_OK(decode(options, batch, indices, quantized));
    std::vector<int64_t> back;
    CHECK_OK(codes_to_indices(options, batch, quantized, back));
    CHECK(back == indices);
    CHECK_OK(codes_to_indices(options, batch, x, back));  // of any scale
    CHECK(back == indices);
    const T corner = static_cast<T>(1 / std::sqrt(static_cast<double>(options.code_dim)));
    const std::vector<T> decoded = from_layout(options, batch, quantized);
    int64_t wrong = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool bit = rows[i] > 0;
      const auto group = static_cast<size_t>(bits);
      wrong += bit_of(indices[i / group], bits, static_cast<int64_t>(i % group)) == bit ? 0 : 1;
      wrong += decoded[i] == (bit ? corner : -corner) ? 0 : 1;
    }
    CHECK_EQ(wrong, 0);
  }
}

TEST(groups_and_codebooks) {
  for (const Batch& batch : {Batch{1}, Batch{5, 1}, Batch{1, 64}, Batch{3, 65}, Batch{7, 9}}) {
    check_groups<float>(1, 4, 9, batch);
    check_groups<double>(3, 1, 5, batch);
    check_groups<float>(2, 3, 1, batch);
    check_groups<double>(1, 16, 63, batch);
    check_groups<float>(2, 64, 16, batch);
    check_groups<double>(17, 2, 8, batch);
  }
  // Several threads, and so many indices that they are written past the caches.
  check_groups<float>(1, 8, 1, {40, 7001});
  check_groups<double>(2, 2, 13, {3, 7011});
}

// The message names row and column, in whatever layout.
TEST(refusals_in_groups) {
  bsq_options options = options_for(12);
  options.codebooks = 2;
  options.group_size = 4;
  const Batch batch{4, 25};
  for (const int32_t channel_first : {0, 1}) {
    options.channel_first = channel_first;
    std::vector<int64_t> indices(600, 15);
    indices[244] = 16;  // [40, 4]
    indices[421] = -1;
    std::vector<float> quantized;
    CHECK_FAILS(decode(options, batch, indices, quantized), BSQ_INVALID_ARGUMENT,
                "indices[40, 4] is 16, expected 0 to 15 for group_size 4");
    std::vector<float> codes(2400, 1);
    codes[977] = 0;  // [40, 17]
    codes[980] = 0;
    codes[984] = 0;
    std::vector<int64_t> none;
    CHECK_REFUSED(codes_to_indices(options, batch, to_layout(options, batch, codes), none),
                  BSQ_INVALID_ARGUMENT, "codes[40, 17] is 0, expected a code value");
  }
  options = options_for(5);
  options.codebooks = 3;
  std::vector<float> quantized;
  CHECK_FAILS(decode(options, {1, 2}, {1, 2, 3, 4, 32, 5}, quantized), BSQ_INVALID_ARGUMENT,
              "indices[1, 1] is 32, expected 0 to 31 for code_dim 5");
}

TEST(bits_to_codes) {
  std::vector<float> bits(200003);  // several threads
  for (size_t i = 0; i < bits.size(); ++i) {
    bits[i] = static_cast<float>(i % 3 % 2);
  }
  std::vector<float> codes;
  CHECK_OK(bits_to_codes(bits, codes));
  int64_t wrong = 0;
  for (size_t i = 0; i < bits.size(); ++i) {
    wrong += codes[i] == (i % 3 == 1 ? 1.0F : -1.0F) ? 0 : 1;
  }
  CHECK_EQ(wrong, 0);
  std::vector<double> result;
  CHECK_OK(bits_to_codes({0, 1, 0.5, -0.0, 2}, result));
  CHECK(result == (std::vector<double>{-1, 1, 0, -1, 3}));
}

}  // namespace bsq::test
