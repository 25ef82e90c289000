/*
 * bsq.h - binary spherical quantization on LibTorch: the C interface.
 *
 * This header is the specification of libbsq. It is plain C11 and needs nothing but <stdint.h>.
 *
 * The quantizer
 *   A row holds the components of `codebooks` = K codes, code_dim = D for each. A code's components
 *   x are normalised, u = x / max(|x|, 1e-12), and quantized to the corner q of the hypercube
 *   {-1/sqrt(D), +1/sqrt(D)}^D that shares their signs. Component d gives the bit x_d > 0 (so 0,
 *   -0.0 give 0). Each group_size = g consecutive bits, the first as the most significant, make up
 *   an index, an int64 in [0, 2^g): there are K * G indices in a row, G = D / g. Where nothing else
 *   is asked for, K = 1 and g = D, and a row has one index. Other conventions (the order of the
 *   bits, the bit of 0, the values of quantized) are options; the losses are the same with all.
 *
 *   The losses compare each group's components u_g softly with all 2^g corners c of theirs,
 *   p(c|u) = softmax_c(2 * inverse_temperature * u_g.c). They are made of three terms; H is the
 *   entropy with the natural logarithm and the floor e of the options, and all means are over the
 *   rows that count (see mask) and, where there are several, over the codebooks:
 *     per_sample_entropy = mean of sum over the groups of H(p(.|u))
 *     codebook_entropy   = mean over the codebooks of sum over the groups of H(mean of p(.|u))
 *     commitment         = mean of |u - q|^2
 *     H(p) = sum_c -p(c) log max(p(c), e)  or  sum_c -p(c) log(p(c) + e)
 *     entropy_loss = sample_entropy_weight * per_sample_entropy
 *                    - diversity_gamma * codebook_entropy
 *     aux_loss     = entropy_loss_weight * entropy_loss + commitment_weight * commitment
 *   With the default options that is what speechbrain.lobes.models.bsq.BinarySphericalQuantizer
 *   (Luca Della Libera, 2025) defines; with others it is BSQ-ViT's quantizer (Zhao, Xiong,
 *   Kraehenbuehl, arXiv:2406.07548) and lucidrains' LFQ with spherical = True. All is computed
 *   exactly, without a codebook and without anything of rows * 2^g elements.
 *
 * Calls
 *   Every function that can fail returns a bsq_status that the caller owns: NULL on success, else a
 *   code and a message that names the offending value. Nothing else is thrown, printed or kept.
 *   All functions may be called from any thread at any time; they share no mutable state. A call
 *   may use LibTorch's thread pool, whose size is read, never set.
 *
 * Two ways in
 *   bsq_host_* functions work on the caller's CPU memory and make no objects. Every buffer is a
 *   pointer followed by the number of bytes it may touch. The library checks it (at least what the
 *   shapes need, aligned to the element size, outputs overlapping nothing) before it reads or
 *   writes anything, and keeps no pointer after it returns. Inputs are never written, and must not
 *   be changed by other threads meanwhile, or results are unspecified. After a failure the contents
 *   of the outputs are unspecified. A buffer of no elements may be NULL.
 *   bsq_tensor_* functions work on tensors: objects with memory of their own, on any device.
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
#define BSQ_ABI_VERSION 6

BSQ_API int32_t bsq_abi_version(void);

/* The version of LibTorch in this process, packed as 0xMMmmpp0000000000 (major, minor, patch). */
BSQ_API uint64_t bsq_torch_version(void);

/* How many threads LibTorch uses for one call from this thread. */
BSQ_API int32_t bsq_num_threads(void);

/* How many objects that callers own (statuses, tensors, quantizations) are alive. For leak tests.
 */
BSQ_API int64_t bsq_debug_live_handles(void);

/*
 * Status
 */
#define BSQ_OK 0
#define BSQ_INVALID_ARGUMENT 1 /* an argument, or a value in an input; the message says which */
#define BSQ_UNSUPPORTED 2      /* a valid request that this build or version does not serve */
#define BSQ_OUT_OF_MEMORY 3    /* memory or threads could not be had; later calls work */
#define BSQ_DEVICE_ERROR 4     /* a device (GPU) or its driver failed */
#define BSQ_INTERNAL 5         /* a defect of this library or of LibTorch; please report it */

typedef struct bsq_status bsq_status;

/* The code of a status; BSQ_OK for NULL. */
BSQ_API int32_t bsq_status_code(const bsq_status* status);

/* The message, UTF-8, "" for NULL. Borrowed: valid until the status is freed. */
BSQ_API const char* bsq_status_message(const bsq_status* status);

/* Frees a status. NULL is accepted. */
BSQ_API void bsq_status_free(bsq_status* status);

/* Memory for a tensor that could not be had, an output. The caller sets struct_size. */
typedef struct bsq_memory_shortage {
  uint64_t struct_size;
  int32_t device_type; /* whose memory */
  int32_t device_index;
  int64_t requested_bytes; /* -1 where only the message tells: for what an operator needs inside */
  int64_t free_bytes;      /* of the device, after the failure; -1 where unknown */
  int64_t total_bytes;     /* of the device; -1 where unknown */
} bsq_memory_shortage;

/*
 * 1 if the status is one of BSQ_OUT_OF_MEMORY whose device is known, with *shortage filled in; else
 * 0, also where struct_size is too small.
 */
BSQ_API int32_t bsq_status_shortage(const bsq_status* status, bsq_memory_shortage* shortage);

/*
 * Devices. CUDA devices are numbered as the CUDA driver lists them to this process, from 0; the
 * CPU's index is 0.
 */
#define BSQ_DEVICE_CPU 1
#define BSQ_DEVICE_CUDA 2

/* How many devices of this type can be used. 1 for the CPU; 0 for an unknown type. */
BSQ_API int32_t bsq_device_count(int32_t device_type);

/* NULL if the device can be used, else a status that names what is missing. */
BSQ_API bsq_status* bsq_device_check(int32_t device_type, int32_t device_index);

/*
 * The name of what computes on devices of this type unless options ask for another, with the reason
 * where it is not kernels, and the devices for which it is something else than for the first;
 * "none" for an unknown type. Borrowed: static, never freed.
 */
