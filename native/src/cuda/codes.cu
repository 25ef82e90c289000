// Signs to stored codes and to quantized, and back.
//
// Rows that are adjacent are a stream of elements, whose signs a block gathers as a stream of bits
// in its shared memory: every field of a code, index, byte or word, is then a few adjacent bits of
// it. That reads x once, in order, and writes in order; back, likewise.
#include "cuda/launch.cuh"

namespace bsq::cuda {
namespace {

constexpr int kBlockElements = 4096;  // the largest code_dim
constexpr int kWordBits = 32;
constexpr int kWords = kBlockElements / kWordBits;
constexpr int kByteBits = 8;

// The size of a vector of 16 bytes, the most that a thread loads or stores at once.
template <class T>
constexpr int kWidest = 16 / static_cast<int>(sizeof(T));

// Vectors that a thread has under way at once: that, not arithmetic, hides the memory's latency.
template <int kSize>
constexpr int kUnroll = kSize == 1                              ? 8
                        : kBlockElements / (kBlock * kSize) < 4 ? kBlockElements / (kBlock * kSize)
                                                                : 4;

// n / d of small numbers, n * d < 2^32: an integer division takes as long as all else of an
// element.
class Divisor {
 public:
  explicit Divisor(int64_t d)
      : divisor_(static_cast<uint32_t>(d)),
        inverse_(d == 1 ? 0 : static_cast<uint32_t>(((uint64_t{1} << 32) + d - 1) / d)) {}

  __device__ uint32_t quotient(uint32_t n) const {
    return divisor_ == 1 ? n : static_cast<uint32_t>((uint64_t{n} * inverse_) >> 32);
  }
  __device__ uint32_t remainder(uint32_t n) const { return n - quotient(n) * divisor_; }

