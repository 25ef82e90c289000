/* bsq.h as plain C, included twice: every exported function is called through libbsq.so. */
#include <stdio.h>
#include <string.h>

#include "bsq/bsq.h"
#include "bsq/bsq.h" /* NOLINT(readability-duplicate-include): that it may be is what is tested */

static int checks = 0;
static int failures = 0;

static void check(int passed, int line, const char* expression, double actual, double expected) {
  ++checks;
  if (!passed) {
    ++failures;
    printf("%s:%d: %s\n    actual:   %.17g\n    expected: %.17g\n", __FILE__, line, expression,
           actual, expected);
  }
}

#define CHECK_EQ(actual, expected)                                                    \
  check((actual) == (expected), __LINE__, #actual " == " #expected, (double)(actual), \
        (double)(expected))

static void check_ok(bsq_status* status, int line) {
  check(status == NULL, line, bsq_status_message(status), bsq_status_code(status), BSQ_OK);
  bsq_status_free(status);
}

#define CHECK_OK(call) check_ok((call), __LINE__)

static bsq_options defaults(void) {
  bsq_options options;
  memset(&options, 0, sizeof(options));
  options.struct_size = sizeof(options);
  options.code_dim = 2;
  options.entropy_loss_weight = 0.1;
  options.diversity_gamma = 1.0;
  options.inverse_temperature = 100.0;
  options.non_finite = BSQ_NON_FINITE_REFUSE;
  return options;
}

static void test_versions(void) {
  CHECK_EQ(bsq_abi_version(), BSQ_ABI_VERSION);
  CHECK_EQ(bsq_torch_version() >> 56, 2);                 /* LibTorch 2 */
  CHECK_EQ(bsq_torch_version() >= 0x020A000000000000, 1); /* 2.10 */
  CHECK_EQ(bsq_num_threads() >= 1, 1);
  CHECK_EQ(strlen(bsq_cpu_implementation()) > 0, 1);
}

static void test_host_functions(void) {
  const bsq_options options = defaults();
  const float x[6] = {3.0F, -4.0F, 0.0F, 5.0F, 1.0F, 1.0F};
  const float bits[4] = {0.0F, 1.0F, 1.0F, 0.0F};
  int64_t indices[3] = {-1, -1, -1};
  float quantized[6] = {0};
  float gradient[6] = {0};
  float codes[4] = {0};
  bsq_losses losses;
  memset(&losses, 0, sizeof(losses));
  losses.struct_size = sizeof(losses);

  CHECK_OK(bsq_host_encode(&options, BSQ_FLOAT32, 3, x, sizeof(x), indices, sizeof(indices)));
  CHECK_EQ(indices[0], 2);
  CHECK_EQ(indices[1], 1);
  CHECK_EQ(indices[2], 3);
  CHECK_OK(bsq_host_decode(&options, BSQ_FLOAT32, 3, indices, sizeof(indices), quantized,
                           sizeof(quantized)));
  CHECK_EQ(quantized[0] > 0.707F && quantized[0] < 0.708F, 1);
  CHECK_EQ(quantized[1], -quantized[0]);
  memset(quantized, 0, sizeof(quantized));
  memset(indices, 0, sizeof(indices));
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 3, x, sizeof(x), quantized, sizeof(quantized),
                            indices, sizeof(indices), &losses));
  CHECK_EQ(indices[1], 1);
  CHECK_EQ(quantized[2], -quantized[3]);
  CHECK_EQ(losses.codebook_entropy > 1.0 && losses.codebook_entropy < 1.3863, 1);
  CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT32, 3, x, sizeof(x), x, sizeof(x), 0.0, gradient,
                             sizeof(gradient)));
  CHECK_EQ(gradient[0] < 1e-6F && gradient[0] > -1e-6F, 1); /* x has no part across x */
  CHECK_OK(bsq_host_bits_to_codes(BSQ_FLOAT32, 4, bits, sizeof(bits), codes, sizeof(codes)));
  CHECK_EQ(codes[0], -1.0F);
  CHECK_EQ(codes[1], 1.0F);
  memset(indices, 0, sizeof(indices));
  CHECK_OK(bsq_host_codes_to_indices(&options, BSQ_FLOAT32, 2, codes, sizeof(codes), indices,
                                     sizeof(indices)));
  CHECK_EQ(indices[0], 1);
  CHECK_EQ(indices[1], 2);
}

static void test_status(void) {
  bsq_options options = defaults();
  bsq_status* status = NULL;
  options.code_dim = 64;
  status = bsq_host_encode(&options, BSQ_FLOAT32, 0, NULL, 0, NULL, 0);
  CHECK_EQ(bsq_debug_live_handles(), 1);
  CHECK_EQ(bsq_status_code(status), BSQ_INVALID_ARGUMENT);
  CHECK_EQ(strcmp(bsq_status_message(status), "code_dim is 64, expected 1 to 63"), 0);
  bsq_status_free(status);
  CHECK_EQ(bsq_debug_live_handles(), 0);
  CHECK_EQ(bsq_status_code(NULL), BSQ_OK);
  CHECK_EQ(strcmp(bsq_status_message(NULL), ""), 0);
  bsq_status_free(NULL);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

int main(void) {
  test_versions();
  test_host_functions();
  test_status();
  printf("%s: %d checks, %d failed\n", failures == 0 ? "ok" : "FAILED", checks, failures);
  return failures == 0 && checks > 30 ? 0 : 1;
}
