// The structs of the interface: sizes, tails, and every field out of range.
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <locale>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A call that depends on nothing but the options.
Outcome use(const bsq_options* options) {
  return Outcome(bsq_host_encode(options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0));
}

Outcome use(const bsq_options& options) { return use(&options); }

// A newer caller's struct.
struct LongerOptions {
  bsq_options known;
  std::array<unsigned char, 64> tail;
};

struct LongerLosses {
  bsq_losses known;
  std::array<double, 3> tail;
};

}  // namespace

TEST(options_null) {
  CHECK_REFUSED(use(nullptr), BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
  CHECK_REFUSED(bsq_host_decode(nullptr, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
  CHECK_REFUSED(bsq_host_forward(nullptr, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                 nullptr, 0, nullptr),
                BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
  CHECK_REFUSED(bsq_host_backward(nullptr, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                  nullptr, 0, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
  CHECK_REFUSED(bsq_host_codes_to_indices(nullptr, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
}

TEST(options_struct_size) {
  CHECK_OK(bsq_host_encode(std::array{options_for(3)}.data(), BSQ_FLOAT32, 0, 1, nullptr, 0,
                           nullptr, 0));
  for (const uint64_t size :
       {uint64_t{0}, uint64_t{1}, uint64_t{sizeof(bsq_options) - 1}, uint64_t{4097},
        uint64_t{1} << 40U, std::numeric_limits<uint64_t>::max()}) {
    bsq_options options = options_for(3);
    options.struct_size = size;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "struct_size is " + std::to_string(size));
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "at least 48");
  }
}

TEST(options_longer_than_known) {
  LongerOptions longer{options_for(3), {}};
  for (const uint64_t extra : {1, 8, 63, 64}) {
    longer.known.struct_size = sizeof(bsq_options) + extra;
    CHECK_EQ(use(&longer.known).code, BSQ_OK);
  }
  for (const size_t byte : {0, 1, 62, 63}) {
    longer.tail = {};
    longer.tail.at(byte) = 1;
    longer.known.struct_size = sizeof(longer);
    CHECK_REFUSED(use(&longer.known), BSQ_UNSUPPORTED, "112 bytes");
    longer.known.struct_size = sizeof(bsq_options) + byte;  // now it is not part of the struct
    CHECK_EQ(use(&longer.known).code, BSQ_OK);
  }
}

TEST(options_misaligned) {
  alignas(8) std::array<unsigned char, sizeof(bsq_options) + 8> memory{};
  const bsq_options options = options_for(3);
  std::memcpy(&memory[4], &options, sizeof(options));
  CHECK_REFUSED(use(reinterpret_cast<const bsq_options*>(&memory[4])), BSQ_INVALID_ARGUMENT,
                "not aligned to 8 bytes");
}

TEST(options_code_dim) {
  for (const int64_t dim : {int64_t{1}, int64_t{24}, int64_t{63}}) {
    CHECK_EQ(use(options_for(dim)).code, BSQ_OK);
  }
  for (const int64_t dim :
       {int64_t{0}, int64_t{-1}, int64_t{64}, int64_t{1} << 40U,
        std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    CHECK_REFUSED(use(options_for(dim)), BSQ_INVALID_ARGUMENT,
                  "code_dim is " + std::to_string(dim) + ", expected 1 to 63");
  }
}

TEST(options_weights) {
  bsq_options options = options_for(3);
  for (const double fine : {0.0, -0.0, -1.0, 1e300, 5e-324}) {
    options.entropy_loss_weight = fine;
    options.diversity_gamma = -fine;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    options = options_for(3);
    options.entropy_loss_weight = bad;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "entropy_loss_weight is " + show(bad));
    options = options_for(3);
    options.diversity_gamma = bad;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "diversity_gamma is " + show(bad));
  }
}

TEST(options_inverse_temperature) {
  bsq_options options = options_for(3);
  for (const double fine : {0.0, -0.0, 5e-324, 1.0, 1e30}) {
    options.inverse_temperature = fine;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
  for (const double bad : {-1.0, -5e-324, 1.0000001e30, kNan, kInfinity, -kInfinity}) {
    options.inverse_temperature = bad;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "inverse_temperature is ");
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "expected 0 to 1e30");
  }
  options.inverse_temperature = -2.5;
  CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "inverse_temperature is -2.5");
}

TEST(options_non_finite_and_implementation) {
  bsq_options options = options_for(3);
  options.non_finite = BSQ_NON_FINITE_PROPAGATE;
  CHECK_EQ(use(options).code, BSQ_OK);
  for (const int32_t bad : {-1, 2, std::numeric_limits<int32_t>::max()}) {
    options.non_finite = bad;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "non_finite is " + std::to_string(bad));
  }
  options = options_for(3);
  options.implementation = BSQ_IMPLEMENTATION_KERNELS;
  CHECK_EQ(use(options).code, BSQ_OK);
  options.implementation = BSQ_IMPLEMENTATION_OPERATORS;
  CHECK_FAILS(use(options), BSQ_UNSUPPORTED,
              "implementation is BSQ_IMPLEMENTATION_OPERATORS, which the host functions do not "
              "offer; use tensors");
  for (const int32_t bad : {-1, 3, std::numeric_limits<int32_t>::min()}) {
    options.implementation = bad;
    CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                "implementation is " + std::to_string(bad) +
                    ", expected BSQ_IMPLEMENTATION_AUTOMATIC (0) to BSQ_IMPLEMENTATION_OPERATORS "
                    "(2)");
  }
}

TEST(dtype) {
  const bsq_options options = options_for(3);
  for (const int32_t bad : {0, BSQ_FLOAT16, BSQ_UINT8, -1, std::numeric_limits<int32_t>::max()}) {
    const std::string part = "dtype is " + std::to_string(bad);
    CHECK_REFUSED(bsq_host_encode(&options, bad, 0, 1, nullptr, 0, nullptr, 0), BSQ_UNSUPPORTED,
                  part);
    CHECK_REFUSED(bsq_host_decode(&options, bad, 0, 1, nullptr, 0, nullptr, 0), BSQ_UNSUPPORTED,
                  part);
    CHECK_REFUSED(bsq_host_forward(&options, bad, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0, nullptr,
                                   0, nullptr),
                  BSQ_UNSUPPORTED, part);
    CHECK_REFUSED(bsq_host_backward(&options, bad, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                    nullptr, 0, 0, nullptr, 0),
                  BSQ_UNSUPPORTED, part);
    CHECK_REFUSED(bsq_host_bits_to_codes(bad, 0, nullptr, 0, nullptr, 0), BSQ_UNSUPPORTED, part);
    CHECK_REFUSED(bsq_host_codes_to_indices(&options, bad, 0, 1, nullptr, 0, nullptr, 0),
                  BSQ_UNSUPPORTED, part);
  }
}

TEST(losses_need_a_code_dim_of_24_at_most) {
  for (const int64_t dim : {25, 32, 63}) {
    const bsq_options options = options_for(dim);
    const std::vector<float> x = Random(1).normals<float>(2 * dim);
    const std::string part = "code_dim is " + std::to_string(dim);
    bsq_losses result = empty_losses();
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0,
                                   nullptr, 0, nullptr, 0, &result),
                  BSQ_UNSUPPORTED, part);
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                   nullptr, 0, &result),
                  BSQ_UNSUPPORTED, part);
    std::vector<float> grad_x(x.size());
    CHECK_REFUSED(bsq_host_backward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0,
                                    nullptr, 0, nullptr, 0, 1e-300, grad_x.data(), bytes(grad_x)),
                  BSQ_UNSUPPORTED, part);
    CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0,
                              grad_x.data(), bytes(grad_x), nullptr, 0, nullptr));
  }
}

