# Sourced by run-tests.sh and run-bench.sh: the bundle's Java, the LibTorch, the device, the Python.
# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is used there

set -euo pipefail
unset CDPATH # with it, cd prints where it went

bundle=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)

# say WORDS...: a line for the user, on standard error.
say() { printf 'bsq4j: %s\n' "$*" >&2; }

# die WHAT [MORE...]: one message, a line each, and exit status 2, for what is no test that failed.
die() {
  say "$1"
  shift
  if (($# > 0)); then
    printf '       %s\n' "$@" >&2
  fi
  exit 2
}

# parse [quick] ARGUMENTS...: sets libtorch, device ("" if not given) and quick.
parse() {
  local knows_quick=no word
  if [[ ${1:-} == quick ]]; then
    knows_quick=yes
    shift
  fi
  libtorch='' device='' quick=no
  while (($# > 0)); do
    word=$1
    shift
    case $word in
      --device)
        (($# > 0)) || usage "--device needs a device: cpu or cuda:0."
        device=$1
        shift
        ;;
      --device=*) device=${word#*=} ;;
      --quick)
        [[ $knows_quick == yes ]] || usage "unknown option $word."
        quick=yes
        ;;
      -h | --help) usage ;;
      -*) usage "unknown option $word." ;;
      *)
        [[ -z $libtorch ]] || usage "there is $word after $libtorch, but one LIBTORCH_DIR is expected."
        libtorch=$word
        ;;
    esac
  done
  [[ $device != cuda ]] || device=cuda:0
  [[ $device =~ ^(|cpu|cuda:[0-9]{1,4})$ ]] || usage "--device is $device; expected cpu or cuda:0."
  [[ -n $libtorch ]] || usage "no LIBTORCH_DIR given."
  check_libtorch
}

# usage [PROBLEM]: what the script's first lines say.
usage() {
  (($# == 0)) || say "$1"
  sed -nE '2,/^# shellcheck/ { /^# shellcheck/d; s/^# ?//p }' "$0" >&2
  exit 2
}

check_libtorch() {
  local inner what="name a LibTorch or the torch folder of a Python installation."
  [[ -e $libtorch ]] || die "no LibTorch in $libtorch: there is no such folder." "LIBTORCH_DIR: $what"
  [[ -d $libtorch ]] || die "no LibTorch in $libtorch: it is not a folder." "LIBTORCH_DIR: $what"
  if [[ ! -r $libtorch/lib/libtorch_cpu.so ]]; then
    for inner in torch libtorch; do
      [[ ! -r $libtorch/$inner/lib/libtorch_cpu.so ]] ||
        die "no LibTorch in $libtorch: it has no lib/libtorch_cpu.so." "Its folder $inner has one: name $libtorch/$inner."
    done
    die "no LibTorch in $libtorch: it has no lib/libtorch_cpu.so." "LIBTORCH_DIR: $what"
  fi
  libtorch=$(cd -- "$libtorch" && pwd)
}

# make_results: the folder for all that is written.
make_results() {
  results=${BSQ4J_RESULTS:-$bundle/results}
  if ! mkdir -p -- "$results" 2>/dev/null || ! [[ -w $results ]]; then
    die "the folder $results cannot be written to." "Set BSQ4J_RESULTS to one that can."
  fi
  results=$(cd -- "$results" && pwd)
}

# run_java CLASS_PATH WORDS...: on this LibTorch. The JVM's own messages would stand between the results.
run_java() {
  local class_path=$1
  shift
  # In the C locale, which containers like, Java could not open files with other names than ASCII.
  if [[ $(locale charmap 2>/dev/null) != UTF-8 ]]; then
    local -x LC_ALL=C.UTF-8
  fi
  "$bundle/runtime/bin/java" --enable-native-access=ALL-UNNAMED -Xlog:disable -Xlog:all=error:stderr \
    "-Dlibtorch=$libtorch" "-Dbsq4j.library=$bundle/lib/libbsq.so" -cp "$class_path" "$@"
}

bsq() { run_java "$bundle/lib/*" io.github.bsq4j.cli.Main "$@"; }

# choose_device: the first GPU if it was not told, and there is one.
choose_device() {
  local info
  bsq info --json >"$results/info.json" 2>"$results/info.txt" ||
    die "Java did not start in $bundle/runtime:" "$(<"$results/info.txt")"
  info=$(tr -d ' \n' <"$results/info.json")
  [[ $info == *'"available":true'* ]] || die "LibTorch could not be loaded:" "$(<"$results/info.txt")"
  if [[ -n $device ]]; then
    say "on $device, as --device says"
  elif [[ $info == *'"device":"cuda:0"'* ]]; then
    device=cuda:0
    say "on cuda:0, which is there"
  else
    device=cpu
    say "on cpu: $(sed -nE 's/^CUDA +(.*)/\1/p' "$results/info.txt")"
  fi
}

# find_python MODULES: sets python to one that has them and, for a GPU, finds it; else to nothing. It is
# the one that BSQ4J_PYTHON names, or that LIBTORCH_DIR belongs to, or on PATH.
find_python() {
  local candidate=${BSQ4J_PYTHON:-} check="import $1" reason
  python=
  if [[ -z $candidate ]]; then
    # ENVIRONMENT/lib/python3.11/site-packages/torch
    candidate=$(dirname "$(dirname "$(dirname "$(dirname "$(readlink -f "$libtorch")")")")")/bin/python3
    [[ -x $candidate ]] || candidate=$(command -v python3) || candidate=
  fi
  if [[ -z $candidate ]]; then
    say "no PyTorch to compare with: there is no python3 beside $libtorch or on PATH; BSQ4J_PYTHON can name one"
    return
  fi
  if [[ $1 == *safetensors* && -d $bundle/python ]] &&
    ! "$candidate" -c 'import safetensors' >/dev/null 2>&1; then
    export PYTHONPATH=$bundle/python${PYTHONPATH:+:$PYTHONPATH}
  fi
  if [[ $device == cuda:* ]]; then
    check+="; torch.empty(1, device='$device')"
  fi
  export PYTHONDONTWRITEBYTECODE=1
  if reason=$("$candidate" -c "$check" 2>&1); then
    python=$candidate
    export BSQ4J_PYTHON=$candidate
    say "beside PyTorch of $candidate"
  else
    say "no PyTorch to compare with: $candidate says $(tail -n 1 <<<"$reason")"
  fi
}