 private:
  uint32_t divisor_;
  uint32_t inverse_;
};

inline __device__ float number(float value) { return value; }
inline __device__ double number(double value) { return value; }
inline __device__ float number(__half value) { return __half2float(value); }
inline __device__ float number(__nv_bfloat16 value) { return __bfloat162float(value); }

template <class T>
__device__ T to_element(double value);
template <>
inline __device__ float to_element(double value) {
  return static_cast<float>(value);
}
template <>
inline __device__ double to_element(double value) {
  return value;
}
template <>
inline __device__ __half to_element(double value) {
  return __float2half_rn(static_cast<float>(value));
}
template <>
inline __device__ __nv_bfloat16 to_element(double value) {
  return __float2bfloat16_rn(static_cast<float>(value));
}

// Elements above it are ones. Where 0 is one, that is the largest number below 0, so that one
// comparison does for both ties; NaN is above nothing.
template <class T>
__device__ auto threshold(bool zero_is_one) {
  using Number = decltype(number(T{}));
  constexpr auto kBelowZero =
      static_cast<Number>(sizeof(Number) == sizeof(float) ? -0x1p-149 : -0x1p-1074);
  return zero_is_one ? kBelowZero : Number{0};
}

// `count` bits of the stream, 1 to 64, from `begin` on; the first as the lowest.
inline __device__ uint64_t bits_at(const uint32_t* stream, uint32_t begin, int count) {
  const auto word = static_cast<int>(begin / kWordBits);
  const auto shift = static_cast<int>(begin % kWordBits);
  uint64_t bits = (uint64_t{stream[word + 1]} << kWordBits | stream[word]) >> shift;
  if (shift + count > 2 * kWordBits) {
    bits |= uint64_t{stream[word + 2]} << (2 * kWordBits - shift);
  }
  return count >= 64 ? bits : bits & ((uint64_t{1} << count) - 1);
}

// Sets those of `bits` in a stream that others set bits of, too.
inline __device__ void set_bits(uint32_t* stream, uint32_t begin, uint64_t bits) {
  const auto word = static_cast<int>(begin / kWordBits);
  const auto shift = static_cast<int>(begin % kWordBits);
  const uint64_t low = bits << shift;
  atomicOr(stream + word, static_cast<uint32_t>(low));
  if (low >> kWordBits != 0) {
    atomicOr(stream + word + 1, static_cast<uint32_t>(low >> kWordBits));
  }
  if (shift != 0 && bits >> (2 * kWordBits - shift) != 0) {
    atomicOr(stream + word + 2, static_cast<uint32_t>(bits >> (2 * kWordBits - shift)));
  }
}

inline __device__ bool any_bit(const uint32_t* stream, uint32_t begin, int64_t count) {
  for (int64_t i = 0; i < count; i += 64) {
    if (bits_at(stream, begin + static_cast<uint32_t>(i),
                static_cast<int>(count - i < 64 ? count - i : 64)) != 0) {
      return true;
    }
  }
  return false;
}

// As it is stored, from its bits, the first as the lowest.
inline __device__ uint64_t field_of(const FieldFormat& format, uint64_t bits) {
  const uint64_t ordered = format.least_first ? bits : __brevll(bits) >> (64 - format.width);
  return ordered ^ format.mask;
}

// And back.
inline __device__ uint64_t bits_of(const FieldFormat& format, uint64_t field) {
  const uint64_t ordered = field ^ format.mask;
  return format.least_first ? ordered : __brevll(ordered) >> (64 - format.width);
}

inline __device__ void store_field(const FieldFormat& format, void* fields, int64_t i,
                                   uint64_t field) {
  if (format.bytes) {
    static_cast<uint8_t*>(fields)[i] = static_cast<uint8_t>(field);
  } else {
    static_cast<int64_t*>(fields)[i] = static_cast<int64_t>(field);
  }
}

inline __device__ uint64_t load_field(const FieldFormat& format, const void* fields, int64_t i) {
  return format.bytes ? uint64_t{static_cast<const uint8_t*>(fields)[i]}
                      : static_cast<uint64_t>(static_cast<const int64_t*>(fields)[i]);
}

// The bits of a code in its field k.
inline __device__ int field_bits(const FieldFormat& format, int64_t k) {
  const int64_t rest = format.code_dim - k * format.width;
  return static_cast<int>(rest < format.width ? rest : format.width);
}

inline __device__ void report(Evidence* evidence, uint64_t position) {
  // A glance first: where there is much to report, atomic operations would come one by one.
  if (evidence != nullptr && position < *const_cast<volatile uint64_t*>(&evidence->position)) {
    atomicMin(reinterpret_cast<unsigned long long*>(&evidence->position),
              static_cast<unsigned long long>(position));
  }
}

// What quantized is of a component of a code that is not finite: see cpu::quantize_non_finite.
inline __device__ double lost_component(bool code_has_nan, double value, double scale) {
  return code_has_nan || isinf(value) ? quiet_nan() : -scale;
}

// Stores the bits of all lanes, kSize each, the first as the lowest: `bits` are those from e on.
template <int kSize>
__device__ void store_bits(uint32_t* stream, uint32_t e, uint32_t bits) {
#pragma unroll
  for (int count = kSize; count < kByteBits; count *= 2) {
    bits |= __shfl_down_sync(kAllLanes, bits, count / kSize) << count;
  }
  if (e % kByteBits == 0) {
    reinterpret_cast<uint8_t*>(stream)[e / kByteBits] = static_cast<uint8_t>(bits);
  }
}

// The codes of a block, of those that are adjacent.
struct BlockCodes {
  __device__ BlockCodes(int64_t all, int block_codes)
      : first(int64_t{blockIdx.x} * block_codes),
        count(static_cast<uint32_t>(all - first < block_codes ? all - first : block_codes)) {}

