// Usage counts, against bits that are counted one by one.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"
#include "stored_codes.h"

namespace bsq::test {
namespace {

using Counts = std::vector<int64_t>;

size_t usage_size(const bsq_options& options) {
  int64_t size = 0;
  must(bsq_usage_size(&options, &size));
  return static_cast<size_t>(size);
}

// Adds to counts, along all paths.
Outcome add_usage(const bsq_options& options, const Batch& batch, int32_t layout,
                  const Bytes& codes, Counts& counts) {
  if (path() == Path::kHost) {
    return Outcome(bsq_host_usage_add(&options, layout, batch.rows(), codes.data(), bytes(codes),
                                      batch.mask_data(), bytes(batch.mask), counts.data(),
                                      bytes(counts)));
  }
  const bsq_options opts = on_path(options);
  return outcome_of([&] {
    const Tensor result =
        make(bsq_tensor_usage, &opts, codes_tensor(options, batch, layout, codes).get(), layout,
             mask_of(batch).get());
    CHECK(shape_of(result) == Shape{static_cast<int64_t>(counts.size())});
    const Counts more = read<int64_t>(result);
    std::transform(counts.begin(), counts.end(), more.begin(), counts.begin(), std::plus<>());
  });
}

// What bsq.h says, word for word.
Counts expected_usage(const bsq_options& options, const Batch& batch, const Bits& bits) {
  const auto dim = static_cast<size_t>(options.code_dim);
  const bool counts_codes = dim <= BSQ_USAGE_MAX_COUNTED_DIM;
  const size_t size = counts_codes ? size_t{1} << dim : 1 + dim * (dim + 1) / 2;
  const auto codebooks = static_cast<size_t>(options.codebooks);
  Counts counts(size * codebooks);
  for (size_t code = 0; code * dim < bits.size(); ++code) {
    if (!batch.mask.empty() && batch.mask[code / codebooks] == 0) {
      continue;
    }
    int64_t* const to = &counts[code % codebooks * size];
    const auto bit = [&](size_t d) { return static_cast<size_t>(bits[code * dim + d]); };
    if (counts_codes) {
      size_t index = 0;
      for (size_t d = 0; d < dim; ++d) {
        index = 2 * index + bit(d);
      }
      ++to[index];
      continue;
    }
    int64_t* pair = to + 1;
    ++to[0];
    for (size_t a = 0; a < dim; pair += dim - a, ++a) {
      for (size_t b = a; bit(a) != 0 && b < dim; ++b) {
        pair[b - a] += static_cast<int64_t>(bit(b));
      }
    }
  }
  return counts;
}

// Of which some are likelier than others, and depend on each other.
Bits random_bits(Random& random, int64_t codes, int64_t dim) {
  Bits bits;
  for (int64_t code = 0; code < codes; ++code) {
    bool last = false;
    for (int64_t d = 0; d < dim; ++d) {
      const uint64_t choice = random.bits() % 8;
      last = choice < 2 ? last : d % 5 == 4 ? choice < 7 : choice < 5;
      bits.push_back(last);
    }
  }
  return bits;
}

Batch batch_with_mask(Random& random, int64_t rows) {
  Batch batch = rows % 4 == 0 ? Batch{4, rows / 4} : Batch{rows};
  if (random.bits() % 2 == 0 && rows > 0) {
    for (int64_t row = 0; row < rows; ++row) {
      batch.mask.push_back(static_cast<uint8_t>(random.bits() % 3));  // all but 0 count
    }
  }
  return batch;
}

void check_usage(bsq_options options, int64_t rows, Random& random) {
  const Bits bits = random_bits(random, rows * options.codebooks, options.code_dim);
  const Batch batch = batch_with_mask(random, rows);
  const Counts expected = expected_usage(options, batch, bits);
  CHECK_EQ(usage_size(options), expected.size());
  for (const int32_t layout : kLayouts) {
    choose_convention(static_cast<int64_t>(random.bits() % kConventions), options);
    // Groups change indices, and nothing else.
    options.group_size = options.code_dim % 3 == 0 && random.bits() % 2 == 0 ? 3 : 0;
    if (layout == BSQ_CODES_INDICES && element_bits(options, layout) > 63) {
      options.group_size = 1;
    }
    // They are added.
    Counts counts(expected.size());
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] = static_cast<int64_t>(i % 7);
    }
    const Bytes codes = stored(options, layout, bits);
    CHECK_OK(add_usage(options, batch, layout, codes, counts));
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] -= static_cast<int64_t>(i % 7);
    }
    CHECK(counts == expected);
  }
}

