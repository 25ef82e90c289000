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
  CHECK_OK(bsq_options_init(&options, sizeof(options), 2));
  return options;
}

static void test_versions(void) {
  CHECK_EQ(bsq_abi_version(), BSQ_ABI_VERSION);
  CHECK_EQ(bsq_torch_version() >> 56, 2);                 /* LibTorch 2 */
  CHECK_EQ(bsq_torch_version() >= 0x020A000000000000, 1); /* 2.10 */
  CHECK_EQ(bsq_num_threads() >= 1, 1);
}

static void test_devices(void) {
  CHECK_EQ(bsq_device_count(BSQ_DEVICE_CPU), 1);
  CHECK_EQ(bsq_device_count(0), 0);
  CHECK_EQ(bsq_device_count(BSQ_DEVICE_CUDA) >= 0, 1);
  CHECK_OK(bsq_device_check(BSQ_DEVICE_CPU, 0));
  CHECK_EQ(strncmp(bsq_device_implementation(BSQ_DEVICE_CPU), "CPU kernels", 11), 0);
  const char* const on_cuda = bsq_device_implementation(BSQ_DEVICE_CUDA);
  CHECK_EQ(
      strcmp(on_cuda, "CUDA kernels") == 0 || strncmp(on_cuda, "LibTorch operators (", 20) == 0, 1);
  CHECK_EQ(strcmp(bsq_device_implementation(0), "none"), 0);
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

  CHECK_OK(bsq_host_encode(&options, BSQ_FLOAT32, 3, 1, x, sizeof(x), indices, sizeof(indices)));
  CHECK_EQ(indices[0], 2);
  CHECK_EQ(indices[1], 1);
  CHECK_EQ(indices[2], 3);
  CHECK_OK(bsq_host_decode(&options, BSQ_FLOAT32, 3, 1, indices, sizeof(indices), quantized,
                           sizeof(quantized)));
  CHECK_EQ(quantized[0] > 0.707F && quantized[0] < 0.708F, 1);
  CHECK_EQ(quantized[1], -quantized[0]);
  memset(quantized, 0, sizeof(quantized));
  memset(indices, 0, sizeof(indices));
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 3, 1, x, sizeof(x), NULL, 0, quantized,
                            sizeof(quantized), indices, sizeof(indices), &losses));
  CHECK_EQ(indices[1], 1);
  CHECK_EQ(quantized[2], -quantized[3]);
  CHECK_EQ(losses.codebook_entropy > 1.0 && losses.codebook_entropy < 1.3863, 1);
  CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT32, 3, 1, x, sizeof(x), NULL, 0, NULL, 0, x,
                             sizeof(x), 0.0, gradient, sizeof(gradient)));
  CHECK_EQ(gradient[0] < 1e-6F && gradient[0] > -1e-6F, 1); /* x has no part across x */
  CHECK_OK(bsq_host_bits_to_codes(BSQ_FLOAT32, 4, bits, sizeof(bits), codes, sizeof(codes)));
  CHECK_EQ(codes[0], -1.0F);
  CHECK_EQ(codes[1], 1.0F);
  memset(indices, 0, sizeof(indices));
  CHECK_OK(bsq_host_codes_to_indices(&options, BSQ_FLOAT32, 2, 1, codes, sizeof(codes), indices,
                                     sizeof(indices)));
  CHECK_EQ(indices[0], 1);
  CHECK_EQ(indices[1], 2);
}

