// Hamming distances and nearest codes, against a naive loop.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes random_bytes(Random& random, int64_t size) {
  Bytes bytes(static_cast<size_t>(size));
  for (uint8_t& byte : bytes) {
    byte = static_cast<uint8_t>(random.bits());
  }
  return bytes;
}

int32_t distance(const uint8_t* a, const uint8_t* b, int64_t size) {
  int32_t sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    for (uint32_t bit = 0; bit < 8; ++bit) {
      sum += ((a[i] ^ b[i]) >> bit & 1) != 0 ? 1 : 0;
    }
  }
  return sum;
}

std::vector<int32_t> expected_distances(const Bytes& query, const uint8_t* codes, int64_t count) {
  const auto size = static_cast<int64_t>(query.size());
  std::vector<int32_t> distances;
  for (int64_t i = 0; i < count; ++i) {
    distances.push_back(distance(query.data(), codes + i * size, size));
  }
  return distances;
}

int32_t tensor_implementation() {
  return path() == Path::kOperators ? BSQ_IMPLEMENTATION_OPERATORS : BSQ_IMPLEMENTATION_KERNELS;
}

Outcome hamming(int64_t size, const Bytes& query, const uint8_t* codes, int64_t count,
                std::vector<int32_t>& distances) {
  distances.assign(static_cast<size_t>(count), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_hamming(size, query.data(), bytes(query), count, codes, count * size,
                                    distances.data(), bytes(distances)));
  }
  return outcome_of([&] {
    const Bytes copied(codes, codes + count * size);
    distances =
        read<int32_t>(make(bsq_tensor_hamming, tensor_of(query, {1, size}).get(),
                           tensor_of(copied, {count, size}).get(), tensor_implementation()));
  });
}

Outcome nearest(int64_t size, const Bytes& queries, const Bytes& codes, int64_t k,
                std::vector<int64_t>& positions, std::vector<int32_t>& distances) {
  const auto query_count = static_cast<int64_t>(queries.size()) / size;
  const auto count = static_cast<int64_t>(codes.size()) / size;
  positions.assign(static_cast<size_t>(query_count * k), -1);
  distances.assign(static_cast<size_t>(query_count * k), -1);
  if (path() == Path::kHost) {
    return Outcome(bsq_host_nearest(size, query_count, queries.data(), bytes(queries), count,
                                    codes.data(), bytes(codes), k, positions.data(),
                                    bytes(positions), distances.data(), bytes(distances)));
  }
  return outcome_of([&] {
    const Tensor query_tensor = tensor_of(queries, {query_count, size});
    const Tensor code_tensor = tensor_of(codes, {count, size});
    bsq_tensor* position_tensor = nullptr;
    bsq_tensor* distance_tensor = nullptr;
    must(bsq_tensor_nearest(query_tensor.get(), code_tensor.get(), k, tensor_implementation(),
                            &position_tensor, &distance_tensor));
    positions = read<int64_t>(Tensor(position_tensor));
    distances = read<int32_t>(Tensor(distance_tensor));
  });
}

void check_nearest(int64_t size, const Bytes& queries, const Bytes& codes, int64_t k) {
  std::vector<int64_t> positions;
  std::vector<int32_t> distances;
  CHECK_OK(nearest(size, queries, codes, k, positions, distances));
  int64_t wrong = 0;
  for (int64_t q = 0; q * size < static_cast<int64_t>(queries.size()); ++q) {
    const Bytes query(queries.begin() + q * size, queries.begin() + (q + 1) * size);
    std::vector<std::pair<int32_t, int64_t>> all;
    for (const int32_t d :
         expected_distances(query, codes.data(), static_cast<int64_t>(codes.size()) / size)) {
      all.emplace_back(d, static_cast<int64_t>(all.size()));
    }
    std::sort(all.begin(), all.end());
    for (int64_t i = 0; i < k; ++i) {
      const auto at = static_cast<size_t>(q * k + i);
      wrong += std::pair(distances[at], positions[at]) == all[static_cast<size_t>(i)] ? 0 : 1;
    }
  }
  CHECK_EQ(wrong, 0);
}

}  // namespace

TEST(distances_of_any_size) {
  Random random(71);
  for (const int64_t size : {1,  2,  3,  4,  5,  6,  7,  8,  9,   12,  15,  16,  17,  24,  31,
                             32, 33, 40, 48, 63, 64, 65, 96, 127, 128, 129, 192, 256, 511, 512}) {
    const Bytes query = random_bytes(random, size);
    for (const int64_t count : {0, 1, 2, 7, 33, 64, 65, 130, 300}) {
      const Bytes memory = random_bytes(random, count * size + 3);
      for (const int64_t offset : {0, 3}) {
        std::vector<int32_t> distances;
        CHECK_OK(hamming(size, query, memory.data() + offset, count, distances));
        CHECK(distances == expected_distances(query, memory.data() + offset, count));
      }
    }
  }
}

