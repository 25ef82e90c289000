package io.github.bsq4j.scripts;

import com.google.gson.Gson;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.cli.Main;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine;

/**
 * A copy of the project to try the launcher in, since Maven is at work in the real one while tests
 * run. Its scripts are the real ones. What they build with, which would take minutes, is replaced:
 * cmake and mvn put this build's library and classes into the places where theirs would be.
 */
final class ProjectCopy implements AutoCloseable {
  private static final String CMAKE =
      """
      echo "cmake $*" >>'%1$s/calls'
      case $1 in
        --version) echo 'cmake version 3.31.0' ;;
        --build)
          mkdir -p '%1$s/target/native/release'
          cp '%2$s' '%1$s/target/native/release/libbsq.so'
          ;;
      esac
      """;

  private static final String MAVEN =
      """
      echo "mvn $*" >>'%1$s/calls'
      if [[ -e '%1$s/broken' ]]; then
        echo '[ERROR] something does not compile'
        exit 1
      fi
      "$JAVA25_HOME/bin/jar" --create --file='%1$s/target/bsq4j.jar' -C '%2$s' .
      mkdir -p '%1$s/target/lib'
      cp '%3$s' '%4$s' '%1$s/target/lib'
      """;

  private final Path root;
  private final Tools buildTools;
  private final Tools runTools;

  ProjectCopy(Path temporary) throws IOException, URISyntaxException {
    root = Files.createDirectories(temporary.resolve("a project"));
    for (String folder : List.of("scripts", "src/main", "native", "cmake")) {
      Files.createDirectories(root.resolve(folder));
    }
    try (Stream<Path> scripts = Files.list(Script.PROJECT.resolve("scripts"))) {
      for (Path script : scripts.toList()) {
        Files.copy(script, root.resolve("scripts").resolve(script.getFileName()));
      }
    }
    Files.createFile(root.resolve("pom.xml"));
    Files.createFile(root.resolve("src/main/Source.java"));

    runTools = Tools.basics(temporary.resolve("run tools"));
    Path library = classes().resolve("META-INF/native/linux-x86_64/libbsq.so");
    buildTools =
        Tools.basics(temporary.resolve("build tools"))
            .fake("c++", "exit 1\n")
            .fake("ninja", "exit 1\n")
            .fake("cmake", CMAKE.formatted(root, library))
            .fake(
                "mvn",
                MAVEN.formatted(
                    root, classes(), location(CommandLine.class), location(Gson.class)));
  }

  Path root() {
    return root;
  }

  /** Its launcher, with nothing to build with. */
  Script launcher() {
    return at(root.resolve("scripts/bsq"), runTools);
  }

  /** Its launcher, with everything to build with. */
  Script buildingLauncher() {
    return at(root.resolve("scripts/bsq"), buildTools);
  }

  /** The launcher by another name. */
  Script launcher(Path link) {
    return at(link, runTools);
  }

  private Script at(Path launcher, Tools tools) {
    return Script.at(launcher, tools)
        .with("HOME", root)
        .with("BSQ4J_CACHE", root.resolve("cache"))
        .with("JAVA_HOME", System.getProperty("java.home"))
        .with("LIBTORCH", NativeRuntime.info().libtorch().orElseThrow());
  }

  void breakBuild() throws IOException {
    Files.createFile(root.resolve("broken"));
  }

  void repairBuild() throws IOException {
    Files.delete(root.resolve("broken"));
  }

  /** How often mvn has been called. */
  long mavenCalls() throws IOException {
    Path calls = root.resolve("calls");
    return Files.exists(calls)
        ? Files.readAllLines(calls).stream().filter(call -> call.startsWith("mvn ")).count()
        : 0;
  }

  private static Path classes() throws URISyntaxException {
    return location(Main.class);
  }

  private static Path location(Class<?> type) throws URISyntaxException {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  @Override
  public void close() throws IOException {
    runTools.close();
    buildTools.close();
  }
}