BSQ_API const char* bsq_device_implementation(int32_t device_type);

/* What a device is, an output. The caller sets struct_size. */
typedef struct bsq_device_info {
  uint64_t struct_size;
  int64_t total_memory;  /* in bytes; -1 where unknown */
  int64_t free_memory;   /* in bytes, to all processes; what LibTorch keeps for later tensors is not
                            free; -1 where unknown: for a GPU before this process first uses it */
  int32_t compute_major; /* CUDA's compute capability; 0.0 for the CPU */
  int32_t compute_minor;
  char name[256]; /* UTF-8, terminated; "" where unknown */
} bsq_device_info;

/* It makes no CUDA context, so it takes no memory of the device. */
BSQ_API bsq_status* bsq_device_describe(int32_t device_type, int32_t device_index,
                                        bsq_device_info* info);

/*
 * Streams. What is computed on a CUDA device goes, in order, onto the stream of the device that is
 * current for the calling thread: CUDA's default stream, unless the thread sets another. A tensor
 * may be used on another stream than that which it was made on after the maker has waited for its
 * own: nothing here does so by itself. `stream` is a cudaStream_t. The CPU has no streams: these
 * functions refuse it with BSQ_UNSUPPORTED, but for bsq_device_synchronize, which has nothing to
 * wait for there.
 */

/* Waits for the stream that is current for this thread. */
BSQ_API bsq_status* bsq_device_synchronize(int32_t device_type, int32_t device_index);

/* One of LibTorch's pool of 32 for each device, in turn. Borrowed: never freed. */
BSQ_API bsq_status* bsq_stream_from_pool(int32_t device_type, int32_t device_index, void** stream);

/* That which is current for this thread; NULL is CUDA's default stream. */
BSQ_API bsq_status* bsq_stream_current(int32_t device_type, int32_t device_index, void** stream);

/* Makes it the current one for this thread, until it sets another. It has to stay valid. */
BSQ_API bsq_status* bsq_stream_set_current(int32_t device_type, int32_t device_index, void* stream);

/* Waits until all is done that was put onto it. */
BSQ_API bsq_status* bsq_stream_synchronize(int32_t device_type, int32_t device_index, void* stream);

/*
 * Element types. Numbers are never reused; those not listed are reserved. The host path takes
 * FLOAT32 and FLOAT64.
 */
#define BSQ_FLOAT32 1
#define BSQ_FLOAT64 2
#define BSQ_FLOAT16 3  /* IEEE 754 binary16 */
#define BSQ_BFLOAT16 4 /* the upper half of a float32 */
#define BSQ_INT64 5
#define BSQ_INT32 6
#define BSQ_UINT8 7

/*
 * What to do with a row that holds a NaN or an infinity. PROPAGATE does as the reference, code by
 * code: of a code that is not finite the indices are 0 and quantized is NaN (with infinities but
 * no NaN, the finite components give -1/sqrt(D)). The losses are NaN that the code would be part
 * of: all of them where the row is one that the entropies are of; with a commitment_weight, where
 * it counts.
 */
#define BSQ_NON_FINITE_REFUSE 0 /* fail with BSQ_INVALID_ARGUMENT, naming row and column */
#define BSQ_NON_FINITE_PROPAGATE 1

/*
 * What computes. On CUDA devices there are kernels to encode, decode, pack and unpack, and for the
 * forward and backward pass of one level.
 */
#define BSQ_IMPLEMENTATION_AUTOMATIC 0 /* kernels where there are some, else operators */
#define BSQ_IMPLEMENTATION_KERNELS 1   /* this library's own code; fails where there is none */
#define BSQ_IMPLEMENTATION_OPERATORS 2 /* LibTorch's operators, on any device; tensors only */

/* Which distributions the entropies are of. */
#define BSQ_ENTROPY_EXACT 0      /* each group's, over its 2^group_size codes */
#define BSQ_ENTROPY_ANALYTICAL 1 /* each bit's, as if every group were one bit: any group_size */

/* What keeps the logarithm of a probability p from 0. */
#define BSQ_FLOOR_CLAMP 0 /* log max(p, e) */
#define BSQ_FLOOR_ADD 1   /* log(p + e) */

/* By what the entropy loss is multiplied beside its weight. */
#define BSQ_ENTROPY_SCALE_ONE 0
#define BSQ_ENTROPY_SCALE_TEMPERATURE 1 /* 1 / inverse_temperature, as BSQ-ViT does */

/* Whether the entropy loss is made positive. */
#define BSQ_POSITIVE_NONE 0
#define BSQ_POSITIVE_SOFTPLUS 1 /* log(1 + exp(entropy_loss + positive_offset)), as LFQ can do */

/* What the commitment is the mean of. */
#define BSQ_COMMITMENT_SQUARED_NORM 0 /* |u - q|^2 of each code, as BSQ-ViT does */
#define BSQ_COMMITMENT_SQUARE 1       /* (u_d - q_d)^2 of each component, as LFQ does */

/* Which of a code's bits is the first, in its indices, packed bytes and words. */
#define BSQ_ORDER_MOST_FIRST 0  /* component 0 is the most significant bit */
#define BSQ_ORDER_LEAST_FIRST 1 /* component 0 is the least significant bit */

/* The bit of a component that is 0 or -0.0. */
#define BSQ_TIE_ZERO 0 /* 0: a bit is x > 0 */
#define BSQ_TIE_ONE 1  /* 1: a bit is x >= 0 */

/* The values of quantized. The losses, and the gradient straight through, are of the first. */
#define BSQ_SCALE_UNIT 0 /* +-1/sqrt(code_dim) */
#define BSQ_SCALE_ONE 1  /* +-1 */

/* Packed bytes. OFFSET is for systems with signed bytes: each byte's highest bit is inverted. */
#define BSQ_BYTES_PLAIN 0  /* the bits, 0 to 255 */
#define BSQ_BYTES_OFFSET 1 /* that less 128, -128 to 127 */

/*
 * Options. bsq_options_init sets all fields to the defaults. The struct grows only at its end: a
 * caller with a longer struct, of 4096 bytes at most, is accepted if all that this library does not
 * know is zero.
 */
