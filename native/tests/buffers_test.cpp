// The caller's memory: every buffer of every function too short, negative, NULL, misaligned,
// overlapping, absent.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr int64_t kRows = 5;
constexpr int64_t kDim = 3;
constexpr int64_t kLevels = 2;

// One buffer argument of a call.
struct Argument {
  std::string name;
  const void* data;
  int64_t bytes;    // as many as are needed
  int64_t element;  // its size, to which the buffer is aligned
  bool optional = false;
  bool output = false;
  bool by_row = true;  // rather than of one size for all rows
};

using Arguments = std::vector<Argument>;

// How many rows a call is told that there are.
struct Rows {
  int64_t items;
  int64_t positions = 1;
};

// A function of the interface as one that takes its buffer arguments in order.
struct Function {
  std::string name;
  Arguments arguments;
  std::function<bsq_status*(Rows rows, const Arguments&)> call;
};

template <class T>
T* out(const Argument& argument) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): ours
  return static_cast<T*>(const_cast<void*>(argument.data));
}

template <class T>
const T* in(const Argument& argument) {
  return static_cast<const T*>(argument.data);
}

// Memory for all arguments of all functions, and those functions.
template <class T>
class Functions {
 public:
  Functions() {
    for (size_t i = 0; i < x_.size(); ++i) {
      x_.at(i) = static_cast<T>(i % 2 == 0 ? 1 : -1);
      g_.at(i) = 1;
    }
    mask_ = {1, 0, 1, 1, 255};
    sums_in_ = {kRows, kRows, 1, 0};
    sums_of_levels_.fill(static_cast<T>(1.5 / std::sqrt(kDim)));
    level_losses_.fill(empty_losses());
    weights_.fill(1);
    const Argument x = input("x", x_);
    const Argument codes_in = input("codes", x_);
    const Argument indices_in = input("indices", indices_in_);
    const Argument mask = optional(input("mask", mask_));
    const Argument indices = output("indices", indices_);
    const Argument quantized = output("quantized", q_);
    all_ = {
        {"encode",
         {x, indices},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_encode(&options_, kDtype<T>, rows.items, rows.positions, a[0].data,
                                  a[0].bytes, out<int64_t>(a[1]), a[1].bytes);
         }},
        {"decode",
         {indices_in, quantized},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_decode(&options_, kDtype<T>, rows.items, rows.positions,
                                  in<int64_t>(a[0]), a[0].bytes, out<void>(a[1]), a[1].bytes);
         }},
        {"forward",
         {x, mask, optional(quantized), optional(indices)},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_forward(&options_, kDtype<T>, rows.items, rows.positions, a[0].data,
                                   a[0].bytes, in<uint8_t>(a[1]), a[1].bytes, out<void>(a[2]),
                                   a[2].bytes, out<int64_t>(a[3]), a[3].bytes, &losses_);
         }},
        {"loss_sums",
         {x, mask, of_one_size(output("sums", sums_))},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_loss_sums(&options_, kDtype<T>, rows.items, rows.positions, a[0].data,
                                     a[0].bytes, in<uint8_t>(a[1]), a[1].bytes, out<double>(a[2]),
                                     a[2].bytes);
         }},
        {"backward",
         {x, mask, optional(of_one_size(input("sums", sums_in_))),
          optional(input("grad_quantized", g_)), output("grad_x", q_)},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_backward(&options_, kDtype<T>, rows.items, rows.positions, a[0].data,
                                    a[0].bytes, in<uint8_t>(a[1]), a[1].bytes, in<double>(a[2]),
                                    a[2].bytes, a[3].data, a[3].bytes, 1.0, out<void>(a[4]),
                                    a[4].bytes);
         }},
        {"bits_to_codes",
         {input("bits", bits_), output("codes", codes_)},
         [](Rows rows, const Arguments& a) {
           return bsq_host_bits_to_codes(kDtype<T>, rows.items * rows.positions, a[0].data,
                                         a[0].bytes, out<void>(a[1]), a[1].bytes);
         }},
        {"codes_to_indices",
         {codes_in, indices},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_codes_to_indices(&options_, kDtype<T>, rows.items, rows.positions,
                                            a[0].data, a[0].bytes, out<int64_t>(a[1]), a[1].bytes);
         }},
        {"residual_encode",
         {x, output("indices", level_indices_)},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_residual_encode(&options_, kLevels, kDtype<T>, rows.items,
                                           rows.positions, a[0].data, a[0].bytes,
                                           out<int64_t>(a[1]), a[1].bytes);
         }},
        {"residual_decode",
         {input("indices", level_indices_in_), quantized},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_residual_decode(&options_, kLevels, kLevels, kDtype<T>, rows.items,
                                           rows.positions, in<int64_t>(a[0]), a[0].bytes,
                                           out<void>(a[1]), a[1].bytes);
         }},
        {"residual_codes_to_indices",
         {input("quantized", sums_of_levels_), output("indices", level_indices_)},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_residual_codes_to_indices(&options_, kLevels, kDtype<T>, rows.items,
                                                     rows.positions, a[0].data, a[0].bytes,
                                                     out<int64_t>(a[1]), a[1].bytes);
         }},
        {"residual",
         {x, output("residual", q_)},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_residual(&options_, 1, kDtype<T>, rows.items, rows.positions, a[0].data,
                                    a[0].bytes, out<void>(a[1]), a[1].bytes);
         }},
        {"residual_forward",
         {x, mask, optional(quantized), optional(output("indices", level_indices_))},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_residual_forward(
               &options_, kLevels, kDtype<T>, rows.items, rows.positions, a[0].data, a[0].bytes,
               in<uint8_t>(a[1]), a[1].bytes, out<void>(a[2]), a[2].bytes, out<int64_t>(a[3]),
               a[3].bytes, level_losses_.data());
         }},
        {"residual_backward",
         {x, mask, optional(input("grad_quantized", g_)),
          of_one_size(input("grad_aux_losses", weights_)), output("grad_x", q_)},
         [this](Rows rows, const Arguments& a) {
           return bsq_host_residual_backward(
               &options_, kLevels, kDtype<T>, rows.items, rows.positions, a[0].data, a[0].bytes,
               in<uint8_t>(a[1]), a[1].bytes, a[2].data, a[2].bytes, in<double>(a[3]), a[3].bytes,
               out<void>(a[4]), a[4].bytes);
         }},
    };
  }

  [[nodiscard]] const std::vector<Function>& all() const { return all_; }

 private:
  template <class Array>
  static Argument input(const char* name, const Array& array) {
    return {name, array.data(), static_cast<int64_t>(sizeof(array)), sizeof(array[0])};
  }
  template <class Array>
  static Argument output(const char* name, const Array& array) {
    Argument argument = input(name, array);
    argument.output = true;
    return argument;
  }
  static Argument optional(Argument argument) {
    argument.optional = true;
    return argument;
  }
  static Argument of_one_size(Argument argument) {
    argument.by_row = false;
    return argument;
  }

  static constexpr size_t kSums = 4 + (size_t{1} << kDim);

  bsq_options options_ = options_for(kDim);
  bsq_losses losses_ = empty_losses();
  std::array<T, kRows * kDim> x_{};
  std::array<T, kRows * kDim> g_{};
  std::array<T, kRows * kDim> q_{};
  std::array<T, kRows> bits_{};
  std::array<T, kRows> codes_{};
  std::array<uint8_t, kRows> mask_{};
  std::array<double, kSums> sums_{};
  std::array<double, kSums> sums_in_{};
  std::array<int64_t, kRows> indices_{};
  std::array<int64_t, kRows> indices_in_{};
  std::array<int64_t, kRows * kLevels> level_indices_{};
  std::array<int64_t, kRows * kLevels> level_indices_in_{};
  std::array<T, kRows * kDim> sums_of_levels_{};
  std::array<bsq_losses, kLevels> level_losses_{};
  std::array<double, kLevels> weights_{};
  std::vector<Function> all_;
};