  int64_t first;
  uint32_t count;
};

// A block for each block_codes codes. kSize: of the vectors that these are aligned for.
template <class T, int kSize>
__global__ void quantize_adjacent(QuantizeWork work, int block_codes, Divisor code_dim,
                                  Divisor fields_of_code) {
  __shared__ uint32_t signs[kWords + 2];
  __shared__ uint32_t not_finite[kWords + 2];
  __shared__ int any_lost;
  constexpr uint32_t kStep = kBlock * kSize;
  static_assert(kBlockElements % (kStep * kUnroll<kSize>) == 0);
  const FieldFormat& format = work.format;
  const auto dim = static_cast<uint32_t>(format.code_dim);
  const auto width = static_cast<uint32_t>(format.width);
  const auto least_one = threshold<T>(work.zero_is_one);
  const BlockCodes codes(work.codes, block_codes);
  const int64_t base = codes.first * dim;
  const auto* const x = static_cast<const T*>(work.x.data) + base;
  const uint32_t elements = codes.count * dim;
  const uint32_t in_vectors = elements / kSize * kSize;
  static_assert(kWords + 2 <= kBlock);
  if (threadIdx.x < kWords + 2) {
    signs[threadIdx.x] = 0;
    not_finite[threadIdx.x] = 0;
  }
  if (threadIdx.x == 0) {
    any_lost = 0;
  }
  __syncthreads();
  for (uint32_t begin = 0; begin < in_vectors; begin += kStep * kUnroll<kSize>) {
    Vector<T, kSize> vectors[kUnroll<kSize>]{};
    const uint32_t of_thread = begin + threadIdx.x * kSize;
#pragma unroll
    for (int u = 0; u < kUnroll<kSize>; ++u) {
      const uint32_t e = of_thread + u * kStep;
      if (e < in_vectors) {
        vectors[u] = *reinterpret_cast<const Vector<T, kSize>*>(x + e);
      }
    }
    bool lost = false;
#pragma unroll
    for (int u = 0; u < kUnroll<kSize>; ++u) {
      uint32_t ones = 0;
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        const auto value = number(vectors[u].values[i]);
        ones |= (value > least_one ? 1U : 0U) << i;
        lost = lost || !isfinite(value);
      }
      const uint32_t e = of_thread + u * kStep;
      store_bits<kSize>(signs, e, e < in_vectors ? ones : 0);  // the 0 beyond may be a one
    }
    if (__any_sync(kAllLanes, lost)) {
#pragma unroll
      for (int u = 0; u < kUnroll<kSize>; ++u) {
        uint32_t lost_bits = 0;
#pragma unroll
        for (int i = 0; i < kSize; ++i) {
          lost_bits |= (isfinite(number(vectors[u].values[i])) ? 0U : 1U) << i;
        }
        const uint32_t e = of_thread + u * kStep;
        store_bits<kSize>(not_finite, e, lost_bits);
        if (lost_bits != 0) {
          any_lost = 1;
          report(work.evidence, static_cast<uint64_t>(base + e + __ffs(lost_bits) - 1));
        }
      }
    }
  }
  __syncthreads();
  if (in_vectors < elements) {  // in the last block alone
    const uint32_t e = in_vectors + threadIdx.x;
    if (e < elements) {
      const auto value = number(x[e]);
      set_bits(signs, e, value > least_one ? 1 : 0);

      if (!isfinite(value)) {
        set_bits(not_finite, e, 1);
        any_lost = 1;
        report(work.evidence, static_cast<uint64_t>(base + e));
      }
    }
    __syncthreads();
  }
  const auto is_lost = [&](uint32_t code) {
    return any_lost != 0 && any_bit(not_finite, code * dim, dim);
  };
  if (work.fields != nullptr) {
    const auto fields = static_cast<uint32_t>(codes.count * format.fields);
    for (uint32_t f = threadIdx.x; f < fields; f += kBlock) {
      const uint32_t code = fields_of_code.quotient(f);
      const uint32_t k = fields_of_code.remainder(f);
      const uint64_t bits =
          is_lost(code) ? 0 : bits_at(signs, code * dim + k * width, field_bits(format, k));
      store_field(format, work.fields, codes.first * format.fields + f, field_of(format, bits));
    }
  }
  if (work.quantized.data != nullptr) {
    auto* const quantized = static_cast<T*>(work.quantized.data) + base;
    const T one = to_element<T>(work.scale);
    const T zero = to_element<T>(-work.scale);
    for (uint32_t e = threadIdx.x; e < elements; e += kBlock) {
      T value = (signs[e / kWordBits] >> (e % kWordBits) & 1U) != 0 ? one : zero;
      const uint32_t code = any_lost == 0 ? 0 : code_dim.quotient(e);
      if (is_lost(code)) {
        bool has_nan = false;
        for (uint32_t d = 0; d < dim; ++d) {
          has_nan = has_nan || isnan(number(x[code * dim + d]));
        }
        value = work.propagate ? to_element<T>(lost_component(has_nan, number(x[e]), work.scale))
                               : zero;
      }
      quantized[e] = value;
    }
  }
}

// Rows of any strides, a thread for each code: adjacent ones for adjacent rows.
template <class T>
__global__ void quantize_strided(QuantizeWork work) {
  const FieldFormat& format = work.format;
  const auto least_one = threshold<T>(work.zero_is_one);
  const auto* const x = static_cast<const T*>(work.x.data);
  const int64_t rows = work.codes / work.row_codes;
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < work.codes;
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t row = t % rows;
    const int64_t codebook = t / rows;
    const int64_t first = codebook * format.code_dim;  // component
    const int64_t from = offset_of(work.x, row) + first * work.x.component_stride;
    const auto component = [&](int64_t d) { return number(x[from + d * work.x.component_stride]); };
    int64_t lost = -1;
    bool has_nan = false;
    for (int64_t d = 0; d < format.code_dim; ++d) {
      const auto value = component(d);
      if (!isfinite(value)) {
        lost = lost < 0 ? d : lost;
        has_nan = has_nan || isnan(value);
      }
    }
    if (lost >= 0) {
      report(work.evidence,
             static_cast<uint64_t>(row * work.row_codes * format.code_dim + first + lost));
    }
    if (work.fields != nullptr) {
      for (int64_t k = 0; k < format.fields; ++k) {
        uint64_t bits = 0;
        for (int i = 0; lost < 0 && i < field_bits(format, k); ++i) {
          const bool one = component(k * format.width + i) > least_one;
          bits |= static_cast<uint64_t>(one) << i;
        }
        store_field(format, work.fields, (row * work.row_codes + codebook) * format.fields + k,
                    field_of(format, bits));
      }
    }
    if (work.quantized.data != nullptr) {
      auto* const quantized = static_cast<T*>(work.quantized.data) +
                              offset_of(work.quantized, row) +
                              first * work.quantized.component_stride;
      for (int64_t d = 0; d < format.code_dim; ++d) {
        const auto value = component(d);
        double result = value > least_one ? work.scale : -work.scale;
        if (lost >= 0) {
          result = work.propagate ? lost_component(has_nan, value, work.scale) : -work.scale;
        }
        quantized[d * work.quantized.component_stride] = to_element<T>(result);
      }
    }
  }
}