typedef struct bsq_options {
  uint64_t struct_size;
  int64_t code_dim;              /* D: 1..4096 */
  double entropy_loss_weight;    /* finite; 0.1 */
  double diversity_gamma;        /* finite; 1 */
  double inverse_temperature;    /* 0..1e30; 100 */
  int32_t non_finite;            /* BSQ_NON_FINITE_*; REFUSE */
  int32_t implementation;        /* BSQ_IMPLEMENTATION_*; AUTOMATIC */
  int64_t codebooks;             /* K: 1..1024; 1 */
  int64_t group_size;            /* g: 1..63, divides code_dim; 0 stands for code_dim; 0. A code_dim
                                    above 63 with 0 has no indices: calls for them are refused */
  int32_t entropy_form;          /* BSQ_ENTROPY_*; EXACT */
  int32_t entropy_floor;         /* BSQ_FLOOR_*; CLAMP */
  double entropy_epsilon;        /* e: 1e-30..0.1; 1e-5 */
  double sample_entropy_weight;  /* finite; 1 */
  int32_t entropy_scale;         /* BSQ_ENTROPY_SCALE_*; ONE */
  int32_t positive;              /* BSQ_POSITIVE_*; NONE */
  double positive_offset;        /* finite; 5; without BSQ_POSITIVE_SOFTPLUS it is ignored */
  int32_t commitment;            /* BSQ_COMMITMENT_*; SQUARED_NORM */
  int32_t channel_first;         /* 0 or 1; 0: see "Shapes" */
  double commitment_weight;      /* finite; 0: the commitment is then not computed, and told as 0 */
  double straight_through_scale; /* finite; 1: of the gradient through the signs: see backward */
  double entropy_fraction;       /* above 0, up to 1; 1: the share of the rows that count which the
                                    entropies are of, at least one; they are drawn at random */
  int64_t entropy_seed;          /* any; 0: the same seed draws the same rows */
  int32_t bit_order;             /* BSQ_ORDER_*; MOST_FIRST */
  int32_t tie;                   /* BSQ_TIE_*; ZERO */
  int32_t code_scale;            /* BSQ_SCALE_*; UNIT */
  int32_t byte_form;             /* BSQ_BYTES_*; PLAIN */
} bsq_options;

/* Sets all options to the defaults. struct_size is sizeof(bsq_options). */
BSQ_API bsq_status* bsq_options_init(bsq_options* options, uint64_t struct_size, int64_t code_dim);

/*
 * Losses, an output. The caller sets struct_size; the library fills in the fields that it knows and
 * sets the rest to zero. Entropies are in nats. All are 0 where no rows count.
 */
typedef struct bsq_losses {
  uint64_t struct_size;
  double aux_loss;
  double per_sample_entropy;
  double codebook_entropy;
  double entropy_loss; /* after BSQ_POSITIVE_*, before its weight and BSQ_ENTROPY_SCALE_* */
  double commitment;
  int64_t rows;         /* how many rows count */
  int64_t entropy_rows; /* how many of them the entropies are of */
} bsq_losses;

/*
 * Loss sums: what the losses are made of, added up over rows, so that element by element the sums
 * of several batches, threads or machines add up to those of one batch with all rows. An array of
 * doubles:
 *   [0] rows that count        [2] sum over rows and codebooks of the groups' entropies
 *   [1] rows of the entropies  [3] sum over rows and codebooks of |u - q|^2; 0 where
 *                                  commitment_weight is
 *   [4...] sums of p over the entropies' rows, [codebooks, groups, 2^group_size], in the order of
 *   indices whose most significant bit is the first, whatever bit_order is; with
 * BSQ_ENTROPY_ANALYTICAL [codebooks, code_dim, 2]. Where they are taken, numbers of rows that are
 * not whole or do not fit together, and negative sums from [3] on, are refused. Sums that are not
 * finite make losses and gradients NaN.
 */

/* The number of doubles of loss sums. */
BSQ_API bsq_status* bsq_loss_sums_size(const bsq_options* options, int64_t* size);

/* The losses of the rows that the sums are of. */
BSQ_API bsq_status* bsq_losses_from_sums(const bsq_options* options, const double* sums,
                                         int64_t sums_bytes, bsq_losses* losses);

/*
 * The host path. dtype is the type of x, quantized, bits, codes and gradients. float32 data is
 * computed in float32 with norms and sums in float64, float64 data in float64.
 *
 * Shapes
 *   Rows come as items * positions: `items` sequences, images, ... of `positions` tokens, pixels,
 *   ... each; items, positions >= 0. x, quantized and gradients are [items, positions, K * D], or
 *   with channel_first [items, K * D, positions], read and written where they are. In both cases
 *   indices are [items, positions, K, G] and masks [items, positions]. "rows" is items * positions.
 *
 * Masks
 *   One byte for each row: a row whose byte is 0 counts in no loss and gets no gradient of one, but
 *   it is encoded, and gets the gradient of quantized. NULL (with 0 bytes) where all rows count.
 *
 * Which losses are served
 *   Those of exact entropies need memory for K * G * 2^group_size numbers: group_size is up to 24
 *   where it is code_dim, up to 16 otherwise. Analytical ones are served for all codes.
 */

/* indices from x: the signs alone, no loss. */
BSQ_API bsq_status* bsq_host_encode(const bsq_options* options, int32_t dtype, int64_t items,
                                    int64_t positions, const void* x, int64_t x_bytes,
                                    int64_t* indices, int64_t indices_bytes);

/*
 * quantized from indices: bit 1 gives +1/sqrt(D), bit 0 gives -1/sqrt(D), or +1 and -1 with
 * BSQ_SCALE_ONE. An index outside [0, 2^group_size) is refused with its position.
 */
BSQ_API bsq_status* bsq_host_decode(const bsq_options* options, int32_t dtype, int64_t items,
                                    int64_t positions, const int64_t* indices,
                                    int64_t indices_bytes, void* quantized,
                                    int64_t quantized_bytes);

/*
 * The quantizer's forward pass. quantized, indices and losses may each be NULL (with 0 bytes) where
 * they are not wanted; without losses all codes are served. In float32 the kernels add up no
 * probability below 2^-26 / 2^group_size of its row's largest: of a row that is less than float32
 * rounds.
 */