// Calls body(function, its arguments, i) for each argument i of each function.
void for_each_argument(const std::function<void(const Function&, Arguments, size_t)>& body) {
  const auto of_all = [&](const std::vector<Function>& functions) {
    for (const Function& function : functions) {
      for (size_t i = 0; i < function.arguments.size(); ++i) {
        body(function, function.arguments, i);
      }
    }
  };
  of_all(Functions<float>().all());
  of_all(Functions<double>().all());
}

void check_refused(const Function& function, Rows rows, const Arguments& arguments,
                   const std::string& part) {
  const Outcome outcome(function.call(rows, arguments));
  check_eq(outcome.code, BSQ_INVALID_ARGUMENT, __FILE__, __LINE__,
           (function.name + ": " + part).c_str());
  check_contains(outcome.message, part, __FILE__, __LINE__, function.name.c_str());
}

void check_ok(const Function& function, Rows rows, const Arguments& arguments) {
  const Outcome outcome(function.call(rows, arguments));
  check_eq(outcome.message, "", __FILE__, __LINE__, function.name.c_str());
}

const void* moved(const void* pointer, int64_t by) {
  return static_cast<const unsigned char*>(pointer) + by;
}

}  // namespace

TEST(byte_counts) {
  for_each_argument([](const Function& function, Arguments arguments, size_t i) {
    Argument& argument = arguments[i];
    const int64_t needed = argument.bytes;
    check_ok(function, {kRows}, arguments);
    argument.bytes = needed + 1;  // claims more than there is; the library does not touch it
    check_ok(function, {kRows}, arguments);
    for (const int64_t wrong :
         {needed - 1, int64_t{1}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
      argument.bytes = wrong;
      check_refused(function, {kRows}, arguments,
                    argument.name + " has " + std::to_string(wrong) + " bytes, expected at least " +
                        std::to_string(needed));
    }
    argument.bytes = 0;
    check_refused(function, {kRows}, arguments, argument.name + " has 0 bytes, expected at least ");
  });
}

// As many rows, as items of several positions.
TEST(byte_counts_of_positions) {
  for_each_argument([](const Function& function, const Arguments& arguments, size_t i) {
    check_ok(function, {1, kRows}, arguments);
    if (arguments[i].by_row) {
      check_refused(function, {2, kRows}, arguments, " bytes, expected at least ");
      check_refused(function, {kRows, 2}, arguments, " bytes, expected at least ");
    }
  });
}

TEST(null_buffers) {
  for_each_argument([](const Function& function, Arguments arguments, size_t i) {
    Argument& argument = arguments[i];
    const int64_t needed = argument.bytes;
    argument.data = nullptr;
    check_refused(function, {kRows}, arguments,
                  argument.name + " is NULL, expected " + std::to_string(needed) + " bytes");
    argument.bytes = -1;
    check_refused(function, {kRows}, arguments, argument.name + " has -1 bytes");
    check_refused(function, {0}, arguments, argument.name + " has -1 bytes");
    argument.bytes = 0;
    if (argument.optional) {
      check_ok(function, {kRows}, arguments);
    } else {
      check_refused(function, {kRows}, arguments, argument.name + " has 0 bytes");
    }
  });
}

TEST(misaligned_buffers) {
  for_each_argument([](const Function& function, const Arguments& arguments, size_t i) {
    for (const int64_t by : {1, 2}) {
      Arguments changed = arguments;
      changed[i].data = moved(arguments[i].data, by);
      const std::string part = arguments[i].name + " is at an address not aligned to " +
                               std::to_string(arguments[i].element) + " bytes";
      if (arguments[i].element == 1) {
        check_ok(function, {kRows - 2}, changed);
      } else {
        check_refused(function, {kRows - 1}, changed, part);
      }
      if (arguments[i].by_row) {
        check_ok(function, {0}, changed);  // nothing is read
      } else {
        check_refused(function, {0}, changed, part);
      }
    }
  });
}

TEST(negative_and_zero_rows) {
  for_each_argument([](const Function& function, const Arguments& arguments, size_t i) {
    const bool counts_elements = function.name == "bits_to_codes";
    const std::string items = counts_elements ? "count" : "items";
    const std::string positions = counts_elements ? "count" : "positions";
    for (const int64_t count : {int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
      const std::string is = " is " + std::to_string(count) + ", expected at least 0";
      check_refused(function, {count}, arguments, items + is);
      check_refused(function, {1, count}, arguments, positions + is);
    }
    for (const Rows none : {Rows{0}, Rows{0, 7}, Rows{7, 0}, Rows{0, 0}}) {
      Arguments changed = arguments;
      check_ok(function, none, changed);
      if (!changed[i].by_row) {
        continue;
      }
      changed[i].data = nullptr;
      check_ok(function, none, changed);
      for (Argument& argument : changed) {
        if (argument.by_row) {
          argument.data = nullptr;
          argument.bytes = 0;
        }
      }
      check_ok(function, none, changed);
    }
  });
}

TEST(sizes_beyond_int64) {
  for_each_argument([](const Function& function, Arguments arguments, size_t) {
    for (Argument& argument : arguments) {
      argument.bytes = std::numeric_limits<int64_t>::max();
    }
    for (const int64_t rows :
         {(int64_t{1} << 61U) + 1, int64_t{1} << 62U, std::numeric_limits<int64_t>::max()}) {
      check_refused(function, {rows}, arguments, "are more than 2^63 - 1 bytes");
      check_refused(function, {1, rows}, arguments, "are more than 2^63 - 1 bytes");
    }
    if (function.name != "bits_to_codes") {
      // 2^64, 2^64 + 2^33 and about 2^126 rows: the first two would wrap to few.
      check_refused(function, {int64_t{1} << 32U, int64_t{1} << 32U}, arguments,
                    "4294967296 items of 4294967296 positions are more than 2^63 - 1 rows");
      check_refused(function, {int64_t{1} << 33U, (int64_t{1} << 31U) + 1}, arguments,
                    "are more than 2^63 - 1 rows");
      check_refused(function,
                    {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()},
                    arguments, "are more than 2^63 - 1 rows");
    }
  });
  // The product alone would wrap to a small number: 2^62 rows of 4 bytes are 0 modulo 2^64.
  bsq_options options = options_for(1);
  const float x = 0;
  int64_t index = 0;
  CHECK_REFUSED(bsq_host_encode(&options, BSQ_FLOAT32, int64_t{1} << 62U, 1, &x, 4, &index, 8),
                BSQ_INVALID_ARGUMENT, "x: 4611686018427387904 rows of 1 elements of 4 bytes");
  // So may that of x be fine, and that of the indices, 8 for each 2 bits, not.
  options = options_for(1024);
  options.group_size = 1;
  CHECK_REFUSED(bsq_host_encode(&options, BSQ_FLOAT32, int64_t{1} << 50U, 1, &x,
                                std::numeric_limits<int64_t>::max(), &index, 8),
                BSQ_INVALID_ARGUMENT, "indices: 1125899906842624 rows of 1024 elements of 8 bytes");
}

TEST(end_of_the_address_space) {
  const bsq_options options = options_for(1);
  const auto address = ~uintptr_t{0} - 15;
  const float* x = nullptr;
  std::memcpy(&x, &address, sizeof(x));
  int64_t index = 0;
  CHECK_REFUSED(bsq_host_encode(&options, BSQ_FLOAT32, 5, 1, x, 20, &index, 40),
                BSQ_INVALID_ARGUMENT, "does not fit into the address space");
}

// Every output against every other argument, by one element from either side.
TEST(overlapping_buffers) {
  for_each_argument([](const Function& function, const Arguments& arguments, size_t i) {
    for (size_t other = 0; other < arguments.size(); ++other) {
      if (other == i || !arguments[i].output) {
        continue;
      }
      std::array<double, 64> memory{};
      // The first at the last whole element of the second.
      const auto check = [&](size_t first, size_t second) {
        const int64_t alignment = std::max(arguments[first].element, arguments[second].element);
        const int64_t last = (arguments[second].bytes - 1) / alignment * alignment;
        for (const int64_t by : {int64_t{0}, last}) {
          Arguments changed = arguments;
          changed[second].data = memory.data();
          changed[first].data = moved(memory.data(), by);
          check_refused(function, {kRows}, changed, arguments[i].name + " overlaps ");
        }
      };
      // Of two outputs either may be named first.
      if (!arguments[other].output || other > i) {
        check(i, other);
        check(other, i);
      }
    }
  });
}

// Touching buffers do not overlap, nor does a longer one beyond what is used.
TEST(adjacent_buffers) {
  const bsq_options options = options_for(2);
  alignas(8) std::array<float, 8> memory{1, 2, -1, 4};
  // languages
  auto* const indices = reinterpret_cast<int64_t*>(&memory[4]);
  CHECK_OK(bsq_host_encode(&options, BSQ_FLOAT32, 2, 1, memory.data(), 32, indices, 16));
  int64_t second = -1;
  std::memcpy(&second, &memory[6], sizeof(second));
  CHECK_EQ(second, 1);
  CHECK_EQ(memory[3], 4.0F);
}

// The losses are an output, too. Were they written over by another one, the size of what is
// cleared would be whatever that holds.
TEST(losses_overlap) {
  const bsq_options options = options_for(4);
  std::array<double, 24> memory{};
  bsq_losses fresh = empty_losses();
  std::memcpy(&memory[4], &fresh, sizeof(fresh));
  // languages
  auto* const losses = reinterpret_cast<bsq_losses*>(&memory[4]);  // doubles 4 to 11
  std::array<double, 4> x{1, -2, 3, 4};
  std::array<double, 4> quantized{};
  int64_t index = 0;
  for (const size_t at : {1, 4, 11}) {
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, &memory.at(at), 32, nullptr, 0,
                                   quantized.data(), 32, &index, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps x");
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, x.data(), 32, nullptr, 0,
                                   &memory.at(at), 32, &index, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps quantized");
  }
  for (const size_t at : {4, 5, 11}) {
    auto* const indices = reinterpret_cast<int64_t*>(&memory.at(at));
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, x.data(), 32, nullptr, 0,
                                   quantized.data(), 32, indices, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps indices");
  }
  for (const size_t at : {0, 63}) {
    const auto* const mask = reinterpret_cast<const uint8_t*>(losses) + at;
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, x.data(), 32, mask, 1,
                                   quantized.data(), 32, &index, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps mask");
  }
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, memory.data(), 32,
                            reinterpret_cast<const uint8_t*>(&memory[16]), 1, &memory[12], 32,
                            &index, 8, losses));
  CHECK_EQ(losses->struct_size, sizeof(bsq_losses));
}

