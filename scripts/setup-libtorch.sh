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
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

oldest_python=3.10 # that PyTorch is built for
pytorch_index=https://download.pytorch.org/whl/cpu

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
  local version inner
  [[ -e $1 ]] || die "no LibTorch in $1: there is no such folder." "$2"
  [[ -d $1 ]] || die "no LibTorch in $1: it is not a folder." "$2"
  if [[ ! -r $1/lib/libtorch_cpu.so ]]; then
    for inner in torch libtorch; do
      if [[ -r $1/$inner/lib/libtorch_cpu.so ]]; then
        die "no LibTorch in $1: it has no lib/libtorch_cpu.so." "Its folder $inner has one: name $1/$inner."
      fi
    done
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
  source=LIBTORCH
  [[ -n ${BSQ4J_LIBTORCH_OPTION:-} ]] && source=-Dlibtorch
  check_libtorch "$requested" \
    "$source names this folder. Let it name a LibTorch or a Python torch folder (with include/ and lib/), $oldest_torch or newer; or leave it out, to have one set up in $(cache_dir)."
  (cd -- "$requested" && pwd)
  exit 0
fi

cache=$(cache_dir)
target=$cache/torch-$torch_version

# Prints the folder and ends, if it has been set up.
use_installed() {
  if [[ -d $target ]]; then
    [[ -r $target/libtorch/lib/libtorch_cpu.so ]] ||
      die "the LibTorch in $target is damaged: libtorch/lib/libtorch_cpu.so is missing." \
        "Delete that folder and run this again, to have it set up anew."
    printf '%s\n' "$target/libtorch"
    exit 0
  fi
}
use_installed

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
  die "no Python 3 found: looked for $python on PATH ($PATH). It is needed to install LibTorch." \
    "Install it (Debian: apt-get install python3 python3-venv), or set LIBTORCH to a LibTorch folder."
fi
python_file=$(command -v "$python")
python_version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || python_version=unknown
if [[ $python_version == unknown ]] || ! version_at_least "$python_version" "$oldest_python"; then
  die "the Python found on PATH ($python_file) is of version $python_version: LibTorch $torch_version needs $oldest_python or newer to be installed." \
    "Install a newer one, and set PYTHON to it if it is not the first on PATH; or set LIBTORCH to a LibTorch folder."
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  die "the Python found on PATH ($python_file) cannot make virtual environments: its modules venv or ensurepip are missing." \
    "Install them (Debian: apt-get install python3-venv), or set LIBTORCH to a LibTorch folder."
fi

cannot_write() {
  die "the cache folder $cache cannot be $1." "Set BSQ4J_CACHE to a folder that you can write to."
}
mkdir -p "$cache" 2>/dev/null || cannot_write made
lock_file=$cache/torch-$torch_version.lock
if ! [[ -w $cache ]] || ! { : >>"$lock_file"; } 2>/dev/null; then
  cannot_write "written to"
fi

# The lock ends with this process and its children. So after a kill -9 of this process alone, the
# next one waits for the pip that it left behind.
exec {lock}>>"$lock_file"
if ! flock --nonblock "$lock"; then
  say "waiting for another set-up of LibTorch in $cache"
  flock "$lock"
fi
use_installed
rm -rf "$target".partial.* # of runs that were killed: with the lock in hand, nobody works there

partial=$target.partial.$$
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "installing LibTorch $torch_version (PyTorch's CPU build) into $target: 200 MB to download, 450 MB on disk. This happens once."
mkdir "$partial"
if ! "$python" -m venv "$partial/venv" >"$partial/venv.log" 2>&1; then
  die "$python_file could not make a virtual environment in $cache. It says: $(tail -n 1 "$partial/venv.log")" \
    "Look at the free space there (df -h $cache), or set LIBTORCH to a LibTorch folder."
fi

# pip_install [OPTIONS]: from whatever pip is configured with, and what the options add.
pip_install() {
  "$partial/venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 0 "$@" \
    "torch==$torch_version+cpu" numpy safetensors >>"$partial/pip.log" 2>&1
}
if ! pip_install && ! pip_install --extra-index-url "$pytorch_index"; then
  reason=$(grep '^ERROR' "$partial/pip.log" | tail -n 1) || reason=$(tail -n 1 "$partial/pip.log")
  die "LibTorch could not be installed: pip of Python $python_version found torch==$torch_version+cpu neither where it is configured to look nor on $pytorch_index." \
    "Its last error: ${reason:-none}" \
    "Check the network, and pip's configuration (python3 -m pip config list), and run this again; or set LIBTORCH to a LibTorch or Python torch folder, $oldest_torch or newer."
fi

torch=$("$partial/venv/bin/python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
check_libtorch "$torch" "Its installation was not complete. Run this again."
ln -s "${torch#"$partial/"}" "$partial/libtorch"
rm -f "$partial/venv.log" "$partial/pip.log"
sync -f "$partial" # a name that is there after a power cut stands for data that is there
mv -T "$partial" "$target"
trap - EXIT
printf '%s\n' "$target/libtorch"
