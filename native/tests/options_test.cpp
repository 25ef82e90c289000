// The structs of the interface: sizes, tails, and every field out of range.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <locale>
#include <string>
#include <utility>
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
  int64_t size = 0;
  const double sum = 0;
  bsq_losses out = empty_losses();
  CHECK_REFUSED(bsq_loss_sums_size(nullptr, &size), BSQ_INVALID_ARGUMENT, "bsq_options is NULL");
  CHECK_REFUSED(bsq_losses_from_sums(nullptr, &sum, 8, &out), BSQ_INVALID_ARGUMENT,
                "bsq_options is NULL");
  CHECK_REFUSED(bsq_host_loss_sums(nullptr, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0),
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
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "expected at least 160 ");
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
    CHECK_FAILS(use(&longer.known), BSQ_UNSUPPORTED,
                "bsq_options has 224 bytes and sets an option beyond the first 160 bytes, which "
                "this version of libbsq does not know");
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
       {int64_t{0}, int64_t{-1}, int64_t{4097}, int64_t{1} << 40U,
        std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    CHECK_FAILS(use(options_for(dim)), BSQ_INVALID_ARGUMENT,
                "code_dim is " + std::to_string(dim) + ", expected 1 to 4096");
  }
  for (const int64_t dim : {64, 100, 4096}) {  // no index has as many bits
    bsq_options options = options_for(dim);
    CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                "code_dim is " + std::to_string(dim) +
                    ", but an index has at most 63 bits: set group_size, for an index of each "
                    "group, or pack the bits");
    options.group_size = 4;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
}

TEST(options_group_size) {
  bsq_options options = options_for(24);
  for (const int64_t size : {0, 1, 2, 3, 4, 6, 8, 12, 24}) {
    options.group_size = size;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
  for (const int64_t size : {5, 7, 16, 23, 25, 48, 63}) {
    options.group_size = size;
    CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                "group_size is " + std::to_string(size) + ", which does not divide code_dim 24");
  }
  options = options_for(1024);
  for (const int64_t size :
       {int64_t{-1}, int64_t{64}, int64_t{128}, int64_t{1024}, std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max()}) {
    options.group_size = size;
    CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                "group_size is " + std::to_string(size) + ", expected 1 to 63");
  }
  options = options_for(1008);
  options.group_size = 63;
  CHECK_EQ(use(options).code, BSQ_OK);
}

TEST(options_codebooks) {
  bsq_options options = options_for(3);
  for (const int64_t count : {1, 2, 1024}) {
    options.codebooks = count;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
  for (const int64_t count :
       {int64_t{0}, int64_t{-1}, int64_t{1025}, std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max()}) {
    options.codebooks = count;
    CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                "codebooks is " + std::to_string(count) + ", expected 1 to 1024");
  }
}

// Numbers that only have to be finite.
TEST(options_weights) {
  const std::array<std::pair<const char*, double bsq_options::*>, 6> weights{
      {{"entropy_loss_weight", &bsq_options::entropy_loss_weight},
       {"sample_entropy_weight", &bsq_options::sample_entropy_weight},
       {"diversity_gamma", &bsq_options::diversity_gamma},
       {"positive_offset", &bsq_options::positive_offset},
       {"commitment_weight", &bsq_options::commitment_weight},
       {"straight_through_scale", &bsq_options::straight_through_scale}}};
  for (const auto& [name, weight] : weights) {
    bsq_options options = options_for(3);
    for (const double fine : {0.0, -0.0, -1.0, 1e300, -1e300, 5e-324}) {
      options.*weight = fine;
      CHECK_EQ(use(options).code, BSQ_OK);
    }
    for (const double bad : {kNan, kInfinity, -kInfinity}) {
      options.*weight = bad;
      CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                  std::string(name) + " is " + show(bad) + ", expected a finite number");
    }
  }
}

// Numbers in a range.
TEST(options_epsilon_and_fraction) {
  for (const double fine : {1e-30, 1e-8, 0.1}) {
    bsq_options options = options_for(3);
    options.entropy_epsilon = fine;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
  for (const double bad : {0.0, -1e-5, 9e-31, 0.10000001, 1.0, kNan, kInfinity, -kInfinity}) {
    bsq_options options = options_for(3);
    options.entropy_epsilon = bad;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "entropy_epsilon is ");
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "expected 1e-30 to 0.1");
  }
  for (const double fine : {5e-324, 1e-9, 0.5, 1.0}) {
    bsq_options options = options_for(3);
    options.entropy_fraction = fine;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
  for (const double bad : {0.0, -0.0, -0.5, 1.0000001, 2.0, kNan, kInfinity, -kInfinity}) {
    bsq_options options = options_for(3);
    options.entropy_fraction = bad;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "entropy_fraction is ");
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "expected above 0, up to 1");
  }
  for (const int64_t any :
       {std::numeric_limits<int64_t>::min(), int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    bsq_options options = options_for(3);
    options.entropy_seed = any;
    CHECK_EQ(use(options).code, BSQ_OK);
  }
}

// Constants: 0 and 1.
TEST(options_choices) {
  struct Choice {
    const char* name;
    int32_t bsq_options::*field;
    const char* expected;
  };
  const std::array<Choice, 7> choices{{
      {"non_finite", &bsq_options::non_finite,
       "BSQ_NON_FINITE_REFUSE (0) or BSQ_NON_FINITE_PROPAGATE (1)"},
      {"entropy_form", &bsq_options::entropy_form,
       "BSQ_ENTROPY_EXACT (0) or BSQ_ENTROPY_ANALYTICAL (1)"},
      {"entropy_floor", &bsq_options::entropy_floor, "BSQ_FLOOR_CLAMP (0) or BSQ_FLOOR_ADD (1)"},
      {"entropy_scale", &bsq_options::entropy_scale,
       "BSQ_ENTROPY_SCALE_ONE (0) or BSQ_ENTROPY_SCALE_TEMPERATURE (1)"},
      {"positive", &bsq_options::positive, "BSQ_POSITIVE_NONE (0) or BSQ_POSITIVE_SOFTPLUS (1)"},
      {"commitment", &bsq_options::commitment,
       "BSQ_COMMITMENT_SQUARED_NORM (0) or BSQ_COMMITMENT_SQUARE (1)"},
      {"channel_first", &bsq_options::channel_first, "no (0) or yes (1)"},
  }};
  for (const Choice& choice : choices) {
    bsq_options options = options_for(3);
    for (const int32_t fine : {0, 1}) {
      options.*choice.field = fine;
      CHECK_EQ(use(options).code, BSQ_OK);
    }
    for (const int32_t bad :
         {-1, 2, 256, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
      options.*choice.field = bad;
      CHECK_FAILS(use(options), BSQ_INVALID_ARGUMENT,
                  std::string(choice.name) + " is " + std::to_string(bad) + ", expected " +
                      choice.expected);
    }
  }
}

// The weight of the entropy loss is that divided by the inverse temperature.
TEST(options_entropy_scale) {
  bsq_options options = options_for(3);
  options.entropy_scale = BSQ_ENTROPY_SCALE_TEMPERATURE;
  CHECK_EQ(use(options).code, BSQ_OK);
  for (const double temperature : {0.0, -0.0, 5e-324, 1e-310}) {
    options.inverse_temperature = temperature;
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "entropy_loss_weight is 0.1 and divided by ");
    CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "expected a finite quotient");
  }
  options.entropy_loss_weight = 0;
  CHECK_EQ(use(options).code, BSQ_OK);  // 0 / 1e-310
  options.inverse_temperature = 0;
  CHECK_REFUSED(use(options), BSQ_INVALID_ARGUMENT, "entropy_loss_weight is 0 and divided by ");
}

// What every function that takes options says to wrong ones.
TEST(all_functions_check_the_options) {
  bsq_options options = options_for(24);
  options.group_size = 5;
  const std::string part = "group_size is 5, which does not divide code_dim 24";
  int64_t size = -1;
  const double sum = 0;
  bsq_losses out = empty_losses();
  CHECK_REFUSED(bsq_loss_sums_size(&options, &size), BSQ_INVALID_ARGUMENT, part);
  CHECK_EQ(size, -1);
  CHECK_REFUSED(bsq_losses_from_sums(&options, &sum, 8, &out), BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_decode(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                 nullptr, 0, &out),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_loss_sums(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_backward(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                  nullptr, 0, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_codes_to_indices(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_residual_encode(&options, 2, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_residual_decode(&options, 2, 2, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(
      bsq_host_residual_codes_to_indices(&options, 2, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
      BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_residual(&options, 1, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_residual_forward(&options, 2, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0,
                                          nullptr, 0, nullptr, 0, &out),
                BSQ_INVALID_ARGUMENT, part);
  CHECK_REFUSED(bsq_host_residual_backward(&options, 2, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0,
                                           nullptr, 0, &sum, 16, nullptr, 0),
                BSQ_INVALID_ARGUMENT, part);
}

TEST(options_init) {
  bsq_options options;
  std::memset(&options, 0x55, sizeof(options));
  CHECK_OK(bsq_options_init(&options, sizeof(options), 1024));
  CHECK_EQ(options.struct_size, sizeof(bsq_options));
  CHECK_EQ(options.code_dim, 1024);
  CHECK_EQ(options.entropy_loss_weight, 0.1);
  CHECK_EQ(options.diversity_gamma, 1.0);
  CHECK_EQ(options.inverse_temperature, 100.0);
  CHECK_EQ(options.non_finite, BSQ_NON_FINITE_REFUSE);
  CHECK_EQ(options.implementation, BSQ_IMPLEMENTATION_AUTOMATIC);
  CHECK_EQ(options.codebooks, 1);
  CHECK_EQ(options.group_size, 0);
  CHECK_EQ(options.entropy_form, BSQ_ENTROPY_EXACT);
  CHECK_EQ(options.entropy_floor, BSQ_FLOOR_CLAMP);
  CHECK_EQ(options.entropy_epsilon, 1e-5);
  CHECK_EQ(options.sample_entropy_weight, 1.0);
  CHECK_EQ(options.entropy_scale, BSQ_ENTROPY_SCALE_ONE);
  CHECK_EQ(options.positive, BSQ_POSITIVE_NONE);
  CHECK_EQ(options.positive_offset, 5.0);
  CHECK_EQ(options.commitment, BSQ_COMMITMENT_SQUARED_NORM);
  CHECK_EQ(options.channel_first, 0);
  CHECK_EQ(options.commitment_weight, 0.0);
  CHECK_EQ(options.straight_through_scale, 1.0);
  CHECK_EQ(options.entropy_fraction, 1.0);
  CHECK_EQ(options.entropy_seed, 0);
  CHECK_EQ(options.bit_order, BSQ_ORDER_MOST_FIRST);
  CHECK_EQ(options.tie, BSQ_TIE_ZERO);
  CHECK_EQ(options.code_scale, BSQ_SCALE_UNIT);
  CHECK_EQ(options.byte_form, BSQ_BYTES_PLAIN);
}

TEST(options_init_refuses) {
  bsq_options options = options_for(7);
  CHECK_REFUSED(bsq_options_init(nullptr, sizeof(options), 3), BSQ_INVALID_ARGUMENT,
                "options is NULL");
  for (const uint64_t size : {uint64_t{0}, uint64_t{sizeof(options) - 1}, uint64_t{4097},
                              std::numeric_limits<uint64_t>::max()}) {
    CHECK_REFUSED(bsq_options_init(&options, size, 3), BSQ_INVALID_ARGUMENT,
                  "struct_size is " + std::to_string(size) + ", expected at least 160 ");
  }
  for (const int64_t dim : {int64_t{0}, int64_t{-5}, int64_t{4097}}) {
    CHECK_FAILS(bsq_options_init(&options, sizeof(options), dim), BSQ_INVALID_ARGUMENT,
                "code_dim is " + std::to_string(dim) + ", expected 1 to 4096");
  }
  CHECK_EQ(options.code_dim, 7);  // not touched
  alignas(8) std::array<unsigned char, sizeof(bsq_options) + 8> memory{};
  CHECK_REFUSED(bsq_options_init(reinterpret_cast<bsq_options*>(&memory[4]), sizeof(options), 3),
                BSQ_INVALID_ARGUMENT, "not aligned to 8 bytes");
}

// A newer caller's struct: its own options get a 0, which stands for their defaults.
TEST(options_init_clears_what_it_does_not_know) {
  LongerOptions longer{};
  longer.tail.fill(0x55);
  CHECK_OK(bsq_options_init(&longer.known, sizeof(bsq_options) + 60, 3));
  CHECK_EQ(longer.known.struct_size, sizeof(bsq_options) + 60);
  CHECK(std::all_of(longer.tail.begin(), longer.tail.begin() + 60,
                    [](unsigned char byte) { return byte == 0; }));
  CHECK_EQ(longer.tail[60], 0x55);  // beyond struct_size
  CHECK_EQ(use(&longer.known).code, BSQ_OK);
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

TEST(options_implementation) {
  bsq_options options = options_for(3);
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
    CHECK_REFUSED(bsq_host_loss_sums(&options, bad, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0),
                  BSQ_UNSUPPORTED, part);
    CHECK_REFUSED(bsq_host_bits_to_codes(bad, 0, nullptr, 0, nullptr, 0), BSQ_UNSUPPORTED, part);
    CHECK_REFUSED(bsq_host_codes_to_indices(&options, bad, 0, 1, nullptr, 0, nullptr, 0),
                  BSQ_UNSUPPORTED, part);
  }
}

// What needs memory for the codes of a distribution is served up to 24 bits, and in groups up
// to 16.
TEST(losses_need_few_codes) {
  struct Codes {
    int64_t dim;
    int64_t group_size;
    const char* part;
  };
  for (const Codes& codes : std::vector<Codes>{{25, 0, "code_dim is 25: "},
                                               {25, 25, "code_dim is 25: "},
                                               {63, 0, "code_dim is 63: "},
                                               {34, 17, "group_size is 17: "},
                                               {1008, 63, "group_size is 63: "}}) {
    bsq_options options = options_for(codes.dim);
    options.group_size = codes.group_size;
    const std::vector<float> x = Random(1).normals<float>(2 * codes.dim);
    bsq_losses result = empty_losses();
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0,
                                   nullptr, 0, nullptr, 0, &result),
                  BSQ_UNSUPPORTED, codes.part);
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                                   nullptr, 0, &result),
                  BSQ_UNSUPPORTED, codes.part);
    int64_t size = -1;
    double sum = 0;
    CHECK_REFUSED(bsq_loss_sums_size(&options, &size), BSQ_UNSUPPORTED, codes.part);
    CHECK_REFUSED(bsq_losses_from_sums(&options, &sum, 8, &result), BSQ_UNSUPPORTED, codes.part);
    CHECK_REFUSED(
        bsq_host_loss_sums(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0, &sum, 8),
        BSQ_UNSUPPORTED, codes.part);
    std::vector<float> grad_x(x.size());
    CHECK_REFUSED(bsq_host_backward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0,
                                    nullptr, 0, nullptr, 0, 1e-300, grad_x.data(), bytes(grad_x)),
                  BSQ_UNSUPPORTED, codes.part);
    CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0,
                              grad_x.data(), bytes(grad_x), nullptr, 0, nullptr));
    CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0, nullptr,
                               0, x.data(), bytes(x), 0.0, grad_x.data(), bytes(grad_x)));
    options.entropy_form = BSQ_ENTROPY_ANALYTICAL;
    CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 2, 1, x.data(), bytes(x), nullptr, 0, nullptr,
                              0, nullptr, 0, &result));
    CHECK(result.codebook_entropy > 0);
  }
}