BSQ_API bsq_status* bsq_host_forward(const bsq_options* options, int32_t dtype, int64_t items,
                                     int64_t positions, const void* x, int64_t x_bytes,
                                     const uint8_t* mask, int64_t mask_bytes, void* quantized,
                                     int64_t quantized_bytes, int64_t* indices,
                                     int64_t indices_bytes, bsq_losses* losses);

/* The loss sums of x. The drawn rows of an entropy_fraction are those of this batch alone. */
BSQ_API bsq_status* bsq_host_loss_sums(const bsq_options* options, int32_t dtype, int64_t items,
                                       int64_t positions, const void* x, int64_t x_bytes,
                                       const uint8_t* mask, int64_t mask_bytes, double* sums,
                                       int64_t sums_bytes);

/*
 * grad_x, of the shape of x: the gradient of straight_through_scale * <grad_quantized, u> +
 * grad_aux_loss * aux_loss with respect to x. The first term is the gradient of
 * <grad_quantized, quantized> straight through the signs. x is taken again, and what is needed
 * recomputed. grad_quantized may be NULL (with 0 bytes) for none; with grad_aux_loss = 0 no loss is
 * computed and all codes are served. The gradients are not checked: what is not finite in them goes
 * into grad_x.
 *
 * sums may be NULL (with 0 bytes): aux_loss is then that of x. Otherwise it is that of all the rows
 * which the sums are of, those of x among them: the gradient is that of one batch with all rows.
 *
 * Where |x| <= 1e-12 the norm counts as the constant 1e-12. Codes that the policy lets through
 * although they are not finite get NaN; if grad_aux_loss is not 0 and one of them makes losses NaN
 * (see BSQ_NON_FINITE_PROPAGATE), all rows do.
 */
BSQ_API bsq_status* bsq_host_backward(const bsq_options* options, int32_t dtype, int64_t items,
                                      int64_t positions, const void* x, int64_t x_bytes,
                                      const uint8_t* mask, int64_t mask_bytes, const double* sums,
                                      int64_t sums_bytes, const void* grad_quantized,
                                      int64_t grad_quantized_bytes, double grad_aux_loss,
                                      void* grad_x, int64_t grad_x_bytes);

/* codes[count] = 2 * bits[count] - 1: {0, 1} to {-1, +1}, of any shape. */
BSQ_API bsq_status* bsq_host_bits_to_codes(int32_t dtype, int64_t count, const void* bits,
                                           int64_t bits_bytes, void* codes, int64_t codes_bytes);

/*
 * indices from codes, of the shape of x and any scale (+-1, +-1/sqrt(D)): the inverse of decode.
 * Unlike encode it refuses what is no code value: zeros, NaN and infinities, with their position.
 */
BSQ_API bsq_status* bsq_host_codes_to_indices(const bsq_options* options, int32_t dtype,
                                              int64_t items, int64_t positions, const void* codes,
                                              int64_t codes_bytes, int64_t* indices,
                                              int64_t indices_bytes);

/*
 * Codes, stored
 *   How the codes of rows are stored, element type and shape after [items, positions]:
 *     BSQ_CODES_INDICES  int64 [K, G]
 *     BSQ_CODES_BYTES    uint8 [K, ceil(D / 8)]: component d is in byte d / 8, which begins with it
 *                        at its most or least significant bit, by bit_order. Bits beyond the last
 *                        component are 0 (before BSQ_BYTES_OFFSET).
 *     BSQ_CODES_WORDS    64-bit words [K, ceil(D / 64)] in the machine's byte order, likewise
 *     BSQ_CODES_BITS     uint8 [K, D]: each bit as 0 or 1, in the order of the components
 *   All but indices are for any code_dim. An element that no code has (an index of 2^group_size or
 *   more, padding that is not 0, a bit above 1) is refused with its position and value.
 */
#define BSQ_CODES_INDICES 0
#define BSQ_CODES_BYTES 1
#define BSQ_CODES_WORDS 2
#define BSQ_CODES_BITS 3

/* BYTES or WORDS from x, as bsq_host_encode: a code that is not finite, where that is let through,
 * has bits 0. */
BSQ_API bsq_status* bsq_host_pack(const bsq_options* options, int32_t dtype, int64_t items,
                                  int64_t positions, const void* x, int64_t x_bytes, int32_t layout,
                                  void* packed, int64_t packed_bytes);

/* quantized from codes of any layout, as bsq_host_decode. */
BSQ_API bsq_status* bsq_host_unpack(const bsq_options* options, int32_t dtype, int64_t items,
                                    int64_t positions, int32_t layout, const void* packed,
                                    int64_t packed_bytes, void* quantized, int64_t quantized_bytes);

/*
 * Codes of one layout and convention in another. Of the options, code_dim and codebooks must be the
 * same; bit_order, byte_form and, of indices, group_size are those that the codes have, and shall
 * have. (The tie rule is not among them: what a 0 became cannot be told from codes.)
 */
BSQ_API bsq_status* bsq_host_convert(const bsq_options* from_options, int32_t from_layout,
                                     const bsq_options* to_options, int32_t to_layout, int64_t rows,
                                     const void* from, int64_t from_bytes, void* to,
                                     int64_t to_bytes);

/*
 * Usage: which codes occur how often, and how their bits go together. An array of int64 for each
 * codebook, one after the other, so that element by element the counts of several batches, threads
 * or machines add up to those of one batch with all rows. Groups do not matter: usage is that of
 * whole codes.
 *   code_dim up to BSQ_USAGE_MAX_COUNTED_DIM: [2^D], how many codes have each index, one of all D
 *     bits whose most significant bit is the first, whatever group_size and bit_order are. What
 *     there is to know of bits follows from these.
 *   above: [1 + D * (D + 1) / 2], how many codes there are, then, for a = 0, 1, ..., and for each
 *     b = a, a + 1, ..., D - 1, how many have a 1 as bit a and as bit b. (b = a: the ones of a
 * bit.)
 */
#define BSQ_USAGE_MAX_COUNTED_DIM 20

/* The number of int64 of usage counts. */
BSQ_API bsq_status* bsq_usage_size(const bsq_options* options, int64_t* size);

/*
 * Adds the codes of the rows that count (see mask) to counts, which begin as zeros. All codes are
 * looked at first, those of rows that do not count, too, and refused as bsq_host_convert does:
 * after a failure counts are what they were. Sums above 2^63 - 1 wrap around.
 */
BSQ_API bsq_status* bsq_host_usage_add(const bsq_options* options, int32_t layout, int64_t rows,
                                       const void* codes, int64_t codes_bytes, const uint8_t* mask,
                                       int64_t mask_bytes, int64_t* counts, int64_t counts_bytes);

/*
 * How near each code is to another: margins[items, positions, K], of the type of x, is the smallest
 * |u_d| of a code's components. Where x is known with an error, or computed in lower precision, a
 * code may flip whose margin is not above that error, relative to |x|. NaN for codes that are not
 * finite, where these are let through.
 */
BSQ_API bsq_status* bsq_host_sign_margins(const bsq_options* options, int32_t dtype, int64_t items,
                                          int64_t positions, const void* x, int64_t x_bytes,
                                          void* margins, int64_t margins_bytes);

/*
 * Residual codes
 *   `levels` = L codes for one, 1 to BSQ_MAX_LEVELS, each of what the levels before it left over.
 *   Level 0 quantizes r_0 = u, and level l the residual r_l to the corner that shares its signs,
 *   scaled by 2^-l:
 *     q_l = 2^-l sign(r_l) / sqrt(D)     r_(l+1) = r_l - q_l     quantized = q_0 + ... + q_(L-1)
 *   Signs are by the rule of `tie`; the others of the options mean what they do with one level.
 *   (lucidrains' ResidualLFQ with spherical=True has these scales, but normalises each residual
 *   before it is quantized and subtracted from; without, its scales are 2^-l, and it normalises
 *   nothing.) Residuals are computed in float64 from x itself, so no rounding adds up over the
 *   levels. They are often 0 or near it: a component of exactly 1/sqrt(D) is. Then a bit hangs on
 *   the last digit of the norm, which paths may round differently.
 *
 *   Indices are [items, positions, L, K, G], so those of one level are as without levels. Each
 *   component of quantized is an odd multiple of 2^(1-L)/sqrt(D), and each such vector has one
 *   sequence of indices: what decode gives, codes_to_indices takes back. But encode normalises, so
 *   that quantized, encoded again, has other indices.
 *
 *   The losses of a level are those of its residual, taken as rows of their own, which the
 *   quantizer normalises: no scale of a level changes them. The aux_loss is their sum, each times
 *   the level's element of grad_aux_losses[L] in a gradient. The gradient of quantized goes
 *   straight through to u, not once for each level; that of a level's losses goes through r_l to u,
 *   q being constants. A residual has no direction where it is what rounding left over: a code
 * whose |r_l| is at most 2^-22, or 2^-50 where float64 is computed in, counts in the losses of
 * level l, but gets no gradient of them, for l >= 1.
 */
#define BSQ_MAX_LEVELS 16

/* indices of all levels from x. */
BSQ_API bsq_status* bsq_host_residual_encode(const bsq_options* options, int64_t levels,
                                             int32_t dtype, int64_t items, int64_t positions,
                                             const void* x, int64_t x_bytes, int64_t* indices,
                                             int64_t indices_bytes);

/*
 * q_0 + ... of the first used_levels of the levels, 1 to levels, from indices of all. Of the others
 * no index is looked at.
 */
BSQ_API bsq_status* bsq_host_residual_decode(const bsq_options* options, int64_t levels,
                                             int64_t used_levels, int32_t dtype, int64_t items,
                                             int64_t positions, const int64_t* indices,
                                             int64_t indices_bytes, void* quantized,
                                             int64_t quantized_bytes);

/*
 * The inverse of decoding all levels. A component that is further from all that they give than a
 * quarter of 2^(1-L)/sqrt(D) (or of 2^(1-L) with BSQ_SCALE_ONE) is refused.
 */
BSQ_API bsq_status* bsq_host_residual_codes_to_indices(const bsq_options* options, int64_t levels,
                                                       int32_t dtype, int64_t items,
                                                       int64_t positions, const void* quantized,
                                                       int64_t quantized_bytes, int64_t* indices,
                                                       int64_t indices_bytes);

/*
 * r_level, of the shape of x: what the first `level` levels, 0 to BSQ_MAX_LEVELS, left over. All
 * other functions can be called with it, for the loss sums of a level, or its packed codes. It is
 * rounded to the type of x, that of level 0, u, too: a component that underflows there is 0, and
 * has lost the sign that the level sees. Of a code that is not finite, where it is let through, the
 * residual has a NaN.
 */
BSQ_API bsq_status* bsq_host_residual(const bsq_options* options, int64_t level, int32_t dtype,
                                      int64_t items, int64_t positions, const void* x,
                                      int64_t x_bytes, void* residual, int64_t residual_bytes);

/*
 * The forward pass, as bsq_host_forward. losses is NULL or an array of a struct for each level,
 * all with the struct_size of the first. They take memory for a copy of x. Of a code that is not
 * finite, where it is let through, all indices are 0, and with several levels all of quantized NaN.
 */
BSQ_API bsq_status* bsq_host_residual_forward(const bsq_options* options, int64_t levels,
                                              int32_t dtype, int64_t items, int64_t positions,
                                              const void* x, int64_t x_bytes, const uint8_t* mask,
                                              int64_t mask_bytes, void* quantized,
                                              int64_t quantized_bytes, int64_t* indices,
                                              int64_t indices_bytes, bsq_losses* losses);

/*
 * grad_x, as bsq_host_backward, of straight_through_scale * <grad_quantized, u> + the sum over the
 * levels of grad_aux_losses[l] * the aux_loss of level l. Takes memory for three copies of x where
 * one of these beyond the first is not 0.
 */
BSQ_API bsq_status* bsq_host_residual_backward(
    const bsq_options* options, int64_t levels, int32_t dtype, int64_t items, int64_t positions,
    const void* x, int64_t x_bytes, const uint8_t* mask, int64_t mask_bytes,
    const void* grad_quantized, int64_t grad_quantized_bytes, const double* grad_aux_losses,
    int64_t grad_aux_losses_bytes, void* grad_x, int64_t grad_x_bytes);

