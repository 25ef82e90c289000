// Compiled once for each instruction set: see dispatch.cpp and row_kernels.cpp.
#include "cpu/hamming_kernels.h"

#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace bsq::cpu::BSQ_CPU_ARCHITECTURE {
namespace {

// Codes of any size, word by word.
void count_words(int64_t code_bytes, const uint8_t* query, int64_t count, const uint8_t* codes,
                 int32_t* distances) {
  constexpr int64_t kWord = sizeof(uint64_t);
  const int64_t whole = code_bytes / kWord * kWord;
  const auto rest = static_cast<size_t>(code_bytes - whole);
  uint64_t query_rest = 0;
  std::memcpy(&query_rest, query + whole, rest);
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* const code = codes + i * code_bytes;
    int64_t distance = 0;
    for (int64_t byte = 0; byte < whole; byte += kWord) {
      uint64_t a = 0;
      uint64_t b = 0;
      std::memcpy(&a, code + byte, kWord);
      std::memcpy(&b, query + byte, kWord);
      distance += __builtin_popcountll(a ^ b);
    }
    uint64_t code_rest = 0;
    std::memcpy(&code_rest, code + whole, rest);
    distances[i] = static_cast<int32_t>(distance + __builtin_popcountll(code_rest ^ query_rest));
  }
}

#if defined(__AVX2__)

// The numbers of ones of 0, ..., 15, for each part of a vector that is looked up by itself.
constexpr uint8_t kBitsOfNibbles[] = {
    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};

// Bytes as a vector, and the bits of each byte.
#if defined(__AVX512BW__)
using Bytes = __m512i;
constexpr int64_t kBytes = 64;

Bytes load_bytes(const uint8_t* from) { return _mm512_loadu_si512(from); }
Bytes bits_of(Bytes x) {
  const Bytes table = load_bytes(kBitsOfNibbles);
  const Bytes low = _mm512_set1_epi8(15);
  return _mm512_add_epi8(
      _mm512_shuffle_epi8(table, _mm512_and_si512(x, low)),
      _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(x, 4), low)));
}
Bytes different(Bytes a, Bytes b) { return bits_of(_mm512_xor_si512(a, b)); }
Bytes sums_of_8(Bytes bits) { return _mm512_sad_epu8(bits, _mm512_setzero_si512()); }
Bytes sums_of_2(Bytes bits) { return _mm512_maddubs_epi16(bits, _mm512_set1_epi8(1)); }
Bytes sums_of_4(Bytes bits) { return _mm512_madd_epi16(sums_of_2(bits), _mm512_set1_epi16(1)); }
Bytes add_words(Bytes a, Bytes b) { return _mm512_add_epi64(a, b); }
#else
using Bytes = __m256i;
constexpr int64_t kBytes = 32;

Bytes load_bytes(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
Bytes bits_of(Bytes x) {
  const Bytes table = load_bytes(kBitsOfNibbles);
  const Bytes low = _mm256_set1_epi8(15);
  return _mm256_add_epi8(
      _mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
      _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}
Bytes different(Bytes a, Bytes b) { return bits_of(_mm256_xor_si256(a, b)); }
Bytes sums_of_8(Bytes bits) { return _mm256_sad_epu8(bits, _mm256_setzero_si256()); }
Bytes sums_of_2(Bytes bits) { return _mm256_maddubs_epi16(bits, _mm256_set1_epi8(1)); }
Bytes sums_of_4(Bytes bits) { return _mm256_madd_epi16(sums_of_2(bits), _mm256_set1_epi16(1)); }
Bytes add_words(Bytes a, Bytes b) { return _mm256_add_epi64(a, b); }
#endif

// The lanes of a vector as integers.
template <class Lane>
struct Lanes {
  explicit Lanes(Bytes from) { std::memcpy(values, &from, sizeof(values)); }
  Lane values[kBytes / sizeof(Lane)];
};

// Codes of which a vector holds several whole ones. Returns how many it counted.
template <int64_t kCodeBytes>
int64_t count_short(const uint8_t* query, int64_t count, const uint8_t* codes, int32_t* distances) {
  constexpr int64_t kCodes = kBytes / kCodeBytes;
  uint8_t repeated[kBytes];
  for (int64_t i = 0; i < kBytes; ++i) {
    repeated[i] = query[i % kCodeBytes];
  }
  const Bytes queries = load_bytes(repeated);
  int64_t i = 0;
  for (; i + kCodes <= count; i += kCodes) {
    const Bytes bits = different(load_bytes(codes + i * kCodeBytes), queries);
    int32_t* const to = distances + i;
    if constexpr (kCodeBytes == 1) {
      const Lanes<uint8_t> sums(bits);
      for (int64_t code = 0; code < kCodes; ++code) {
        to[code] = sums.values[code];
      }
    } else if constexpr (kCodeBytes == 2) {
      const Lanes<int16_t> sums(sums_of_2(bits));
      for (int64_t code = 0; code < kCodes; ++code) {
        to[code] = sums.values[code];
      }
    } else if constexpr (kCodeBytes == 4) {
      const Bytes sums = sums_of_4(bits);
      std::memcpy(to, &sums, sizeof(sums));
    } else {
      constexpr int64_t kCodeWords = kCodeBytes / 8;
      const Lanes<int64_t> sums(sums_of_8(bits));
      for (int64_t code = 0; code < kCodes; ++code) {
        int64_t distance = 0;
        for (int64_t word = 0; word < kCodeWords; ++word) {
          distance += sums.values[code * kCodeWords + word];
        }
        to[code] = static_cast<int32_t>(distance);
      }
    }
  }
  return i;
}

// Codes of several vectors.
void count_long(int64_t code_bytes, const uint8_t* query, int64_t count, const uint8_t* codes,
                int32_t* distances) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* const code = codes + i * code_bytes;
    Bytes sums = sums_of_8(different(load_bytes(code), load_bytes(query)));
    for (int64_t byte = kBytes; byte < code_bytes; byte += kBytes) {
      sums =
          add_words(sums, sums_of_8(different(load_bytes(code + byte), load_bytes(query + byte))));
    }
    const Lanes<int64_t> words(sums);
    int64_t distance = 0;
    for (const int64_t word : words.values) {
      distance += word;
    }
    distances[i] = static_cast<int32_t>(distance);
  }
}

#endif

void distances(int64_t code_bytes, const uint8_t* query, int64_t count, const uint8_t* codes,
               int32_t* distances) {
  int64_t counted = 0;
#if defined(__AVX2__)
  switch (code_bytes) {
    case 1:
      counted = count_short<1>(query, count, codes, distances);
      break;
    case 2:
      counted = count_short<2>(query, count, codes, distances);
      break;
    case 4:
      counted = count_short<4>(query, count, codes, distances);
      break;
    case 8:
      counted = count_short<8>(query, count, codes, distances);
      break;
    case 16:
      counted = count_short<16>(query, count, codes, distances);
      break;
    case 32:
      counted = count_short<32>(query, count, codes, distances);
      break;
    default:
      if (code_bytes % kBytes == 0) {
        count_long(code_bytes, query, count, codes, distances);
        return;
      }
  }
#endif
  count_words(code_bytes, query, count - counted, codes + counted * code_bytes,
              distances + counted);
}

}  // namespace

extern const HammingKernels kHammingKernels;
const HammingKernels kHammingKernels{distances};

}  // namespace bsq::cpu::BSQ_CPU_ARCHITECTURE
