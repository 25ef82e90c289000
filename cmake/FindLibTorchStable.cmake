# Finds LibTorch for use through its Stable ABI.
#
# Input:  LIBTORCH_DIR, a LibTorch folder or a Python torch folder: it has include/ and lib/.
# Output: the imported target LibTorch::stable, LibTorchStable_VERSION.
#
# LibTorch's own package configuration is not used: it links everything that a C++ program could
# want (and asks for CUDA's development files), while the Stable ABI is C functions of libtorch_cpu.

set(LIBTORCH_DIR "" CACHE PATH "LibTorch, or a Python torch folder")

find_path(LibTorchStable_INCLUDE_DIR torch/csrc/stable/c/shim.h
  PATHS "${LIBTORCH_DIR}/include" NO_DEFAULT_PATH NO_CACHE)
find_library(LibTorchStable_LIBRARY torch_cpu
  PATHS "${LIBTORCH_DIR}/lib" NO_DEFAULT_PATH NO_CACHE)

if(LibTorchStable_INCLUDE_DIR)
  file(STRINGS "${LibTorchStable_INCLUDE_DIR}/torch/headeronly/version.h" version_lines
    REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  list(TRANSFORM version_lines REPLACE "^.* ([0-9]+)$" "\\1")
  list(JOIN version_lines "." LibTorchStable_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorchStable
  REQUIRED_VARS LibTorchStable_LIBRARY LibTorchStable_INCLUDE_DIR
  VERSION_VAR LibTorchStable_VERSION
  REASON_FAILURE_MESSAGE "looked in LIBTORCH_DIR=\"${LIBTORCH_DIR}\"")

if(LibTorchStable_FOUND AND NOT TARGET LibTorch::stable)
  add_library(LibTorch::stable SHARED IMPORTED)
  set_target_properties(LibTorch::stable PROPERTIES
    IMPORTED_LOCATION "${LibTorchStable_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LibTorchStable_INCLUDE_DIR}"  # imported: -isystem
    # The oldest LibTorch that the binary runs on.
    INTERFACE_COMPILE_DEFINITIONS "TORCH_TARGET_VERSION=0x020A000000000000ULL")
endif()