/*
 * Hamming distances: in how many bits packed codes differ. Codes are code_bytes bytes each, 1 to
 * 512, one after the other at any address, such as those of a mapped file. All bits count, whatever
 * their order is: padding differs nowhere where it is 0.
 */

/* distances[count] of codes[count] from a query. */
BSQ_API bsq_status* bsq_host_hamming(int64_t code_bytes, const uint8_t* query, int64_t query_bytes,
                                     int64_t count, const uint8_t* codes, int64_t codes_bytes,
                                     int32_t* distances, int64_t distances_bytes);

/*
 * The k codes of codes[count] that are nearest to each of query[queries]: positions[queries, k] and
 * distances[queries, k], the nearest first, and of equally near ones the first. k is 1 to count.
 * Takes memory for k candidates for each thread, or for a million if k is smaller.
 */
BSQ_API bsq_status* bsq_host_nearest(int64_t code_bytes, int64_t queries, const uint8_t* query,
                                     int64_t query_bytes, int64_t count, const uint8_t* codes,
                                     int64_t codes_bytes, int64_t k, int64_t* positions,
                                     int64_t positions_bytes, int32_t* distances,
                                     int64_t distances_bytes);

/*
 * Tensors: typed, strided arrays of rank 1 to BSQ_MAX_RANK in the memory of a device. They are
 * immutable: no function here changes one, so all threads may use it at the same time.
 *
 * A tensor belongs to the caller, who frees it. It keeps the memory that it uses alive by itself;
 * tensors may share memory. The one exception is a borrowed tensor: see bsq_tensor_borrow. That of
 * bsq_tensor_from_dlpack is kept alive, but somebody else may write to it.
 *
 * Functions that make an object store it in *out, which is NULL after a failure.
 *
 * Values that are refused (a row that is not finite, an index out of range, loss sums that no rows
 * have) make CPU kernels fail at once. CUDA kernels and operators never wait for a device: the
 * result carries the finding, and so does everything computed from it: bsq_tensor_read,
 * bsq_tensor_check and bsq_quantization_losses, which do wait, then fail with BSQ_INVALID_ARGUMENT,
 * the position and the value. Positions are those in a matrix of rows: all leading dimensions count
 * as one.
 */
typedef struct bsq_tensor bsq_tensor;

#define BSQ_MAX_RANK 64

/* A new tensor, contiguous in row-major order, whose elements are not set. */
BSQ_API bsq_status* bsq_tensor_empty(int32_t dtype, int32_t device_type, int32_t device_index,
                                     const int64_t* shape, int64_t rank, bsq_tensor** out);

/* As bsq_tensor_empty, with all elements 0. */
BSQ_API bsq_status* bsq_tensor_zeros(int32_t dtype, int32_t device_type, int32_t device_index,
                                     const int64_t* shape, int64_t rank, bsq_tensor** out);

/*
 * A new, contiguous tensor on the device with a copy of the elements at data, in CPU memory and
 * row-major order. data need not be aligned.
 */
BSQ_API bsq_status* bsq_tensor_copy(int32_t dtype, int32_t device_type, int32_t device_index,
                                    const int64_t* shape, int64_t rank, const void* data,
                                    int64_t data_bytes, bsq_tensor** out);

/*
 * A tensor of memory that somebody else owns, on the named device, without a copy. strides[rank]
 * are in elements, each at least 0; NULL means contiguous in row-major order. data_bytes is how
 * much memory there is from data on. The memory must be aligned to the element size and must
 * outlive this tensor and its views (bsq_tensor_permute, bsq_tensor_narrow), and nothing else: all
 * other functions copy what their results need. Whoever writes to it meanwhile changes the tensor;
 * writing during a call gives unspecified results. On a CUDA device the memory must be that
 * device's, which is checked, and ready for the stream that is current for this thread; nobody may
 * free it before what the device was told to do with it is done.
 */
BSQ_API bsq_status* bsq_tensor_borrow(int32_t dtype, int32_t device_type, int32_t device_index,
                                      const int64_t* shape, const int64_t* strides, int64_t rank,
                                      const void* data, int64_t data_bytes, bsq_tensor** out);

/* Frees a tensor. NULL is accepted. */
BSQ_API void bsq_tensor_free(bsq_tensor* tensor);

/* What a tensor is, an output. The caller sets struct_size. */
typedef struct bsq_tensor_info {
  uint64_t struct_size;
  int32_t dtype;
  int32_t device_type;
  int32_t device_index;
  int32_t rank;
  int64_t shape[BSQ_MAX_RANK];   /* the first rank elements; the rest is 0 */
  int64_t strides[BSQ_MAX_RANK]; /* in elements, likewise */
} bsq_tensor_info;

BSQ_API bsq_status* bsq_tensor_describe(const bsq_tensor* tensor, bsq_tensor_info* info);

/*
 * The address of the tensor's first element, in its device's memory. It does not wait for the
 * device, nor check. Borrowed: valid as long as the tensor.
 */
BSQ_API bsq_status* bsq_tensor_data(const bsq_tensor* tensor, const void** data);

/*
 * Copies all elements in row-major order, converted to dtype, to data in CPU memory. data need not
 * be aligned. Waits for the device.
 */
BSQ_API bsq_status* bsq_tensor_read(const bsq_tensor* tensor, int32_t dtype, void* data,
                                    int64_t data_bytes);

/*
 * Fails if the tensor was computed from values that are refused; waits for the device to find out.
 */
BSQ_API bsq_status* bsq_tensor_check(const bsq_tensor* tensor);

/*
 * The tensor in another type or on another device, contiguous. Shares memory with the tensor where
 * nothing changes, unless that is borrowed.
 */
BSQ_API bsq_status* bsq_tensor_to(const bsq_tensor* tensor, int32_t dtype, int32_t device_type,
                                  int32_t device_index, bsq_tensor** out);

/*
 * A new tensor on the CPU whose elements are not set, in page-locked memory, which GPUs copy from
 * and to while the CPU goes on. It needs a CUDA device that can be used. Its memory is the caller's
 * to write to, at bsq_tensor_data, whenever no call and no copy uses the tensor; as of a borrowed
 * tensor, results copy what they need.
 */
