#!/usr/bin/env bash
# Formats the Java code (google-java-format) and the C++ code (clang-format).
#
#   scripts/format.sh            in place
#   scripts/format.sh --check    fails where a file is not formatted; the build runs this
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

check=no
[[ ${1:-} == --check ]] && check=yes
cd "$root"

formatter=target/tools/google-java-format.jar
if [[ ! -f $formatter ]]; then
  mvn --quiet --batch-mode -Dstyle.color=never dependency:copy@formatter
fi
java_home=$(scripts/find-jdk.sh)
exports=()
for package in api code file parser tree util; do
  exports+=("--add-exports=jdk.compiler/com.sun.tools.javac.$package=ALL-UNNAMED")
done
# What jextract generated stays as it is.
mapfile -d '' java_files < <(find src -name '*.java' -not -path '*/internal/ffi/*' -print0)
format_java() { "$java_home/bin/java" "${exports[@]}" -jar "$formatter" "$@" "${java_files[@]}"; }

mapfile -d '' native_files < <(find native -name '*.h' -print0 -o -name '*.c' -print0 -o -name '*.cpp' -print0 -o -name '*.cu' -print0 -o -name '*.cuh' -print0)

if [[ $check == yes ]]; then
  if ! unformatted=$(format_java --dry-run --set-exit-if-changed); then
    mapfile -t lines <<<"$unformatted"
    die "these Java files are not formatted; scripts/format.sh does it:" "${lines[@]}"
  fi
else
  format_java --replace
fi

# Other versions of clang-format lay some things out differently.
if ! command -v clang-format-14 >/dev/null; then
  say "clang-format-14 is not installed: the C++ code is not formatted or checked (Debian: apt-get install clang-format-14)"
elif [[ $check == yes ]]; then
  clang-format-14 --dry-run --Werror "${native_files[@]}" ||
    die "C++ files are not formatted (see above); scripts/format.sh does it."
else
  clang-format-14 -i "${native_files[@]}"
fi
