# Whether and how the CUDA kernels are compiled.
#
# Input:  BSQ_CUDA: AUTO, ON or OFF; CMAKE_CUDA_ARCHITECTURES, where others are wanted.
#         BSQ_CUDA_EMULATION: for tests, the kernels run on the CPU.
# Output: BSQ_HAS_NVCC, and with it bsq_cuda_target_defaults() and the target bsq_cuda_runtime.

set(BSQ_CUDA AUTO CACHE STRING "CUDA kernels: AUTO (where there is nvcc), ON or OFF")
set_property(CACHE BSQ_CUDA PROPERTY STRINGS AUTO ON OFF)
option(BSQ_CUDA_EMULATION "Run the CUDA kernels on the CPU, for tests" OFF)
if(NOT BSQ_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "BSQ_CUDA is \"${BSQ_CUDA}\", expected AUTO, ON or OFF")
endif()

set(BSQ_HAS_NVCC OFF)
# The sanitizers do not come to nvcc's code, and the emulation needs no nvcc.
if(BSQ_CUDA_EMULATION OR BSQ_CUDA STREQUAL "OFF" OR (BSQ_SANITIZE AND BSQ_CUDA STREQUAL "AUTO"))
  return()
endif()

# Machine code for each generation that CUDA 13 serves, and PTX, which drivers compile for newer ones.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES
    75-real 80-real 86-real 89-real 90-real 100-real 120-real 90-virtual)
endif()
include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    set(BSQ_HAS_NVCC ON)
  elseif(BSQ_CUDA STREQUAL "ON")
    message(FATAL_ERROR "BSQ_CUDA is ON, but ${CMAKE_CUDA_COMPILER} is of CUDA "
      "${CMAKE_CUDA_COMPILER_VERSION}, expected 12.8 or newer")
  endif()
elseif(BSQ_CUDA STREQUAL "ON")
  message(FATAL_ERROR "BSQ_CUDA is ON, but there is no nvcc: put it on PATH, or name it in CUDACXX")
endif()
message(STATUS "CUDA kernels: ${BSQ_HAS_NVCC}")
if(NOT BSQ_HAS_NVCC)
  return()
endif()

# A static runtime: libbsq.so must load where there is no CUDA at all.
find_package(CUDAToolkit REQUIRED)
add_library(bsq_cuda_runtime INTERFACE)
target_link_libraries(bsq_cuda_runtime INTERFACE CUDA::cudart_static)

function(bsq_cuda_target_defaults target)
  set_target_properties(${target} PROPERTIES
    CUDA_RUNTIME_LIBRARY Static
    CUDA_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON)
  # CMake 3.25 knows no flag for C++20 of CUDA 13.
  target_compile_options(${target} PRIVATE
    -std=c++20 --expt-relaxed-constexpr --Werror=all-warnings -Xcompiler=-Wall,-Wextra
    # Architectures one after the other take minutes.
    --threads=0)
endfunction()
