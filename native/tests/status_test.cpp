// How exceptions become statuses. It links the library's objects rather than libbsq.so.
#include "status.h"

#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "aligned_buffer.h"
#include "call.h"
#include "check.h"
#include "torch_ops.h"
#include "torch_runtime.h"

namespace bsq::test {
namespace {

template <class Exception>
Outcome thrown(const Exception& exception) {
  bsq_status* status = guard([&] {
    throw exception;  // NOLINT(cert-err60-cpp): the test does not run out of memory
  });
  CHECK_EQ(bsq_debug_live_handles(), 1);
  Outcome outcome(status);
  CHECK_EQ(bsq_debug_live_handles(), 0);
  return outcome;
}

}  // namespace

TEST(errors_keep_their_code_and_message) {
  for (const Code code : {Code::kInvalidArgument, Code::kUnsupported, Code::kOutOfMemory,
                          Code::kDeviceError, Code::kInternal}) {
    const Outcome outcome = thrown(Error(code, "the reason \xC3\xBC"));
    CHECK_EQ(outcome.code, static_cast<int32_t>(code));
    CHECK_EQ(outcome.message, "the reason \xC3\xBC");
  }
  CHECK_EQ(thrown(Error(Code::kDeviceError, "")).code, BSQ_DEVICE_ERROR);
  CHECK_EQ(static_cast<int32_t>(Code::kDeviceError), 4);
}

TEST(long_messages) {
  const std::string text(100000, 'x');
  CHECK_EQ(thrown(Error(Code::kInternal, text)).message, text);
}

TEST(other_exceptions) {
  CHECK_EQ(thrown(std::bad_alloc()).code, BSQ_OUT_OF_MEMORY);
  CHECK_EQ(thrown(std::bad_alloc()).message, "out of memory");
  CHECK_EQ(thrown(std::bad_array_new_length()).code, BSQ_OUT_OF_MEMORY);
  CHECK_EQ(thrown(std::runtime_error("a reason")).code, BSQ_INTERNAL);
  CHECK_EQ(thrown(std::runtime_error("a reason")).message, "a reason");
  CHECK_EQ(thrown(42).code, BSQ_INTERNAL);
  CHECK_EQ(thrown(42).message, "unknown C++ exception");
  CHECK(guard([] {}) == nullptr);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

TEST(null_status) {
  CHECK_EQ(bsq_status_code(nullptr), BSQ_OK);
  CHECK_EQ(std::string(bsq_status_message(nullptr)), "");
  bsq_status_free(nullptr);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

TEST(every_status_is_counted) {
  std::vector<bsq_status*> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(make_status(Code::kInternal, std::to_string(i).c_str()));
    CHECK_EQ(bsq_debug_live_handles(), i + 1);
  }
  for (int i = 0; i < 100; ++i) {
    CHECK_EQ(std::string(bsq_status_message(all.at(static_cast<size_t>(i)))), std::to_string(i));
    bsq_status_free(all.at(static_cast<size_t>(i)));
    CHECK_EQ(bsq_debug_live_handles(), 99 - i);
  }
}

// An exception on one of LibTorch's threads arrives here, after the other ranges have run.
TEST(exceptions_in_parallel_ranges) {
  for (const int64_t bad : {0, 500, 999}) {
    std::vector<int> seen(1000, 0);
    const Outcome outcome(guard([&] {
      parallel_for(1000, 10, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          seen.at(static_cast<size_t>(i)) = 1;
          if (i == bad) {
            fail(Code::kDeviceError, "range with ", i);
          }
        }
      });
    }));
    CHECK_EQ(outcome.code, BSQ_DEVICE_ERROR);
    CHECK_EQ(outcome.message, "range with " + std::to_string(bad));
    CHECK_EQ(seen.at(static_cast<size_t>(bad)), 1);
  }
  CHECK_OK(
      guard([] { parallel_for(0, 10, [](int64_t, int64_t) { fail(Code::kInternal, "0"); }); }));
}

// LibTorch's own failures: a product of matrices that do not fit.
TEST(a_failed_operator_is_an_internal_error) {
  const Outcome outcome(guard([] {
    const bsq::Tensor left = zeros({2, 3}, DType::kFloat32, kCpu);
    static_cast<void>(matmul(left, left));
  }));
  CHECK_EQ(outcome.code, BSQ_INTERNAL);
  CHECK_CONTAINS(outcome.message, "aten::matmul");
}

TEST(allocations_name_their_size_and_purpose) {
  // More than any address space.
  CHECK_REFUSED(guard([] { const AlignedBuffer<double> buffer(int64_t{1} << 57U, "a test"); }),
                BSQ_OUT_OF_MEMORY, "1152921504606846976 bytes of CPU memory for a test");
  // More bytes than size_t counts: 2^61 - 1 numbers of 8 bytes, rounded up, would be 0.
  CHECK_REFUSED(
      guard([] { const AlignedBuffer<double> buffer((int64_t{1} << 61U) - 1, "a test"); }),
      BSQ_OUT_OF_MEMORY, "2305843009213693951 numbers of 8 bytes");
  CHECK_OK(guard([] {
    const AlignedBuffer<float> none(0, "nothing");
    const AlignedBuffer<float> some(3, "something");
    some[2] = 1;
    CHECK(some.get() != nullptr && some[2] == 1);
  }));
}

}  // namespace bsq::test
