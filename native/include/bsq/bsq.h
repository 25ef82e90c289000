/*
 * bsq.h - binary spherical quantization on LibTorch: the C interface.
 *
 * This header is the specification of libbsq. It is plain C11 and needs nothing but <stdint.h>.
 *
 * The quantizer
 *   A row x of code_dim = D components is normalised, u = x / max(|x|, 1e-12), and quantized to the
 *   corner of the hypercube {-1/sqrt(D), +1/sqrt(D)}^D that shares its signs. Component d gives the
 *   bit x_d > 0 (so 0, -0.0 give 0), and the bits, component 0 as the most significant, give the
 *   index, an int64 in [0, 2^D). The losses compare u softly with all 2^D codes c,
 *   p(c|u) = softmax_c(2 * inverse_temperature * u.c), with the natural logarithm and e = 1e-5:
 *     per_sample_entropy = mean over rows of sum_c -p(c|u) log max(p(c|u), e)
 *     codebook_entropy   = sum_c -q(c) log max(q(c), e),   q(c) = mean over rows of p(c|u)
 *     aux_loss = entropy_loss_weight * (per_sample_entropy - diversity_gamma * codebook_entropy)
 *   as speechbrain.lobes.models.bsq.BinarySphericalQuantizer (Luca Della Libera, 2025) defines
 *   them. They are computed exactly, without the codebook and without anything of rows * 2^D
 *   elements.
 *
 * Calls
 *   Every function that can fail returns a bsq_status that the caller owns: NULL on success, else a
 *   code and a message that names the offending value. Nothing else is thrown, printed or kept.
 *   All functions may be called from any thread at any time; they share no mutable state. A call
 *   may use LibTorch's thread pool, whose size is read, never set.
 *
 * Memory
 *   bsq_host_* functions work on the caller's CPU memory. Every buffer is a pointer followed by the
 *   number of bytes it may touch. The library checks it (at least what the shapes need, aligned to
 *   the element size, outputs overlapping nothing) before it reads or writes anything, and keeps no
 *   pointer after it returns. Inputs are never written, and must not be changed by other threads
 *   meanwhile, or results are unspecified. After a failure the contents of the outputs are
 *   unspecified. A buffer of no elements may be NULL.
 */
#ifndef BSQ_BSQ_H_
#define BSQ_BSQ_H_

#include <stdint.h>

#if defined(__GNUC__)
#define BSQ_API __attribute__((visibility("default")))
#else
#define BSQ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Versions
 *
 * BSQ_ABI_VERSION changes with every change of this header that a compiled caller could notice.
 * A caller must compare it with bsq_abi_version() before any other call.
 */
#define BSQ_ABI_VERSION 1

BSQ_API int32_t bsq_abi_version(void);

/* The version of LibTorch in this process, packed as 0xMMmmpp0000000000 (major, minor, patch). */
BSQ_API uint64_t bsq_torch_version(void);

/* How many threads LibTorch uses for one call from this thread. */
BSQ_API int32_t bsq_num_threads(void);

/* The name of the implementation that serves CPU memory. Borrowed: static, never freed. */
BSQ_API const char* bsq_cpu_implementation(void);

/* How many objects that callers own (here: statuses) are alive. For leak tests. */
BSQ_API int64_t bsq_debug_live_handles(void);

/*
 * Status
 */
#define BSQ_OK 0
#define BSQ_INVALID_ARGUMENT 1 /* an argument, or a value in an input; the message says which */
#define BSQ_UNSUPPORTED 2      /* a valid request that this build or version does not serve */
#define BSQ_OUT_OF_MEMORY 3    /* memory could not be had; nothing leaked, later calls work */
#define BSQ_DEVICE_ERROR 4     /* a device (GPU) or its driver failed */
#define BSQ_INTERNAL 5         /* a defect of this library or of LibTorch; please report it */

typedef struct bsq_status bsq_status;

/* The code of a status; BSQ_OK for NULL. */
BSQ_API int32_t bsq_status_code(const bsq_status* status);

/* The message, UTF-8, "" for NULL. Borrowed: valid until the status is freed. */
BSQ_API const char* bsq_status_message(const bsq_status* status);

/* Frees a status. NULL is accepted. */
BSQ_API void bsq_status_free(bsq_status* status);

/*
 * Element types. Numbers are never reused; those not listed are reserved.
 */
#define BSQ_FLOAT32 1
#define BSQ_FLOAT64 2

/* What to do with a row that holds a NaN or an infinity. */
#define BSQ_NON_FINITE_REFUSE 0    /* fail with BSQ_INVALID_ARGUMENT, naming row and column */
#define BSQ_NON_FINITE_PROPAGATE 1 /* as the reference: index 0, quantized and losses NaN */

