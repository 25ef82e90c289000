# Sourced by the other scripts: where things are, and how failures are told.
# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is used there

set -euo pipefail
unset CDPATH # with it, cd prints where it went

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
user_home=${HOME:-$(cd ~ && pwd)}

# The LibTorch that set-up installs; the oldest that bsq4j runs on. NativeRuntime.java knows both.
torch_version=2.13.0
oldest_torch=2.10

# say WORDS...: a line for the user, on standard error, since standard output is for results.
say() { printf 'bsq4j: %s\n' "$*" >&2; }

# die WHAT [MORE...]: one message, a line each, and exit status 1.
die() {
  say "$1"
  shift
  if (($# > 0)); then
    printf '       %s\n' "$@" >&2
  fi
  exit 1
}

# absolute PATH: it need not exist.
absolute() { if [[ $1 == /* ]]; then printf '%s\n' "$1"; else printf '%s/%s\n' "$PWD" "$1"; fi; }

cache_dir() { absolute "${BSQ4J_CACHE:-$user_home/.cache/bsq4j}"; }

# The LibTorch folder that the user asks for, or nothing: -Dlibtorch=DIR (the build and the launcher
# pass it on in BSQ4J_LIBTORCH_OPTION) before $LIBTORCH, as in LibTorch.java.
requested_libtorch() { printf '%s\n' "${BSQ4J_LIBTORCH_OPTION:-${LIBTORCH:-}}"; }

# version_at_least HAVE WANT: compares dotted numbers.
version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }
