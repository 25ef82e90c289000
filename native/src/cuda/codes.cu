// Signs to stored codes and to quantized, and back.
//
// Rows that are adjacent are a stream of elements, whose signs a block gathers as a stream of bits,
// 32 at once: every field of a code, index, byte or word, is then a few adjacent bits of it. That
// reads x once, in order, and writes in order.
#include "cuda/launch.cuh"

namespace bsq::cuda {
namespace {

constexpr int kBlockElements = 4096;  // the largest code_dim
constexpr int kWordBits = 32;
constexpr int kWords = kBlockElements / kWordBits;
// Loads that a thread has under way at once: that, not arithmetic, hides the memory's latency.
constexpr int kUnroll = 8;
static_assert(kBlockElements % (kBlock * kUnroll) == 0);

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
__device__ bool is_one(T value, bool zero_is_one) {
  return zero_is_one ? value >= 0 : value > 0;
}

// `count` bits of the stream, 1 to 64, from `begin` on; the first as the lowest.
inline __device__ uint64_t bits_at(const uint32_t* stream, uint32_t begin, int count) {
  const uint32_t word = begin / kWordBits;
  const uint32_t shift = begin % kWordBits;
  uint64_t bits = (uint64_t{stream[word + 1]} << kWordBits | stream[word]) >> shift;
  if (shift != 0) {
    bits |= uint64_t{stream[word + 2]} << (2 * kWordBits - shift);
  }
  return count >= 64 ? bits : bits & ((uint64_t{1} << count) - 1);
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
  if (evidence != nullptr) {
    atomicMin(reinterpret_cast<unsigned long long*>(&evidence->position),
              static_cast<unsigned long long>(position));
  }
}

inline __device__ double quiet_nan() { return __longlong_as_double(0x7ff8000000000000LL); }

// What quantized is of a component of a code that is not finite: see cpu::quantize_non_finite.
inline __device__ double lost_component(bool code_has_nan, double value, double scale) {
  return code_has_nan || isinf(value) ? quiet_nan() : -scale;
}

template <class T>
__global__ void quantize_adjacent(QuantizeWork work, int block_codes, Divisor code_dim,
                                  Divisor fields_of_code) {
  __shared__ uint32_t signs[kWords + 2];
  __shared__ uint32_t not_finite[kWords + 2];
  __shared__ int any_lost;
  const FieldFormat& format = work.format;
  const auto dim = static_cast<uint32_t>(format.code_dim);
  const auto* const x = static_cast<const T*>(work.x.data);
  const unsigned lane = threadIdx.x % kWarp;
  if (threadIdx.x < 2) {
    signs[kWords + threadIdx.x] = 0;
    not_finite[kWords + threadIdx.x] = 0;
  }
  for (int64_t first = int64_t{blockIdx.x} * block_codes; first < work.codes;
       first += int64_t{gridDim.x} * block_codes) {
    const int64_t left = work.codes - first;
    const auto codes = static_cast<uint32_t>(left < block_codes ? left : block_codes);
    const uint32_t elements = codes * dim;
    const int64_t base = first * dim;
    if (threadIdx.x == 0) {
      any_lost = 0;
    }
    __syncthreads();
    for (uint32_t begin = 0; begin < elements; begin += kBlock * kUnroll) {
      decltype(number(T{})) values[kUnroll];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const uint32_t e = begin + u * kBlock + threadIdx.x;
        values[u] = e < elements ? number(x[base + e]) : 0;
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const uint32_t e = begin + u * kBlock + threadIdx.x;
        if (e - lane >= elements) {
          break;  // the whole warp is beyond the last
        }
        const bool inside = e < elements;
        const uint32_t ones =
            __ballot_sync(kAllLanes, inside && is_one(values[u], work.zero_is_one));
        const uint32_t lost = __ballot_sync(kAllLanes, inside && !isfinite(values[u]));
        if (lane == 0) {
          signs[e / kWordBits] = ones;
          not_finite[e / kWordBits] = lost;
          if (lost != 0) {
            any_lost = 1;
            report(work.evidence, static_cast<uint64_t>(base + e + __ffs(lost) - 1));
          }
        }
      }
    }
    __syncthreads();
    const auto is_lost = [&](uint32_t code) {
      return any_lost != 0 && any_bit(not_finite, code * dim, dim);
    };
    if (work.fields != nullptr) {
      const auto fields = static_cast<uint32_t>(codes * format.fields);
      for (uint32_t f = threadIdx.x; f < fields; f += kBlock) {
        const uint32_t code = fields_of_code.quotient(f);
        const uint32_t k = fields_of_code.remainder(f);
        const uint64_t bits =
            is_lost(code) ? 0
                          : bits_at(signs, code * dim + k * static_cast<uint32_t>(format.width),
                                    field_bits(format, k));
        store_field(format, work.fields, first * format.fields + f, field_of(format, bits));
      }
    }
    if (work.quantized.data != nullptr) {
      for (uint32_t e = threadIdx.x; e < elements; e += kBlock) {
        const bool one = (signs[e / kWordBits] >> (e % kWordBits) & 1U) != 0;
        double value = one ? work.scale : -work.scale;
        const uint32_t code = code_dim.quotient(e);
        if (is_lost(code)) {
          bool has_nan = false;
          for (uint32_t d = 0; d < dim; ++d) {
            has_nan = has_nan || isnan(number(x[base + code * dim + d]));
          }
          value = work.propagate ? lost_component(has_nan, number(x[base + e]), work.scale)
                                 : -work.scale;
        }
        store(work.quantized.data, work.quantized.type, base + e, value);
      }
    }
    __syncthreads();  // before the next codes overwrite the signs
  }
}

// Rows of any strides, a thread for each code: adjacent ones for adjacent rows.
__global__ void quantize_strided(QuantizeWork work) {
  const FieldFormat& format = work.format;
  const int64_t rows = work.codes / work.row_codes;
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < work.codes;
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t row = t % rows;
    const int64_t codebook = t / rows;
    const int64_t first = codebook * format.code_dim;  // component
    const int64_t from = offset_of(work.x, row);
    const auto component = [&](int64_t d) {
      return as_double(work.x.data, work.x.type, from + (first + d) * work.x.component_stride);
    };
    int64_t lost = -1;
    bool has_nan = false;
    for (int64_t d = 0; d < format.code_dim; ++d) {
      const double value = component(d);
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
          const bool one = is_one(component(k * format.width + i), work.zero_is_one);
          bits |= static_cast<uint64_t>(one) << i;
        }
        store_field(format, work.fields, (row * work.row_codes + codebook) * format.fields + k,
                    field_of(format, bits));
      }
    }
    if (work.quantized.data != nullptr) {
      const int64_t to = offset_of(work.quantized, row);
      for (int64_t d = 0; d < format.code_dim; ++d) {
        const double value = component(d);
        double quantized = is_one(value, work.zero_is_one) ? work.scale : -work.scale;
        if (lost >= 0) {
          quantized = work.propagate ? lost_component(has_nan, value, work.scale) : -work.scale;
        }
        store(work.quantized.data, work.quantized.type,
              to + (first + d) * work.quantized.component_stride, quantized);
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

// The bit of component i of a field.
inline __device__ bool bit_of(const FieldFormat& format, uint64_t field, int64_t i) {
  const int64_t shift = format.least_first ? i : format.width - 1 - i;
  return ((field ^ format.mask) >> shift & 1U) != 0;
}

__global__ void check_fields(DequantizeWork work) {
  const int64_t fields = work.codes * work.format.fields;
  for (int64_t f = int64_t{blockIdx.x} * kBlock + threadIdx.x; f < fields;
       f += int64_t{gridDim.x} * kBlock) {
    if (is_no_code(work.format, f % work.format.fields, load_field(work.format, work.fields, f))) {
      report(work.evidence, static_cast<uint64_t>(f));
    }
  }
}

__global__ void dequantize_adjacent(DequantizeWork work, int block_codes, Divisor code_dim,
                                    Divisor width) {
  const FieldFormat& format = work.format;
  for (int64_t first = int64_t{blockIdx.x} * block_codes; first < work.codes;
       first += int64_t{gridDim.x} * block_codes) {
    const int64_t left = work.codes - first;
    const auto codes = static_cast<uint32_t>(left < block_codes ? left : block_codes);
    const auto elements = static_cast<uint32_t>(codes * format.code_dim);
    for (uint32_t e = threadIdx.x; e < elements; e += kBlock) {
      const int64_t code = first + code_dim.quotient(e);
      const uint32_t d = code_dim.remainder(e);
      const uint64_t field =
          load_field(format, work.fields, code * format.fields + width.quotient(d));
      store(work.quantized.data, work.quantized.type, first * format.code_dim + e,
            bit_of(format, field, width.remainder(d)) ? work.scale : -work.scale);
    }
  }
}

// Positions are the fastest, as they are in channel-first tensors.
__global__ void dequantize_strided(DequantizeWork work) {
  const FieldFormat& format = work.format;
  const int64_t length = work.row_codes * format.code_dim;
  const int64_t positions = work.quantized.positions;
  const int64_t elements = work.codes * format.code_dim;
  for (int64_t t = int64_t{blockIdx.x} * kBlock + threadIdx.x; t < elements;
       t += int64_t{gridDim.x} * kBlock) {
    const int64_t position = t % positions;
    const int64_t component = t / positions % length;
    const int64_t row = t / positions / length * positions + position;
    const int64_t code = row * work.row_codes + component / format.code_dim;
    const int64_t d = component % format.code_dim;
    const uint64_t field = load_field(format, work.fields, code * format.fields + d / format.width);
    store(work.quantized.data, work.quantized.type,
          offset_of(work.quantized, row) + component * work.quantized.component_stride,
          bit_of(format, field, d % format.width) ? work.scale : -work.scale);
  }
}

// A multiple of 8 where there are so many: blocks then begin where the memory's sectors do.
int block_codes_of(const FieldFormat& format) {
  const auto codes = static_cast<int>(kBlockElements / format.code_dim);
  return codes < 8 ? codes : codes / 8 * 8;
}

template <class T>
void launch_adjacent(const QuantizeWork& work, void* stream) {
  const int block_codes = block_codes_of(work.format);
  BSQ_LAUNCH(quantize_adjacent<T>, grid_of(divide_up(work.codes, block_codes)), kBlock, stream,
             work, block_codes, Divisor(work.format.code_dim), Divisor(work.format.fields));
}

}  // namespace

Failure quantize(const QuantizeWork& work, void* stream) {
  if (work.evidence != nullptr) {
    cudaMemsetAsync(work.evidence, 0xff, sizeof(Evidence), static_cast<cudaStream_t>(stream));
  }
  if (work.codes > 0) {
    if (!work.contiguous) {
      BSQ_LAUNCH(quantize_strided, grid_of(divide_up(work.codes, kBlock)), kBlock, stream, work);
    } else if (work.x.type == Element::kFloat32) {
      launch_adjacent<float>(work, stream);
    } else if (work.x.type == Element::kFloat64) {
      launch_adjacent<double>(work, stream);
    } else if (work.x.type == Element::kFloat16) {
      launch_adjacent<__half>(work, stream);
    } else {
      launch_adjacent<__nv_bfloat16>(work, stream);
    }
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
    BSQ_LAUNCH(check_fields, grid_of(divide_up(work.codes * work.format.fields, kBlock)), kBlock,
               stream, work);
    if (work.contiguous) {
      const int block_codes = block_codes_of(work.format);
      BSQ_LAUNCH(dequantize_adjacent, grid_of(divide_up(work.codes, block_codes)), kBlock, stream,
                 work, block_codes, Divisor(work.format.code_dim), Divisor(work.format.width));
    } else {
      BSQ_LAUNCH(dequantize_strided, grid_of(divide_up(work.codes * work.format.code_dim, kBlock)),
                 kBlock, stream, work);
    }
    BSQ_LAUNCH(take_field, 1, 1, stream, work.format, work.fields, work.evidence);
  }
  return launched();
}

}  // namespace bsq::cuda
