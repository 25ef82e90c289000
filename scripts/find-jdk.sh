#!/usr/bin/env bash
# Prints the home of a JDK 25: $JAVA_HOME, the java on PATH, then the usual folders of JDKs.
# BSQ4J_JVM_DIRS (colon-separated) replaces those folders. With --check nothing is printed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wanted=25
jvm_dirs=${BSQ4J_JVM_DIRS:-/usr/lib/jvm:/usr/java:/opt/java:/opt/jdks:$HOME/.sdkman/candidates/java:$HOME/.jdks}

# Reading the release file takes no time; starting each JVM would take a second.
is_wanted_jdk() {
  [[ -x $1/bin/javac && -r $1/release ]] && grep -q "^JAVA_VERSION=\"$wanted[.\"]" "$1/release"
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

for home in "${candidates[@]}"; do
  if is_wanted_jdk "$home"; then
    [[ ${1:-} == --check ]] || printf '%s\n' "$home"
    exit 0
  fi
done
die "no JDK $wanted found." \
  "Looked at JAVA_HOME (${JAVA_HOME:-not set}), at java on PATH (${java:-none}), and in ${jvm_dirs//:/, }." \
  "Install a JDK $wanted (Eclipse Temurin, for example) in one of these folders, or set JAVA_HOME to it."