TEST(losses_struct_size) {
  const bsq_options options = options_for(3);
  const std::vector<float> x{1, 2, 3};
  for (const uint64_t size : {uint64_t{0}, uint64_t{sizeof(bsq_losses) - 1}, uint64_t{4097},
                              std::numeric_limits<uint64_t>::max()}) {
    bsq_losses result = empty_losses();
    result.struct_size = size;
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT32, 1, 1, x.data(), bytes(x), nullptr, 0,
                                   nullptr, 0, nullptr, 0, &result),
                  BSQ_INVALID_ARGUMENT, "bsq_losses.struct_size is " + std::to_string(size));
    CHECK_EQ(result.aux_loss, -12345);
  }
}

TEST(losses_longer_than_known) {
  const bsq_options options = options_for(3);
  const std::vector<float> x{1, 2, 3, 3, -1, 2};
  bsq_losses expected{};
  CHECK_OK(losses(options, x, expected));
  LongerLosses longer{empty_losses(), {1, 2, 3}};
  longer.known.struct_size = sizeof(bsq_losses) + 16;
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0, nullptr, 0,
                            nullptr, 0, &longer.known));
  CHECK_EQ(longer.known.struct_size, sizeof(bsq_losses) + 16);
  CHECK_EQ(longer.known.aux_loss, expected.aux_loss);
  CHECK_EQ(longer.known.per_sample_entropy, expected.per_sample_entropy);
  CHECK_EQ(longer.known.codebook_entropy, expected.codebook_entropy);
  CHECK_EQ(longer.tail[0], 0);
  CHECK_EQ(longer.tail[1], 0);
  CHECK_EQ(longer.tail[2], 3);  // beyond struct_size
}

// Messages hold plain numbers whatever the host program's locale is.
TEST(messages_do_not_depend_on_the_locale) {
  class Grouping : public std::numpunct<char> {
    char do_thousands_sep() const override { return '\''; }
    std::string do_grouping() const override { return "\3"; }
    char do_decimal_point() const override { return ','; }
  };
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Grouping));
  CHECK_REFUSED(use(options_for(1234567)), BSQ_INVALID_ARGUMENT, "code_dim is 1234567,");
  bsq_options options = options_for(3);
  options.inverse_temperature = -2.5;
  CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "inverse_temperature is -2.5");
  std::locale::global(before);
}

}  // namespace bsq::test
