/* The layout that compiled callers rely on. It may change with BSQ_ABI_VERSION only. */
#include <stddef.h>

#include "bsq/bsq.h"

_Static_assert(BSQ_ABI_VERSION == 6, "a new version: adapt this file");

_Static_assert(sizeof(bsq_options) == 160, "size of bsq_options");
_Static_assert(offsetof(bsq_options, struct_size) == 0, "bsq_options.struct_size");
_Static_assert(offsetof(bsq_options, code_dim) == 8, "bsq_options.code_dim");
_Static_assert(offsetof(bsq_options, entropy_loss_weight) == 16, "entropy_loss_weight");
_Static_assert(offsetof(bsq_options, diversity_gamma) == 24, "bsq_options.diversity_gamma");
_Static_assert(offsetof(bsq_options, inverse_temperature) == 32, "inverse_temperature");
_Static_assert(offsetof(bsq_options, non_finite) == 40, "bsq_options.non_finite");
_Static_assert(offsetof(bsq_options, implementation) == 44, "bsq_options.implementation");
_Static_assert(offsetof(bsq_options, codebooks) == 48, "bsq_options.codebooks");
_Static_assert(offsetof(bsq_options, group_size) == 56, "bsq_options.group_size");
_Static_assert(offsetof(bsq_options, entropy_form) == 64, "bsq_options.entropy_form");
_Static_assert(offsetof(bsq_options, entropy_floor) == 68, "bsq_options.entropy_floor");
_Static_assert(offsetof(bsq_options, entropy_epsilon) == 72, "bsq_options.entropy_epsilon");
_Static_assert(offsetof(bsq_options, sample_entropy_weight) == 80,
               "bsq_options.sample_entropy_weight");
_Static_assert(offsetof(bsq_options, entropy_scale) == 88, "bsq_options.entropy_scale");
_Static_assert(offsetof(bsq_options, positive) == 92, "bsq_options.positive");
_Static_assert(offsetof(bsq_options, positive_offset) == 96, "bsq_options.positive_offset");
_Static_assert(offsetof(bsq_options, commitment) == 104, "bsq_options.commitment");
_Static_assert(offsetof(bsq_options, channel_first) == 108, "bsq_options.channel_first");
_Static_assert(offsetof(bsq_options, commitment_weight) == 112, "bsq_options.commitment_weight");
_Static_assert(offsetof(bsq_options, straight_through_scale) == 120,
               "bsq_options.straight_through_scale");
_Static_assert(offsetof(bsq_options, entropy_fraction) == 128, "bsq_options.entropy_fraction");
_Static_assert(offsetof(bsq_options, entropy_seed) == 136, "bsq_options.entropy_seed");
_Static_assert(offsetof(bsq_options, bit_order) == 144, "bsq_options.bit_order");
_Static_assert(offsetof(bsq_options, tie) == 148, "bsq_options.tie");
_Static_assert(offsetof(bsq_options, code_scale) == 152, "bsq_options.code_scale");
_Static_assert(offsetof(bsq_options, byte_form) == 156, "bsq_options.byte_form");

_Static_assert(sizeof(bsq_losses) == 64, "size of bsq_losses");
_Static_assert(offsetof(bsq_losses, struct_size) == 0, "bsq_losses.struct_size");
_Static_assert(offsetof(bsq_losses, aux_loss) == 8, "bsq_losses.aux_loss");
_Static_assert(offsetof(bsq_losses, per_sample_entropy) == 16, "bsq_losses.per_sample_entropy");
_Static_assert(offsetof(bsq_losses, codebook_entropy) == 24, "bsq_losses.codebook_entropy");
_Static_assert(offsetof(bsq_losses, entropy_loss) == 32, "bsq_losses.entropy_loss");
_Static_assert(offsetof(bsq_losses, commitment) == 40, "bsq_losses.commitment");
_Static_assert(offsetof(bsq_losses, rows) == 48, "bsq_losses.rows");
_Static_assert(offsetof(bsq_losses, entropy_rows) == 56, "bsq_losses.entropy_rows");

_Static_assert(sizeof(bsq_device_info) == 288, "size of bsq_device_info");
_Static_assert(offsetof(bsq_device_info, struct_size) == 0, "bsq_device_info.struct_size");
_Static_assert(offsetof(bsq_device_info, total_memory) == 8, "bsq_device_info.total_memory");
_Static_assert(offsetof(bsq_device_info, free_memory) == 16, "bsq_device_info.free_memory");
_Static_assert(offsetof(bsq_device_info, compute_major) == 24, "bsq_device_info.compute_major");
_Static_assert(offsetof(bsq_device_info, compute_minor) == 28, "bsq_device_info.compute_minor");
_Static_assert(offsetof(bsq_device_info, name) == 32, "bsq_device_info.name");

_Static_assert(sizeof(bsq_memory_shortage) == 40, "size of bsq_memory_shortage");
_Static_assert(offsetof(bsq_memory_shortage, struct_size) == 0, "bsq_memory_shortage.struct_size");
_Static_assert(offsetof(bsq_memory_shortage, device_type) == 8, "bsq_memory_shortage.device_type");
_Static_assert(offsetof(bsq_memory_shortage, device_index) == 12,
               "bsq_memory_shortage.device_index");
_Static_assert(offsetof(bsq_memory_shortage, requested_bytes) == 16,
               "bsq_memory_shortage.requested_bytes");
_Static_assert(offsetof(bsq_memory_shortage, free_bytes) == 24, "bsq_memory_shortage.free_bytes");
_Static_assert(offsetof(bsq_memory_shortage, total_bytes) == 32, "bsq_memory_shortage.total_bytes");

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
_Static_assert(BSQ_ENTROPY_EXACT == 0 && BSQ_ENTROPY_ANALYTICAL == 1, "entropy forms");
_Static_assert(BSQ_FLOOR_CLAMP == 0 && BSQ_FLOOR_ADD == 1, "floors");
_Static_assert(BSQ_ENTROPY_SCALE_ONE == 0 && BSQ_ENTROPY_SCALE_TEMPERATURE == 1, "scales");
_Static_assert(BSQ_POSITIVE_NONE == 0 && BSQ_POSITIVE_SOFTPLUS == 1, "positive losses");
_Static_assert(BSQ_COMMITMENT_SQUARED_NORM == 0 && BSQ_COMMITMENT_SQUARE == 1, "commitments");
