#!/usr/bin/env bash
# Regenerates the Java bindings of native/include/bsq/bsq.h with jextract, after the header changed.
# jextract is looked for in $JEXTRACT, then on PATH; CONTRIBUTING.md says which version.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

jextract=${JEXTRACT:-jextract}
command -v "$jextract" >/dev/null || die "no jextract found: looked for $jextract on PATH ($PATH)." \
  "Get the OpenJDK project's jextract, and put it on PATH or name it in JEXTRACT."

cd "$root"
header=native/include/bsq/bsq.h
package=io.github.bsq4j.internal.ffi
folder=src/main/java/${package//.//}

# Everything that the header declares and nothing that it includes. No --library: NativeLibrary.java
# decides what is loaded, and from where.
options=(--header-class-name Bsq --target-package "$package")
while read -r name; do
  options+=(--include-function "$name")
done < <(sed -nE 's/^BSQ_API .*[ *](bsq_[a-z0-9_]+)\(.*/\1/p' "$header" | sort)
while read -r name; do
  options+=(--include-constant "$name")
done < <(sed -nE 's/^#define (BSQ_[A-Z0-9_]+) .*[0-9].*/\1/p' "$header" | sort)
while read -r name; do
  options+=(--include-struct "$name")
done < <(sed -nE 's/^typedef struct (bsq_[a-z_]+) \{$/\1/p' "$header" | sort)

output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
"$jextract" "${options[@]}" --output "$output" "$header"

rm -rf "$folder"
mkdir -p "$folder"
cp "$output/${package//.//}"/*.java "$folder"
{
  echo "# Written by scripts/generate-bindings.sh. GeneratedBindingsTest compares the sums."
  echo "jextract.version=$("$jextract" --version 2>&1 | paste -sd ';')"
  echo "jextract.arguments=${options[*]} $header"
  for file in "$header" "$folder"/*.java; do
    echo "sha256.$(basename "$file")=$(sha256sum "$file" | cut -d ' ' -f 1)"
  done
} >"$folder/GENERATED.properties"
