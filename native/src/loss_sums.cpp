#include "loss_sums.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace bsq {
namespace {

// Up to here all whole numbers are doubles.
constexpr double kMaxCount = 0x1p53;

double checked_count(const double* sums, int64_t i, const char* what) {
  const double count = sums[i];
  if (!(count >= 0 && count <= kMaxCount && count == std::floor(count))) {
    fail(Code::kInvalidArgument, "sums[", i, "] is ", count, ", expected ", what,
         ": add the sums of several batches, element by element, and nothing else");
  }
  return count;
}

}  // namespace

LossSumsHeader LossSumsHeader::from(const double* sums) {
  LossSumsHeader header;
  header.rows = checked_count(sums, 0, "a number of rows");
  header.entropy_rows = checked_count(sums, 1, "a number of rows");
  header.entropies = sums[2];
  header.distances = sums[3];
  if ((header.rows == 0) != (header.entropy_rows == 0) || header.entropy_rows > header.rows) {
    fail(Code::kInvalidArgument, "sums[1] is ", header.entropy_rows, ", expected ",
         header.rows == 0 ? "" : "1 to ", header.rows,
         ": of the rows that count, sums[0], those of the entropies");
  }
  return header;
}

void LossSumsHeader::refuse_negative(int64_t i, double sum) {
  fail(Code::kInvalidArgument, "sums[", i, "] is ", sum, ", expected 0 or more: a sum of ",
       i < Options::kLossSumsHeader ? "distances" : "probabilities");
}

void LossSumsHeader::require_not_negative(const Options& options, const double* sums) {
  const double* const end = sums + options.loss_sums_size();
  const double* const negative =
      std::find_if(sums + kFirstNotNegative, end, [](double sum) { return sum < 0; });
  if (negative != end) {
    refuse_negative(negative - sums, *negative);
  }
}

void LossSumsHeader::store(double* sums) const {
  sums[0] = rows;
  sums[1] = entropy_rows;
  sums[2] = entropies;
  sums[3] = distances;
}

void LossSumsHeader::require_rows(int64_t counted, int64_t drawn) const {
  if (static_cast<double>(counted) > rows || static_cast<double>(drawn) > entropy_rows) {
    fail(Code::kInvalidArgument, "sums are of ", rows, " rows that count and ", entropy_rows,
         " of the entropies, but x has ", counted, " and ", drawn,
         ": expected sums of all batches, that of x among them");
  }
}

LossTerms LossSumsHeader::terms(const Options& options, double codebook_entropies) const {
  const auto codebooks = static_cast<double>(options.codebooks);
  LossTerms terms;
  terms.per_sample_entropy = entropies / (entropy_rows * codebooks);
  terms.codebook_entropy = codebook_entropies / codebooks;
  terms.commitment =
      options.commits() ? distances / (rows * codebooks) * options.commitment_scale() : 0;
  terms.rows = static_cast<int64_t>(rows);
  terms.entropy_rows = static_cast<int64_t>(entropy_rows);
  return terms;
}

}  // namespace bsq