BSQ_API bsq_status* bsq_tensor_empty_pinned(int32_t dtype, const int64_t* shape, int64_t rank,
                                            bsq_tensor** out);

/*
 * As bsq_tensor_to, with the same type, but without waiting for a copy between the CPU and a CUDA
 * device. To the device: from page-locked memory it goes on after the call, and that memory must
 * not be written to until bsq_device_synchronize of this thread; from other memory it has been read
 * before the call returns. From the device: nothing may use the new tensor, which is page-locked,
 * before bsq_device_synchronize of this thread. Freeing either tensor before is fine.
 */
BSQ_API bsq_status* bsq_tensor_to_async(const bsq_tensor* tensor, int32_t device_type,
                                        int32_t device_index, bsq_tensor** out);

/* A view with the dimensions in another order: dimension i of the view is dimensions[i]. */
BSQ_API bsq_status* bsq_tensor_permute(const bsq_tensor* tensor, const int64_t* dimensions,
                                       int64_t rank, bsq_tensor** out);

/* A view of `length` elements along one dimension, from `start` on. */
BSQ_API bsq_status* bsq_tensor_narrow(const bsq_tensor* tensor, int64_t dimension, int64_t start,
                                      int64_t length, bsq_tensor** out);

/*
 * DLPack 1.0: tensors of other libraries here, and these there, without a copy. `managed` points to
 * a DLManagedTensorVersioned (https://dmlc.github.io/dlpack), which is what a Python capsule named
 * "dltensor_versioned" holds. Whoever has it calls its deleter, once.
 *
 * Nothing here waits for a device or checks: on a CUDA device the elements must be ready for the
 * stream that reads them, see bsq_device_synchronize.
 */

/*
 * A tensor in the memory of `managed`, which it takes: the deleter is called, by some thread, when
 * the tensor and its views are freed. After a failure `managed` is still the caller's. Results copy
 * what they need, as those of borrowed tensors do, and whoever writes to the memory changes the
 * tensor. Refused are major versions other than 1, devices other than CPU, CUDA and CUDAHost (which
 * counts as the CPU), types other than those of this header (bool counts as uint8), scalars (of
 * rank 0), negative strides, and data that is not aligned to the element size. CUDA memory must
 * not be freed before what the device was told to do with it is done.
 */
BSQ_API bsq_status* bsq_tensor_from_dlpack(void* managed, bsq_tensor** out);

/*
 * Frees a tensor that bsq_tensor_from_dlpack made without calling the deleter: `managed` is the
 * caller's again. Views of it lose their memory.
 */
BSQ_API void bsq_tensor_disown(bsq_tensor* tensor);

/*
 * A new DLManagedTensorVersioned in *managed, with the strides of the tensor, that keeps its memory
 * alive and counts as a live handle until its deleter is called. It shares the tensor's memory and
 * is flagged as read-only; of a borrowed tensor it has a copy, flagged as that, since the memory of
 * that may end first. Findings do not go along: bsq_tensor_check the tensor before.
 */
BSQ_API bsq_status* bsq_tensor_to_dlpack(const bsq_tensor* tensor, void** managed);

/* Calls the deleter of a DLManagedTensorVersioned that nobody took. NULL is accepted. */
BSQ_API void bsq_dlpack_free(void* managed);

/*
 * The quantizer on tensors. x is of shape [..., K * D], any rank and strides, and of one of the
 * four float types; all leading dimensions count as rows. With channel_first it is [items, K * D,
 * ...], of rank 2 at least, and quantized and gradients likewise. float16 and bfloat16 are computed
 * in float32. Results are new, contiguous tensors on the device of x.
 *
 * Indices have the leading dimensions (with channel_first: those of x but for dimension 1), then a
 * dimension K where K > 1, then a dimension G where G > 1; [1] where that leaves none. So what has
 * indices of more than BSQ_MAX_RANK dimensions is refused.
 */

/* int64 indices from x. See bsq_host_encode. */
BSQ_API bsq_status* bsq_tensor_encode(const bsq_options* options, const bsq_tensor* x,
                                      bsq_tensor** indices);

/* quantized of a float type from integer indices. See bsq_host_decode. */
BSQ_API bsq_status* bsq_tensor_decode(const bsq_options* options, const bsq_tensor* indices,
                                      int32_t dtype, bsq_tensor** quantized);

/* codes from bits, of the same shape and type, which can be any but uint8: it has no -1. */
BSQ_API bsq_status* bsq_tensor_bits_to_codes(const bsq_tensor* bits, bsq_tensor** codes);

/* int64 indices from codes of a float or signed integer type. See bsq_host_codes_to_indices. */
BSQ_API bsq_status* bsq_tensor_codes_to_indices(const bsq_options* options, const bsq_tensor* codes,
                                                bsq_tensor** indices);

/*
 * Codes in other forms: see "Codes, stored". Their tensors are int64 for INDICES and WORDS, uint8
 * for BYTES and BITS; their shapes end, after the leading dimensions, with K where K > 1 and, but
 * for INDICES, with the elements of a code, however many.
 */
BSQ_API bsq_status* bsq_tensor_pack(const bsq_options* options, const bsq_tensor* x, int32_t layout,
                                    bsq_tensor** packed);
BSQ_API bsq_status* bsq_tensor_unpack(const bsq_options* options, const bsq_tensor* packed,
                                      int32_t layout, int32_t dtype, bsq_tensor** quantized);
BSQ_API bsq_status* bsq_tensor_convert(const bsq_options* from_options, int32_t from_layout,
                                       const bsq_options* to_options, int32_t to_layout,
                                       const bsq_tensor* from, bsq_tensor** to);

/*
 * The usage counts of codes: int64 [size], on their device. mask is uint8, of the leading
 * dimensions of codes ([1] where there are none), on the same device; NULL where all rows count.
 * See bsq_host_usage_add.
 */
BSQ_API bsq_status* bsq_tensor_usage(const bsq_options* options, const bsq_tensor* codes,
                                     int32_t layout, const bsq_tensor* mask, bsq_tensor** counts);

