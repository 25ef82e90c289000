// Tensors by way of DLPack: what is exchanged, who keeps it alive, what is refused. The structs are
// written down again here, from DLPack's documentation.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "call.h"
#include "check.h"

namespace bsq::test {
namespace {

struct Array {
  void* data;
  int32_t device_type;
  int32_t device_id;
  int32_t ndim;
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};

struct Managed {
  uint32_t major;
  uint32_t minor;
  void* context;
  void (*deleter)(Managed* self);
  uint64_t flags;
  Array array;
};

// What another library offers: 2 * 3 floats.
struct Offer {
  std::vector<float> memory{1, -2, 3, -4, 5, -6};
  std::array<int64_t, 2> shape{2, 3};
  std::array<int64_t, 2> strides{3, 1};
  int deleted = 0;
  Managed managed{1, 0, this, count_deletion, 0, {}};

  Offer() { managed.array = {memory.data(), 1, 0, 2, 2, 32, 1, shape.data(), strides.data(), 0}; }

  static void count_deletion(Managed* self) { ++static_cast<Offer*>(self->context)->deleted; }

  Tensor take() { return make(bsq_tensor_from_dlpack, static_cast<void*>(&managed)); }
  Outcome try_take() { return try_make(bsq_tensor_from_dlpack, static_cast<void*>(&managed)); }
};

struct FreeManaged {
  void operator()(Managed* managed) const { bsq_dlpack_free(managed); }
};
using Export = std::unique_ptr<Managed, FreeManaged>;

Export give(const Tensor& tensor) {
  void* managed = nullptr;
  must(bsq_tensor_to_dlpack(tensor.get(), &managed));
  return Export(static_cast<Managed*>(managed));
}

Tensor take(Export managed) {
  Tensor tensor = make(bsq_tensor_from_dlpack, static_cast<void*>(managed.get()));
  static_cast<void>(managed.release());
  return tensor;
}

}  // namespace

TEST(memory_of_others_is_shared) {
  Offer offer;
  {
    const Tensor x = offer.take();
    CHECK_EQ(bsq_debug_live_handles(), 1);
    CHECK(data_of(x) == offer.memory.data());
    CHECK(shape_of(x) == (Shape{2, 3}));
    CHECK(read<float>(x) == offer.memory);
    offer.memory[1] = 20;
    CHECK(read<float>(x) == offer.memory);
    CHECK_EQ(offer.deleted, 0);
  }
  CHECK_EQ(offer.deleted, 1);
}

TEST(strides_and_offsets_of_others) {
  Offer columns;
  columns.shape = {3, 2};
  columns.strides = {1, 3};
  CHECK(read<float>(columns.take()) == (std::vector<float>{1, -4, -2, 5, 3, -6}));
  Offer later;
  later.shape = {1, 2};
  later.managed.array.byte_offset = 12;
  CHECK(read<float>(later.take()) == (std::vector<float>{-4, 5}));
  Offer repeated;
  repeated.strides = {0, 2};
  repeated.shape = {2, 2};
  CHECK(read<float>(repeated.take()) == (std::vector<float>{1, 3, 1, 3}));
  Offer contiguous;
  contiguous.managed.array.strides = nullptr;
  CHECK(strides_of(contiguous.take()) == (Shape{3, 1}));
  Offer empty;
  empty.shape = {0, 3};
  empty.managed.array.data = nullptr;
  CHECK(shape_of(empty.take()) == (Shape{0, 3}));
  Offer pinned;
  pinned.managed.array.device_type = 3;
  pinned.managed.array.device_id = 1;
  CHECK_EQ(describe(pinned.take()).device_type, BSQ_DEVICE_CPU);
  Offer newer;
  newer.managed.minor = 7;
  newer.managed.flags = 7;
  CHECK(read<float>(newer.take()) == newer.memory);
  Offer forever;
  forever.managed.deleter = nullptr;
  CHECK(read<float>(forever.take()) == forever.memory);
  for (const Offer* offer : {&columns, &later, &repeated, &contiguous, &empty, &pinned, &newer}) {
    CHECK_EQ(offer->deleted, 1);
  }
  CHECK_EQ(forever.deleted, 0);
}

TEST(types) {
  struct Type {
    uint8_t code;
    uint8_t bits;
    int32_t dtype;
  };
  for (const Type type : {Type{2, 32, BSQ_FLOAT32},
                          {2, 64, BSQ_FLOAT64},
                          {2, 16, BSQ_FLOAT16},
                          {4, 16, BSQ_BFLOAT16},
                          {0, 64, BSQ_INT64},
                          {0, 32, BSQ_INT32},
                          {1, 8, BSQ_UINT8}}) {
    Offer offer;
    alignas(8) std::array<char, 64> memory{};
    offer.managed.array.data = memory.data();
    offer.managed.array.code = type.code;
    offer.managed.array.bits = type.bits;
    const Tensor tensor = offer.take();
    CHECK_EQ(describe(tensor).dtype, type.dtype);
    const Export exported = give(tensor);
    CHECK_EQ(exported->array.code, type.code);
    CHECK_EQ(exported->array.bits, type.bits);
    CHECK_EQ(exported->array.lanes, 1);
  }
  Offer truth;
  truth.managed.array.code = 6;
  truth.managed.array.bits = 8;
  CHECK_EQ(describe(truth.take()).dtype, BSQ_UINT8);
}

TEST(exports_share_memory_and_keep_it) {
  Tensor x = tensor_of<double>({1, 2, 3, 4, 5, 6}, {2, 3});
  Export exported = give(permute(x, {1, 0}));
  const auto* const data = static_cast<const double*>(data_of(x));
  x.reset();
  CHECK_EQ(bsq_debug_live_handles(), 1);
  CHECK_EQ(exported->major, 1U);
  CHECK_EQ(exported->minor, 0U);
  CHECK_EQ(exported->flags, 1U);  // read-only
  CHECK(exported->array.data == data);
  CHECK_EQ(exported->array.byte_offset, 0U);
  CHECK_EQ(exported->array.device_type, 1);
  CHECK_EQ(exported->array.device_id, 0);
  CHECK_EQ(exported->array.ndim, 2);
  CHECK_EQ(exported->array.shape[0], 3);
  CHECK_EQ(exported->array.shape[1], 2);
  CHECK_EQ(exported->array.strides[0], 1);
  CHECK_EQ(exported->array.strides[1], 3);
  CHECK_EQ(data[5], 6);
  exported->deleter(exported.release());
  CHECK_EQ(bsq_debug_live_handles(), 0);
}

TEST(round_trips) {
  const Tensor x = tensor_of<float>({1, -2, 3, -4, 5, -6, 7, -8}, {2, 4});
  for (const Tensor& view : {narrow(x, 1, 1, 2), permute(x, {1, 0}), narrow(x, 0, 1, 0)}) {
    const Tensor again = take(give(take(give(view))));
    CHECK(shape_of(again) == shape_of(view));
    CHECK(strides_of(again) == strides_of(view));
    CHECK(data_of(again) == data_of(view));
    CHECK(read<float>(again) == read<float>(view));
  }
}

// In whatever order they end, the last one has the deleter called.
TEST(the_last_user_deletes) {
  std::array<int, 4> order{0, 1, 2, 3};
  do {
    Offer offer;
    Tensor x = offer.take();
    std::array<Tensor, 3> users{narrow(x, 0, 1, 1), permute(x, {1, 0}), nullptr};
    Export exported = give(users[0]);
    users[2] = std::move(x);
    for (const int user : order) {
      CHECK_EQ(offer.deleted, 0);
      if (user == 3) {
        exported.reset();
      } else {
        users.at(static_cast<size_t>(user)).reset();
      }
    }
    CHECK_EQ(offer.deleted, 1);
    CHECK_EQ(bsq_debug_live_handles(), 0);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(results_do_not_need_the_memory) {
  bsq_options options = options_for(3);
  options.entropy_loss_weight = 1;
  for (const int32_t implementation : {BSQ_IMPLEMENTATION_KERNELS, BSQ_IMPLEMENTATION_OPERATORS}) {
    options.implementation = implementation;
    auto offer = std::make_unique<Offer>();
    const Tensor same = tensor_of(offer->memory, {2, 3});
    Tensor x = offer->take();
    const Tensor copied = convert(x, BSQ_FLOAT32);
    const Tensor indices = make(bsq_tensor_encode, &options, x.get());
    const Quantization quantization =
        make<bsq_quantization>(bsq_tensor_forward, &options, x.get(), kNoTensor);
    x.reset();
    CHECK_EQ(offer->deleted, 1);
    offer.reset();
    CHECK(read<float>(copied) == read<float>(same));
    CHECK(read<int64_t>(indices) == (std::vector<int64_t>{5, 2}));
    const Quantization expected =
        make<bsq_quantization>(bsq_tensor_forward, &options, same.get(), kNoTensor);
    CHECK(read<float>(
              make(bsq_quantization_backward, quantization.get(), kNoTensor, kNoTensor, 1.0)) ==
          read<float>(make(bsq_quantization_backward, expected.get(), kNoTensor, kNoTensor, 1.0)));
  }
}

TEST(exports_of_borrowed_memory_are_copies) {
  auto memory = std::make_unique<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
  Tensor x = borrow(BSQ_FLOAT32, {2, 2}, {1, 2}, memory->data(), bytes(*memory));
  Export exported = give(x);
  CHECK_EQ(exported->flags, 2U);  // copied, so whoever takes it may write
  CHECK(exported->array.data != memory->data());
  x.reset();
  memory.reset();
  CHECK(read<float>(take(std::move(exported))) == (std::vector<float>{1, 3, 2, 4}));
}

TEST(disowned_tensors_leave_the_memory_alone) {
  Offer offer;
  bsq_tensor_disown(offer.take().release());
  CHECK_EQ(offer.deleted, 0);
  CHECK_EQ(bsq_debug_live_handles(), 0);
  CHECK(read<float>(offer.take()) == offer.memory);
  CHECK_EQ(offer.deleted, 1);
  bsq_tensor_disown(tensor_of<float>({1}, {1}).release());
  bsq_tensor_disown(nullptr);
}

TEST(exports_that_nobody_takes) {
  const Tensor x = tensor_of<float>({1, 2}, {2});
  void* managed = nullptr;
  CHECK_OK(bsq_tensor_to_dlpack(x.get(), &managed));
  CHECK_EQ(bsq_debug_live_handles(), 2);
  bsq_dlpack_free(managed);
  CHECK_EQ(bsq_debug_live_handles(), 1);
  bsq_dlpack_free(nullptr);
}

TEST(refusals) {
  const auto refused = [](const auto& spoil, int32_t code, const std::string& message) {
    Offer offer;
    spoil(offer);
    CHECK_FAILS(offer.try_take(), code, message);
    CHECK_EQ(offer.deleted, 0);
    CHECK_EQ(bsq_debug_live_handles(), 0);
  };
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  refused([](Offer& o) { o.managed.major = 2; }, BSQ_UNSUPPORTED,
          "managed is of DLPack 2.0, expected 1.x: ask its library for that version");
  refused([](Offer& o) { o.managed.major = 0; }, BSQ_UNSUPPORTED,
          "managed is of DLPack 0.0, expected 1.x: ask its library for that version");
  refused([](Offer& o) { o.managed.array.device_type = 10; }, BSQ_UNSUPPORTED,
          "managed is on a device of DLPack's type 10, expected 1 (CPU), 2 (CUDA) or 3 (CUDAHost)");
  refused([](Offer& o) { o.managed.array.ndim = 0; }, BSQ_INVALID_ARGUMENT,
          "managed has rank 0, expected 1 to 64: a scalar has to be reshaped to [1]");
  refused([](Offer& o) { o.managed.array.ndim = 65; }, BSQ_INVALID_ARGUMENT,
          "managed has rank 65, expected 1 to 64");
  refused([](Offer& o) { o.managed.array.ndim = -1; }, BSQ_INVALID_ARGUMENT,
          "managed has rank -1, expected 1 to 64");
  const std::string types =
      " lanes, expected float32, float64, float16, bfloat16, int64, int32, uint8 or bool, with 1"
      " lane";
  const auto type = [&](uint8_t code, uint8_t bits, uint16_t lanes) {
    refused(
        [&](Offer& o) {
          o.managed.array.code = code;
          o.managed.array.bits = bits;
          o.managed.array.lanes = lanes;
        },
        BSQ_UNSUPPORTED,
        "managed has elements of DLPack's type code " + std::to_string(code) + " with " +
            std::to_string(bits) + " bits and " + std::to_string(lanes) + types);
  };
  type(2, 32, 2);
  type(2, 32, 0);
  type(0, 16, 1);
  type(0, 8, 1);
  type(1, 64, 1);
  type(4, 32, 1);
  type(5, 64, 1);
  type(255, 255, 65535);
  refused([](Offer& o) { o.managed.array.shape = nullptr; }, BSQ_INVALID_ARGUMENT, "shape is NULL");
  refused([](Offer& o) { o.shape[1] = -3; }, BSQ_INVALID_ARGUMENT,
          "shape is [2, -3], expected sizes of at least 0");
  refused([](Offer& o) { o.strides[1] = -1; }, BSQ_INVALID_ARGUMENT,
          "strides is [3, -1], expected strides of at least 0");
  refused([](Offer& o) { o.strides[0] = int64_t{1} << 60U; }, BSQ_INVALID_ARGUMENT,
          "strides [1152921504606846976, 1] of shape [2, 3] reach past 2^63 - 1 bytes");
  refused(
      [](Offer& o) {
        o.shape = {kMax, kMax};
      },
      BSQ_INVALID_ARGUMENT,
      "a tensor of shape [9223372036854775807, 9223372036854775807] and type float32 takes more"
      " than 2^63 - 1 bytes");
  refused([](Offer& o) { o.managed.array.data = nullptr; }, BSQ_INVALID_ARGUMENT,
          "data is NULL, expected 24 bytes");
  refused([](Offer& o) { o.managed.array.byte_offset = 2; }, BSQ_INVALID_ARGUMENT,
          "data is at an address not aligned to 4 bytes, the size of a float32");
  refused([](Offer& o) { o.managed.array.byte_offset = ~uint64_t{0}; }, BSQ_INVALID_ARGUMENT,
          "byte_offset is 18446744073709551615, which reaches past the last address");
  refused(
      [](Offer& o) {
        o.managed.array.byte_offset =
            ~uint64_t{0} - reinterpret_cast<uintptr_t>(o.memory.data()) - 3;
      },
      BSQ_INVALID_ARGUMENT, "strides [3, 1] of shape [2, 3] reach past the last address");
}

TEST(devices_that_are_not_there) {
  Offer offer;
  offer.managed.array.device_type = 2;
  offer.managed.array.device_id = bsq_device_count(BSQ_DEVICE_CUDA);
  CHECK_REFUSED(
      offer.try_take(), BSQ_UNSUPPORTED,
      "cuda:" + std::to_string(bsq_device_count(BSQ_DEVICE_CUDA)) + " is not available: ");
  offer.managed.array.device_id = -1;
  CHECK_FAILS(offer.try_take(), BSQ_INVALID_ARGUMENT, "device_index is -1, expected at least 0");
  CHECK_EQ(offer.deleted, 0);
}

TEST(null) {
  Offer offer;
  CHECK_FAILS(bsq_tensor_from_dlpack(&offer.managed, nullptr), BSQ_INVALID_ARGUMENT, "out is NULL");
  CHECK_EQ(offer.deleted, 0);
  CHECK_FAILS(try_make(bsq_tensor_from_dlpack, nullptr), BSQ_INVALID_ARGUMENT, "managed is NULL");
  void* managed = &offer;
  CHECK_FAILS(bsq_tensor_to_dlpack(nullptr, &managed), BSQ_INVALID_ARGUMENT, "tensor is NULL");
  CHECK(managed == nullptr);
  const Tensor x = tensor_of<float>({1}, {1});
  CHECK_FAILS(bsq_tensor_to_dlpack(x.get(), nullptr), BSQ_INVALID_ARGUMENT, "managed is NULL");
}

}  // namespace bsq::test
