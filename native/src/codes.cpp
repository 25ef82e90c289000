#include "codes.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "aligned_buffer.h"
#include "cpu/codes.h"
#include "cpu/row_kernels.h"
#include "error.h"
#include "first_row.h"
#include "refusals.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer elements than this are not worth waking a second thread for, which takes some 10 us: of
// work that is as fast as the memory, and of arithmetic.
constexpr int64_t kCopyGrain = int64_t{256} * 1024;
constexpr int64_t kArithmeticGrain = int64_t{16} * 1024;

// So many indices, 16 MB, are not kept in the caches.
constexpr int64_t kStreamedIndices = int64_t{2} * 1024 * 1024;

int64_t grain(const Options& options, int64_t elements) {
  return std::max(int64_t{1}, elements / options.row_length());
}

// Some rows of a batch, for one thread.
template <class T>
class RowCodes {
 public:
  RowCodes(const Options& options, const RowShape& shape)
      : options_(options),
        layout_(options, shape),
        length_(options.row_length()),
        indices_(options.row_indices()),
        bits_(options.group_size) {}

  // indices[end - begin, row_indices] of x's rows [begin, end). Codes that are not finite have
  // indices 0. Returns the first row with one, or -1.
  int64_t encode(const T* x, int64_t begin, int64_t end, int64_t* indices, bool streaming) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    const cpu::BitRules rules = options_.bit_rules();
    if (!layout_.channel_first()) {
      const int64_t bad = kernels.encode(x + begin * length_, (end - begin) * indices_, bits_,
                                         rules, indices, streaming);
      return bad < 0 ? -1 : zero_non_finite(x, begin + bad / indices_, begin, end, indices);
    }
    bool finite = true;
    for_each_block(begin, end, [&](int64_t row, int64_t count) {
      for (int64_t i = 0; i < indices_; ++i) {
        finite &=
            kernels.encode_channels(component(x, row, i * bits_), layout_.step(), count, bits_,
                                    rules, indices + (row - begin) * indices_ + i, indices_);
      }
    });
    return finite ? -1 : zero_non_finite(x, begin, begin, end, indices);
  }

  // quantized, the rows [begin, end) of it, from indices[end - begin, row_indices].
  void decode(const int64_t* indices, int64_t begin, int64_t end, T* quantized) const {
    const cpu::RowKernels<T>& kernels = cpu::row_kernels<T>();
    const auto scale = static_cast<T>(options_.quantized_scale());
    const bool least_first = options_.least_first;
    if (!layout_.channel_first()) {
      kernels.decode(indices, (end - begin) * indices_, bits_, least_first, scale,
                     quantized + begin * length_);
      return;
    }
    for_each_block(begin, end, [&](int64_t row, int64_t count) {
      for (int64_t i = 0; i < indices_; ++i) {
        kernels.decode_channels(indices + (row - begin) * indices_ + i, indices_, count, bits_,
                                least_first, scale, quantized + offset(row, i * bits_),
                                layout_.step());
      }
    });
  }

  // Replaces quantized of the codes that are not finite, of the rows [begin, end).
  void quantize_non_finite(const T* x, int64_t begin, int64_t end, T* quantized) const {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t i = 0; i < length_; i += options_.code_dim) {
        const T* const code = component(x, row, i);
        if (cpu::first_non_finite(code, options_.code_dim, layout_.step()) >= 0) {
          cpu::quantize_non_finite(code, options_.code_dim, layout_.step(),
                                   static_cast<T>(options_.quantized_scale()),
                                   quantized + offset(row, i));
        }
      }
    }
  }

  // indices[end - begin, row_indices] of the codes' rows [begin, end). Returns the first row with a
  // value that is none of a code, or -1.
  int64_t codes_to_indices(const T* codes, int64_t begin, int64_t end, int64_t* indices) const {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t i = 0; i < indices_; ++i) {
        if (cpu::code_to_index(component(codes, row, i * bits_), bits_, layout_.step(),
                               options_.least_first, indices++) >= 0) {
          return row;
        }
      }
    }
    return -1;
  }

  // Refuses the first value of the row that is not finite.
  [[noreturn]] void refuse_non_finite_row(const T* x, int64_t row) const {
    const int64_t column = cpu::first_non_finite(component(x, row, 0), length_, layout_.step());
    if (column < 0) {
      fail(Code::kInvalidArgument, "x[", row, "] was not finite, and was changed during the call");
    }
    refuse_non_finite(row, column, *component(x, row, column));
  }

  // Refuses the first value of the row that is none of a code.
  [[noreturn]] void refuse_codes(const T* codes, int64_t row) const {
    for (int64_t i = 0; i < length_; i += bits_) {
      int64_t unused = 0;
      const int64_t bit =
          cpu::code_to_index(component(codes, row, i), bits_, layout_.step(), false, &unused);
      if (bit >= 0) {
        refuse_code(row, i + bit, *component(codes, row, i + bit));
      }
    }
    fail(Code::kInvalidArgument, "codes[", row, "] was no code, and was changed during the call");
  }

  // The first row that is not finite, or -1.
  int64_t first_non_finite_row(const T* x, int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      if (cpu::first_non_finite(component(x, row, 0), length_, layout_.step()) >= 0) {
        return row;
      }
    }
    return -1;
  }

 private:
  [[nodiscard]] int64_t offset(int64_t row, int64_t component) const {
    return layout_.offset(row) + component * layout_.step();
  }
  const T* component(const T* x, int64_t row, int64_t component) const {
    return x + offset(row, component);
  }

  // Calls body(row, count) for blocks of rows that are next to each other.
  template <class Body>
  void for_each_block(int64_t begin, int64_t end, const Body& body) const {
    int64_t count = 0;
    for (int64_t row = begin; row < end; row += count) {
      count = std::min({cpu::kBlockRows, layout_.neighbours(row), end - row});
      body(row, count);
    }
  }

  // Sets the indices of codes that are not finite to 0, from the row `first` on. Returns the first
  // row with one, or -1.
  int64_t zero_non_finite(const T* x, int64_t first, int64_t begin, int64_t end,
                          int64_t* indices) const {
    int64_t first_bad = -1;
    for (int64_t row = first; row < end; ++row) {
      for (int64_t code = 0; code < options_.codebooks; ++code) {
        const T* const components = component(x, row, code * options_.code_dim);
        if (cpu::first_non_finite(components, options_.code_dim, layout_.step()) >= 0) {
          std::fill_n(indices + (row - begin) * indices_ + code * options_.groups(),
                      options_.groups(), 0);
          first_bad = first_bad < 0 ? row : first_bad;
        }
      }
    }
    return first_bad;
  }

  const Options& options_;
  RowLayout layout_;
  int64_t length_;
  int64_t indices_;
  int64_t bits_;
};

