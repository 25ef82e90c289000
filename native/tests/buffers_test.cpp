// The caller's memory: every buffer of every function too short, negative, NULL, misaligned,
// overlapping, absent.
#include <array>
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

// One buffer argument of a call.
struct Argument {
  std::string name;
  const void* data;
  int64_t bytes;  // as many as are needed
  bool optional;
  bool output;
};

// A function of the interface as one that takes its buffer arguments in order.
struct Function {
  std::string name;
  std::vector<Argument> arguments;
  std::function<bsq_status*(int64_t rows, const std::vector<Argument>&)> call;
};

void* out(const Argument& argument) {
  return const_cast<void*>(argument.data);  // NOLINT(cppcoreguidelines-pro-type-const-cast): ours
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
    const Argument x = input("x", x_);
    const Argument codes_in = input("codes", x_);
    const Argument indices_in = input("indices", indices_in_);
    const Argument indices = output("indices", indices_);
    const Argument quantized = output("quantized", q_);
    all_ = {
        {"encode",
         {x, indices},
         [this](int64_t rows, const std::vector<Argument>& a) {
           return bsq_host_encode(&options_, kDtype<T>, rows, 1, a[0].data, a[0].bytes,
                                  static_cast<int64_t*>(out(a[1])), a[1].bytes);
         }},
        {"decode",
         {indices_in, quantized},
         [this](int64_t rows, const std::vector<Argument>& a) {
           return bsq_host_decode(&options_, kDtype<T>, rows, 1,
                                  static_cast<const int64_t*>(a[0].data), a[0].bytes, out(a[1]),
                                  a[1].bytes);
         }},
        {"forward",
         {x, optional(quantized), optional(indices)},
         [this](int64_t rows, const std::vector<Argument>& a) {
           return bsq_host_forward(&options_, kDtype<T>, rows, 1, a[0].data, a[0].bytes, nullptr, 0,
                                   out(a[1]), a[1].bytes, static_cast<int64_t*>(out(a[2])),
                                   a[2].bytes, &losses_);
         }},
        {"backward",
         {x, optional(input("grad_quantized", g_)), output("grad_x", q_)},
         [this](int64_t rows, const std::vector<Argument>& a) {
           return bsq_host_backward(&options_, kDtype<T>, rows, 1, a[0].data, a[0].bytes, nullptr,
                                    0, nullptr, 0, a[1].data, a[1].bytes, 1.0, out(a[2]),
                                    a[2].bytes);
         }},
        {"bits_to_codes",
         {input("bits", bits_), output("codes", codes_)},
         [](int64_t rows, const std::vector<Argument>& a) {
           return bsq_host_bits_to_codes(kDtype<T>, rows, a[0].data, a[0].bytes, out(a[1]),
                                         a[1].bytes);
         }},
        {"codes_to_indices",
         {codes_in, indices},
         [this](int64_t rows, const std::vector<Argument>& a) {
           return bsq_host_codes_to_indices(&options_, kDtype<T>, rows, 1, a[0].data, a[0].bytes,
                                            static_cast<int64_t*>(out(a[1])), a[1].bytes);
         }},
    };
  }

  [[nodiscard]] const std::vector<Function>& all() const { return all_; }

 private:
  template <class Array>
  static Argument input(const char* name, const Array& array) {
    return {name, array.data(), static_cast<int64_t>(sizeof(array)), false, false};
  }
  template <class Array>
  static Argument output(const char* name, const Array& array) {
    return {name, array.data(), static_cast<int64_t>(sizeof(array)), false, true};
  }
  static Argument optional(Argument argument) {
    argument.optional = true;
    return argument;
  }

  bsq_options options_ = options_for(kDim);
  bsq_losses losses_ = empty_losses();
  std::array<T, kRows * kDim> x_{};
  std::array<T, kRows * kDim> g_{};
  std::array<T, kRows * kDim> q_{};
  std::array<T, kRows> bits_{};
  std::array<T, kRows> codes_{};
  std::array<int64_t, kRows> indices_{};
  std::array<int64_t, kRows> indices_in_{};
  std::vector<Function> all_;
};

