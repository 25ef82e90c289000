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

# Asked before CMake tries it: an old nvcc that does not know the architectures below, or does not
# get on with the C++ compiler, must not keep anybody from building the rest.
find_program(BSQ_NVCC NAMES nvcc HINTS ENV CUDA_PATH PATH_SUFFIXES bin
  PATHS /usr/local/cuda NO_CACHE)
if(DEFINED ENV{CUDACXX})
  set(BSQ_NVCC "$ENV{CUDACXX}")
endif()
set(problem "there is no nvcc; put it on PATH, or name it in CUDACXX")
if(BSQ_NVCC)
  execute_process(COMMAND "${BSQ_NVCC}" --version
    OUTPUT_VARIABLE nvcc_version ERROR_QUIET RESULT_VARIABLE nvcc_failed)
  string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" nvcc_version "${nvcc_version}")
  set(nvcc_version "${CMAKE_MATCH_1}")
  if(nvcc_failed OR NOT nvcc_version)
    set(problem "${BSQ_NVCC} does not tell its version")
  elseif(nvcc_version VERSION_LESS 12.8)
    set(problem "${BSQ_NVCC} is of CUDA ${nvcc_version}, expected 12.8 or newer")
  else()
    # Machine code for each generation that CUDA 13 serves, and PTX, which drivers compile for newer
    # ones.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES
        75-real 80-real 86-real 89-real 90-real 100-real 120-real 90-virtual)
    endif()
    set(ENV{CUDACXX} "${BSQ_NVCC}")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      enable_language(CUDA)
      set(BSQ_HAS_NVCC ON)
    else()
      set(problem "${BSQ_NVCC} does not work with the C++ compiler ${CMAKE_CXX_COMPILER}")
    endif()
  endif()
endif()
if(NOT BSQ_HAS_NVCC AND BSQ_CUDA STREQUAL "ON")
  message(FATAL_ERROR "BSQ_CUDA is ON, but ${problem}")
endif()
if(NOT BSQ_HAS_NVCC)
  message(STATUS "Without CUDA kernels: ${problem}")
  return()
endif()

# The oldest of the architectures, for libbsq.so to tell which devices it serves.
set(BSQ_CUDA_OLDEST_CAPABILITY 999)
foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
  string(REGEX MATCH "^[0-9]+" number "${architecture}")
  if(NOT number)
    message(FATAL_ERROR
      "CMAKE_CUDA_ARCHITECTURES has ${architecture}, expected numbers such as 90-real")
  elseif(number LESS BSQ_CUDA_OLDEST_CAPABILITY)
    set(BSQ_CUDA_OLDEST_CAPABILITY ${number})
  endif()
endforeach()

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
    -std=c++20 --compress-mode=size --expt-relaxed-constexpr --Werror=all-warnings -Xcompiler=-Wall,-Wextra
    # Architectures one after the other take minutes.
    --threads=0)
endfunction()