static void test_packed_codes(void) {
  const bsq_options options = defaults();
  bsq_options least = defaults();
  const float x[4] = {3.0F, -4.0F, -6.0F, 8.0F};
  const int64_t indices[2] = {2, 1};
  uint8_t packed[2] = {0};
  uint8_t bits[4] = {9, 9, 9, 9};
  float quantized[4] = {0};
  float margins[2] = {0};
  least.bit_order = BSQ_ORDER_LEAST_FIRST;

  CHECK_OK(bsq_host_pack(&options, BSQ_FLOAT32, 2, 1, x, sizeof(x), BSQ_CODES_BYTES, packed,
                         sizeof(packed)));
  CHECK_EQ(packed[0], 128);
  CHECK_EQ(packed[1], 64);
  CHECK_OK(bsq_host_unpack(&options, BSQ_FLOAT32, 2, 1, BSQ_CODES_BYTES, packed, sizeof(packed),
                           quantized, sizeof(quantized)));
  CHECK_EQ(quantized[0] > 0.707F && quantized[0] < 0.708F, 1);
  CHECK_EQ(quantized[1], -quantized[0]);
  CHECK_OK(bsq_host_convert(&options, BSQ_CODES_INDICES, &least, BSQ_CODES_BYTES, 2, indices,
                            sizeof(indices), packed, sizeof(packed)));
  CHECK_EQ(packed[0], 1);
  CHECK_EQ(packed[1], 2);
  CHECK_OK(bsq_host_convert(&least, BSQ_CODES_BYTES, &options, BSQ_CODES_BITS, 2, packed,
                            sizeof(packed), bits, sizeof(bits)));
  CHECK_EQ(bits[0], 1);
  CHECK_EQ(bits[1], 0);
  CHECK_OK(
      bsq_host_sign_margins(&options, BSQ_FLOAT32, 2, 1, x, sizeof(x), margins, sizeof(margins)));
  CHECK_EQ(margins[0] > 0.599F && margins[0] < 0.601F, 1);
}

static void test_hamming(void) {
  const uint8_t codes[4] = {0, 7, 255, 1};
  const uint8_t query = 3;
  int32_t distances[4] = {0};
  int64_t positions[2] = {-1, -1};
  CHECK_OK(bsq_host_hamming(1, &query, 1, 4, codes, sizeof(codes), distances, sizeof(distances)));
  CHECK_EQ(distances[0], 2);
  CHECK_EQ(distances[2], 6);
  CHECK_OK(bsq_host_nearest(1, 1, &query, 1, 4, codes, sizeof(codes), 2, positions,
                            sizeof(positions), distances, 2 * sizeof(int32_t)));
  CHECK_EQ(positions[0], 1);
  CHECK_EQ(positions[1], 3);
  CHECK_EQ(distances[1], 1);
}

static void test_packed_tensors(void) {
  const bsq_options options = defaults();
  const float memory[4] = {3.0F, -4.0F, -6.0F, 8.0F};
  const int64_t shape[2] = {2, 2};
  uint8_t bytes[2] = {0};
  int64_t numbers[2] = {-1, -1};
  bsq_tensor* x = NULL;
  bsq_tensor* packed = NULL;
  bsq_tensor* quantized = NULL;
  bsq_tensor* indices = NULL;
  bsq_tensor* margins = NULL;
  bsq_tensor* positions = NULL;
  bsq_tensor* distances = NULL;
  bsq_tensor* nearest_distances = NULL;

  CHECK_OK(bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape, 2, memory, sizeof(memory), &x));
  CHECK_OK(bsq_tensor_pack(&options, x, BSQ_CODES_BYTES, &packed));
  CHECK_OK(bsq_tensor_read(packed, BSQ_UINT8, bytes, sizeof(bytes)));
  CHECK_EQ(bytes[0], 128);
  CHECK_EQ(bytes[1], 64);
  CHECK_OK(bsq_tensor_unpack(&options, packed, BSQ_CODES_BYTES, BSQ_FLOAT32, &quantized));
  CHECK_OK(
      bsq_tensor_convert(&options, BSQ_CODES_BYTES, &options, BSQ_CODES_INDICES, packed, &indices));
  CHECK_OK(bsq_tensor_read(indices, BSQ_INT64, numbers, sizeof(numbers)));
  CHECK_EQ(numbers[0], 2);
  CHECK_EQ(numbers[1], 1);
  CHECK_OK(bsq_tensor_sign_margins(&options, x, &margins));
  CHECK_OK(bsq_tensor_hamming(packed, packed, BSQ_IMPLEMENTATION_AUTOMATIC, &distances));
  CHECK_OK(bsq_tensor_nearest(packed, packed, 1, BSQ_IMPLEMENTATION_AUTOMATIC, &positions,
                              &nearest_distances));
  CHECK_OK(bsq_tensor_read(positions, BSQ_INT64, numbers, sizeof(numbers)));
  CHECK_EQ(numbers[0], 0);
  CHECK_EQ(numbers[1], 1);
  bsq_tensor_free(nearest_distances);
  bsq_tensor_free(positions);
  bsq_tensor_free(distances);
  bsq_tensor_free(margins);
  bsq_tensor_free(indices);
  bsq_tensor_free(quantized);
  bsq_tensor_free(packed);
  bsq_tensor_free(x);
}

