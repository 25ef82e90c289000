// Loss sums: merged ones give the losses and gradients of one batch; impossible ones are refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "against_oracle.h"
#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void add(const std::vector<double>& more, std::vector<double>& sums) {
  sums.resize(more.size(), 0);
  std::transform(more.begin(), more.end(), sums.begin(), sums.begin(), std::plus<>());
}

// Options whose losses are made of all terms, by each kind of kernel.
std::vector<bsq_options> all_kinds() {
  std::vector<bsq_options> all;
  for (const int64_t group : {1, 3, 4, 12}) {
    bsq_options options = options_for(12);
    options.group_size = group;
    options.entropy_form = group == 1 ? BSQ_ENTROPY_ANALYTICAL : BSQ_ENTROPY_EXACT;
    options.entropy_floor = group == 3 ? BSQ_FLOOR_ADD : BSQ_FLOOR_CLAMP;
    options.codebooks = 2;
    options.inverse_temperature = 5;
    options.commitment_weight = 0.5;
    options.positive = group == 4 ? BSQ_POSITIVE_SOFTPLUS : BSQ_POSITIVE_NONE;
    options.positive_offset = 0.25;
    options.channel_first = group == 3 ? 1 : 0;
    all.push_back(options);
  }
  return all;
}

// A part of a batch, in its layout.
template <class T>
struct Part {
  Batch batch;
  std::vector<T> x;
  std::vector<T> grad_quantized;
};

// The items [begin, end).
template <class T>
Part<T> part_of(const OracleCase<T>& whole, int64_t begin, int64_t end) {
  const auto slice = [&](const auto& values) {
    const auto item = static_cast<int64_t>(values.size()) / whole.batch().items;
    return std::remove_cvref_t<decltype(values)>(values.begin() + begin * item,
                                                 values.begin() + end * item);
  };
  return {{end - begin, whole.batch().positions, slice(whole.batch().mask)},
          slice(whole.x()),
          slice(whole.grad_quantized())};
}

// One batch, and the same in parts, which know of each other nothing but their sums.
template <class T>
void check_merged(const bsq_options& options) {
  constexpr int64_t kItems = 14;
  constexpr int64_t kPositions = 5;
  Case<T> given{"merged parts in groups of " + show(options.group_size), options, {}};
  given.positions = kPositions;
  given.rows = Random(1).normals<T>(kItems * kPositions * row_length(options));
  given.mask.assign(kItems * kPositions, 1);
  std::fill_n(given.mask.begin() + 17, 15, 0);           // none of item 4 and 5 counts
  const std::vector<int64_t> bounds{0, 1, 1, 4, 6, 14};  // one part has no rows

  std::vector<Part<T>> parts;
  std::vector<std::vector<double>> sums;
  std::vector<double> all_sums;
  std::vector<uint8_t> drawn;
  const OracleCase<T> unmerged(given);  // for its layout
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    parts.push_back(part_of(unmerged, bounds[i], bounds[i + 1]));
    const Part<T>& part = parts.back();
    sums.emplace_back();
    CHECK_OK(loss_sums(options, part.batch, part.x, sums.back()));
    add(sums.back(), all_sums);
    const std::vector<uint8_t> drawn_of_part =
        options.entropy_fraction < 1 ? drawn_rows(options, part.batch) : part.batch.mask;
    drawn.insert(drawn.end(), drawn_of_part.begin(), drawn_of_part.end());
  }

  const OracleCase<T> oracle(given, drawn);
  oracle.check_sums(all_sums);
  bsq_losses merged{};
  CHECK_OK(losses_from_sums(options, all_sums, merged));
  oracle.check_losses(merged, "merged sums");
  std::vector<T> gradients;
  for (const Part<T>& part : parts) {
    std::vector<T> gradient;
    CHECK_OK(backward(options, part.batch, part.x, all_sums, part.grad_quantized, 1.0, gradient));
    gradients.insert(gradients.end(), gradient.begin(), gradient.end());
  }
  oracle.check_gradient(gradients, "backward with merged sums");
}

bsq_losses losses_of_sums(const bsq_options& options, const std::vector<double>& sums) {
  bsq_losses result{};
  CHECK_OK(losses_from_sums(options, sums, result));
  return result;
}

// Sums with 3 rows of which 2 are drawn.
std::vector<double> possible_sums(const bsq_options& options) {
  std::vector<double> sums(loss_sums_size(options), 0.5);
  sums[0] = 3;
  sums[1] = 2;
  return sums;
}

struct Refused {
  size_t element;
  double value;
  const char* part;
};

