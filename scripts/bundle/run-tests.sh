#!/usr/bin/env bash
# Runs bsq4j's tests with tensors on a device: golden cases, live PyTorch, identities, the oracle,
# lifetimes, threads, and whether indices are the CPU's.
#
#   ./run-tests.sh LIBTORCH_DIR [--device cpu|cuda:0]
#
# The first GPU if there is one, else the CPU, if not told. BSQ4J_PYTHON is a Python with PyTorch to
# compare with, if neither LIBTORCH_DIR belongs to one nor python3 is one. BSQ4J_RESULTS is the folder
# for results, ./results if not set: tests.log, tests/TEST-*.xml. Ends with 0 if some tests ran and
# all that ran passed.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

parse "$@"
make_results
choose_device
find_python torch,numpy,safetensors

log=$results/tests.log
rm -rf "$results/tests" "$log"
options=("-Dbsq4j.device=$device")
[[ -n $python ]] || options+=(-Dbsq4j.nopython=true)
# LibTorch's threads that wait by spinning starve each other on few cores.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
say "running; this takes minutes. The log is $log"
status=0
(
  cd "$bundle" # tests know their files by names relative to it
  run_java "$bundle/lib/*:$bundle/lib/test/*" "${options[@]}" org.junit.platform.console.ConsoleLauncher \
    execute --scan-classpath "$bundle/lib/test/bsq4j-tests.jar" --include-tag device \
    --reports-dir "$results/tests" --config "jqwik.database=$results/jqwik-database" \
    --details testfeed --disable-ansi-colors --disable-banner
) >"$log" 2>&1 || status=$?

# count WORDS...: of the launcher's summary, added up.
count() {
  local words number sum=0
  for words in "$@"; do
    number=$(sed -nE "s/^\[ +([0-9]+) $words +\]$/\1/p" "$log")
    sum=$((sum + ${number:-0}))
  done
  printf '%s\n' "$sum"
}
passed=$(count "tests successful")
failed=$(count "tests failed" "containers failed")
skipped=$(count "tests skipped" "tests aborted")

# why_skipped: of each class's tests, by reason. Whole classes are in the reports alone.
why_skipped() {
  awk '/<testcase / { class = $0; sub(/.* classname="/, "", class); sub(/".*/, "", class) }
    /<skipped/ {
      reason = $0
      sub(/.*<skipped[^>]*>(<!\[CDATA\[)?(parent was skipped: )?(org[.a-zA-Z0-9]*: )?/, "", reason)
      sub(/(]]>)?<\/skipped>.*/, "", reason)
      if (!((reason, class) in known)) {
        known[reason, class]
        classes[reason] = classes[reason] " " class
      }
    }
    END { for (reason in classes) print "skipped: " reason ":" classes[reason] }' "$results"/tests/*.xml
}

# What the tests report, why some were skipped, and what failed.
grep '^indices on ' "$log" || true
((skipped == 0)) || why_skipped
awk '/ :: FAILED$/ { print; of_it = 1; next } of_it && /^\t/ { print; next } { of_it = 0 }' "$log"
if ! grep -q '^Test run finished' "$log"; then
  tail -n 40 "$log" >&2
  say "the tests' JVM ended before they did, with status $status; the lines above are its last."
fi
printf '%s passed, %s failed, %s skipped, on %s\n' "$passed" "$failed" "$skipped" "$device"
((passed > 0)) || say "no test has run: the lines above say why."
((status == 0 && passed > 0)) || exit 1
