#!/usr/bin/env bash
# Makes one folder with which the tests and the benchmark run on another machine, one with a GPU for
# example: it needs bash and a LibTorch or Python torch folder there, and neither Java, nor Maven, nor
# a network.
#
#   scripts/gpu-bundle.sh [OUT_DIR]    in target/gpu-bundle, if not told otherwise
#
# Sets up and builds what is missing. Fails if the folder has 60 MB or more.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

most_megabytes=60
# Which jdeps does not see: what opens jars for JUnit, and what is found by reflection.
more_modules=jdk.unsupported,jdk.zipfs

(($# <= 1)) || die "there is $2 after OUT_DIR." "Usage: scripts/gpu-bundle.sh [OUT_DIR]"
out=$(absolute "${1:-$root/target/gpu-bundle}")
[[ $out != *:* ]] || die "OUT_DIR is $out, but Java's class path cannot have colons."
# It is replaced as a whole, so it must be one of these.
if [[ -e $out && ! -x $out/run-tests.sh ]]; then
  die "$out is there already, and is no bundle." "Name a folder that is not there yet."
fi

java_home=$("$root/scripts/find-jdk.sh")
libtorch=$("$root/scripts/setup-libtorch.sh")
libraries=$root/target/bundle/libraries # where profile bundle copies them
mkdir -p "$root/target/bundle"
rm -rf "$libraries"
log=$root/target/bundle/build.log
say "building libbsq.so, the jar and the tests, if they have changed"
if ! (cd "$root" && mvn --quiet --batch-mode -Dstyle.color=never -Pbundle -DskipTests \
  -Dlibtorch="$libtorch" package) &>"$log"; then
  cat "$log" >&2
  die "the build failed; the lines above say why. They are in $log, too."
fi

mkdir -p "$(dirname "$out")"
partial=$out.partial
rm -rf "$partial"
trap 'rm -rf "$partial"' EXIT
mkdir -p "$partial/lib/test"

# The command line's libraries in lib, and what only tests need in lib/test.
library=$root/target/classes/META-INF/native/linux-$(uname -m)/libbsq.so
cp "$library" "$root"/target/lib/*.jar "$partial/lib"
# Without the library that it carries, compressed: the other copy serves.
classes=$partial/classes
mkdir "$classes"
(cd "$classes" && "$java_home/bin/jar" --extract --file "$root/target/bsq4j.jar")
rm -r "$classes/META-INF/native"
"$java_home/bin/jar" --create --file "$partial/lib/bsq4j.jar" \
  --manifest "$classes/META-INF/MANIFEST.MF" -C "$classes" io -C "$classes" module-info.class
rm -r "$classes"
for jar in "$libraries"/*.jar; do
  [[ -e $partial/lib/$(basename "$jar") ]] || cp "$jar" "$partial/lib/test"
done
tests=() # without the golden cases, which are read as files
for entry in io META-INF junit-platform.properties; do
  tests+=(-C "$root/target/test-classes" "$entry")
done
"$java_home/bin/jar" --create --file "$partial/lib/test/bsq4j-tests.jar" "${tests[@]}"

# What tests read, under the names by which they know it. Without links, which not every way of copying
# keeps.
mkdir -p "$partial/src/test/resources" "$partial/src/test/python"
cp -R "$root/src/test/resources/golden" "$partial/src/test/resources"
cp "$root"/src/test/python/*.py "$partial/src/test/python"
# For a Python that has PyTorch and numpy alone: the extension is of the stable ABI, for any version.
safetensors=$(readlink -f "$libtorch")/../safetensors
if compgen -G "$safetensors/*.abi3.so" >/dev/null; then
  mkdir "$partial/python"
  cp -R "$safetensors" "$partial/python"
  rm -rf "$partial/python/safetensors/__pycache__"
else
  say "no safetensors beside $libtorch to put in: the Python there must have it"
fi

# Its warnings are of jars that are modules, too; they come on standard output, before the modules.
modules=$("$java_home/bin/jdeps" --ignore-missing-deps --print-module-deps --multi-release 25 \
  "$partial"/lib/*.jar "$partial"/lib/test/*.jar | tail -n 1)
[[ $modules =~ ^[a-z.,]+$ ]] || die "jdeps told no modules, but: $modules"
"$java_home/bin/jlink" --output "$partial/runtime" --add-modules "$modules,$more_modules" \
  --strip-debug --no-header-files --no-man-pages --compress zip-9
# jlink leaves the JVM's symbols, 5 MB that nothing looks at; those of ours are in target/classes.
strip --strip-unneeded "$partial/runtime/lib/server/libjvm.so" "$partial/lib/libbsq.so"

cp "$root"/scripts/bundle/*.sh "$partial"
chmod +x "$partial"/run-*.sh

# newest PREFIX FILE...: the newest version with this prefix that the libraries ask of the system.
newest() {
  local prefix=$1
  shift
  objdump -T "$@" | grep -oE "\b${prefix}_[0-9.]+" | sort -Vu | tail -n 1
}
mapfile -d '' runtime_libraries < <(find "$partial/runtime" -name '*.so' -print0)
commit=$(git -C "$root" describe --always --dirty 2>/dev/null) || commit=unknown
cat >"$partial/README.txt" <<END
bsq4j's tests and benchmark, to be run where LibTorch is and nothing else of bsq4j.

  ./run-tests.sh LIBTORCH_DIR    the tests whose tensors can be on a GPU
  ./run-bench.sh LIBTORCH_DIR    how fast it is, beside PyTorch where there is one

LIBTORCH_DIR is a LibTorch or the torch folder of a Python installation, $oldest_torch or newer, of CUDA or
not: with lib/libtorch_cpu.so in it. Both use the first GPU if there is one, else the CPU, and say so;
--device cpu or --device cuda:1 tells them. Both write into the folder results beside this file, or
into the one that BSQ4J_RESULTS names, if this one cannot be written to.

Tests compare with PyTorch on the same device where a Python with torch and numpy is: the one that
BSQ4J_PYTHON names, or that LIBTORCH_DIR belongs to, or python3. Else these tests are skipped.

Made of commit $commit on $(date --utc +%F), for Linux on $(uname -m). Needs bash and
  libbsq.so   $(newest GLIBC "$library"), $(newest GLIBCXX "$library"), $(newest CXXABI "$library") (in libc and libstdc++)
  Java        $(newest GLIBC "${runtime_libraries[@]}"); it is in the folder runtime
Java modules: $modules,$more_modules
END

kilobytes=$(du --apparent-size -sk "$partial" | cut -f 1)
megabytes=$(((kilobytes * 1024 + 999999) / 1000000))
((megabytes < most_megabytes)) ||
  die "the bundle has $megabytes MB, expected less than $most_megabytes:" \
    "$(du --apparent-size -sk "$partial"/* "$partial"/lib/* | sort -rn | head -n 8)"
rm -rf "$out"
mv -T "$partial" "$out"
trap - EXIT
say "$out: $megabytes MB, needs $(newest GLIBC "$out/lib/libbsq.so") and $(newest GLIBCXX "$out/lib/libbsq.so")"
printf '%s\n' "$out"
