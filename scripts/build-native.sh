#!/usr/bin/env bash
# Builds libbsq.so with CMake and puts it where the Java build packages it.
#
#   scripts/build-native.sh                              build the release preset
#   scripts/build-native.sh --test                       and run its tests
#   scripts/build-native.sh --preset sanitize --test     under the sanitizers
#   scripts/build-native.sh --preset sanitize --print-preload
#                                                        what LD_PRELOAD must name for Java to load it
#   scripts/build-native.sh --preset cuda-emulation --test
#                                                        the CUDA kernels on the CPU
#   scripts/build-native.sh --lint                       clang-tidy, where it is installed
# BSQ_CUDA=OFF leaves the CUDA kernels out, ON fails where there is no nvcc; AUTO is the default.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

preset=release
action=build
while (($# > 0)); do
  case $1 in
    --preset) preset=${2:?--preset needs a name of native/CMakePresets.json}; shift ;;
    --test) action='test' ;;
    --lint) action=lint ;;
    --print-preload) action=print-preload ;;
    *) die "unknown option $1." \
      "Usage: scripts/build-native.sh [--preset NAME] [--test | --lint | --print-preload]" ;;
  esac
  shift
done

oldest_cmake=3.24
compiler=${CXX:-c++}
# CXX may hold arguments: "ccache g++".
command -v "$compiler" >/dev/null || command -v "${compiler%% *}" >/dev/null ||
  die "no C++ compiler found: looked for $compiler on PATH ($PATH)." \
    "Install one that knows C++20 (Debian: apt-get install g++), or set CXX to it."
command -v cmake >/dev/null || die "no CMake found: looked for cmake on PATH ($PATH)." \
  "Install $oldest_cmake or newer (Debian: apt-get install cmake)."
cmake_version=$(cmake --version | sed -nE '1s/.*version ([0-9.]+).*/\1/p')
version_at_least "$cmake_version" "$oldest_cmake" ||
  die "the CMake on PATH ($(command -v cmake)) is version $cmake_version, which is too old." \
    "Install $oldest_cmake or newer (Debian: apt-get install cmake), and put it first on PATH."
command -v ninja >/dev/null || command -v make >/dev/null ||
  die "neither Ninja nor Make found: looked for ninja and make on PATH ($PATH)." \
    "Install one of them (Debian: apt-get install ninja-build)."

libtorch=$("$root/scripts/setup-libtorch.sh")

# run WORDS...: silent, but for the output of a command that fails.
run() {
  local output
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    die "the native build failed: $*" "The output above says why."
  fi
}

build_folder=$root/target/native/$preset
# CMake refuses a build folder that has been moved, with the project for example.
if [[ -f $build_folder/CMakeCache.txt ]] &&
  ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root/native" "$build_folder/CMakeCache.txt"; then
  rm -rf "$build_folder"
fi
generator=()
if [[ ! -f $build_folder/CMakeCache.txt ]] && command -v ninja >/dev/null; then
  generator=(-G Ninja)
fi
cd "$root/native"
run cmake --preset "$preset" "${generator[@]}" -DLIBTORCH_DIR="$libtorch" -DBSQ_CUDA="${BSQ_CUDA:-AUTO}"
run cmake --build --preset "$preset" --parallel "$(nproc)"

case $action in
  build)
    # Java loads the release build from here.
    built=$root/target/native/release/libbsq.so
    packaged=$root/target/classes/META-INF/native/linux-$(uname -m)/libbsq.so
    if [[ $preset == release ]] && ! cmp -s "$built" "$packaged"; then
      mkdir -p "$(dirname "$packaged")"
      cp "$built" "$packaged.partial"
      mv "$packaged.partial" "$packaged"
    fi
    ;;
  test) ctest --preset "$preset" --parallel "$(nproc)" ;;
  print-preload)
    # The sanitizer's runtime must be in a process from its start, and looks for libstdc++'s throw only
    # then; java itself needs no libstdc++.
    ldd "$build_folder/libbsq.so" |
      sed -nE 's/.*lib(asan|stdc\+\+)\.so.* => (.*) \(.*/\2/p' | paste -s -d ' '
    ;;
  lint)
    # Other versions of clang-tidy find other things.
    passed=$build_folder/lint.passed
    if [[ -f $passed && -z $(find . "$root/.clang-tidy" -newer "$passed" -type f -print -quit) ]]; then
      exit 0
    fi
    if command -v clang-tidy-14 >/dev/null; then
      say "clang-tidy reads all C++ files; this takes minutes, and is not repeated until they change"
      touch "$passed.partial" # before: what is edited meanwhile has not been read
      # What it says on standard error is how many warnings of other people's headers it left out.
      find src tests -name '*.cpp' -not -path 'tests/cuda_emulation/*' -print0 |
        xargs -0 -n 1 -P "$(nproc)" clang-tidy-14 --quiet -p "$build_folder" \
          2> >(grep -v ' warnings\? generated\.$' >&2)
      mv "$passed.partial" "$passed"
    else
      say "clang-tidy-14 is not installed: the C++ code is not linted (Debian: apt-get install clang-tidy-14)"
    fi
    ;;
esac