static void test_loss_sums(void) {
  bsq_options options = defaults();
  const float x[6] = {3.0F, -4.0F, 0.0F, 5.0F, 1.0F, 1.0F};
  const uint8_t mask[3] = {1, 0, 1};
  int64_t size = 0;
  double sums[8] = {0}; /* 4 and one for each of the 2^2 codes */
  float gradient[6] = {0};
  bsq_losses losses;
  bsq_losses from_sums;
  memset(&losses, 0, sizeof(losses));
  losses.struct_size = sizeof(losses);
  from_sums = losses;
  options.inverse_temperature = 5; /* nothing is certain, so all that counts has a gradient */

  CHECK_OK(bsq_loss_sums_size(&options, &size));
  CHECK_EQ(size, 8);
  CHECK_OK(bsq_host_loss_sums(&options, BSQ_FLOAT32, 3, 1, x, sizeof(x), mask, sizeof(mask), sums,
                              sizeof(sums)));
  CHECK_EQ(sums[0], 2);
  CHECK_EQ(sums[1], 2);
  CHECK_EQ(sums[4] + sums[5] + sums[6] + sums[7] > 1.999, 1); /* each row's probabilities: 1 */
  CHECK_OK(bsq_losses_from_sums(&options, sums, sizeof(sums), &from_sums));
  CHECK_OK(bsq_host_forward(&options, BSQ_FLOAT32, 3, 1, x, sizeof(x), mask, sizeof(mask), NULL, 0,
                            NULL, 0, &losses));
  CHECK_EQ(losses.rows, 2);
  CHECK_EQ(from_sums.rows, 2);
  CHECK_EQ(losses.codebook_entropy > 0.69 && losses.codebook_entropy < 1.3863, 1);
  CHECK_EQ(from_sums.codebook_entropy, losses.codebook_entropy);
  CHECK_OK(bsq_host_backward(&options, BSQ_FLOAT32, 3, 1, x, sizeof(x), mask, sizeof(mask), sums,
                             sizeof(sums), NULL, 0, 1.0, gradient, sizeof(gradient)));
  CHECK_EQ(gradient[0] != 0.0F, 1);
  CHECK_EQ(gradient[2], 0.0F); /* the row does not count */
}

