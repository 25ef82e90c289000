// What calls of the C interface return, and the structs that they take.
#pragma once

#include <cstdint>
#include <string>

#include "bsq/bsq.h"
#include "check.h"

namespace bsq::test {

// What a call returned, its status freed.
struct Outcome {
  explicit Outcome(bsq_status* status)
      : code(bsq_status_code(status)), message(bsq_status_message(status)) {
    bsq_status_free(status);
  }

  int32_t code;
  std::string message;
};

inline void check_succeeded(const Outcome& outcome, const char* file, int line, const char* call) {
  check_eq(outcome.code, BSQ_OK, file, line, call);
  check_eq(outcome.message, "", file, line, call);
}

inline void check_refused(const Outcome& outcome, int32_t code, const std::string& part,
                          const char* file, int line, const char* call) {
  check_eq(outcome.code, code, file, line, call);
  check_contains(outcome.message, part, file, line, call);
}

// As check_refused, with the whole message.
inline void check_fails(const Outcome& outcome, int32_t code, const std::string& message,
                        const char* file, int line, const char* call) {
  check_eq(outcome.code, code, file, line, call);
  check_eq(outcome.message, message, file, line, call);
}

// The defaults. A dim that bsq_options_init refuses is set all the same, for other calls to refuse.
inline bsq_options options_for(int64_t dim) {
  bsq_options options{};
  bsq_status_free(bsq_options_init(&options, sizeof(options), 1));
  options.code_dim = dim;
  return options;
}

inline bsq_losses empty_losses() {
  bsq_losses losses{};
  losses.struct_size = sizeof(bsq_losses);
  losses.aux_loss = losses.per_sample_entropy = losses.codebook_entropy = -12345;
  losses.entropy_loss = losses.commitment = -12345;
  losses.rows = losses.entropy_rows = -12345;
  return losses;
}

}  // namespace bsq::test

#define CHECK_OK(call) \
  bsq::test::check_succeeded(bsq::test::Outcome(call), __FILE__, __LINE__, #call)
#define CHECK_REFUSED(call, code, part) \
  bsq::test::check_refused(bsq::test::Outcome(call), (code), (part), __FILE__, __LINE__, #call)
#define CHECK_FAILS(call, code, text) \
  bsq::test::check_fails(bsq::test::Outcome(call), (code), (text), __FILE__, __LINE__, #call)
