#!/usr/bin/env bash
# Prints a LibTorch folder that fits, after installing one where none is there.
#
# A folder that is asked for (-Dlibtorch=DIR, LIBTORCH=DIR) must fit, or this fails. Otherwise it is
# PyTorch's CPU build in a virtual environment in the cache folder, which also holds the Python that
# the parity tests compare with:
#   CACHE/torch-VERSION/venv       the virtual environment
#   CACHE/torch-VERSION/libtorch   a link to its torch folder
# The folder appears under that name only when it is complete. Set-ups of several processes wait for
# each other.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The version of the LibTorch in folder $1, or nothing.
libtorch_version() {
  local header
  for header in "$1/include/torch/headeronly/version.h" "$1/include/torch/version.h"; do
    if [[ -r $header ]]; then
      sed -nE 's/^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' "$header" | paste -sd .
      return
    fi
  done
  if [[ -r $1/version.py ]]; then
    sed -nE "s/^__version__ = '([0-9.]+).*/\1/p" "$1/version.py"
  elif [[ -r $1/build-version ]]; then
    sed -nE 's/^([0-9.]+).*/\1/p' "$1/build-version"
  fi
}

# check_libtorch DIR ADVICE: dies unless DIR is a LibTorch that this library can be built with.
check_libtorch() {
  local version
  if [[ ! -r $1/lib/libtorch_cpu.so ]]; then
    die "no LibTorch in $1: it has no lib/libtorch_cpu.so." "$2"
  fi
  version=$(libtorch_version "$1")
  if [[ -z $version ]]; then
    die "the LibTorch in $1 does not tell its version: it has neither include/torch/version.h nor version.py." "$2"
  fi
  if ! version_at_least "$version" "$oldest_torch"; then
    die "the LibTorch in $1 is version $version, which is too old: bsq4j needs $oldest_torch or newer." "$2"
  fi
  if [[ ! -r $1/include/torch/csrc/stable/c/shim.h ]]; then
    die "the LibTorch in $1 has no headers: include/torch/csrc/stable/c/shim.h is missing." "$2"
  fi
}

requested=$(requested_libtorch)
if [[ -n $requested ]]; then
  check_libtorch "$requested" \
    "-Dlibtorch or LIBTORCH names this folder. Name a LibTorch or a Python torch folder (with include/ and lib/), or neither, to have one set up in $(cache_dir)."
  (cd "$requested" && pwd)
  exit 0
fi

cache=$(cache_dir)
target=$cache/torch-$torch_version
if [[ -d $target ]]; then
  printf '%s\n' "$target/libtorch"
  exit 0
fi

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
  die "no Python 3 found: looked for $python on PATH ($PATH). It is needed to install LibTorch." \
    "Install it (Debian: apt-get install python3 python3-venv), or set LIBTORCH to a LibTorch folder."
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  die "the $python on PATH ($(command -v "$python")) cannot make virtual environments: its modules venv or ensurepip are missing." \
    "Install them (Debian: apt-get install python3-venv), or set LIBTORCH to a LibTorch folder."
fi
mkdir -p "$cache" 2>/dev/null || die "the cache folder $cache cannot be made." \
  "Set BSQ4J_CACHE to a folder that you can write to."
[[ -w $cache ]] || die "the cache folder $cache cannot be written to." \
  "Set BSQ4J_CACHE to a folder that you can write to."

# The lock ends with this process, however it ends.
exec {lock}>"$cache/torch-$torch_version.lock"
if ! flock --nonblock "$lock"; then
  say "waiting for another set-up of LibTorch in $cache"
  flock "$lock"
fi
if [[ -d $target ]]; then
  printf '%s\n' "$target/libtorch"
  exit 0
fi
rm -rf "$target".partial.*  # of runs that were killed: with the lock in hand, nobody works there

partial=$target.partial.$$
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "installing LibTorch $torch_version (PyTorch's CPU build) into $target; this happens once"
"$python" -m venv "$partial/venv" >&2

# pip_install [OPTIONS]: from whatever pip is configured with, and what the options add.
pip_install() {
  "$partial/venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 0 "$@" \
    "torch==$torch_version+cpu" numpy safetensors >>"$partial/pip.log" 2>&1
}
if ! pip_install && ! pip_install --extra-index-url https://download.pytorch.org/whl/cpu; then
  grep -E '^ERROR' "$partial/pip.log" | tail -n 3 >&2 || tail -n 3 "$partial/pip.log" >&2
  die "torch==$torch_version+cpu could not be installed: pip found it neither where it is configured to look nor on PyTorch's own index (the last lines of its log are above)." \
    "Check the network, or pip's configuration (pip config list), and run this again;" \
    "or set LIBTORCH to a LibTorch or Python torch folder, $oldest_torch or newer."
fi

torch=$("$partial/venv/bin/python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
check_libtorch "$torch" "Its installation was not complete. Run this again."
ln -s "${torch#"$partial/"}" "$partial/libtorch"
rm -f "$partial/pip.log"
sync -f "$partial"  # a name that is there after a power cut stands for data that is there
mv -T "$partial" "$target"
trap - EXIT
printf '%s\n' "$target/libtorch"
