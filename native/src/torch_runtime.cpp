#include "torch_runtime.h"

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/inductor/aoti_torch/generated/c_shim_cpu.h>
#include <torch/csrc/stable/c/shim.h>

#include <array>
#include <memory>

#include "thread_pool.h"
#include "torch_error.h"

namespace bsq {
namespace {

struct DeleteTensor {
  void operator()(AtenTensorHandle tensor) const noexcept {
    aoti_torch_delete_tensor_object(tensor);
  }
};
using TensorHandle = std::unique_ptr<AtenTensorOpaque, DeleteTensor>;

int32_t dtype_of(float /*unused*/) { return aoti_torch_dtype_float32(); }
int32_t dtype_of(double /*unused*/) { return aoti_torch_dtype_float64(); }

// A view of the matrix; the memory stays the caller's.
template <class T>
TensorHandle view(const Matrix<T>& matrix) {
  const std::array<int64_t, 2> sizes{matrix.rows, matrix.columns};
  const std::array<int64_t, 2> strides = matrix.transposed
                                             ? std::array<int64_t, 2>{1, matrix.rows}
                                             : std::array<int64_t, 2>{matrix.columns, 1};
  AtenTensorHandle tensor = nullptr;
  check_torch(
      aoti_torch_create_tensor_from_blob(matrix.data, 2, sizes.data(), strides.data(), 0,
                                         dtype_of(T{}), aoti_torch_device_type_cpu(), 0, &tensor),
      "from_blob");
  return TensorHandle(tensor);
}

}  // namespace

uint64_t torch_version() noexcept { return aoti_torch_abi_version(); }

int32_t num_threads() noexcept {
  uint32_t threads = 1;
  torch_get_num_threads(&threads);
  return static_cast<int32_t>(threads);
}

template <class T>
void matmul(Matrix<T> out, Matrix<T> left, Matrix<T> right, double beta, double alpha) {
  require_thread_pool();
  const TensorHandle out_view = view(out);
  check_torch(aoti_torch_cpu_addmm_out(out_view.get(), out_view.get(), view(left).get(),
                                       view(right).get(), beta, alpha),
              "addmm");
}

template void matmul(Matrix<float>, Matrix<float>, Matrix<float>, double, double);
template void matmul(Matrix<double>, Matrix<double>, Matrix<double>, double, double);

void detail::parallel_for(int64_t size, int64_t grain, RangeFunction function, void* context) {
  if (size <= grain) {  // also spares the call where size is 0
    if (size > 0) {
      function(0, size, context);
    }
    return;
  }
  require_thread_pool();
  check_torch(torch_parallel_for(0, size, grain, function, context), "parallel_for");
}

}  // namespace bsq