static void test_tensors(void) {
  const float memory[6] = {3.0F, 1.0F, 0.0F, 9.0F, 8.0F, 2.0F};
  const int64_t shape[2] = {2, 3};
  const int64_t swapped[2] = {1, 0};
  const void* data = NULL;
  float values[3] = {-1.0F, -1.0F, -1.0F};
  bsq_tensor_info info;
  bsq_tensor* whole = NULL;
  bsq_tensor* transposed = NULL;
  bsq_tensor* row = NULL;
  bsq_tensor* wide = NULL;
  bsq_tensor* other = NULL;
  memset(&info, 0, sizeof(info));
  info.struct_size = sizeof(info);

  CHECK_OK(bsq_tensor_borrow(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape, NULL, 2, memory, sizeof(memory),
                             &whole));
  CHECK_EQ(bsq_debug_live_handles(), 1);
  CHECK_OK(bsq_tensor_data(whole, &data));
  CHECK_EQ(data == memory, 1);
  CHECK_OK(bsq_tensor_permute(whole, swapped, 2, &transposed));
  CHECK_OK(bsq_tensor_describe(transposed, &info));
  CHECK_EQ(info.dtype, BSQ_FLOAT32);
  CHECK_EQ(info.device_type, BSQ_DEVICE_CPU);
  CHECK_EQ(info.rank, 2);
  CHECK_EQ(info.shape[0], 3);
  CHECK_EQ(info.strides[0], 1);
  CHECK_OK(bsq_tensor_narrow(transposed, 1, 1, 1, &row));
  CHECK_OK(bsq_tensor_to(row, BSQ_FLOAT64, BSQ_DEVICE_CPU, 0, &wide));
  CHECK_OK(bsq_tensor_check(wide));
  CHECK_OK(bsq_tensor_read(wide, BSQ_FLOAT32, values, sizeof(values)));
  CHECK_EQ(values[0], 9.0F);
  CHECK_EQ(values[2], 2.0F);
  CHECK_OK(bsq_tensor_zeros(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &shape[1], 1, &other));
  CHECK_OK(bsq_tensor_read(other, BSQ_FLOAT32, values, sizeof(values)));
  CHECK_EQ(values[2], 0.0F);
  bsq_tensor_free(other);
  CHECK_OK(bsq_tensor_empty(BSQ_UINT8, BSQ_DEVICE_CPU, 0, shape, 2, &other));
  CHECK_EQ(bsq_debug_live_handles(), 5);
  bsq_tensor_free(other);
  bsq_tensor_free(wide);
  bsq_tensor_free(row);
  bsq_tensor_free(transposed);
  bsq_tensor_free(whole);
  bsq_tensor_free(NULL);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

static void test_quantizer_on_tensors(void) {
  const bsq_options options = defaults();
  const float values[6] = {3.0F, -4.0F, 0.0F, 5.0F, 1.0F, 1.0F};
  const float bits[2] = {0.0F, 1.0F};
  const int64_t shape[2] = {3, 2};
  int64_t read_indices[3] = {-1, -1, -1};
  float read_values[6] = {0};
  bsq_losses losses;
  bsq_tensor* x = NULL;
  bsq_tensor* indices = NULL;
  bsq_tensor* quantized = NULL;
  bsq_tensor* gradient = NULL;
  bsq_tensor* zero_one = NULL;
  bsq_tensor* codes = NULL;
  bsq_tensor* index = NULL;
  bsq_tensor* sums = NULL;
  bsq_quantization* quantization = NULL;
  double read_sums[8] = {0};
  memset(&losses, 0, sizeof(losses));
  losses.struct_size = sizeof(losses);

  CHECK_OK(bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape, 2, values, sizeof(values), &x));
  CHECK_OK(bsq_tensor_encode(&options, x, &indices));
  CHECK_OK(bsq_tensor_read(indices, BSQ_INT64, read_indices, sizeof(read_indices)));
  CHECK_EQ(read_indices[0], 2);
  CHECK_EQ(read_indices[2], 3);
  CHECK_OK(bsq_tensor_decode(&options, indices, BSQ_FLOAT32, &quantized));
  CHECK_OK(bsq_tensor_read(quantized, BSQ_FLOAT32, read_values, sizeof(read_values)));
  CHECK_EQ(read_values[0] > 0.707F && read_values[0] < 0.708F, 1);
  bsq_tensor_free(quantized);
  bsq_tensor_free(indices);

  CHECK_OK(bsq_tensor_forward(&options, x, NULL, &quantization));
  CHECK_OK(bsq_quantization_losses(quantization, &losses));
  CHECK_EQ(losses.codebook_entropy > 1.0 && losses.codebook_entropy < 1.3863, 1);
  CHECK_OK(bsq_quantization_quantized(quantization, &quantized));
  CHECK_OK(bsq_quantization_indices(quantization, &indices));
  CHECK_OK(bsq_quantization_loss_sums(quantization, &sums));
  CHECK_OK(bsq_quantization_backward(quantization, sums, x, 0.0, &gradient));
  bsq_quantization_free(quantization);
  bsq_quantization_free(NULL);
  CHECK_OK(bsq_tensor_read(quantized, BSQ_FLOAT32, read_values, sizeof(read_values)));
  CHECK_EQ(read_values[2], -read_values[3]);
  CHECK_OK(bsq_tensor_read(indices, BSQ_INT64, read_indices, sizeof(read_indices)));
  CHECK_EQ(read_indices[1], 1);
  CHECK_OK(bsq_tensor_read(sums, BSQ_FLOAT64, read_sums, sizeof(read_sums)));
  CHECK_EQ(read_sums[0], 3); /* rows */
  CHECK_OK(bsq_tensor_read(gradient, BSQ_FLOAT32, read_values, sizeof(read_values)));
  CHECK_EQ(read_values[0] < 1e-6F && read_values[0] > -1e-6F, 1);

  CHECK_OK(
      bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, &shape[1], 1, bits, sizeof(bits), &zero_one));
  CHECK_OK(bsq_tensor_bits_to_codes(zero_one, &codes));
  CHECK_OK(bsq_tensor_codes_to_indices(&options, codes, &index));
  CHECK_OK(bsq_tensor_read(index, BSQ_INT64, read_indices, sizeof(read_indices[0])));
  CHECK_EQ(read_indices[0], 1);
  CHECK_EQ(bsq_debug_live_handles(), 8);
  bsq_tensor_free(index);
  bsq_tensor_free(sums);
  bsq_tensor_free(codes);
  bsq_tensor_free(zero_one);
  bsq_tensor_free(gradient);
  bsq_tensor_free(indices);
  bsq_tensor_free(quantized);
  bsq_tensor_free(x);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