const std::vector<Refused>& impossible_elements() {
  static const std::vector<Refused> all{
      {0, -1, "sums[0] is -1, expected a number of rows"},
      {0, 2.5, "sums[0] is 2.5, expected a number of rows"},
      {0, kNan, "sums[0] is nan, expected a number of rows"},
      {0, std::numeric_limits<double>::infinity(), "sums[0] is inf, expected a number of rows"},
      {1, -1, "sums[1] is -1, expected a number of rows"},
      {1, 1.5, "sums[1] is 1.5, expected a number of rows"},
      {1, kNan, "sums[1] is nan, expected a number of rows"},
      {1, 4, "sums[1] is 4, expected 1 to 3"},
      {1, 0, "sums[1] is 0, expected 1 to 3"},
      {0, 0, "sums[1] is 2, expected 0"},
      {0, 1, "sums[1] is 2, expected 1 to 1"},
      {3, -0.25, "sums[3] is -0.25, expected 0 or more: a sum of distances"},
      {4, -1e-300, "sums[4] is -1e-300, expected 0 or more: a sum of probabilities"},
      {7, -std::numeric_limits<double>::infinity(), "sums[7] is -inf, expected 0 or more"},
  };
  return all;
}

}  // namespace

TEST(merged_sums) {
  for (const bsq_options& options : all_kinds()) {
    check_merged<float>(options);
    check_merged<double>(options);
  }
}

// Each part draws rows of its own.
TEST(merged_sums_of_drawn_rows) {
  for (bsq_options options : all_kinds()) {
    options.entropy_fraction = 0.5;
    options.entropy_seed = 11;
    check_merged<float>(options);
    check_merged<double>(options);
  }
}

// Sums do not hold what the losses weigh them with, so other weights may be given to the same.
TEST(losses_from_sums_of_other_weights) {
  bsq_options options = all_kinds().front();
  const std::vector<double> x = Random(5).normals<double>(20 * row_length(options));
  std::vector<double> sums;
  CHECK_OK(loss_sums(options, batch_of(options, x), x, sums));
  options.entropy_loss_weight = -2;
  options.sample_entropy_weight = 3;
  options.commitment = BSQ_COMMITMENT_SQUARE;
  options.positive = BSQ_POSITIVE_SOFTPLUS;
  bsq_losses expected{};
  CHECK_OK(losses(options, x, expected));
  const bsq_losses actual = losses_of_sums(options, sums);
  CHECK_NEAR(actual.aux_loss, expected.aux_loss, 1e-12);
  CHECK_NEAR(actual.commitment, expected.commitment, 1e-14);
}

// A batch none of whose rows counts has no gradient of the others' loss.
TEST(sums_of_others_alone) {
  for (const bsq_options& options : all_kinds()) {
    const std::vector<double> x = Random(5).normals<double>(6 * row_length(options));
    std::vector<double> sums;
    CHECK_OK(loss_sums(options, batch_of(options, x), x, sums));
    const Batch nothing{6, 1, std::vector<uint8_t>(6, 0)};
    std::vector<double> gradient;
    std::vector<double> straight_through;
    CHECK_OK(backward(options, nothing, x, sums, x, 1.0, gradient));
    CHECK_OK(backward(options, nothing, x, {}, x, 0.0, straight_through));
    CHECK(gradient == straight_through);
  }
}

// One batch that is not finite makes the losses NaN, and the gradients of all batches.
TEST(sums_that_are_not_finite) {
  for (bsq_options options : all_kinds()) {
    options.non_finite = BSQ_NON_FINITE_PROPAGATE;
    const std::vector<double> x = Random(5).normals<double>(6 * row_length(options));
    std::vector<double> bad = x;
    bad[7] = kNan;
    std::vector<double> sums;
    std::vector<double> bad_sums;
    CHECK_OK(loss_sums(options, batch_of(options, x), x, sums));
    CHECK_OK(loss_sums(options, batch_of(options, bad), bad, bad_sums));
    CHECK_EQ(bad_sums[0], 6);
    CHECK_EQ(bad_sums[1], 6);
    add(bad_sums, sums);
    CHECK_EQ(sums[0], 12);
    const bsq_losses merged = losses_of_sums(options, sums);
    CHECK(std::isnan(merged.aux_loss));
    CHECK(std::isnan(merged.per_sample_entropy));
    CHECK(std::isnan(merged.codebook_entropy));
    CHECK(std::isnan(merged.entropy_loss));
    std::vector<double> gradient;
    CHECK_OK(backward(options, batch_of(options, x), x, sums, x, 1.0, gradient));
    CHECK(std::all_of(gradient.begin(), gradient.end(),
                      [](double value) { return std::isnan(value); }));
    std::vector<double> straight_through;
    CHECK_OK(backward(options, batch_of(options, x), x, {}, x, 0.0, straight_through));
    CHECK_OK(backward(options, batch_of(options, x), x, sums, x, 0.0, gradient));
    CHECK(gradient == straight_through);  // without the loss
  }
}

TEST(impossible_sums) {
  for (const bsq_options& options : all_kinds()) {
    const std::vector<double> x(static_cast<size_t>(row_length(options)), 1.0);
    std::vector<double> gradient;
    CHECK_OK(backward(options, batch_of(options, x), x, possible_sums(options), {}, 1.0, gradient));
    for (const Refused& refused : impossible_elements()) {
      std::vector<double> sums = possible_sums(options);
      sums[refused.element] = refused.value;
      bsq_losses out{};
      CHECK_REFUSED(losses_from_sums(options, sums, out), BSQ_INVALID_ARGUMENT, refused.part);
      CHECK_EQ(out.aux_loss, -12345);
      CHECK_REFUSED(backward(options, batch_of(options, x), x, sums, {}, 1.0, gradient),
                    BSQ_INVALID_ARGUMENT, refused.part);
      CHECK_OK(backward(options, batch_of(options, x), x, sums, {}, 0.0, gradient));  // not used
    }
  }
}

