#include "usage.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "aligned_buffer.h"
#include "bsq/bsq.h"
#include "cpu/bit_kernels.h"
#include "cpu/packed_codes.h"
#include "packing.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

using cpu::CodeFormat;
using cpu::CodeLayout;
using cpu::kLineWords;
using cpu::kWordBits;

// Fewer codes than this are not worth waking a second thread for.
constexpr int64_t kGrain = int64_t{16} * 1024;
// What counters of the threads' own may take together.
constexpr int64_t kMaxOwnBytes = int64_t{128} * 1024 * 1024;
// What the lines of bits take, about: they shall stay in a cache that the threads share.
constexpr int64_t kLinesBytes = int64_t{4} * 1024 * 1024;
constexpr int64_t kMinWords = 256;
constexpr int64_t kMaxWords = int64_t{16} * 1024;
// So many words of a line are one thread's: it adds what it found to the counts atomically.
constexpr int64_t kSegmentWords = 2048;
// Lines of a tile, of which each is paired with each.
constexpr int64_t kTile = 8;

// Sums above 2^63 - 1 wrap around, which those of signed numbers are not allowed to.
void add_to(int64_t& sum, int64_t more) {
  sum = static_cast<int64_t>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(more));
}

// The codes of one codebook.
class CodebookCodes {
 public:
  CodebookCodes(const Options& options, CodeLayout layout, const void* codes, const uint8_t* mask,
                int64_t codebook)
      : format_(options.code_format(layout)),
        step_(options.codebooks * format_.elements() * format_.element_size()),
        first_(static_cast<const uint8_t*>(codes) + codebook * (step_ / options.codebooks)),
        mask_(mask),
        index_is_stored_(layout == CodeLayout::kIndices && format_.elements() == 1 &&
                         !format_.least_first) {}

  [[nodiscard]] bool counts(int64_t row) const { return mask_ == nullptr || mask_[row] != 0; }

  void load(int64_t row, uint64_t* words) const {
    static_cast<void>(cpu::load_code(format_, first_ + row * step_, words));
  }

  // Adds the codes of the rows to their counters.
  void count(int64_t begin, int64_t end, int64_t* counts) const {
    const uint64_t last = cpu::low_bits(format_.bits);
    for (int64_t row = begin; row < end; ++row) {
      if (!this->counts(row)) {
        continue;
      }
      uint64_t index = 0;
      if (index_is_stored_) {
        std::memcpy(&index, first_ + row * step_, sizeof(index));
      } else {
        load(row, &index);
        index = cpu::reverse_bits(index) >> (kWordBits - format_.bits);
      }
      // Whoever changes codes meanwhile gets wrong counts, and no more.
      add_to(counts[index & last], 1);
    }
  }

 private:
  CodeFormat format_;
  int64_t step_;  // bytes of a row
  const uint8_t* first_;
  const uint8_t* mask_;
  bool index_is_stored_;
};

void count_codes(const Options& options, CodeLayout layout, int64_t rows, const void* codes,
                 const uint8_t* mask, int64_t* counts) {
  const int64_t size = codebook_usage_size(options);
  const int64_t all = usage_size(options);
  const auto count = [&](int64_t codebook, int64_t begin, int64_t end, int64_t* to) {
    CodebookCodes(options, layout, codes, mask, codebook).count(begin, end, to + codebook * size);
  };
  // Counters of its own for each part of the rows: for many rows, as these are cleared and added up
  // again, and as far as memory goes.
  const int64_t parts = std::min({int64_t{num_threads()}, rows / std::max(kGrain, size),
                                  kMaxOwnBytes / (all * static_cast<int64_t>(sizeof(int64_t)))});
  if (parts < 2) {
    parallel_for(options.codebooks, std::max(int64_t{1}, kGrain / std::max(int64_t{1}, rows)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t codebook = begin; codebook < end; ++codebook) {
                     count(codebook, 0, rows, counts);
                   }
                 });
    return;
  }
  const AlignedBuffer<int64_t> own(parts * all, "counters of the threads' own");
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      int64_t* const to = own.get() + part * all;
      std::fill_n(to, all, 0);
      for (int64_t codebook = 0; codebook < options.codebooks; ++codebook) {
        count(codebook, rows / parts * part, part + 1 == parts ? rows : rows / parts * (part + 1),
              to);
      }
    }
  });
  parallel_for(all, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t i = begin; i < end; ++i) {
        add_to(counts[i], own[part * all + i]);
      }
    }
  });
}

// Of a square matrix of bits, bit c of row r and bit r of row c change places.
void transpose(uint64_t* matrix) {
  uint64_t mask = 0x00000000FFFFFFFFU;
  for (int64_t half = kWordBits / 2; half > 0; half /= 2) {
    for (int64_t block = 0; block < kWordBits; block += 2 * half) {
      for (int64_t row = block; row < block + half; ++row) {
        const uint64_t exchanged = (matrix[row] >> half ^ matrix[row + half]) & mask;
        matrix[row] ^= exchanged << half;
        matrix[row + half] ^= exchanged;
      }
    }
    mask ^= mask << half / 2;
  }
}

// The bits of some rows' codes, a line for each bit: the pairs of bits that are 1 in a code are
// then those of lines, which vectors count.
class BitLines {
 public:
  BitLines(int64_t dim, int64_t max_words)
      : dim_(dim),
        // Lines that are a power of 2 apart would compete for the same places of a cache.
        stride_(max_words + kLineWords),
        lines_(dim * stride_, "lines of bits") {}