// Many threads, and codes of few bits, so that many are equally near.
TEST(nearest_of_many) {
  Random random(72);
  const int64_t scale = path() == Path::kOperators ? 10 : 1;
  for (const int64_t size : {1, 2, 8, 13, 32}) {
    Bytes codes = random_bytes(random, 400000 / scale / size * size);
    for (uint8_t& byte : codes) {
      byte &= 3;
    }
    Bytes queries = random_bytes(random, 3 * size);
    for (const int64_t k : {1, 10, 1000}) {
      check_nearest(size, queries, codes, k);
    }
  }
}

TEST(all_are_nearest) {
  Random random(73);
  for (const int64_t size : {2, 16}) {
    const Bytes codes = random_bytes(random, 700 * size);
    check_nearest(size, random_bytes(random, 70 * size), codes, 700);
    check_nearest(size, random_bytes(random, 0), codes, 5);
    check_nearest(size, random_bytes(random, size), random_bytes(random, size), 1);
  }
}

// A mapped file may end with a page.
TEST(nothing_beyond_the_codes_is_read) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto* const memory = static_cast<uint8_t*>(
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(mprotect(memory + page, page, PROT_NONE) == 0);
  Random random(74);
  for (size_t i = 0; i < page; ++i) {
    memory[i] = static_cast<uint8_t>(random.bits());
  }
  for (const int64_t size : {1, 2, 3, 4, 5, 8, 13, 16, 20, 32, 48, 64, 65, 128, 129}) {
    const Bytes query = random_bytes(random, size);
    for (const int64_t count : {1, 3, 20}) {
      const uint8_t* const codes = memory + page - count * size;
      std::vector<int32_t> distances;
      CHECK_OK(hamming(size, query, codes, count, distances));
      CHECK(distances == expected_distances(query, codes, count));
    }
  }
  munmap(memory, 2 * page);
}

TEST(hamming_refusals) {
  const Bytes bytes_of_8(8, 0);
  std::vector<int64_t> positions;
  std::vector<int32_t> distances;
  for (const int64_t k : {int64_t{0}, int64_t{-1}, int64_t{5}, int64_t{1} << 40U}) {
    std::vector<int64_t> none;
    CHECK_FAILS(Outcome(bsq_host_nearest(2, 1, bytes_of_8.data(), 2, 4, bytes_of_8.data(), 8, k,
                                         nullptr, 0, nullptr, 0)),
                BSQ_INVALID_ARGUMENT,
                "k is " + std::to_string(k) + ", expected 1 to 4, the number of codes");
  }
  for (const int64_t size : {0, -1, 513}) {
    CHECK_FAILS(Outcome(bsq_host_hamming(size, nullptr, 0, 0, nullptr, 0, nullptr, 0)),
                BSQ_INVALID_ARGUMENT,
                "code_bytes is " + std::to_string(size) + ", expected 1 to 512");
  }
  int32_t distance = 0;
  CHECK_REFUSED(
      Outcome(bsq_host_hamming(2, bytes_of_8.data(), 2, 5, bytes_of_8.data(), 8, &distance, 20)),
      BSQ_INVALID_ARGUMENT, "codes");
  CHECK_REFUSED(
      Outcome(bsq_host_hamming(2, bytes_of_8.data(), 2, -1, bytes_of_8.data(), 8, &distance, 4)),
      BSQ_INVALID_ARGUMENT, "count is -1");
  CHECK_REFUSED(
      Outcome(bsq_host_hamming(2, bytes_of_8.data(), 2, 1, bytes_of_8.data(), 8, nullptr, 0)),
      BSQ_INVALID_ARGUMENT, "distances");
  const Tensor two = tensor_of(bytes_of_8, {4, 2});
  const Tensor four = tensor_of(bytes_of_8, {2, 4});
  CHECK_FAILS(try_make(bsq_tensor_hamming, two.get(), four.get(), 0), BSQ_INVALID_ARGUMENT,
              "queries has codes of 2 bytes, and codes of 4, expected as many");
  const Tensor flat = tensor_of(bytes_of_8, {8});
  CHECK_FAILS(try_make(bsq_tensor_hamming, flat.get(), four.get(), 0), BSQ_INVALID_ARGUMENT,
              "queries has shape [8], expected [rows, bytes]");
  CHECK_REFUSED(try_make(bsq_tensor_hamming, two.get(), two.get(), 7), BSQ_INVALID_ARGUMENT,
                "implementation is 7");
}

}  // namespace bsq::test