TEST(loss_sums_size) {
  struct Codes {
    int64_t codebooks;
    int64_t dim;
    int64_t group_size;
    int32_t form;
    int64_t size;
  };
  for (const Codes& codes :
       std::vector<Codes>{{1, 1, 0, BSQ_ENTROPY_EXACT, 4 + 2},
                          {1, 13, 0, BSQ_ENTROPY_EXACT, 4 + 8192},
                          {1, 24, 24, BSQ_ENTROPY_EXACT, 4 + (int64_t{1} << 24U)},
                          {3, 36, 9, BSQ_ENTROPY_EXACT, 4 + int64_t{3} * 4 * 512},
                          {3, 36, 9, BSQ_ENTROPY_ANALYTICAL, 4 + int64_t{3} * 36 * 2},
                          {1, 63, 0, BSQ_ENTROPY_ANALYTICAL, 4 + 126},
                          {1024, 1024, 16, BSQ_ENTROPY_EXACT, 4 + (int64_t{1} << 32U)}}) {
    bsq_options options = options_for(codes.dim);
    options.codebooks = codes.codebooks;
    options.group_size = codes.group_size;
    options.entropy_form = codes.form;
    int64_t size = -1;
    CHECK_OK(bsq_loss_sums_size(&options, &size));
    CHECK_EQ(size, codes.size);
  }
  const bsq_options options = options_for(3);
  CHECK_REFUSED(bsq_loss_sums_size(&options, nullptr), BSQ_INVALID_ARGUMENT, "size is NULL");
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
  CHECK_EQ(longer.known.entropy_loss, expected.entropy_loss);
  CHECK_EQ(longer.known.commitment, 0);
  CHECK_EQ(longer.known.rows, 2);
  CHECK_EQ(longer.known.entropy_rows, 2);
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
