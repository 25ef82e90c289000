#include "hamming.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "cpu/hamming_kernels.h"
#include "error.h"
#include "torch_runtime.h"

namespace bsq {
namespace {

// Fewer bytes of codes than this are not worth waking a second thread for.
constexpr int64_t kGrainBytes = int64_t{512} * 1024;
// The distances of so many codes are looked at together, while they and the codes are in a cache.
constexpr int64_t kBlockCodes = 1024;
// So many candidates of all queries that are searched for in one pass, unless a single one has
// more.
constexpr int64_t kMaxCandidates = int64_t{1} << 20;
constexpr int64_t kMaxQueries = 64;

// A distance and a position, in the order of results.
using Candidate = uint64_t;
constexpr int kPositionBits = 48;  // more codes than any machine has memory for
Candidate candidate(int32_t distance, int64_t position) {
  return static_cast<uint64_t>(distance) << kPositionBits | static_cast<uint64_t>(position);
}
int32_t distance_of(Candidate candidate) {
  return static_cast<int32_t>(candidate >> kPositionBits);
}
int64_t position_of(Candidate candidate) {
  return static_cast<int64_t>(candidate & ((uint64_t{1} << kPositionBits) - 1));
}

// The k nearest of the codes that it has seen, in the order of their positions.
class Nearest {
 public:
  explicit Nearest(int64_t k) : k_(static_cast<size_t>(k)) {}

  // Codes from `first` on.
  void add(const int32_t* distances, int64_t count, int64_t first) {
    constexpr int64_t kLook = 64;
    for (int64_t begin = 0; begin < count; begin += kLook) {
      const int64_t end = std::min(count, begin + kLook);
      int32_t least = limit_;
      for (int64_t i = begin; i < end; ++i) {
        least = std::min(least, distances[i]);
      }
      if (least == limit_) {
        continue;  // mostly. Of equal distances the lower position wins, and that came before
      }
      for (int64_t i = begin; i < end; ++i) {
        if (distances[i] < limit_) {
          add(candidate(distances[i], first + i));
        }
      }
    }
  }

  [[nodiscard]] const std::vector<Candidate>& heap() const { return heap_; }

 private:
  void add(Candidate added) {
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = added;
    } else {
      heap_.push_back(added);
    }
    std::push_heap(heap_.begin(), heap_.end());
    if (heap_.size() == k_) {
      limit_ = distance_of(heap_.front());
    }
  }

  size_t k_;
  int32_t limit_ = 8 * cpu::kMaxHammingBytes + 1;  // what is not below it is not among the nearest
  std::vector<Candidate> heap_;                    // the farthest first
};

// Of a few queries, whose candidates are all kept at once.
void search(int64_t code_bytes, int64_t queries, const uint8_t* query, int64_t count,
            const uint8_t* codes, int64_t k, int64_t* positions, int32_t* distances) {
  std::vector<std::vector<Candidate>> found(static_cast<size_t>(queries));
  std::mutex mutex;
  parallel_for(count, std::max(int64_t{1}, kGrainBytes / (code_bytes * queries)),
               [&](int64_t begin, int64_t end) {
                 std::vector<Nearest> nearest(static_cast<size_t>(queries), Nearest(k));
                 int32_t block[kBlockCodes];
                 for (int64_t first = begin; first < end; first += kBlockCodes) {
                   const int64_t size = std::min(kBlockCodes, end - first);
                   for (int64_t q = 0; q < queries; ++q) {
                     cpu::hamming_kernels().distances(code_bytes, query + q * code_bytes, size,
                                                      codes + first * code_bytes, block);
                     nearest[static_cast<size_t>(q)].add(block, size, first);
                   }
                 }
                 const std::lock_guard<std::mutex> lock(mutex);
                 for (size_t q = 0; q < nearest.size(); ++q) {
                   const std::vector<Candidate>& heap = nearest[q].heap();
                   found[q].insert(found[q].end(), heap.begin(), heap.end());
                 }
               });
  for (std::vector<Candidate>& candidates : found) {
    std::partial_sort(candidates.begin(), candidates.begin() + k, candidates.end());
    std::transform(candidates.begin(), candidates.begin() + k, positions, position_of);
    std::transform(candidates.begin(), candidates.begin() + k, distances, distance_of);
    positions += k;
    distances += k;
  }
}

}  // namespace

void hamming_distances(int64_t code_bytes, const uint8_t* query, int64_t count,
                       const uint8_t* codes, int32_t* distances) {
  parallel_for(count, std::max(int64_t{1}, kGrainBytes / code_bytes),
               [&](int64_t begin, int64_t end) {
                 cpu::hamming_kernels().distances(code_bytes, query, end - begin,
                                                  codes + begin * code_bytes, distances + begin);
               });
}

void hamming_nearest(int64_t code_bytes, int64_t queries, const uint8_t* query, int64_t count,
                     const uint8_t* codes, int64_t k, int64_t* positions, int32_t* distances) {
  const int64_t part = std::clamp(kMaxCandidates / k, int64_t{1}, kMaxQueries);
  for (int64_t first = 0; first < queries; first += part) {
    search(code_bytes, std::min(part, queries - first), query + first * code_bytes, count, codes, k,
           positions + first * k, distances + first * k);
  }
}

void check_code_bytes(int64_t code_bytes) {
  if (code_bytes < 1 || code_bytes > cpu::kMaxHammingBytes) {
    fail(Code::kInvalidArgument, "code_bytes is ", code_bytes, ", expected 1 to ",
         cpu::kMaxHammingBytes);
  }
}

void check_nearest(int64_t k, int64_t count) {
  if (k < 1 || k > count) {
    fail(Code::kInvalidArgument, "k is ", k, ", expected 1 to ", count, ", the number of codes");
  }
}

}  // namespace bsq
