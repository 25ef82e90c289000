#!/usr/bin/env bash
# Prints the home of a JDK 25: $JAVA_HOME, the java on PATH, then the usual folders of JDKs.
# BSQ4J_JVM_DIRS (colon-separated) replaces those folders. With --check nothing is printed.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wanted=25
# Where Maven's toolchain search looks, too.
jvm_dirs=${BSQ4J_JVM_DIRS:-/usr/lib/jvm:/usr/java:/usr/jdk:/opt/java:$user_home/.sdkman/candidates/java:$user_home/.jdks}

# The version of the JDK in folder $1, or nothing. Reading the release file takes no time; starting
# each JVM would take a second.
jdk_version() {
  if [[ -x $1/bin/javac && -r $1/release ]]; then
    sed -nE 's/^JAVA_VERSION="([^"]*)".*/\1/p' "$1/release"
  fi
}

candidates=()
[[ -n ${JAVA_HOME:-} ]] && candidates+=("$JAVA_HOME")
if java=$(command -v java); then
  candidates+=("$(dirname "$(dirname "$(readlink -f "$java")")")")
fi
IFS=: read -r -a dirs <<<"$jvm_dirs"
for dir in "${dirs[@]}"; do
  for home in "$dir"/*/; do
    candidates+=("${home%/}")
  done
done

declare -A others=()
for home in "${candidates[@]}"; do
  version=$(jdk_version "$home")
  case $version in
    "$wanted" | "$wanted".*)
      [[ ${1:-} == --check ]] || printf '%s\n' "$home"
      exit 0
      ;;
    ?*) others[$(readlink -f "$home")]=$version ;;
  esac
done

found="Found no JDK at all."
if ((${#others[@]} > 0)); then
  found="Found only"
  for home in "${!others[@]}"; do
    found+=" ${others[$home]} ($home),"
  done
  found=${found%,}.
fi
die "no JDK $wanted found." \
  "Looked at JAVA_HOME (${JAVA_HOME:-not set}), at java on PATH (${java:-none}), and in ${jvm_dirs//:/, }." \
  "$found" \
  "Install a JDK $wanted (Eclipse Temurin, for example) in one of these folders, or set JAVA_HOME to it."
