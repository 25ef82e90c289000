#!/usr/bin/env bash
# Measures how fast the library is: with JMH, beside the reference, and beside its peers, which are
# what a Java user would otherwise write or pick. docs/performance.md says more.
#
#   scripts/bench.sh jmh [OPTIONS]   JMH, with its own options: -h lists them
#   scripts/bench.sh check PEER...   whether peers work and compute the same: a moment each
#   scripts/bench.sh reference       bsq bench at several problems, beside the reference: minutes
#   scripts/bench.sh peers           all peers at many problems: under ten minutes
#   scripts/bench.sh draw            docs/performance.md and its figures from what the last two wrote
#                                    into docs/figures; they do it at their end, too
#
# The peers are bsq4j, plain-java, pytorch, bytedeco and djl. The first use of bytedeco or djl
# downloads 230 MB. BSQ4J_BENCH_THREADS is how many threads to compute with; as many as there are cores
# if not set. Nothing else should run meanwhile.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

all_peers=(bsq4j plain-java pytorch bytedeco djl)
work_folder=$root/target/bench
figures=$root/docs/figures
threads=${BSQ4J_BENCH_THREADS:-$(nproc)}
[[ $threads =~ ^[1-9][0-9]*$ ]] || die "BSQ4J_BENCH_THREADS is $threads; expected a number above 0."
# A peer that wants more than half of the memory has not enough, rather than all of the machine.
memory_kib=$(($(sed -nE 's/^MemTotal: *([0-9]+) kB/\1/p' /proc/meminfo) / 2))

# For bsq bench: code dim, rows, inverse temperature, and in how many groups if several. Beside the
# reference; encoding from memory that is in no cache; groups, each soon after the D 13 that it is
# compared with; and how the time grows with the code dimension.
reference_problems=("13 4000 100" "13 4000 10" "13 4000 1" "16 2000 100")
encode_problems=("8 10000000 100" "13 10000000 100" "18 8000000 100" "32 5000000 100" "63 2500000 100")
group_problems=("13 100000 100" "36 100000 100 4" "13 100000 10" "36 100000 10 4" "13 100000 1" "36 100000 1 4")
growth_problems=("13 4000 100" "16 4000 100" "20 4000 100" "13 4000 1" "16 4000 1" "20 4000 1")

# The peers' grid: time against rows, and time against the code dimension. PerformancePage.java knows
# the two numbers that stay.
seconds=0.3
rows_code_dim=13
rows_grid=(1 10 100 1000 4000 10000 100000)
code_dim_rows=100
code_dim_grid=(6 8 10 12 14 16 18 20)
inv_temperature=100

# build PROFILES: compiles the benchmarks, and leaves their class path in $class_path.
build() {
  mkdir -p "$work_folder"
  libtorch=$("$root/scripts/setup-libtorch.sh")
  java_home=$("$root/scripts/find-jdk.sh")
  (cd "$root" && mvn --quiet --batch-mode -Dstyle.color=never --activate-profiles "$1" -DskipTests \
    -Dlibtorch="$libtorch" test-compile \
    dependency:build-classpath -DincludeScope=test -Dmdep.outputFile="$work_folder/class-path") >&2
  class_path=$root/target/jmh-classes:$root/target/classes:$(<"$work_folder/class-path")
  # Where the library looks for LibTorch; and the threads of every LibTorch. Bytedeco's OpenBLAS has
  # threads of its own, which would take the cores from LibTorch's: up to a hundred times slower.
  export LIBTORCH=$libtorch OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=1
}

java_options=(
  --enable-native-access=ALL-UNNAMED
  --sun-misc-unsafe-memory-access=allow # JavaCPP's
  -Xmx2g
  # The threads of parallel streams, besides the one that starts them.
  "-Djava.util.concurrent.ForkJoinPool.common.parallelism=$((threads - 1))"
  # JavaCPP would refuse what takes more than twice the Java heap.
  -Dorg.bytedeco.javacpp.maxphysicalbytes=0
  "-Dorg.bytedeco.javacpp.cachedir=$work_folder/javacpp"
  # DJL takes what is on the class path, and asks nobody.
  -Dai.djl.offline=true
  "-DDJL_CACHE_DIR=$work_folder/djl"
  "-Dai.djl.pytorch.num_threads=$threads"
)

run_java() { "$java_home/bin/java" "${java_options[@]}" -cp "$class_path" "$@"; }

# The Python that PyTorch.java finds, too.
run_python() {
  local python=${BSQ4J_PYTHON:-$(readlink -f "$libtorch")/../../../../bin/python3}
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/src/main/resources/io/github/bsq4j/bench \
    "$python" "$root/src/jmh/python/time_pytorch.py" "$@"
}

# measure PEER CODE_DIM ROWS SECONDS: prints a line of JSON for each work. bsq4j comes first: the
# others take its problem.
measure() {
  local problem=("$2" "$3" "$inv_temperature" "$threads" "$4" "$work_folder/problem.bin")
  (
    ulimit -d "$memory_kib"
    if [[ $1 == pytorch ]]; then
      run_python "${problem[@]}"
    else
      run_java io.github.bsq4j.bench.peers.PeerBenchmark "$1" "${problem[@]}"
    fi
  ) || die "$1 failed at code dim $2 with $3 rows; the lines above say why."
}