static void test_dlpack(void) {
  const float memory[2] = {3.0F, 1.0F};
  const int64_t shape[1] = {2};
  float values[2] = {0};
  void* managed = NULL;
  bsq_tensor* x = NULL;
  bsq_tensor* same = NULL;
  CHECK_OK(bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape, 1, memory, sizeof(memory), &x));
  CHECK_OK(bsq_tensor_to_dlpack(x, &managed));
  bsq_tensor_free(x);
  CHECK_EQ(bsq_debug_live_handles(), 1);
  CHECK_OK(bsq_tensor_from_dlpack(managed, &same));
  bsq_tensor_disown(same);
  CHECK_OK(bsq_tensor_from_dlpack(managed, &same));
  CHECK_OK(bsq_tensor_read(same, BSQ_FLOAT32, values, sizeof(values)));
  CHECK_EQ(values[1], 1.0F);
  CHECK_OK(bsq_tensor_to_dlpack(same, &managed));
  bsq_tensor_free(same);
  CHECK_EQ(bsq_debug_live_handles(), 2);
  bsq_dlpack_free(managed);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

static void test_memory_of_devices(void) {
  const int64_t shape[1] = {2};
  const int64_t huge[1] = {INT64_MAX};
  const float memory[2] = {3.0F, 1.0F};
  const int32_t beyond = bsq_device_count(BSQ_DEVICE_CUDA);
  bsq_device_info info;
  bsq_memory_shortage shortage;
  bsq_status* status = NULL;
  bsq_tensor* x = NULL;
  bsq_tensor* same = NULL;
  void* stream = NULL;
  memset(&info, 0, sizeof(info));
  info.struct_size = sizeof(info);
  memset(&shortage, 0, sizeof(shortage));
  shortage.struct_size = sizeof(shortage);
  CHECK_OK(bsq_device_describe(BSQ_DEVICE_CPU, 0, &info));
  CHECK_EQ(info.total_memory > 0, 1);
  CHECK_OK(bsq_device_synchronize(BSQ_DEVICE_CPU, 0));
  CHECK_OK(bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape, 1, memory, sizeof(memory), &x));
  CHECK_OK(bsq_tensor_to_async(x, BSQ_DEVICE_CPU, 0, &same));
  bsq_tensor_free(same);
  bsq_tensor_free(x);
  status = bsq_tensor_empty(BSQ_UINT8, BSQ_DEVICE_CPU, 0, huge, 1, &x);
  CHECK_EQ(bsq_status_code(status), BSQ_OUT_OF_MEMORY);
  CHECK_EQ(bsq_status_shortage(status, &shortage), 1);
  CHECK_EQ(shortage.requested_bytes, INT64_MAX);
  bsq_status_free(status);

  /* What needs a GPU. */
  status = bsq_tensor_empty_pinned(BSQ_FLOAT32, shape, 1, &x);
  CHECK_EQ(bsq_status_code(status), beyond == 0 ? BSQ_UNSUPPORTED : BSQ_OK);
  bsq_status_free(status);
  bsq_tensor_free(x);
  status = bsq_stream_from_pool(BSQ_DEVICE_CUDA, beyond, &stream);
  CHECK_EQ(bsq_status_code(status), BSQ_UNSUPPORTED);
  bsq_status_free(status);
  status = bsq_stream_current(BSQ_DEVICE_CUDA, beyond, &stream);
  CHECK_EQ(bsq_status_code(status), BSQ_UNSUPPORTED);
  bsq_status_free(status);
  status = bsq_stream_set_current(BSQ_DEVICE_CUDA, beyond, stream);
  CHECK_EQ(bsq_status_code(status), BSQ_UNSUPPORTED);
  bsq_status_free(status);
  status = bsq_stream_synchronize(BSQ_DEVICE_CUDA, beyond, stream);
  CHECK_EQ(bsq_status_code(status), BSQ_UNSUPPORTED);
  bsq_status_free(status);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

