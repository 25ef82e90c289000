#include "packing.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

#include "aligned_buffer.h"
#include "codes.h"
#include "cpu/codes.h"
#include "cpu/row_kernels.h"
#include "error.h"
#include "first_row.h"
#include "refusals.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

using cpu::CodeFormat;
using cpu::CodeLayout;

// Fewer components than this are not worth waking a second thread for.
constexpr int64_t kGrain = int64_t{256} * 1024;
// Rows whose components are apart are brought together by about so many components.
constexpr int64_t kGatheredComponents = int64_t{16} * 1024;

int64_t code_bytes(const CodeFormat& format) { return format.elements() * format.element_size(); }

// The rows of channel-first x, brought together by parts. Const T for reading.
template <class T>
class GatheredRows {
 public:
  using Value = std::remove_const_t<T>;

  GatheredRows(const Options& options, const RowShape& shape, T* x)
      : layout_(options, shape), length_(options.row_length()), x_(x) {}

  // Calls body(rows, first row, number of rows) for parts of the rows [begin, end), whose
  // components are then next to each other. What body writes is put where it belongs.
  template <class Body>
  void for_each_part(int64_t begin, int64_t end, const Body& body) const {
    if (!layout_.channel_first()) {
      body(x_ + begin * length_, begin, end - begin);
      return;
    }
    const int64_t part = std::max(int64_t{1}, kGatheredComponents / length_);
    const AlignedBuffer<Value> rows(std::min(part, end - begin) * length_, "some rows");
    for (int64_t row = begin; row < end; row += part) {
      const int64_t count = std::min(part, end - row);
      if constexpr (std::is_const_v<T>) {
        for_each_component(row, count, [&](int64_t i, T& value) { rows[i] = value; });
      }
      body(rows.get(), row, count);
      if constexpr (!std::is_const_v<T>) {
        for_each_component(row, count, [&](int64_t i, T& value) { value = rows[i]; });
      }
    }
  }

 private:
  template <class Body>
  void for_each_component(int64_t row, int64_t count, const Body& body) const {
    for (int64_t d = 0; d < length_; ++d) {
      for (int64_t r = 0; r < count; ++r) {
        body(r * length_ + d, x_[layout_.offset(row + r) + d * layout_.step()]);
      }
    }
  }

  RowLayout layout_;
  int64_t length_;
  T* x_;
};

// Refuses the first element of the code that is none.
[[noreturn]] void refuse_stored(const Options& options, const CodeFormat& format, int64_t code,
                                const void* at) {
  uint64_t words[cpu::kMaxCodeWords];
  const int64_t element = cpu::load_code(format, at, words);
  if (element < 0) {
    fail(Code::kInvalidArgument, "code ", code, " was none, and was changed during the call");
  }
  uint64_t value = 0;
  std::memcpy(&value, static_cast<const uint8_t*>(at) + element * format.element_size(),
              static_cast<size_t>(format.element_size()));
  const int64_t row = code / options.codebooks;
  const int64_t column = code % options.codebooks * format.elements() + element;
  if (format.layout == CodeLayout::kIndices) {
    refuse_index(options, row, column, static_cast<int64_t>(value));
  }
  refuse_packed(options, format, row, column, value);
}

// Whether the last element of packed code has bits of no component.
bool has_padding(const CodeFormat& format, const void* last) {
  const int64_t size = format.element_size();
  uint64_t stored = 0;
  std::memcpy(&stored, last, static_cast<size_t>(size));
  const uint64_t word = cpu::from_stored(format, stored) & cpu::low_bits(8 * size);
  return (word & ~cpu::low_bits(format.bits - (format.elements() - 1) * 8 * size)) != 0;
}

}  // namespace

template <class T>
void pack(const Options& options, const RowShape& shape, const T* x, CodeLayout layout,
          void* packed) {
  const CodeFormat format = options.code_format(layout);
  const int64_t bytes = code_bytes(format);
  const GatheredRows<const T> gathered(options, shape, x);
  FirstRow bad;
  parallel_for(shape.rows(), std::max(int64_t{1}, kGrain / options.row_length()),
               [&](int64_t begin, int64_t end) {
                 gathered.for_each_part(begin, end, [&](const T* rows, int64_t row, int64_t count) {
                   const int64_t code = row * options.codebooks;
                   const int64_t found = cpu::row_kernels<T>().pack(
                       rows, count * options.codebooks, format, options.zero_is_one,
                       static_cast<uint8_t*>(packed) + code * bytes);
                   if (found >= 0) {
                     bad.report(row + found / options.codebooks);
                   }
                 });
               });
  if (bad.found() && !options.propagate_non_finite) {
    refuse_non_finite_row(options, shape, x, bad.row());
  }
}