TEST(all_dimensions) {
  Random random(71);
  std::vector<int64_t> dims{31, 32, 33, 63, 64, 65, 127};
  for (int64_t dim = 1; dim <= 24; ++dim) {
    dims.push_back(dim);
  }
  for (const int64_t dim : dims) {
    bsq_options options = options_for(dim);
    for (const int64_t rows : {0, 1, 3, 64, 65, 600}) {
      options.codebooks = static_cast<int64_t>(1 + random.bits() % 3);
      check_usage(options, rows, random);
    }
  }
}

TEST(long_codes) {
  Random random(72);
  bsq_options options = options_for(1024);
  check_usage(options, 70, random);
  options.codebooks = 2;
  check_usage(options, 3, random);
  check_usage(options_for(4096), 2, random);
}

// So many that several threads have their own counters, and lines several segments and parts.
TEST(many_rows) {
  Random random(73);
  for (const int64_t dim : {1, 3, 13, 16}) {
    bsq_options options = options_for(dim);
    options.codebooks = dim == 3 ? 2 : 1;
    check_usage(options, 200'001, random);
  }
  bsq_options codebooks = options_for(16);  // more counters than rows: a thread for each codebook
  codebooks.codebooks = 3;
  check_usage(codebooks, 30'001, random);
  check_usage(options_for(65), 140'003, random);
  if (path() != Path::kOperators) {
    check_usage(options_for(21), 1'100'000, random);  // more than one chunk of lines
    check_usage(options_for(300), 20'001, random);
  }
}

// Every code once: nothing is lost, and nothing beside it is touched.
TEST(every_code_once) {
  const bsq_options options = options_for(BSQ_USAGE_MAX_COUNTED_DIM);
  std::vector<int64_t> indices(usage_size(options));
  for (size_t i = 0; i < indices.size(); ++i) {
    indices[i] = static_cast<int64_t>(i * 0x9E375U % indices.size());  // odd: each one
  }
  const auto* const data = reinterpret_cast<const uint8_t*>(indices.data());
  const Bytes codes(data, data + bytes(indices));
  Counts counts(indices.size());
  CHECK_OK(
      add_usage(options, {static_cast<int64_t>(indices.size())}, BSQ_CODES_INDICES, codes, counts));
  CHECK(std::all_of(counts.begin(), counts.end(), [](int64_t count) { return count == 1; }));
}

// As bsq.h says; in signed numbers it would be undefined, which UBSan finds.
TEST(sums_wrap_around) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const int64_t dim : {2, 21}) {
    for (const int64_t rows : {3, 140'000}) {  // of one thread, and of several
      const bsq_options options = options_for(dim);
      const Bytes ones(static_cast<size_t>(rows * dim), 1);
      Counts counts(usage_size(options), kMost);
      CHECK_OK(Outcome(bsq_host_usage_add(&options, BSQ_CODES_BITS, rows, ones.data(), bytes(ones),
                                          nullptr, 0, counts.data(), bytes(counts))));
      CHECK_EQ(counts.back(), std::numeric_limits<int64_t>::min() + rows - 1);
      CHECK_EQ(counts.front(), dim == 2 ? kMost : std::numeric_limits<int64_t>::min() + rows - 1);
    }
  }
}

// What is refused is told as by the converters, and changes no count.
TEST(refused_codes) {
  for (const int64_t dim : {13, 27}) {
    bsq_options options = options_for(dim);
    options.codebooks = 2;
    const Batch batch{200'000, 1,
                      std::vector<uint8_t>(200'000, 0)};  // those that do not count, too
    const auto codes = static_cast<size_t>(batch.rows() * options.codebooks);
    const int64_t end = int64_t{1} << dim;
    std::ostringstream above;
    above << "indices[199999, 1] is " << end << ", expected 0 to " << end - 1 << " for code_dim "
          << dim;
    struct Case {
      int32_t layout;
      size_t position;  // of a byte
      uint8_t byte;
      std::string message;
    };
    const auto bytes_of_code = static_cast<size_t>((dim + 7) / 8);
    const auto bits_of_code = static_cast<size_t>(dim);
    const auto index_byte = static_cast<size_t>(dim / 8);
    const std::vector<Case> cases{
        {BSQ_CODES_INDICES, (codes - 1) * 8 + index_byte, static_cast<uint8_t>(1U << dim % 8),
         above.str()},
        {BSQ_CODES_INDICES, 7, 0x80,
         "indices[0, 0] is -9223372036854775808, expected 0 to " + std::to_string(end - 1)},
        {BSQ_CODES_BYTES, (codes - 1) * bytes_of_code - 1, 1,
         "packed[199999, " + std::to_string(bytes_of_code - 1) +
             "] is 0x1, whose padding is not 0"},
        {BSQ_CODES_WORDS, 8 * codes - 8, 1, "packed[199999, 1] is 0x1, whose padding is not 0"},
        {BSQ_CODES_BITS, (codes - 2) * bits_of_code + 1, 2,
         "bits[199999, 1] is 2, expected 0 or 1"}};
    for (const Case& a_case : cases) {
      Bytes bad(codes_bytes(options, batch, a_case.layout));
      bad[a_case.position] = a_case.byte;
      Counts counts(usage_size(options), 5);
      CHECK_REFUSED(add_usage(options, batch, a_case.layout, bad, counts), BSQ_INVALID_ARGUMENT,
                    a_case.message);
      CHECK(std::all_of(counts.begin(), counts.end(), [](int64_t count) { return count == 5; }));
    }
  }
}

TEST(sizes) {
  int64_t size = 0;
  bsq_options options = options_for(4096);
  options.codebooks = 1024;
  CHECK_OK(Outcome(bsq_usage_size(&options, &size)));
  CHECK_EQ(size, int64_t{1024} * (1 + 4096 * 4097 / 2));
  options = options_for(21);
  CHECK_OK(Outcome(bsq_usage_size(&options, &size)));
  CHECK_EQ(size, 1 + 21 * 22 / 2);
  CHECK_FAILS(Outcome(bsq_usage_size(&options, nullptr)), BSQ_INVALID_ARGUMENT, "size is NULL");
  CHECK_FAILS(Outcome(bsq_usage_size(nullptr, &size)), BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
}

TEST(host_arguments) {
  const bsq_options options = options_for(2);
  std::vector<int64_t> indices{0, 1, 3};
  Counts counts(4);
  const auto call = [&](int32_t layout, int64_t rows, const void* codes, int64_t codes_bytes,
                        const uint8_t* mask, int64_t mask_bytes, int64_t* to, int64_t to_bytes) {
    return Outcome(bsq_host_usage_add(&options, layout, rows, codes, codes_bytes, mask, mask_bytes,
                                      to, to_bytes));
  };
  const uint8_t mask[3] = {1, 0, 1};
  CHECK_OK(call(BSQ_CODES_INDICES, 3, indices.data(), 24, &mask[0], 3, counts.data(), 32));
  CHECK(counts == (Counts{1, 0, 0, 1}));
  CHECK_FAILS(call(4, 3, indices.data(), 24, nullptr, 0, counts.data(), 32), BSQ_INVALID_ARGUMENT,
              "layout is 4, expected BSQ_CODES_INDICES (0) to BSQ_CODES_BITS (3)");
  CHECK_FAILS(call(BSQ_CODES_INDICES, -1, indices.data(), 24, nullptr, 0, counts.data(), 32),
              BSQ_INVALID_ARGUMENT, "items is -1, expected at least 0");
  CHECK_FAILS(call(BSQ_CODES_INDICES, 3, indices.data(), 23, nullptr, 0, counts.data(), 32),
              BSQ_INVALID_ARGUMENT,
              "codes has 23 bytes, expected at least 24 (3 rows of 1 elements of 8 bytes)");
  CHECK_FAILS(call(BSQ_CODES_INDICES, 3, indices.data(), 24, &mask[0], 2, counts.data(), 32),
              BSQ_INVALID_ARGUMENT,
              "mask has 2 bytes, expected at least 3 (3 rows of 1 elements of 1 bytes)");
  CHECK_FAILS(call(BSQ_CODES_INDICES, 3, indices.data(), 24, nullptr, 0, counts.data(), 31),
              BSQ_INVALID_ARGUMENT,
              "counts has 31 bytes, expected at least 32 (4 rows of 1 elements of 8 bytes)");
  CHECK_FAILS(call(BSQ_CODES_INDICES, 3, indices.data(), 24, nullptr, 0, nullptr, 0),
              BSQ_INVALID_ARGUMENT,
              "counts has 0 bytes, expected at least 32 (4 rows of 1 elements of 8 bytes)");
  CHECK_FAILS(call(BSQ_CODES_INDICES, 3, counts.data(), 24, nullptr, 0, counts.data(), 32),
              BSQ_INVALID_ARGUMENT, "counts overlaps codes, expected memory of its own");
  CHECK(counts == (Counts{1, 0, 0, 1}));
  bsq_options long_codes = options_for(64);
  CHECK_FAILS(Outcome(bsq_host_usage_add(&long_codes, BSQ_CODES_INDICES, 0, nullptr, 0, nullptr, 0,
                                         counts.data(), 32)),
              BSQ_INVALID_ARGUMENT,
              "code_dim is 64, but an index has at most 63 bits: set group_size, for an index of "
              "each group, or pack the bits");
}

TEST(tensor_arguments) {
  const bsq_options options = on_path(options_for(13));
  const Tensor indices = zeros(BSQ_INT64, {2, 5});
  const auto call = [&](const Tensor& codes, int32_t layout, const Tensor& mask) {
    return try_make(bsq_tensor_usage, &options, codes.get(), layout, mask.get());
  };
  CHECK_OK(call(indices, BSQ_CODES_INDICES, zeros(BSQ_UINT8, {2, 5})));
  CHECK_REFUSED(call(Tensor(), BSQ_CODES_INDICES, Tensor()), BSQ_INVALID_ARGUMENT, "codes is NULL");
  CHECK_REFUSED(call(indices, 7, Tensor()), BSQ_INVALID_ARGUMENT, "layout is 7");
  CHECK_REFUSED(call(zeros(BSQ_INT32, {2}), BSQ_CODES_INDICES, Tensor()), BSQ_INVALID_ARGUMENT,
                "codes is int32, expected int64");
  CHECK_REFUSED(call(zeros(BSQ_UINT8, {5, 13}), BSQ_CODES_BYTES, Tensor()), BSQ_INVALID_ARGUMENT,
                "codes has shape [5, 13], expected to end with [2]");
  CHECK_REFUSED(call(indices, BSQ_CODES_INDICES, zeros(BSQ_UINT8, {5, 2})), BSQ_INVALID_ARGUMENT,
                "mask has shape [5, 2], expected the leading dimensions of codes, [2, 5]");
  CHECK_REFUSED(call(indices, BSQ_CODES_INDICES, zeros(BSQ_INT64, {2, 5})), BSQ_INVALID_ARGUMENT,
                "mask is int64, expected uint8");
}

// Any strides, and codes that another finding is about.
TEST(tensors) {
  const bsq_options options = on_path(options_for(3));
  const std::vector<int64_t> values{1, 2, 3, 4, 5, 6};
  const Tensor indices = tensor_of(values, {2, 3});
  const Tensor turned = permute(indices, {1, 0});
  const std::vector<uint8_t> mask{1, 0, 0, 0, 0, 1};  // of 1, 4; 2, 5; 3, 6
  const Counts counts = read<int64_t>(make(bsq_tensor_usage, &options, turned.get(),
                                           BSQ_CODES_INDICES, tensor_of(mask, {3, 2}).get()));
  CHECK(counts == (Counts{0, 1, 0, 0, 0, 0, 1, 0}));
  const std::vector<float> x{1, std::numeric_limits<float>::infinity(), 1};
  CHECK_FAILS(outcome_of([&] {
                const Tensor codes = make(bsq_tensor_encode, &options, tensor_of(x, {1, 3}).get());
                static_cast<void>(read<int64_t>(
                    make(bsq_tensor_usage, &options, codes.get(), BSQ_CODES_INDICES, kNoTensor)));
              }),
              BSQ_INVALID_ARGUMENT, "x[0, 1] is inf, expected a finite number");
}

}  // namespace
}  // namespace bsq::test