// Each of forward's outputs is the same whether or not the others are wanted.
template <class T>
void check_optional_outputs() {
  const bsq_options options = options_for(kDim);
  const std::vector<T> x = Random(4).normals<T>(kRows * kDim);
  Forward<T> expected;
  CHECK_OK(forward(options, x, expected));
  for (unsigned wanted = 0; wanted < 8; ++wanted) {
    const bool with_quantized = (wanted & 1U) != 0;
    const bool with_indices = (wanted & 2U) != 0;
    const bool with_losses = (wanted & 4U) != 0;
    std::vector<T> quantized(with_quantized ? x.size() : 0);
    std::vector<int64_t> indices(with_indices ? kRows : 0);
    bsq_losses losses = empty_losses();
    CHECK_OK(bsq_host_forward(&options, kDtype<T>, kRows, 1, x.data(), bytes(x), nullptr, 0,
                              with_quantized ? quantized.data() : nullptr, bytes(quantized),
                              with_indices ? indices.data() : nullptr, bytes(indices),
                              with_losses ? &losses : nullptr));
    CHECK(!with_quantized || quantized == expected.quantized);
    CHECK(!with_indices || indices == expected.indices);
    CHECK_EQ(losses.aux_loss, with_losses ? expected.losses.aux_loss : -12345);
  }
}