template <class T>
void unpack(const Options& options, const RowShape& shape, CodeLayout layout, const void* packed,
            T* quantized) {
  const CodeFormat format = options.code_format(layout);
  const int64_t bytes = code_bytes(format);
  const auto* const from = static_cast<const uint8_t*>(packed);
  const GatheredRows<T> gathered(options, shape, quantized);
  FirstRow bad;  // code, rather than row
  parallel_for(shape.rows(), std::max(int64_t{1}, kGrain / options.row_length()),
               [&](int64_t begin, int64_t end) {
                 gathered.for_each_part(begin, end, [&](T* rows, int64_t row, int64_t count) {
                   const int64_t code = row * options.codebooks;
                   const int64_t found = cpu::row_kernels<T>().unpack(
                       from + code * bytes, count * options.codebooks, format,
                       static_cast<T>(options.quantized_scale()), rows);
                   if (found >= 0) {
                     bad.report(code + found);
                   }
                 });
               });
  if (bad.found()) {
    refuse_stored(options, format, bad.row(), from + bad.row() * bytes);
  }
}

void convert(const Options& from_options, CodeLayout from_layout, const Options& to_options,
             CodeLayout to_layout, int64_t rows, const void* from, void* to) {
  const CodeFormat from_format = from_options.code_format(from_layout);
  const CodeFormat to_format = to_options.code_format(to_layout);
  const int64_t from_bytes = code_bytes(from_format);
  const int64_t to_bytes = code_bytes(to_format);
  const auto* const in = static_cast<const uint8_t*>(from);
  auto* const out = static_cast<uint8_t*>(to);
  FirstRow bad;  // code, rather than row
  parallel_for(rows * from_options.codebooks,
               std::max(int64_t{1}, kGrain / (8 * from_options.code_dim)),
               [&](int64_t begin, int64_t end) {
                 uint64_t words[cpu::kMaxCodeWords];
                 for (int64_t code = begin; code < end; ++code) {
                   if (cpu::load_code(from_format, in + code * from_bytes, words) >= 0) {
                     bad.report(code);
                     return;
                   }
                   cpu::store_code(to_format, words, out + code * to_bytes);
                 }
               });
  if (bad.found()) {
    refuse_stored(from_options, from_format, bad.row(), in + bad.row() * from_bytes);
  }
}

void check_codes(const Options& options, CodeLayout layout, int64_t rows, const void* codes) {
  const CodeFormat format = options.code_format(layout);
  const int64_t bytes = code_bytes(format);
  const auto* const in = static_cast<const uint8_t*>(codes);
  FirstRow bad;  // code, rather than row
  // Calls bad_code(first code, end) for parts of the codes, which gives the first bad one or -1.
  const auto check = [&](int64_t grain, const auto& bad_code) {
    parallel_for(rows * options.codebooks, std::max(int64_t{1}, grain),
                 [&](int64_t begin, int64_t end) {
                   const int64_t code = bad_code(begin, end);
                   if (code >= 0) {
                     bad.report(code);
                   }
                 });
  };
  if (layout == CodeLayout::kIndices || layout == CodeLayout::kBits) {
    const int64_t elements = format.elements();
    check(kGrain / elements, [&](int64_t begin, int64_t end) {
      const int64_t count = (end - begin) * elements;
      int64_t found = -1;
      if (layout == CodeLayout::kIndices) {
        found = cpu::first_bad_index(static_cast<const int64_t*>(codes) + begin * elements, count,
                                     options.group_size);
      } else {
        const uint8_t* const bits = in + begin * elements;
        const uint8_t* const above =
            std::find_if(bits, bits + count, [](uint8_t b) { return b > 1; });
        found = above == bits + count ? -1 : above - bits;
      }
      return found < 0 ? -1 : begin + found / elements;
    });
  } else if (format.bits % (8 * format.element_size()) != 0) {
    const uint8_t* const last = in + bytes - format.element_size();
    check(kGrain / 8, [&](int64_t begin, int64_t end) {
      for (int64_t code = begin; code < end; ++code) {
        if (has_padding(format, last + code * bytes)) {
          return code;
        }
      }
      return int64_t{-1};
    });
  }
  if (bad.found()) {
    refuse_stored(options, format, bad.row(), in + bad.row() * bytes);
  }
}

template <class T>
void sign_margins(const Options& options, const RowShape& shape, const T* x, T* margins) {
  check_rows(options, shape, x);
  const RowLayout layout(options, shape);
  const int64_t codebooks = options.codebooks;
  parallel_for(shape.rows(), std::max(int64_t{1}, kGrain / (8 * options.row_length())),
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) {
                   for (int64_t code = 0; code < codebooks; ++code) {
                     const T* const components =
                         x + layout.offset(row) + code * options.code_dim * layout.step();
                     margins[row * codebooks + code] = static_cast<T>(
                         cpu::sign_margin(components, options.code_dim, layout.step()));
                   }
                 }
               });
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define BSQ_INSTANTIATE(T)                                                            \
  template void pack(const Options&, const RowShape&, const T*, CodeLayout, void*);   \
  template void unpack(const Options&, const RowShape&, CodeLayout, const void*, T*); \
  template void sign_margins(const Options&, const RowShape&, const T*, T*);
// NOLINTEND(bugprone-macro-parentheses)
BSQ_INSTANTIATE(float)
BSQ_INSTANTIATE(double)
#undef BSQ_INSTANTIATE

}  // namespace bsq