// Each argument of each function in turn, changed; `expected` gives the code and a part of the
// message, "" for success.
void for_each_argument(
    const std::function<void(const Function&, std::vector<Argument>, size_t)>& body) {
  const Functions<float> of_float;
  const Functions<double> of_double;
  for (const Function& function : of_float.all()) {
    for (size_t i = 0; i < function.arguments.size(); ++i) {
      body(function, function.arguments, i);
    }
  }
  for (const Function& function : of_double.all()) {
    for (size_t i = 0; i < function.arguments.size(); ++i) {
      body(function, function.arguments, i);
    }
  }
}

void check_refused(const Function& function, int64_t rows, const std::vector<Argument>& arguments,
                   const std::string& part) {
  const Outcome outcome(function.call(rows, arguments));
  check_eq(outcome.code, BSQ_INVALID_ARGUMENT, __FILE__, __LINE__,
           (function.name + ": " + part).c_str());
  check_contains(outcome.message, part, __FILE__, __LINE__, function.name.c_str());
}

void check_ok(const Function& function, int64_t rows, const std::vector<Argument>& arguments) {
  const Outcome outcome(function.call(rows, arguments));
  check_eq(outcome.message, "", __FILE__, __LINE__, function.name.c_str());
}

const void* moved(const void* pointer, int64_t by) {
  return static_cast<const unsigned char*>(pointer) + by;
}

}  // namespace

