package io.github.bsq4j.scripts;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code scripts/build-native.sh} says where a tool is missing. It ends before it builds. */
class BuildNativeTest {
  private static final String CMAKE_3_18 = "echo 'cmake version 3.18.4'\n";
  private static final String CMAKE_3_30 = "echo 'cmake version 3.30.0-rc2'\n";

  @TempDir private Path temporary;
  @AutoClose private Tools tools;
  private Script script;

  @BeforeEach
  void makeTools() throws IOException {
    tools =
        Tools.basics(temporary.resolve("bin"))
            .fake("c++", "exit 1\n")
            .fake("cmake", CMAKE_3_30)
            .fake("ninja", "exit 1\n");
    script =
        Script.of("build-native.sh", tools)
            .with("HOME", temporary)
            .with("LIBTORCH", temporary.resolve("no libtorch"));
  }

  @Test
  void missingCompiler() throws Exception {
    tools.remove("c++");
    script
        .run()
        .assertOneMessage(
            "no C++ compiler found: looked for c++ on PATH (" + tools.folder() + ").",
            "apt-get install g++",
            "set CXX");
  }

  @Test
  void missingCompilerThatCxxNames() throws Exception {
    script.with("CXX", "g++-99 -m64").run().assertOneMessage("looked for g++-99 -m64 on PATH");
  }

  @Test
  void missingCmake() throws Exception {
    tools.remove("cmake");
    script
        .run()
        .assertOneMessage(
            "no CMake found: looked for cmake on PATH (" + tools.folder() + ").",
            "Install 3.24 or newer",
            "apt-get install cmake");
  }

  @Test
  void cmakeTooOld() throws Exception {
    tools.fake("cmake", CMAKE_3_18);
    script
        .run()
        .assertOneMessage(
            tools.folder().resolve("cmake"),
            "is version 3.18.4, which is too old",
            "Install 3.24 or newer");
  }

  @Test
  void neitherNinjaNorMake() throws Exception {
    tools.remove("ninja");
    script
        .run()
        .assertOneMessage(
            "neither Ninja nor Make found: looked for ninja and make on PATH",
            "apt-get install ninja-build");
    tools.fake("make", "exit 1\n");
    script.run().assertOneMessage("no LibTorch");
  }

  @Test
  void theCompilerMayHaveArguments() throws Exception {
    tools.fake("ccache", "exit 1\n");
    script.with("CXX", "ccache c++").run().assertOneMessage("no LibTorch");
  }

  @Test
  void unknownOption() throws Exception {
    script
        .run("--tset")
        .assertOneMessage("unknown option --tset.", "Usage: scripts/build-native.sh");
  }
}