// Whether all rows are finite, from the first that is not. Refuses it, by the policy.
template <class T>
bool accept(const Options& options, const RowCodes<T>& codes, const T* x, const FirstRow& bad) {
  if (bad.found() && !options.propagate_non_finite) {
    codes.refuse_non_finite_row(x, bad.row());
  }
  return !bad.found();
}

}  // namespace

template <class T>
void encode(const Options& options, const RowShape& shape, const T* x, int64_t* indices) {
  const RowCodes<T> codes(options, shape);
  const int64_t count = options.row_indices();
  const bool streaming = shape.rows() * count >= kStreamedIndices;
  FirstRow bad;
  parallel_for(shape.rows(), grain(options, kCopyGrain), [&](int64_t begin, int64_t end) {
    const int64_t row = codes.encode(x, begin, end, indices + begin * count, streaming);
    if (row >= 0) {
      bad.report(row);
    }
  });
  accept(options, codes, x, bad);
}

template <class T>
void decode(const Options& options, const RowShape& shape, const int64_t* indices, T* quantized) {
  const RowCodes<T> codes(options, shape);
  const int64_t count = options.row_indices();
  FirstRow bad;  // position, rather than row
  parallel_for(shape.rows(), grain(options, kCopyGrain), [&](int64_t begin, int64_t end) {
    const int64_t position =
        cpu::first_bad_index(indices + begin * count, (end - begin) * count, options.group_size);
    if (position >= 0) {
      bad.report(begin * count + position);
      return;
    }
    codes.decode(indices + begin * count, begin, end, quantized);
  });
  if (bad.found()) {
    refuse_index(options, bad.row() / count, bad.row() % count, indices[bad.row()]);
  }
}

