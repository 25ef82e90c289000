/* The layout that compiled callers rely on. It may change with BSQ_ABI_VERSION only. */
#include <stddef.h>

#include "bsq/bsq.h"

_Static_assert(BSQ_ABI_VERSION == 2, "a new version: adapt this file");

_Static_assert(sizeof(bsq_options) == 48, "size of bsq_options");
_Static_assert(offsetof(bsq_options, struct_size) == 0, "bsq_options.struct_size");
_Static_assert(offsetof(bsq_options, code_dim) == 8, "bsq_options.code_dim");
_Static_assert(offsetof(bsq_options, entropy_loss_weight) == 16, "entropy_loss_weight");
_Static_assert(offsetof(bsq_options, diversity_gamma) == 24, "bsq_options.diversity_gamma");
_Static_assert(offsetof(bsq_options, inverse_temperature) == 32, "inverse_temperature");
_Static_assert(offsetof(bsq_options, non_finite) == 40, "bsq_options.non_finite");
_Static_assert(offsetof(bsq_options, implementation) == 44, "bsq_options.implementation");

_Static_assert(sizeof(bsq_losses) == 32, "size of bsq_losses");
_Static_assert(offsetof(bsq_losses, struct_size) == 0, "bsq_losses.struct_size");
_Static_assert(offsetof(bsq_losses, aux_loss) == 8, "bsq_losses.aux_loss");
_Static_assert(offsetof(bsq_losses, per_sample_entropy) == 16, "bsq_losses.per_sample_entropy");
_Static_assert(offsetof(bsq_losses, codebook_entropy) == 24, "bsq_losses.codebook_entropy");

_Static_assert(BSQ_MAX_RANK == 64, "ranks");
_Static_assert(sizeof(bsq_tensor_info) == 1048, "size of bsq_tensor_info");
_Static_assert(offsetof(bsq_tensor_info, struct_size) == 0, "bsq_tensor_info.struct_size");
_Static_assert(offsetof(bsq_tensor_info, dtype) == 8, "bsq_tensor_info.dtype");
_Static_assert(offsetof(bsq_tensor_info, device_type) == 12, "bsq_tensor_info.device_type");
_Static_assert(offsetof(bsq_tensor_info, device_index) == 16, "bsq_tensor_info.device_index");
_Static_assert(offsetof(bsq_tensor_info, rank) == 20, "bsq_tensor_info.rank");
_Static_assert(offsetof(bsq_tensor_info, shape) == 24, "bsq_tensor_info.shape");
_Static_assert(offsetof(bsq_tensor_info, strides) == 536, "bsq_tensor_info.strides");

_Static_assert(BSQ_OK == 0 && BSQ_INVALID_ARGUMENT == 1 && BSQ_UNSUPPORTED == 2 &&
                   BSQ_OUT_OF_MEMORY == 3 && BSQ_DEVICE_ERROR == 4 && BSQ_INTERNAL == 5,
               "status codes");
_Static_assert(BSQ_FLOAT32 == 1 && BSQ_FLOAT64 == 2 && BSQ_FLOAT16 == 3 && BSQ_BFLOAT16 == 4 &&
                   BSQ_INT64 == 5 && BSQ_INT32 == 6 && BSQ_UINT8 == 7,
               "element types");
_Static_assert(BSQ_DEVICE_CPU == 1 && BSQ_DEVICE_CUDA == 2, "devices");
_Static_assert(BSQ_IMPLEMENTATION_AUTOMATIC == 0 && BSQ_IMPLEMENTATION_KERNELS == 1 &&
                   BSQ_IMPLEMENTATION_OPERATORS == 2,
               "implementations");
_Static_assert(BSQ_NON_FINITE_REFUSE == 0 && BSQ_NON_FINITE_PROPAGATE == 1, "policies");