  // Those of the rows [begin, end), but for those that do not count, which are zeros.
  void load(const CodebookCodes& codes, int64_t begin, int64_t end) {
    const int64_t used = (end - begin + kWordBits - 1) / kWordBits;
    words_ = (used + kLineWords - 1) / kLineWords * kLineWords;
    parallel_for(words_, std::max(int64_t{1}, kGrain / kWordBits),
                 [&](int64_t first, int64_t last) {
                   for (int64_t word = first; word < last; ++word) {
                     load_word(codes, begin + word * kWordBits, end, word);
                   }
                 });
  }

  // Adds the pairs: see bsq.h.
  void add_pairs(int64_t* pairs) const {
    const int64_t tiles = (dim_ + kTile - 1) / kTile;
    // The longest row of tiles goes with the shortest, so that all make as much work.
    const int64_t folded = (tiles + 1) / 2;
    const int64_t segments = (words_ + kSegmentWords - 1) / kSegmentWords;
    const int64_t work = tiles * kTile * kTile * std::min(words_, kSegmentWords);
    parallel_for(folded * segments, std::max(int64_t{1}, kPairGrain / work),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t tile = i % folded;
                     const int64_t word = i / folded * kSegmentWords;
                     add_tiles(tile, word, segments > 1, pairs);
                     if (tiles - 1 - tile > tile) {
                       add_tiles(tiles - 1 - tile, word, segments > 1, pairs);
                     }
                   }
                 });
  }

 private:
  // Words, of pairs of lines, that are worth waking a thread for.
  static constexpr int64_t kPairGrain = int64_t{128} * 1024;

  // The word of each line that is of up to 64 rows from one on.
  void load_word(const CodebookCodes& codes, int64_t begin, int64_t end, int64_t word) const {
    const int64_t code_words = (dim_ + kWordBits - 1) / kWordBits;
    uint64_t bits[cpu::kMaxCodeWords * kWordBits];  // [code_words][64 rows]
    for (int64_t r = 0; r < kWordBits; ++r) {
      uint64_t code[cpu::kMaxCodeWords];
      if (begin + r < end && codes.counts(begin + r)) {
        codes.load(begin + r, code);
      } else {
        std::fill_n(code, code_words, uint64_t{0});
      }
      for (int64_t i = 0; i < code_words; ++i) {
        bits[i * kWordBits + r] = code[i];
      }
    }
    for (int64_t i = 0; i < code_words; ++i) {
      transpose(bits + i * kWordBits);
    }
    for (int64_t d = 0; d < dim_; ++d) {
      lines_[d * stride_ + word] = bits[d];
    }
  }

  // A row of tiles, from that on the diagonal on.
  void add_tiles(int64_t tile, int64_t word, bool atomic, int64_t* pairs) const {
    int64_t counts[kTile * kTile];
    const int64_t words = std::min(kSegmentWords, words_ - word);
    const int64_t a_first = tile * kTile;
    const int64_t a_lines = std::min(kTile, dim_ - a_first);
    for (int64_t b_first = a_first; b_first < dim_; b_first += kTile) {
      const int64_t b_lines = std::min(kTile, dim_ - b_first);
      cpu::bit_kernels().count_pairs(lines_.get() + a_first * stride_ + word, a_lines,
                                     lines_.get() + b_first * stride_ + word, b_lines, stride_,
                                     words, counts);
      for (int64_t a = a_first; a < a_first + a_lines; ++a) {
        // Where the pairs (a, 0), (a, 1), ... would be.
        int64_t* const row = pairs + a * dim_ - a * (a + 1) / 2;
        for (int64_t b = std::max(a, b_first); b < b_first + b_lines; ++b) {
          const int64_t count = counts[(a - a_first) * b_lines + b - b_first];
          if (atomic) {
            std::atomic_ref(row[b]).fetch_add(count, std::memory_order_relaxed);
          } else {
            add_to(row[b], count);
          }
        }
      }
    }
  }

  int64_t dim_;
  int64_t stride_;
  int64_t words_ = 0;  // of a line that are in use
  AlignedBuffer<uint64_t> lines_;
};

void count_pairs(const Options& options, CodeLayout layout, int64_t rows, const void* codes,
                 const uint8_t* mask, int64_t* counts) {
  const int64_t dim = options.code_dim;
  const int64_t needed = (rows / kWordBits + kLineWords) / kLineWords * kLineWords;
  const int64_t words = std::min(
      needed, std::clamp(kLinesBytes / (8 * dim) / kLineWords * kLineWords, kMinWords, kMaxWords));
  BitLines lines(dim, words);
  const int64_t counted =
      mask == nullptr ? rows
                      : std::count_if(mask, mask + rows, [](uint8_t byte) { return byte != 0; });
  for (int64_t codebook = 0; codebook < options.codebooks; ++codebook) {
    const CodebookCodes of_codebook(options, layout, codes, mask, codebook);
    int64_t* const to = counts + codebook * codebook_usage_size(options);
    add_to(to[0], counted);
    for (int64_t row = 0; row < rows; row += words * kWordBits) {
      lines.load(of_codebook, row, std::min(rows, row + words * kWordBits));
      lines.add_pairs(to + 1);
    }
  }
}

}  // namespace

bool counts_codes(const Options& options) { return options.code_dim <= BSQ_USAGE_MAX_COUNTED_DIM; }

int64_t codebook_usage_size(const Options& options) {
  const int64_t dim = options.code_dim;
  return counts_codes(options) ? int64_t{1} << dim : 1 + dim * (dim + 1) / 2;
}

int64_t usage_size(const Options& options) {
  return options.codebooks * codebook_usage_size(options);
}

void add_usage(const Options& options, CodeLayout layout, int64_t rows, const void* codes,
               const uint8_t* mask, int64_t* counts) {
  check_codes(options, layout, rows, codes);
  if (counts_codes(options)) {
    count_codes(options, layout, rows, codes, mask, counts);
  } else {
    count_pairs(options, layout, rows, codes, mask, counts);
  }
}

}  // namespace bsq