static void test_usage(void) {
  bsq_options options = defaults();
  const int64_t shape[1] = {3};
  const int64_t indices[3] = {2, 1, 2};
  const uint8_t mask[3] = {1, 0, 1};
  int64_t counts[4] = {0, 0, 0, 0};
  int64_t size = 0;
  bsq_tensor* codes = NULL;
  bsq_tensor* usage = NULL;
  options.code_dim = 2;
  CHECK_OK(bsq_usage_size(&options, &size));
  CHECK_EQ(size, 4);
  CHECK_OK(bsq_host_usage_add(&options, BSQ_CODES_INDICES, 3, indices, sizeof(indices), mask,
                              sizeof(mask), counts, sizeof(counts)));
  CHECK_EQ(counts[1], 0);
  CHECK_EQ(counts[2], 2);
  CHECK_OK(
      bsq_tensor_copy(BSQ_INT64, BSQ_DEVICE_CPU, 0, shape, 1, indices, sizeof(indices), &codes));
  CHECK_OK(bsq_tensor_usage(&options, codes, BSQ_CODES_INDICES, NULL, &usage));
  CHECK_OK(bsq_tensor_read(usage, BSQ_INT64, counts, sizeof(counts)));
  CHECK_EQ(counts[1], 1);
  CHECK_EQ(counts[2], 2);
  bsq_tensor_free(usage);
  bsq_tensor_free(codes);
}

