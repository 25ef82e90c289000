#!/usr/bin/env bash
# What libbsq.so shows to the linker. Usage: library_test.sh <libbsq.so> <native folder>
set -euo pipefail

library=$1
native=$2
export LC_ALL=C
failures=0

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

# Exactly the committed list is exported, ...
exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' | sort)
if ! diff -u "$native/tests/exports.txt" <(echo "$exported"); then
  fail "the exported symbols differ from tests/exports.txt (- expected, + exported)"
fi

# ... all of it is declared in bsq.h, and nothing is declared that is not exported, ...
declared=$(grep -E '^BSQ_API' "$native/include/bsq/bsq.h" | grep -oE 'bsq_[a-z0-9_]+\(' |
  tr -d '(' | sort)
if ! diff -u <(echo "$declared") <(echo "$exported"); then
  fail "the exported symbols differ from those that bsq.h declares (- declared, + exported)"
fi

# ... and the C test calls it all.
while read -r symbol; do
  grep -qE "\b$symbol\(" "$native/tests/header_test.c" ||
    fail "header_test.c does not call $symbol"
done <<< "$exported"

dynamic=$(readelf -dW "$library")
if grep -E 'RPATH|RUNPATH' <<< "$dynamic"; then
  fail "$library carries a run path"
fi
grep -qE 'FLAGS.*(BIND_NOW|NOW)' <<< "$dynamic" || fail "$library is not linked with -z now"
grep -qE 'SONAME.*\[libbsq\.so\]' <<< "$dynamic" || fail "the soname is not libbsq.so"
grep -qE 'NEEDED.*\[libtorch_cpu\.so\]' <<< "$dynamic" || fail "libtorch_cpu.so is not needed"
if grep -E 'NEEDED.*(libtorch_python|libtorch_cuda|libc10_cuda)' <<< "$dynamic"; then
  fail "$library needs a library that not every LibTorch has"
fi

[ "$failures" -eq 0 ] && echo "ok: $(wc -l <<< "$exported") exported symbols"
