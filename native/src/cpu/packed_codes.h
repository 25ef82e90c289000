// How codes are stored: as indices, packed bits or single bits, in one order of the bits or the
// other. See "Codes" in bsq.h. Integer arithmetic alone.
//
// In between, a code is an array of words: component d's bit is bit d % 64 of word d / 64, and bits
// beyond the last component are 0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace bsq::cpu {

static_assert(std::endian::native == std::endian::little);

inline constexpr int64_t kWordBits = 64;
inline constexpr int64_t kMaxCodeWords = 64;

// How components become bits, and bits an integer.
struct BitRules {
  bool least_first;  // the first bit is the least significant of its index, byte or word
  bool zero_is_one;  // a component of 0 gives a 1
};

enum class CodeLayout : int32_t { kIndices, kBytes, kWords, kBits };

// What a code of `bits` bits is stored as.
struct CodeFormat {
  CodeLayout layout;
  int64_t bits;
  int64_t group_size;    // the bits of an index
  bool least_first;      // see BitRules
  uint64_t byte_offset;  // of kBytes, eight times: by which bytes are changed, bit by bit

  // Elements of a code, and their size.
  [[nodiscard]] int64_t elements() const {
    switch (layout) {
      case CodeLayout::kIndices:
        return bits / group_size;
      case CodeLayout::kBytes:
        return (bits + 7) / 8;
      case CodeLayout::kWords:
        return words();
      default:
        return bits;
    }
  }
  [[nodiscard]] int64_t element_size() const {
    return layout == CodeLayout::kIndices || layout == CodeLayout::kWords ? 8 : 1;
  }
  [[nodiscard]] int64_t words() const { return (bits + kWordBits - 1) / kWordBits; }
};

// The functions have internal linkage: they are compiled for several instruction sets.
// NOLINTBEGIN(cert-dcl59-cpp,google-build-namespaces,misc-definitions-in-headers)
namespace {

// In each of the eight bytes.
[[maybe_unused]] uint64_t reverse_bytes_bits(uint64_t word) {
  word = (word >> 1 & 0x5555555555555555U) | (word & 0x5555555555555555U) << 1;
  word = (word >> 2 & 0x3333333333333333U) | (word & 0x3333333333333333U) << 2;
  return (word >> 4 & 0x0F0F0F0F0F0F0F0FU) | (word & 0x0F0F0F0F0F0F0F0FU) << 4;
}

[[maybe_unused]] uint64_t reverse_bits(uint64_t word) {
  return __builtin_bswap64(reverse_bytes_bits(word));
}

// The lowest `count` bits, 0 to 64.
[[maybe_unused]] uint64_t low_bits(int64_t count) {
  return count >= kWordBits ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// Between a word of the array and what is stored: of bytes eight of them, of words one.
[[maybe_unused]] uint64_t to_stored(const CodeFormat& format, uint64_t word) {
  if (format.layout == CodeLayout::kBytes) {
    return (format.least_first ? word : reverse_bytes_bits(word)) ^ format.byte_offset;
  }
  return format.least_first ? word : reverse_bits(word);
}
[[maybe_unused]] uint64_t from_stored(const CodeFormat& format, uint64_t stored) {
  if (format.layout == CodeLayout::kBytes) {
    stored ^= format.byte_offset;
    return format.least_first ? stored : reverse_bytes_bits(stored);
  }
  return format.least_first ? stored : reverse_bits(stored);
}

// Of an array of words, `count` bits from `first` on.
[[maybe_unused]] uint64_t extract(const uint64_t* words, int64_t first, int64_t count) {
  const int64_t shift = first % kWordBits;
  uint64_t bits = words[first / kWordBits] >> shift;
  if (shift + count > kWordBits) {
    bits |= words[first / kWordBits + 1] << (kWordBits - shift);
  }
  return bits & low_bits(count);
}

[[maybe_unused]] void insert(uint64_t bits, int64_t first, int64_t count, uint64_t* words) {
  const int64_t shift = first % kWordBits;
  words[first / kWordBits] |= bits << shift;
  if (shift + count > kWordBits) {
    words[first / kWordBits + 1] |= bits >> (kWordBits - shift);
  }
}

// The code at `from`. Returns the first element that is none of a code, or -1.
[[maybe_unused]] int64_t load_code(const CodeFormat& format, const void* from, uint64_t* words) {
  const auto* bytes = static_cast<const uint8_t*>(from);
  int64_t bad = -1;
  std::fill_n(words, format.words(), uint64_t{0});
  switch (format.layout) {
    case CodeLayout::kIndices:
      for (int64_t i = 0; i < format.elements(); ++i) {
        uint64_t index = 0;
        std::memcpy(&index, bytes + i * 8, sizeof(index));
        if (index > low_bits(format.group_size)) {
          return i;
        }
        insert(format.least_first ? index : reverse_bits(index) >> (kWordBits - format.group_size),
               i * format.group_size, format.group_size, words);
      }
      return -1;
    case CodeLayout::kBits:
      for (int64_t i = 0; i < format.bits; ++i) {
        if (bytes[i] > 1) {
          return i;
        }
        insert(bytes[i], i, 1, words);
      }
      return -1;
    default:
      const int64_t size = format.elements() * format.element_size();
      for (int64_t i = 0; i < format.words(); ++i) {
        const int64_t count = std::min<int64_t>(8, size - i * 8);
        uint64_t stored = to_stored(format, 0);
        std::memcpy(&stored, bytes + i * 8, static_cast<size_t>(count));
        words[i] = from_stored(format, stored);
      }
      uint64_t& last = words[format.words() - 1];
      const uint64_t known = low_bits(format.bits - (format.words() - 1) * kWordBits);
      if ((last & ~known) != 0) {
        bad = format.elements() - 1;
      }
      return bad;
  }
}

[[maybe_unused]] void store_code(const CodeFormat& format, const uint64_t* words, void* to) {
  auto* bytes = static_cast<uint8_t*>(to);
  switch (format.layout) {
    case CodeLayout::kIndices:
      for (int64_t i = 0; i < format.elements(); ++i) {
        uint64_t index = extract(words, i * format.group_size, format.group_size);
        if (!format.least_first) {
          index = reverse_bits(index) >> (kWordBits - format.group_size);
        }
        std::memcpy(bytes + i * 8, &index, sizeof(index));
      }
      return;
    case CodeLayout::kBits:
      for (int64_t i = 0; i < format.bits; ++i) {
        bytes[i] = static_cast<uint8_t>(extract(words, i, 1));
      }
      return;
    default:
      const int64_t size = format.elements() * format.element_size();
      for (int64_t i = 0; i < format.words(); ++i) {
        const uint64_t stored = to_stored(format, words[i]);
        std::memcpy(bytes + i * 8, &stored,
                    static_cast<size_t>(std::min<int64_t>(8, size - i * 8)));
      }
  }
}

}  // namespace
// NOLINTEND(cert-dcl59-cpp,google-build-namespaces,misc-definitions-in-headers)

}  // namespace bsq::cpu