TEST(optional_outputs) {
  check_optional_outputs<float>();
  check_optional_outputs<double>();
}

TEST(no_rows_have_zero_losses) {
  const bsq_options options = options_for(24);
  bsq_losses losses = empty_losses();
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                            nullptr, 0, &losses));
  CHECK_EQ(losses.aux_loss, 0);
  CHECK_EQ(losses.per_sample_entropy, 0);
  CHECK_EQ(losses.codebook_entropy, 0);
  CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT32, 0, 1, nullptr, 0, nullptr, 0, nullptr, 0,
                             nullptr, 0, 1.0, nullptr, 0));
}

// Only what the shapes need is written, and inputs never.
TEST(nothing_else_is_written) {
  bsq_options options = options_for(2 * kDim);
  options.group_size = kDim;
  options.codebooks = 2;
  options.channel_first = 1;
  constexpr int64_t kPositions = 3;
  const std::vector<double> x = Random(4).normals<double>(kRows * kPositions * 4 * kDim);
  const std::vector<uint8_t> mask = {1, 2, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 3};
  std::vector<double> x_copy = x;
  std::vector<uint8_t> mask_copy = mask;
  constexpr size_t kIndices = kRows * kPositions * 4;
  const size_t sums_size = loss_sums_size(options);
  std::vector<double> quantized(x.size() + 2, -5);
  std::vector<double> gradient(x.size() + 2, -5);
  std::vector<double> sums(sums_size + 2, -5);
  std::vector<int64_t> indices(kIndices + 2, -5);
  bsq_losses losses = empty_losses();
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT64, kRows, kPositions, x_copy.data(), bytes(x_copy),
                            mask_copy.data(), bytes(mask_copy), quantized.data(), bytes(quantized),
                            indices.data(), bytes(indices), &losses));
  CHECK_OK(bsq_host_loss_sums(&options, BSQ_FLOAT64, kRows, kPositions, x_copy.data(),
                              bytes(x_copy), mask_copy.data(), bytes(mask_copy), sums.data(),
                              bytes(sums)));
  const std::vector<double> sums_copy = sums;
  CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT64, kRows, kPositions, x_copy.data(), bytes(x_copy),
                             mask_copy.data(), bytes(mask_copy), sums.data(), bytes(sums),
                             x_copy.data(), bytes(x_copy), 1.0, gradient.data(), bytes(gradient)));
  CHECK(x_copy == x);
  CHECK(mask_copy == mask);
  CHECK(sums_copy == sums);
  for (size_t extra = 0; extra < 2; ++extra) {
    CHECK_EQ(quantized[x.size() + extra], -5);
    CHECK_EQ(gradient[x.size() + extra], -5);
    CHECK_EQ(sums[sums_size + extra], -5);
    CHECK_EQ(indices[kIndices + extra], -5);
  }
  CHECK(std::count(quantized.begin(), quantized.end(), -5) == 2);
  CHECK(std::count(gradient.begin(), gradient.end(), -5) == 2);
  CHECK(std::count(sums.begin(), sums.end(), -5) == 2);
  CHECK(std::count(indices.begin(), indices.end(), -5) == 2);
}

TEST(no_handle_is_left) { CHECK_EQ(bsq_debug_live_handles(), 0); }

}  // namespace bsq::test
