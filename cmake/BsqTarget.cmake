# How this project's targets are compiled and linked.

option(BSQ_SANITIZE "Address and undefined-behaviour sanitizers" OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

function(bsq_target_defaults target)
  set_target_properties(${target} PROPERTIES
    CXX_STANDARD 20
    CXX_STANDARD_REQUIRED ON
    CXX_EXTENSIONS OFF
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror
    # Results must not depend on whether the compiler fuses a multiplication with an addition.
    -ffp-contract=off)
  if(BSQ_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  endif()
endfunction()

# Exports what the linker script lists, finds every symbol when it is loaded rather than when it is
# first called (an unfit LibTorch then fails the load, not the process), and carries no run path:
# the loader has LibTorch in the process already.
function(bsq_export_only target script)
  set_target_properties(${target} PROPERTIES
    SKIP_BUILD_RPATH ON
    LINK_DEPENDS "${script}")
  target_link_options(${target} PRIVATE
    "-Wl,--version-script=${script}" -Wl,-z,now -Wl,-z,defs -Wl,--as-needed)
endfunction()