/* Of the leading dimensions of x, then K where K > 1; [1] where that leaves none. */
BSQ_API bsq_status* bsq_tensor_sign_margins(const bsq_options* options, const bsq_tensor* x,
                                            bsq_tensor** margins);

/*
 * Hamming distances, as those of the host path: queries are uint8 [queries, code_bytes], codes
 * uint8 [codes, code_bytes], on one device. implementation is BSQ_IMPLEMENTATION_*. distances is
 * int32 [queries, codes], or with the nearest positions, int64, [queries, k].
 */
BSQ_API bsq_status* bsq_tensor_hamming(const bsq_tensor* queries, const bsq_tensor* codes,
                                       int32_t implementation, bsq_tensor** distances);
BSQ_API bsq_status* bsq_tensor_nearest(const bsq_tensor* queries, const bsq_tensor* codes,
                                       int64_t k, int32_t implementation, bsq_tensor** positions,
                                       bsq_tensor** distances);

/*
 * The results of a forward pass. Immutable; it keeps all that backward needs, so x and mask may be
 * freed. Where operators or CUDA kernels compute, that is the loss sums too: K * G * 2^group_size
 * doubles. Kernels also keep up to 34 MB that backward would compute again.
 */
typedef struct bsq_quantization bsq_quantization;

/*
 * The forward pass, losses included. mask is uint8, of the leading dimensions of x (with
 * channel_first: of x but for dimension 1; [1] where that leaves none), on the same device; NULL
 * where all rows count. See bsq_host_forward.
 */
BSQ_API bsq_status* bsq_tensor_forward(const bsq_options* options, const bsq_tensor* x,
                                       const bsq_tensor* mask, bsq_quantization** out);

/* Frees a quantization. NULL is accepted. */
BSQ_API void bsq_quantization_free(bsq_quantization* quantization);

/* A new handle of the quantized rows: shape and type of x. */
BSQ_API bsq_status* bsq_quantization_quantized(const bsq_quantization* quantization,
                                               bsq_tensor** out);

/* A new handle of the indices. Refused where codes have none: see group_size. */
BSQ_API bsq_status* bsq_quantization_indices(const bsq_quantization* quantization,
                                             bsq_tensor** out);

/* The losses. Waits for the device. */
BSQ_API bsq_status* bsq_quantization_losses(const bsq_quantization* quantization,
                                            bsq_losses* losses);

/* The loss sums: float64 [size], on the device. See bsq_host_loss_sums. */
BSQ_API bsq_status* bsq_quantization_loss_sums(const bsq_quantization* quantization,
                                               bsq_tensor** out);

/*
 * grad_x, of the shape and type of x: see bsq_host_backward. sums is float64 [size] on the same
 * device, and NULL for those of x itself. grad_quantized has the shape of x, any strides, any float
 * type, and is on the same device; NULL for none.
 */
BSQ_API bsq_status* bsq_quantization_backward(const bsq_quantization* quantization,
                                              const bsq_tensor* sums,
                                              const bsq_tensor* grad_quantized,
                                              double grad_aux_loss, bsq_tensor** grad_x);

/*
 * Residual codes of tensors: see "Residual codes". Indices have the leading dimensions, then L,
 * then K where K > 1, then G where G > 1.
 *
 * float16 has the quantized components of up to 9 levels, and bfloat16 of up to 6, near enough to
 * tell them apart: with more, codes_to_indices refuses the type, though decode rounds to it.
 * Residuals, too, are rounded to the type of x: that of a level of float16 or bfloat16 rows has
 * other signs, in places, than the level has, so take those of x in float32.
 */
BSQ_API bsq_status* bsq_tensor_residual_encode(const bsq_options* options, int64_t levels,
                                               const bsq_tensor* x, bsq_tensor** indices);
BSQ_API bsq_status* bsq_tensor_residual_decode(const bsq_options* options, int64_t levels,
                                               int64_t used_levels, const bsq_tensor* indices,
                                               int32_t dtype, bsq_tensor** quantized);
BSQ_API bsq_status* bsq_tensor_residual_codes_to_indices(const bsq_options* options, int64_t levels,
                                                         const bsq_tensor* quantized,
                                                         bsq_tensor** indices);
BSQ_API bsq_status* bsq_tensor_residual(const bsq_options* options, int64_t level,
                                        const bsq_tensor* x, bsq_tensor** residual);

/* The results of a forward pass with several levels. Immutable; it keeps all that backward needs.
 */
typedef struct bsq_residual_quantization bsq_residual_quantization;

/* The forward pass, losses included: see bsq_tensor_forward. */
BSQ_API bsq_status* bsq_tensor_residual_forward(const bsq_options* options, int64_t levels,
                                                const bsq_tensor* x, const bsq_tensor* mask,
                                                bsq_residual_quantization** out);

/* Frees a residual quantization. NULL is accepted. */
BSQ_API void bsq_residual_quantization_free(bsq_residual_quantization* quantization);

/* A new handle of the quantized rows: shape and type of x. */
BSQ_API bsq_status* bsq_residual_quantization_quantized(
    const bsq_residual_quantization* quantization, bsq_tensor** out);

/* A new handle of the indices of all levels. Refused where codes have none: see group_size. */
BSQ_API bsq_status* bsq_residual_quantization_indices(const bsq_residual_quantization* quantization,
                                                      bsq_tensor** out);

/*
 * A new handle of what one level made of its residual, as if there were no others: losses, sums,
 * indices, and quantized without the level's scale, in the type that is computed in.
 */
BSQ_API bsq_status* bsq_residual_quantization_level(const bsq_residual_quantization* quantization,
                                                    int64_t level, bsq_quantization** out);

/*
 * grad_x, of the shape and type of x: see bsq_host_residual_backward. grad_aux_losses is in CPU
 * memory.
 */
BSQ_API bsq_status* bsq_residual_quantization_backward(
    const bsq_residual_quantization* quantization, const bsq_tensor* grad_quantized,
    const double* grad_aux_losses, int64_t grad_aux_losses_bytes, bsq_tensor** grad_x);

#ifdef __cplusplus
}
#endif

#endif /* BSQ_BSQ_H_ */
