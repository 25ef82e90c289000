package io.github.bsq4j.scripts;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A stand-in for Python and pip that takes no time and no network: its virtual environments are a
 * link to itself, its pip puts a few empty files where PyTorch would be. The files in {@code state}
 * steer it and tell what it did.
 */
final class FakePython {
  private static final String SCRIPT =
      """
      state='%s'
      echo "$*" >>"$state/calls"
      site=$(dirname "$(dirname "$0")")/lib/python3.12/site-packages
      case "$*" in
        *version_info*) cat "$state/version" ;;
        *ensurepip*) [[ ! -e $state/without-venv ]] ;;
        "-m venv "*)
          if [[ -e $state/full ]]; then
            echo "Error: [Errno 28] No space left on device" >&2
            exit 1
          fi
          mkdir -p "$3/bin"
          ln -s "$(readlink -f "$0")" "$3/bin/python"
          ;;
        "-m pip install "*)
          trap 'exit 130' INT # as Python does; bash by itself may miss one between two commands
          mkdir -p "$site/torch/lib"
          touch "$site/torch/lib/libtorch_cpu.so" "$state/pip-started"
          while [[ -e $state/pip-must-wait ]]; do
            sleep 0.02
          done
          cp -r "$state/torch" "$site"
          ;;
        *find_spec*) echo "$site/torch" ;;
        *) echo "unexpected: $*" >&2; exit 99 ;;
      esac
      """;

  private final Path state;

  /** Puts one on PATH. */
  FakePython(Tools tools, Path state) throws IOException {
    this.state = Files.createDirectories(state);
    tools.fake("python3", SCRIPT.formatted(state));
    version("3.12");
    LibTorchFolder.complete(state.resolve("torch"));
  }

  void version(String version) throws IOException {
    Files.writeString(state.resolve("version"), version + "\n");
  }

  void withoutVenv() throws IOException {
    Files.createFile(state.resolve("without-venv"));
  }

  void withoutSpace() throws IOException {
    Files.createFile(state.resolve("full"));
  }

  /** From now on pip stops in the middle. */
  void holdPip() throws IOException {
    Files.createFile(state.resolve("pip-must-wait"));
  }

  /** Lets pip go on. */
  void releasePip() throws IOException {
    Files.delete(state.resolve("pip-must-wait"));
  }

  void awaitPip() throws InterruptedException {
    Script.await("pip to start", () -> Files.exists(state.resolve("pip-started")));
  }

  List<String> calls() throws IOException {
    Path calls = state.resolve("calls");
    return Files.exists(calls) ? Files.readAllLines(calls) : List.of();
  }

  long pipCalls() throws IOException {
    return calls().stream().filter(call -> call.startsWith("-m pip install ")).count();
  }
}