__global__ void take_value(RowsView x, int64_t row_length, Evidence* evidence) {
  if (evidence->position != ~uint64_t{0}) {
    const auto position = static_cast<int64_t>(evidence->position);
    const double value =
        as_double(x.data, x.type,
                  offset_of(x, position / row_length) + position % row_length * x.component_stride);
    evidence->value = static_cast<uint64_t>(__double_as_longlong(value));
  }
}

__global__ void take_field(FieldFormat format, const void* fields, Evidence* evidence) {
  if (evidence->position != ~uint64_t{0}) {
    evidence->value = load_field(format, fields, static_cast<int64_t>(evidence->position));
  }
}

// Whether the field k of a code has bits that no code has.
inline __device__ bool is_no_code(const FieldFormat& format, int64_t k, uint64_t field) {
  const int bits = field_bits(format, k);
  const uint64_t low = bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  const uint64_t used = format.least_first ? low : low << (format.width - bits);
  return ((field ^ format.mask) & ~used) != 0;
}

// A block for each block_codes codes. kSize: of the vectors that these are aligned for.
template <class T, int kSize>
__global__ void dequantize_adjacent(DequantizeWork work, int block_codes, Divisor fields_of_code) {
  __shared__ uint32_t signs[kWords + 2];
  const FieldFormat& format = work.format;
  const auto dim = static_cast<uint32_t>(format.code_dim);
  const auto width = static_cast<uint32_t>(format.width);
  const BlockCodes codes(work.codes, block_codes);
  if (threadIdx.x < kWords + 2) {
    signs[threadIdx.x] = 0;
  }
  __syncthreads();
  const auto fields = static_cast<uint32_t>(codes.count * format.fields);
  for (uint32_t f = threadIdx.x; f < fields; f += kBlock) {
    const uint32_t k = fields_of_code.remainder(f);
    const int64_t place = codes.first * format.fields + f;
    const uint64_t field = load_field(format, work.fields, place);
    if (is_no_code(format, k, field)) {  // whose bits may be those of others
      report(work.evidence, static_cast<uint64_t>(place));
    } else {
      set_bits(signs, fields_of_code.quotient(f) * dim + k * width, bits_of(format, field));
    }
  }
  __syncthreads();
  auto* const quantized = static_cast<T*>(work.quantized.data) + codes.first * dim;
  const T one = to_element<T>(work.scale);
  const T zero = to_element<T>(-work.scale);
  const uint32_t elements = codes.count * dim;
  for (uint32_t e = threadIdx.x * kSize; e < elements; e += kBlock * kSize) {
    const uint32_t bits = signs[e / kWordBits] >> (e % kWordBits);
    Vector<T, kSize> vector{};
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      vector.values[i] = (bits >> i & 1U) != 0 ? one : zero;
    }
    if (e + kSize <= elements) {
      *reinterpret_cast<Vector<T, kSize>*>(quantized + e) = vector;
    } else {
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        if (e + i < elements) {
          quantized[e + i] = vector.values[i];
        }
      }
    }
  }
}