// No double beyond 2^53 is known to be the whole number that was meant.
TEST(sums_of_more_rows_than_are_counted) {
  const bsq_options options = options_for(3);
  std::vector<double> sums = possible_sums(options);
  sums[0] = 0x1p53;
  CHECK_EQ(losses_of_sums(options, sums).rows, int64_t{1} << 53U);
  sums[0] = 0x1p54;
  bsq_losses out{};
  CHECK_REFUSED(losses_from_sums(options, sums, out), BSQ_INVALID_ARGUMENT,
                "sums[0] is 1.80143985e+16, expected a number of rows");
}

TEST(sums_of_fewer_rows_than_x) {
  bsq_options options = options_for(3);
  const Batch four{5, 1, {1, 1, 1, 0, 1}};
  const Batch three{5, 1, {1, 1, 1, 0, 0}};
  const std::vector<float> x = Random(1).normals<float>(15);
  std::vector<double> sums;
  CHECK_OK(loss_sums(options, three, x, sums));
  std::vector<float> gradient;
  CHECK_OK(backward(options, three, x, sums, {}, 1.0, gradient));
  CHECK_REFUSED(backward(options, four, x, sums, {}, 1.0, gradient), BSQ_INVALID_ARGUMENT,
                "sums are of 3 rows that count and 3 of the entropies, but x has 4 and 4: expected "
                "sums of all batches, that of x among them");
  // As many that count, but not of the entropies.
  sums[0] = 4;
  sums[1] = 3;
  CHECK_REFUSED(backward(options, four, x, sums, {}, 1.0, gradient), BSQ_INVALID_ARGUMENT,
                "sums are of 4 rows that count and 3 of the entropies, but x has 4 and 4");
  options.entropy_fraction = 0.75;
  CHECK_OK(backward(options, four, x, sums, {}, 1.0, gradient));
}

TEST(buffers_of_losses_from_sums) {
  const bsq_options options = options_for(3);
  std::vector<double> sums = possible_sums(options);
  const int64_t size = bytes(sums);
  bsq_losses out = empty_losses();
  CHECK_OK(bsq_losses_from_sums(&options, sums.data(), size + 8, &out));
  CHECK_EQ(out.rows, 3);
  for (const int64_t wrong : {size - 1, int64_t{0}, int64_t{-1}}) {
    CHECK_REFUSED(bsq_losses_from_sums(&options, sums.data(), wrong, &out), BSQ_INVALID_ARGUMENT,
                  "sums has " + std::to_string(wrong) + " bytes, expected at least 96");
  }
  CHECK_REFUSED(bsq_losses_from_sums(&options, nullptr, size, &out), BSQ_INVALID_ARGUMENT,
                "sums is NULL, expected 96 bytes");
  CHECK_REFUSED(bsq_losses_from_sums(&options, nullptr, 0, &out), BSQ_INVALID_ARGUMENT,
                "sums has 0 bytes");
  const auto* const misaligned =
      reinterpret_cast<const double*>(reinterpret_cast<const unsigned char*>(sums.data()) + 4);
  CHECK_REFUSED(bsq_losses_from_sums(&options, misaligned, size, &out), BSQ_INVALID_ARGUMENT,
                "sums is at an address not aligned to 8 bytes");
  CHECK_REFUSED(bsq_losses_from_sums(&options, sums.data(), size, nullptr), BSQ_INVALID_ARGUMENT,
                "losses is NULL");
  out.struct_size = 8;
  CHECK_REFUSED(bsq_losses_from_sums(&options, sums.data(), size, &out), BSQ_INVALID_ARGUMENT,
                "bsq_losses.struct_size is 8");

  std::vector<double> memory(32);
  for (const size_t at : {0, 1, 11}) {  // losses before, in, and after the sums
    const size_t sums_at = 7;
    std::copy(sums.begin(), sums.end(), &memory[sums_at]);
    const bsq_losses fresh = empty_losses();
    std::memcpy(&memory[sums_at + at], &fresh, sizeof(fresh));
    auto* const losses = reinterpret_cast<bsq_losses*>(&memory[sums_at + at]);
    CHECK_REFUSED(bsq_losses_from_sums(&options, &memory[sums_at], size, losses),
                  BSQ_INVALID_ARGUMENT, "losses overlaps sums");
  }
  const bsq_losses fresh = empty_losses();
  std::memcpy(&memory[12], &fresh, sizeof(fresh));
  std::copy(sums.begin(), sums.end(), memory.begin());
  CHECK_OK(bsq_losses_from_sums(&options, memory.data(), size,
                                reinterpret_cast<bsq_losses*>(&memory[12])));
}

}  // namespace bsq::test