static void test_status(void) {
  bsq_options options = defaults();
  bsq_status* status = NULL;
  options.code_dim = 64;
  status = bsq_host_encode(&options, BSQ_FLOAT32, 0, 1, NULL, 0, NULL, 0);
  CHECK_EQ(bsq_debug_live_handles(), 1);
  CHECK_EQ(bsq_status_code(status), BSQ_INVALID_ARGUMENT);
  CHECK_EQ(strcmp(bsq_status_message(status),
                  "code_dim is 64, but an index has at most 63 bits: set group_size, for an index "
                  "of each group, or pack the bits"),
           0);
  bsq_status_free(status);
  CHECK_EQ(bsq_debug_live_handles(), 0);
  CHECK_EQ(bsq_status_code(NULL), BSQ_OK);
  CHECK_EQ(strcmp(bsq_status_message(NULL), ""), 0);
  bsq_status_free(NULL);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

static void test_residual_functions(void) {
  const bsq_options options = defaults();
  const float x[4] = {3.0F, -4.0F, 0.0F, 5.0F};
  const double weights[2] = {1.0, 0.5};
  const int64_t shape[2] = {2, 2};
  int64_t indices[4] = {0};
  int64_t inverse[4] = {0};
  float quantized[4] = {0};
  float rest[4] = {0};
  bsq_losses losses[2];
  bsq_tensor* rows = NULL;
  bsq_tensor* codes = NULL;
  bsq_tensor* decoded = NULL;
  bsq_tensor* residual = NULL;
  bsq_tensor* gradient = NULL;
  bsq_tensor* again = NULL;
  bsq_residual_quantization* quantization = NULL;
  bsq_quantization* level = NULL;
  memset(losses, 0, sizeof(losses));
  losses[0].struct_size = sizeof(losses[0]);
  losses[1].struct_size = sizeof(losses[1]);

  /* u = (0.6, -0.8), (0, 1); residuals (-0.107, -0.093), (0.707, 0.293). */
  CHECK_OK(bsq_host_residual_encode(&options, 2, BSQ_FLOAT32, 2, 1, x, sizeof(x), indices,
                                    sizeof(indices)));
  CHECK_EQ(indices[0], 2);
  CHECK_EQ(indices[1], 0);
  CHECK_EQ(indices[2], 1);
  CHECK_EQ(indices[3], 3);
  CHECK_OK(bsq_host_residual_decode(&options, 2, 2, BSQ_FLOAT32, 2, 1, indices, sizeof(indices),
                                    quantized, sizeof(quantized)));
  CHECK_EQ(quantized[0] > 0.353F && quantized[0] < 0.354F, 1);
  CHECK_EQ(quantized[1], -3 * quantized[0]);
  CHECK_OK(bsq_host_residual_codes_to_indices(&options, 2, BSQ_FLOAT32, 2, 1, quantized,
                                              sizeof(quantized), inverse, sizeof(inverse)));
  CHECK_EQ(memcmp(inverse, indices, sizeof(indices)), 0);
  CHECK_OK(bsq_host_residual(&options, 1, BSQ_FLOAT32, 2, 1, x, sizeof(x), rest, sizeof(rest)));
  CHECK_EQ(rest[0] > -0.1072F && rest[0] < -0.1071F, 1);
  CHECK_OK(bsq_host_residual_forward(&options, 2, BSQ_FLOAT32, 2, 1, x, sizeof(x), NULL, 0,
                                     quantized, sizeof(quantized), indices, sizeof(indices),
                                     losses));
  CHECK_EQ(losses[0].rows, 2);
  CHECK_EQ(losses[1].codebook_entropy > 0.69 && losses[1].codebook_entropy < 0.7, 1);
  CHECK_OK(bsq_host_residual_backward(&options, 2, BSQ_FLOAT32, 2, 1, x, sizeof(x), NULL, 0, x,
                                      sizeof(x), weights, sizeof(weights), rest, sizeof(rest)));
  CHECK_EQ(rest[0] != 0.0F, 1);

  CHECK_OK(bsq_tensor_copy(BSQ_FLOAT32, BSQ_DEVICE_CPU, 0, shape, 2, x, sizeof(x), &rows));
  CHECK_OK(bsq_tensor_residual_encode(&options, 2, rows, &codes));
  CHECK_OK(bsq_tensor_read(codes, BSQ_INT64, inverse, sizeof(inverse)));
  CHECK_EQ(memcmp(inverse, indices, sizeof(indices)), 0);
  CHECK_OK(bsq_tensor_residual_decode(&options, 2, 2, codes, BSQ_FLOAT32, &decoded));
  CHECK_OK(bsq_tensor_residual_codes_to_indices(&options, 2, decoded, &again));
  CHECK_OK(bsq_tensor_residual(&options, 1, rows, &residual));
  CHECK_OK(bsq_tensor_residual_forward(&options, 2, rows, NULL, &quantization));
  bsq_tensor_free(codes);
  bsq_tensor_free(decoded);
  CHECK_OK(bsq_residual_quantization_quantized(quantization, &decoded));
  CHECK_OK(bsq_residual_quantization_indices(quantization, &codes));
  CHECK_OK(bsq_residual_quantization_level(quantization, 1, &level));
  CHECK_OK(bsq_quantization_losses(level, losses));
  CHECK_EQ(losses[0].codebook_entropy, losses[1].codebook_entropy);
  CHECK_OK(
      bsq_residual_quantization_backward(quantization, rows, weights, sizeof(weights), &gradient));
  CHECK_EQ(bsq_debug_live_handles(), 8);
  bsq_residual_quantization_free(quantization);
  bsq_residual_quantization_free(NULL);
  bsq_quantization_free(level);
  bsq_tensor_free(gradient);
  bsq_tensor_free(again);
  bsq_tensor_free(residual);
  bsq_tensor_free(decoded);
  bsq_tensor_free(codes);
  bsq_tensor_free(rows);
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

int main(void) {
  test_versions();
  test_devices();
  test_host_functions();
  test_residual_functions();
  test_packed_codes();
  test_hamming();
  test_packed_tensors();
  test_loss_sums();
  test_tensors();
  test_quantizer_on_tensors();
  test_memory_of_devices();
  test_dlpack();
  test_usage();
  test_status();
  printf("%s: %d checks, %d failed\n", failures == 0 ? "ok" : "FAILED", checks, failures);
  return failures == 0 && checks > 100 ? 0 : 1;
}