// Rows of any strides, as quantize_strided.
template <class T>
__global__ void dequantize_strided(DequantizeWork work) {
  const FieldFormat& format = work.format;
  auto* const quantized = static_cast<T*>(work.quantized.data);
  const T one = to_element<T>(work.scale);
  const T zero = to_element<T>(-work.scale);
  const int64_t rows = work.codes / work.row_codes;
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < work.codes;
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t row = t % rows;
    const int64_t codebook = t / rows;
    const int64_t place = (row * work.row_codes + codebook) * format.fields;
    T* to = quantized + offset_of(work.quantized, row) +
            codebook * format.code_dim * work.quantized.component_stride;
    for (int64_t k = 0; k < format.fields; ++k) {
      const uint64_t field = load_field(format, work.fields, place + k);
      if (is_no_code(format, k, field)) {
        report(work.evidence, static_cast<uint64_t>(place + k));
      }
      const uint64_t bits = bits_of(format, field);
      for (int i = 0; i < field_bits(format, k); ++i, to += work.quantized.component_stride) {
        *to = (bits >> i & 1U) != 0 ? one : zero;
      }
    }
  }
}

// A multiple of 8 where there are so many: blocks then begin where the memory's sectors do. They
// have 2048 elements and more, so a grid of them holds more than any memory.
int block_codes_of(const FieldFormat& format) {
  const auto codes = static_cast<int>(kBlockElements / format.code_dim);
  return codes < 8 ? codes : codes / 8 * 8;
}

// Whether each block begins with a vector of the widest.
template <class T>
bool is_aligned(const void* data, const FieldFormat& format) {
  return reinterpret_cast<uintptr_t>(data) % sizeof(Vector<T, kWidest<T>>) == 0 &&
         block_codes_of(format) * format.code_dim % kWidest<T> == 0;
}

template <class T>
void launch(const QuantizeWork& work, void* stream) {
  if (!work.contiguous) {
    BSQ_LAUNCH(quantize_strided<T>, grid_of(divide_up(work.codes, kBlock)), kBlock, stream, work);
    return;
  }
  const int block_codes = block_codes_of(work.format);
  auto* const kernel = is_aligned<T>(work.x.data, work.format) ? quantize_adjacent<T, kWidest<T>>
                                                               : quantize_adjacent<T, 1>;
  BSQ_LAUNCH(kernel, static_cast<unsigned>(divide_up(work.codes, block_codes)), kBlock, stream,
             work, block_codes, Divisor(work.format.code_dim), Divisor(work.format.fields));
}

template <class T>
void launch(const DequantizeWork& work, void* stream) {
  if (!work.contiguous) {
    BSQ_LAUNCH(dequantize_strided<T>, grid_of(divide_up(work.codes, kBlock)), kBlock, stream, work);
    return;
  }
  const int block_codes = block_codes_of(work.format);
  auto* const kernel = is_aligned<T>(work.quantized.data, work.format)
                           ? dequantize_adjacent<T, kWidest<T>>
                           : dequantize_adjacent<T, 1>;
  BSQ_LAUNCH(kernel, static_cast<unsigned>(divide_up(work.codes, block_codes)), kBlock, stream,
             work, block_codes, Divisor(work.format.fields));
}

template <class Work>
void launch_for(Element type, const Work& work, void* stream) {
  switch (type) {
    case Element::kFloat32:
      return launch<float>(work, stream);
    case Element::kFloat64:
      return launch<double>(work, stream);
    case Element::kFloat16:
      return launch<__half>(work, stream);
    default:
      return launch<__nv_bfloat16>(work, stream);
  }
}

}  // namespace

Failure quantize(const QuantizeWork& work, void* stream) {
  if (work.evidence != nullptr) {
    cudaMemsetAsync(work.evidence, 0xff, sizeof(Evidence), static_cast<cudaStream_t>(stream));
  }
  if (work.codes > 0) {
    launch_for(work.x.type, work, stream);
    if (work.evidence != nullptr) {
      BSQ_LAUNCH(take_value, 1, 1, stream, work.x, work.row_codes * work.format.code_dim,
                 work.evidence);
    }
  }
  return launched();
}

Failure dequantize(const DequantizeWork& work, void* stream) {
  cudaMemsetAsync(work.evidence, 0xff, sizeof(Evidence), static_cast<cudaStream_t>(stream));
  if (work.codes > 0) {
    launch_for(work.quantized.type, work, stream);
    BSQ_LAUNCH(take_field, 1, 1, stream, work.format, work.fields, work.evidence);
  }
  return launched();
}

}  // namespace bsq::cuda
