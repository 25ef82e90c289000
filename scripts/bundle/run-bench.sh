#!/usr/bin/env bash
# Measures how fast bsq4j is on a device, beside the dense PyTorch module on the same device: at once where
# that fits into memory, on a GPU also in the largest chunks that fit.
#
#   ./run-bench.sh LIBTORCH_DIR [--device cpu|cuda:0] [--quick]
#
# The first GPU if there is one, else the CPU, if not told. --quick takes small sizes and a moment for
# each: that it works, not how fast. BSQ4J_PYTHON is a Python with PyTorch, if neither LIBTORCH_DIR
# belongs to one nor python3 is one. BSQ4J_RESULTS is the folder for results, ./results if not set:
# bench.json, bench.txt. Nothing else should run meanwhile.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

parse quick "$@"
make_results
choose_device
find_python torch

# What is timed: rows, rows if quick, code dim, works, whether beside the dense module (yes, no, or gpu:
# in chunks, which would take minutes on a CPU), name.
problems=(
  "100000000 1000000 13 encode no encode"
  "8000 100 13 forward,forward-backward yes 16x500"
  "1000000 2000 13 forward,forward-backward gpu million"
  "100000 20 20 forward,forward-backward no wide"
  "1 1 13 encode,forward,forward-backward yes one-row"
)
seconds=2
if [[ $quick == yes ]]; then
  seconds=0.05
  export OMP_WAIT_POLICY=passive # or LibTorch's threads spin, where others want the cores
fi

# median KEY JSON: of a time's spread; nothing if there is none.
median() { sed -nE "s/.*\"$1\":\{\"min\":[^,]*,\"median\":([^,]*),.*/\1/p" <<<"$2"; }

# chunk KEY JSON: how many rows at a time the dense module took on a GPU; nothing if all, or none.
chunk() {
  local chunks
  chunks=$(sed -nE 's/.*"reference_chunk_rows":\{([^}]*)\}.*/\1/p' <<<"$2")
  chunks=$(sed -nE "s/.*\"$1\":([0-9]+).*/\1/p" <<<"$chunks")
  [[ $chunks == "$rows" ]] || printf '%s' "$chunks"
}

# memory KEY JSON: in GB, of a GPU; nothing if it was not asked for.
memory() {
  local bytes
  bytes=$(sed -nE "s/.*\"$1_device_bytes\":([0-9]+).*/\1/p" <<<"$2")
  [[ -z $bytes ]] || LC_ALL=C awk -v bytes="$bytes" 'BEGIN { printf "%.3f", bytes * 1e-9 }'
}

# row WORK KEY: a row of the table, if that was timed.
row() {
  local ours theirs copy times=
  ours=$(median "$2_ms" "$run")
  [[ -n $ours ]] || return 0
  theirs=$(median "reference_$2_ms" "$run")
  [[ -z $theirs ]] || times=$(median "$2_ratio" "$run")
  copy=$(median "$2_copy_ratio" "$run")
  LC_ALL=C printf '%-18s %10d %4d %14.4f %14s %10s %12s %8s %9s\n' "$1" "$rows" "$code_dim" "$ours" \
    "${theirs:+$(LC_ALL=C printf %.4f "$theirs")}" "${times:+$(LC_ALL=C printf %.1f "$times")}" \
    "$(chunk "$2" "$run")" "${copy:+$(LC_ALL=C printf %.2f "$copy")}" "$(memory "$2" "$run")"
}

table=$results/bench.txt
{
  printf 'bsq4j on %s, %s\n' "$device" "$(date --utc +%F)"
  printf '%-18s %10s %4s %14s %14s %10s %12s %8s %9s\n' work rows D 'median ms' 'PyTorch ms' 'times' \
    'in chunks of' 'of copy' 'memory GB'
} >"$table"
runs=()
failures=0
for problem in "${problems[@]}"; do
  read -r rows quick_rows code_dim works beside name <<<"$problem"
  [[ $quick == no ]] || rows=$quick_rows
  options=(--json "--seconds=$seconds" "--code-dim=$code_dim" "--rows=$rows" "--work=$works")
  [[ $device == cpu ]] || options+=("--device=$device")
  if [[ -n $python && ($beside == yes || ($beside == gpu && $device != cpu)) ]]; then
    options+=(--reference)
  fi
  say "$name: $rows rows, D $code_dim, $works"
  if run=$(bsq bench "${options[@]}" 2>"$results/bench.log"); then
    run=$(tr -d ' \n' <<<"$run")
    runs+=("{\"name\":\"$name\",${run#\{}")
    {
      row encode encode
      row forward forward
      row "forward + backward" forward_backward
    } >>"$table"
  else
    failures=$((failures + 1))
    cat "$results/bench.log" >&2
    say "$name failed; the lines above say why."
    runs+=("{\"name\":\"$name\",\"rows\":$rows,\"code_dim\":$code_dim,\"failed\":true}")
    printf '%-18s %10d %4d %14s\n' "$name" "$rows" "$code_dim" failed >>"$table"
  fi
done
rm -f "$results/bench.log"

{
  printf '{"date": "%s", "device": "%s", "quick": %s, "info": ' "$(date --utc +%F)" "$device" \
    "$([[ $quick == yes ]] && echo true || echo false)"
  cat "$results/info.json"
  printf ', "runs": [\n'
  printf '%s\n' "${runs[@]}" | sed '$!s/$/,/'
  printf ']}\n'
} >"$results/bench.json"
cat "$table"
say "written: $results/bench.json, $table"
((failures == 0)) || exit 1
