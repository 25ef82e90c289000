package io.github.bsq4j.scripts;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A folder to be all of PATH: it has exactly the tools that a test wants there. */
final class Tools implements AutoCloseable {
  /** What the scripts may take for granted on any Linux: bash, coreutils, findutils, util-linux. */
  private static final String BASICS =
      "bash cat chmod cmp cp cut dirname env find flock grep head ln ls mkdir mktemp mv nproc paste"
          + " readlink rm sed sha256sum sleep sort sync tail touch tr uname xargs";

  private static final String PATH = System.getenv("PATH");

  private final Path folder;

  private Tools(Path folder) {
    this.folder = folder;
  }

  /** A new folder with the basic tools. */
  static Tools basics(Path folder) throws IOException {
    Tools tools = new Tools(Files.createDirectories(folder));
    for (String name : BASICS.split(" ", -1)) {
      tools.link(name, find(name).orElseThrow(() -> new IOException("no " + name + " on PATH")));
    }
    return tools;
  }

  Path folder() {
    return folder;
  }

  /** Puts a link to a program there. */
  Tools link(String name, Path program) throws IOException {
    Files.deleteIfExists(folder.resolve(name));
    Files.createSymbolicLink(folder.resolve(name), program);
    return this;
  }

  /** Puts a bash script there, in place of a tool that is slow or of another version. */
  Tools fake(String name, String script) throws IOException {
    writeScript(folder.resolve(name), script);
    return this;
  }

  Tools remove(String name) throws IOException {
    Files.delete(folder.resolve(name));
    return this;
  }

  /** Deletes the links: JUnit warns of each that leads out of its temporary folder. */
  @Override
  public void close() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(Files::isSymbolicLink).toList()) {
        Files.delete(file);
      }
    }
  }

  static void writeScript(Path file, String script) throws IOException {
    Files.deleteIfExists(file);
    Files.writeString(file, "#!/usr/bin/env bash\nset -euo pipefail\n" + script);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** A program on the PATH of this process. */
  static Optional<Path> find(String name) {
    return candidates(name).findFirst();
  }

  /** A Python that can make virtual environments, if this machine has one. */
  static Optional<Path> python() {
    return candidates("python3").flatMap(file -> executable(file).stream()).findFirst();
  }

  /** The interpreter itself, behind whatever a version manager has put on PATH. */
  private static Optional<Path> executable(Path python) {
    try {
      Process process =
          new ProcessBuilder(
                  python.toString(), "-c", "import ensurepip, sys, venv; print(sys.executable)")
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String output = new String(process.getInputStream().readAllBytes(), Script.NATIVE).strip();
      return process.waitFor() == 0 ? Optional.of(Path.of(output)) : Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Stream<Path> candidates(String name) {
    return Pattern.compile(Pattern.quote(File.pathSeparator))
        .splitAsStream(PATH)
        .map(folder -> Path.of(folder, name))
        .filter(Files::isExecutable);
  }
}