# needs_natives PEER...: whether one of them is a LibTorch from Maven.
needs_natives() { [[ " $* " == *\ bytedeco\ * || " $* " == *\ djl\ * ]]; }

check() {
  local peer profiles=bench
  (($# > 0)) || die "no peer named. There are ${all_peers[*]}."
  for peer in "$@"; do
    printf '%s\n' "${all_peers[@]}" | grep -qxF -- "$peer" || die "no peer $peer. There are ${all_peers[*]}."
  done
  needs_natives "$@" && profiles=bench,peers
  build "$profiles"
  measure bsq4j 9 200 0.05
  for peer in "$@"; do
    [[ $peer == bsq4j ]] || measure "$peer" 9 200 0.05
  done
  say "the same indices, loss and gradient: $*"
}

# at CODE_DIM ROWS: all peers.
at() {
  local peer
  for peer in "${all_peers[@]}"; do
    say "$peer: code dim $1, $2 rows"
    measure "$peer" "$1" "$2" "$seconds"
  done
}

peers() {
  build bench,peers
  local rows code_dim
  {
    for rows in "${rows_grid[@]}"; do
      at "$rows_code_dim" "$rows"
    done
    for code_dim in "${code_dim_grid[@]}"; do
      at "$code_dim" "$code_dim_rows"
    done
  } >"$work_folder/peers.jsonl"
  with_machine measurements <"$work_folder/peers.jsonl" >"$work_folder/peers.json"
  mv "$work_folder/peers.json" "$figures"
  draw
}

# bsq_bench "CODE_DIM ROWS INV_TEMPERATURE [GROUPS]" OPTIONS: prints a line of JSON.
bsq_bench() {
  local code_dim rows beta groups
  read -r code_dim rows beta groups <<<"$1"
  say "code dim $code_dim, groups ${groups:-1}, $rows rows, inverse temperature $beta: ${*:2}"
  "$root/scripts/bsq" bench --json --seconds=1 --threads="$threads" --code-dim="$code_dim" \
    --groups="${groups:-1}" --rows="$rows" --inv-temperature="$beta" "${@:2}" | tr -d ' \n'
  echo
}

reference() {
  build bench
  local problem
  {
    for problem in "${reference_problems[@]}"; do
      bsq_bench "$problem" --reference --work=forward,forward-backward
    done
    for problem in "${encode_problems[@]}"; do
      bsq_bench "$problem" --work=encode
    done
    for problem in "${group_problems[@]}" "${growth_problems[@]}"; do
      bsq_bench "$problem" --work=forward,forward-backward
    done
  } >"$work_folder/reference.jsonl"
  with_machine runs <"$work_folder/reference.jsonl" >"$work_folder/reference.json"
  mv "$work_folder/reference.json" "$figures"
  draw
}

# with_machine NAME: one JSON object of the lines of JSON and of what Machine.java names.
# The instruction sets are those that kernels are written for.
with_machine() {
  local commit processor instruction_sets java
  commit=$(git -C "$root" rev-parse --short HEAD)
  git -C "$root" diff --quiet HEAD -- cmake native pom.xml src || commit+=", modified"
  processor=$(sed -nE 's/^model name\s*: (.*)/\1/p' /proc/cpuinfo | sed -n 1p)
  instruction_sets=$(sed -nE 's/^flags\s*: (.*)/\1/p' /proc/cpuinfo | sed -n 1p | tr ' ' '\n' |
    grep -xE 'fma|avx|avx2|avx512[a-z]+' | paste -sd ' ') || true # it may have none
  java=$("$java_home/bin/java" -XshowSettings:properties -version 2>&1 |
    sed -nE 's/^ *java.vm.version = (.*)/\1/p')
  cat <<END
{
"machine": {
  "date": "$(date --utc +%F)",
  "commit": "$commit",
  "processor": "$processor",
  "instruction_sets": "$instruction_sets",
  "cores": $(getconf _NPROCESSORS_ONLN),
  "memory_gib": $((memory_kib * 2 / 1024 / 1024)),
  "kernel": "$(uname -sr)",
  "java": "$java",
  "threads": $threads
},
"$1": [
$(sed '$!s/$/,/')
]
}
END
}

draw() { run_java io.github.bsq4j.bench.report.PerformancePage "$root/docs"; }

command=${1:-}
shift || true
case $command in
  jmh)
    build bench
    run_java org.openjdk.jmh.Main "$@" # its JVMs get the same options
    ;;
  check) check "$@" ;;
  reference | peers | draw)
    (($# == 0)) || die "$command takes no arguments, but there is $1." # it would replace results
    ;;&
  reference) reference ;;
  peers) peers ;;
  draw)
    build bench
    draw
    ;;
  *)
    sed -nE '2,/^# shellcheck/ { /^# shellcheck/d; s/^# ?//p }' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