TEST(byte_counts) {
  for_each_argument([](const Function& function, std::vector<Argument> arguments, size_t i) {
    Argument& argument = arguments[i];
    const int64_t needed = argument.bytes;
    check_ok(function, kRows, arguments);
    argument.bytes = needed + 1;  // claims more than there is; the library does not touch it
    check_ok(function, kRows, arguments);
    for (const int64_t wrong :
         {needed - 1, int64_t{1}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
      argument.bytes = wrong;
      check_refused(function, kRows, arguments,
                    argument.name + " has " + std::to_string(wrong) + " bytes, expected at least " +
                        std::to_string(needed));
    }
    argument.bytes = 0;
    check_refused(function, kRows, arguments, argument.name + " has 0 bytes, expected at least ");
  });
}

TEST(null_buffers) {
  for_each_argument([](const Function& function, std::vector<Argument> arguments, size_t i) {
    Argument& argument = arguments[i];
    const int64_t needed = argument.bytes;
    argument.data = nullptr;
    check_refused(function, kRows, arguments,
                  argument.name + " is NULL, expected " + std::to_string(needed) + " bytes");
    argument.bytes = -1;
    check_refused(function, kRows, arguments, argument.name + " has -1 bytes");
    check_refused(function, 0, arguments, argument.name + " has -1 bytes");
    argument.bytes = 0;
    if (argument.optional) {
      check_ok(function, kRows, arguments);
    } else {
      check_refused(function, kRows, arguments, argument.name + " has 0 bytes");
    }
  });
}

TEST(misaligned_buffers) {
  for_each_argument([](const Function& function, std::vector<Argument> arguments, size_t i) {
    for (const int64_t by : {1, 2}) {
      std::vector<Argument> changed = arguments;
      changed[i].data = moved(arguments[i].data, by);
      check_refused(function, kRows - 1, changed,
                    arguments[i].name + " is at an address not aligned to ");
      check_ok(function, 0, changed);  // nothing is read
    }
  });
}

TEST(negative_and_zero_rows) {
  for_each_argument([](const Function& function, std::vector<Argument> arguments, size_t i) {
    const char* count = function.name == "bits_to_codes" ? "count" : "rows";
    for (const int64_t rows : {int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
      check_refused(function, rows, arguments,
                    std::string(count) + " is " + std::to_string(rows) + ", expected at least 0");
    }
    check_ok(function, 0, arguments);
    arguments[i].data = nullptr;
    check_ok(function, 0, arguments);
    for (Argument& argument : arguments) {
      argument.data = nullptr;
      argument.bytes = 0;
    }
    check_ok(function, 0, arguments);
  });
}

TEST(sizes_beyond_int64) {
  for_each_argument([](const Function& function, std::vector<Argument> arguments, size_t) {
    for (Argument& argument : arguments) {
      argument.bytes = std::numeric_limits<int64_t>::max();
    }
    for (const int64_t rows :
         {(int64_t{1} << 61U) + 1, int64_t{1} << 62U, std::numeric_limits<int64_t>::max()}) {
      check_refused(function, rows, arguments, "are more than 2^63 - 1 bytes");
    }
  });
  // The product alone would wrap to a small number: 2^62 rows of 4 bytes are 0 modulo 2^64.
  const bsq_options options = options_for(1);
  const float x = 0;
  int64_t index = 0;
  CHECK_REFUSED(bsq_host_encode(&options, BSQ_FLOAT32, int64_t{1} << 62U, 1, &x, 4, &index, 8),
                BSQ_INVALID_ARGUMENT, "x: 4611686018427387904 rows of 1 elements of 4 bytes");
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
  for_each_argument([](const Function& function, std::vector<Argument> arguments, size_t i) {
    if (!arguments[i].output) {
      return;
    }
    for (size_t other = 0; other < arguments.size(); ++other) {
      if (other == i) {
        continue;
      }
      std::array<double, 64> memory{};
      for (const int64_t by : {int64_t{0}, int64_t{8}, arguments[other].bytes / 8 * 8 - 8}) {
        std::vector<Argument> changed = arguments;
        changed[other].data = memory.data();
        changed[i].data = moved(memory.data(), by);
        if (by >= arguments[other].bytes) {
          continue;
        }
        check_refused(function, kRows, changed, "overlaps");
        std::swap(changed[other].data, changed[i].data);
        if (by < arguments[i].bytes) {
          check_refused(function, kRows, changed, "overlaps");
        }
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
  std::array<double, 16> memory{};
  bsq_losses fresh = empty_losses();
  std::memcpy(&memory[4], &fresh, sizeof(fresh));
  // languages
  auto* const losses = reinterpret_cast<bsq_losses*>(&memory[4]);  // doubles 4 to 7
  std::array<double, 4> x{1, -2, 3, 4};
  std::array<double, 4> quantized{};
  int64_t index = 0;
  for (const size_t at : {1, 4, 7}) {
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, &memory.at(at), 32, nullptr, 0,
                                   quantized.data(), 32, &index, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps x");
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, x.data(), 32, nullptr, 0,
                                   &memory.at(at), 32, &index, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps quantized");
  }
  for (const size_t at : {4, 5, 7}) {
    auto* const indices = reinterpret_cast<int64_t*>(&memory.at(at));
    CHECK_REFUSED(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, x.data(), 32, nullptr, 0,
                                   quantized.data(), 32, indices, 8, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps indices");
  }
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT64, 1, 1, memory.data(), 32, nullptr, 0, &memory[8],
                            32, &index, 8, losses));
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
  const bsq_options options = options_for(kDim);
  const std::vector<double> x = Random(4).normals<double>(kRows * kDim);
  std::vector<double> x_copy = x;
  std::vector<double> quantized(x.size() + 2, -5);
  std::vector<double> gradient(x.size() + 2, -5);
  std::vector<int64_t> indices(kRows + 2, -5);
  bsq_losses losses = empty_losses();
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT64, kRows, 1, x_copy.data(), bytes(x_copy), nullptr,
                            0, quantized.data(), bytes(quantized), indices.data(), bytes(indices),
                            &losses));
  CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT64, kRows, 1, x_copy.data(), bytes(x_copy), nullptr,
                             0, nullptr, 0, x_copy.data(), bytes(x_copy), 1.0, gradient.data(),
                             bytes(gradient)));
  CHECK(x_copy == x);
  for (size_t extra = 0; extra < 2; ++extra) {
    CHECK_EQ(quantized[x.size() + extra], -5);
    CHECK_EQ(gradient[x.size() + extra], -5);
    CHECK_EQ(indices[kRows + extra], -5);
  }
}

TEST(no_handle_is_left) { CHECK_EQ(bsq_debug_live_handles(), 0); }

}  // namespace bsq::test