template <class T>
bool quantize(const Options& options, const RowShape& shape, const T* x, T* quantized,
              int64_t* indices) {
  const Options grouped = options.with_indices();
  const RowCodes<T> codes(grouped, shape);
  const int64_t count = grouped.row_indices();
  // By parts whose indices are still in the nearest cache when they are decoded.
  constexpr int64_t kPartIndices = 256;
  const int64_t part_rows = std::max(int64_t{1}, kPartIndices / count);
  FirstRow bad;
  parallel_for(shape.rows(), grain(grouped, kCopyGrain), [&](int64_t begin, int64_t end) {
    int64_t few[kPartIndices];
    std::optional<AlignedBuffer<int64_t>> many;
    if (indices == nullptr && count > kPartIndices) {
      many.emplace(count, "the indices of a row");
    }
    int64_t* const own = many ? many->get() : few;
    for (int64_t row = begin; row < end; row += part_rows) {
      const int64_t stop = std::min(end, row + part_rows);
      int64_t* const part = indices == nullptr ? own : indices + row * count;
      const int64_t bad_row = codes.encode(x, row, stop, part, false);
      if (quantized != nullptr) {
        codes.decode(part, row, stop, quantized);
      }
      if (bad_row >= 0) {
        bad.report(bad_row);
        if (quantized != nullptr) {
          codes.quantize_non_finite(x, bad_row, stop, quantized);
        }
      }
    }
  });
  return accept(grouped, codes, x, bad);
}

template <class T>
bool check_rows(const Options& options, const RowShape& shape, const T* x) {
  const int64_t length = options.row_length();
  std::atomic<bool> finite{true};
  parallel_for(shape.rows(), grain(options, kCopyGrain), [&](int64_t begin, int64_t end) {
    // Whatever the layout is, these are as many elements as the rows have.
    if (cpu::first_non_finite(x + begin * length, (end - begin) * length) >= 0) {
      finite.store(false, std::memory_order_relaxed);
    }
  });
  if (finite || options.propagate_non_finite) {
    return finite;
  }
  const RowCodes<T> codes(options, shape);
  codes.refuse_non_finite_row(x,
                              std::max(int64_t{0}, codes.first_non_finite_row(x, 0, shape.rows())));
}

template <class T>
void refuse_non_finite_row(const Options& options, const RowShape& shape, const T* x, int64_t row) {
  RowCodes<T>(options, shape).refuse_non_finite_row(x, row);
}

template <class T>
void bits_to_codes(const T* bits, int64_t count, T* codes) {
  parallel_for(count, kCopyGrain, [&](int64_t begin, int64_t end) {
    std::transform(bits + begin, bits + end, codes + begin, [](T bit) { return bit * 2 - 1; });
  });
}

template <class T>
void codes_to_indices(const Options& options, const RowShape& shape, const T* codes,
                      int64_t* indices) {
  const RowCodes<T> row_codes(options, shape);
  FirstRow bad;
  parallel_for(shape.rows(), grain(options, kArithmeticGrain), [&](int64_t begin, int64_t end) {
    const int64_t row =
        row_codes.codes_to_indices(codes, begin, end, indices + begin * options.row_indices());
    if (row >= 0) {
      bad.report(row);
    }
  });
  if (bad.found()) {
    row_codes.refuse_codes(codes, bad.row());
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                                 \
  template void encode(const Options&, const RowShape&, const T*, int64_t*);               \
  template void decode(const Options&, const RowShape&, const int64_t*, T*);               \
  template bool quantize(const Options&, const RowShape&, const T*, T*, int64_t*);         \
  template bool check_rows(const Options&, const RowShape&, const T*);                     \
  template void refuse_non_finite_row(const Options&, const RowShape&, const T*, int64_t); \
  template void bits_to_codes(const T*, int64_t, T*);                                      \
  template void codes_to_indices(const Options&, const RowShape&, const T*, int64_t*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