/*
 * Options. Fill in all fields, struct_size with sizeof(bsq_options). The struct grows only at its
 * end: a caller with a longer struct is accepted if all that this library does not know is zero.
 */
typedef struct bsq_options {
  uint64_t struct_size;
  int64_t code_dim;           /* D: 1..63; functions that compute losses take 1..24 */
  double entropy_loss_weight; /* finite; the reference's default is 0.1 */
  double diversity_gamma;     /* finite; the reference's default is 1.0 */
  double inverse_temperature; /* 0..1e30; the reference's default is 100.0 */
  int32_t non_finite;         /* BSQ_NON_FINITE_REFUSE or BSQ_NON_FINITE_PROPAGATE */
  int32_t reserved;           /* 0 */
} bsq_options;

/*
 * Losses, an output. The caller sets struct_size; the library fills in the fields that it knows and
 * sets the rest to zero. All are in nats, 0 where there are no rows.
 */
typedef struct bsq_losses {
  uint64_t struct_size;
  double aux_loss;
  double per_sample_entropy;
  double codebook_entropy;
} bsq_losses;

/*
 * The host path. dtype is the type of x, quantized, bits, codes and gradients; rows >= 0.
 * float32 data is computed in float32 with norms and sums in float64, float64 data in float64.
 */

/* indices[rows] from x[rows, code_dim]: the signs alone, no loss. */
BSQ_API bsq_status* bsq_host_encode(const bsq_options* options, int32_t dtype, int64_t rows,
                                    const void* x, int64_t x_bytes, int64_t* indices,
                                    int64_t indices_bytes);

/*
 * quantized[rows, code_dim] from indices[rows]: bit 1 gives +1/sqrt(D), bit 0 gives -1/sqrt(D).
 * An index outside [0, 2^D) is refused with its position.
 */
BSQ_API bsq_status* bsq_host_decode(const bsq_options* options, int32_t dtype, int64_t rows,
                                    const int64_t* indices, int64_t indices_bytes, void* quantized,
                                    int64_t quantized_bytes);

/*
 * The quantizer's forward pass over x[rows, code_dim]. quantized[rows, code_dim], indices[rows] and
 * losses may each be NULL (with 0 bytes) where they are not wanted; without losses any code_dim up
 * to 63 is served, with losses up to 24, since the codebook term needs memory for 2^code_dim
 * numbers.
 */
BSQ_API bsq_status* bsq_host_forward(const bsq_options* options, int32_t dtype, int64_t rows,
                                     const void* x, int64_t x_bytes, void* quantized,
                                     int64_t quantized_bytes, int64_t* indices,
                                     int64_t indices_bytes, bsq_losses* losses);

/*
 * grad_x[rows, code_dim]: the gradient of <grad_quantized, quantized> + grad_aux_loss * aux_loss
 * with respect to x, straight through the signs (the gradient of quantized is that of u). It takes
 * x again and recomputes what it needs. grad_quantized[rows, code_dim] may be NULL (with 0 bytes)
 * for none; with grad_aux_loss = 0 no loss is computed and any code_dim up to 63 is served. The
 * gradients are not checked: what is not finite in them goes into grad_x.
 * Where |x| <= 1e-12 the norm counts as the constant 1e-12. Rows that the policy lets through
 * although they are not finite get NaN; all rows do if grad_aux_loss is not 0, for the loss is NaN.
 */
BSQ_API bsq_status* bsq_host_backward(const bsq_options* options, int32_t dtype, int64_t rows,
                                      const void* x, int64_t x_bytes, const void* grad_quantized,
                                      int64_t grad_quantized_bytes, double grad_aux_loss,
                                      void* grad_x, int64_t grad_x_bytes);

/* codes[count] = 2 * bits[count] - 1: {0, 1} to {-1, +1}, of any shape. */
BSQ_API bsq_status* bsq_host_bits_to_codes(int32_t dtype, int64_t count, const void* bits,
                                           int64_t bits_bytes, void* codes, int64_t codes_bytes);

/*
 * indices[rows] from codes[rows, code_dim] of any scale (+-1, +-1/sqrt(D)): the inverse of decode.
 * Unlike encode it refuses what is no code value: zeros, NaN and infinities, with their position.
 */
BSQ_API bsq_status* bsq_host_codes_to_indices(const bsq_options* options, int32_t dtype,
                                              int64_t rows, const void* codes, int64_t codes_bytes,
                                              int64_t* indices, int64_t indices_bytes);

#ifdef __cplusplus
}
#endif

#endif /* BSQ_BSQ_H_ */
