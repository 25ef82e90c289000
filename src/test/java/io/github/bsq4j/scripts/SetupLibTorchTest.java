package io.github.bsq4j.scripts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code scripts/setup-libtorch.sh}: which folder it takes, and what it says where it cannot. */
class SetupLibTorchTest {
  @TempDir private Path temporary;
  private Path cache;
  @AutoClose private Tools tools;
  private Script script;

  @BeforeEach
  void makeFolders() throws IOException {
    cache = temporary.resolve("the cache");
    tools = Tools.basics(temporary.resolve("bin"));
    script =
        Script.of("setup-libtorch.sh", tools).with("HOME", temporary).with("BSQ4J_CACHE", cache);
  }

  // A folder that is asked for

  @Test
  void takesTheFolderThatIsAskedFor() throws Exception {
    Path folder = LibTorchFolder.complete(temporary.resolve("my libtorch"));
    assertEquals(folder + "\n", script.with("LIBTORCH", folder).run().assertSuccess());
    assertFalse(Files.exists(cache));
  }

  @Test
  void takesARelativeFolder() throws Exception {
    Path folder = LibTorchFolder.complete(temporary.resolve("my libtorch"));
    script.in(temporary).with("CDPATH", temporary).with("LIBTORCH", "my libtorch");
    assertEquals(folder + "\n", script.run().assertSuccess());
  }

  @Test
  void theOptionWinsOverTheVariable() throws Exception {
    Path folder = LibTorchFolder.complete(temporary.resolve("one"));
    script.with("BSQ4J_LIBTORCH_OPTION", folder).with("LIBTORCH", temporary.resolve("none"));
    assertEquals(folder + "\n", script.run().assertSuccess());

    script.with("BSQ4J_LIBTORCH_OPTION", temporary.resolve("none")).with("LIBTORCH", folder);
    script
        .run()
        .assertOneMessage("no LibTorch in " + temporary.resolve("none"), "-Dlibtorch names");
  }

  @Test
  void refusesAFolderThatIsNotThere() throws Exception {
    requested(temporary.resolve("none"))
        .assertOneMessage(
            "no LibTorch in " + temporary.resolve("none") + ": there is no such folder.",
            "LIBTORCH names this folder",
            "2.10 or newer",
            "leave it out, to have one set up in " + cache);
    assertFalse(Files.exists(cache));
  }

  @Test
  void refusesAFile() throws Exception {
    requested(Files.createFile(temporary.resolve("libtorch.zip")))
        .assertOneMessage("libtorch.zip: it is not a folder.");
  }

  @Test
  void refusesAFolderWithoutLibrary() throws Exception {
    requested(Files.createDirectory(temporary.resolve("empty")))
        .assertOneMessage("empty: it has no lib/libtorch_cpu.so.", "LIBTORCH names this folder");
  }

  @Test
  void pointsAtTheFolderWithin() throws Exception {
    Path inner = LibTorchFolder.complete(temporary.resolve("site-packages/torch"));
    requested(inner.getParent()).assertOneMessage("Its folder torch has one: name " + inner);
  }

  @Test
  void refusesAFolderWithoutHeaders() throws Exception {
    Path folder = LibTorchFolder.withLibrary(temporary.resolve("lt"));
    Files.writeString(folder.resolve("version.py"), "__version__ = '2.13.0+cpu'\n");
    requested(folder)
        .assertOneMessage(
            "the LibTorch in " + folder + " has no headers",
            "include/torch/csrc/stable/c/shim.h is missing");
  }

  @Test
  void refusesAFolderWithoutVersion() throws Exception {
    requested(LibTorchFolder.withHeaders(temporary.resolve("lt")))
        .assertOneMessage("does not tell its version", "version.h", "version.py");
  }

  @Test
  void refusesOldVersionsWhereverTheyTellIt() throws Exception {
    Path header = LibTorchFolder.complete(temporary.resolve("header"));
    Files.writeString(
        header.resolve("include/torch/headeronly/version.h"),
        """
        #define TORCH_VERSION_MAJOR 2
        #define TORCH_VERSION_MINOR 9
        #define TORCH_VERSION_PATCH 1
        """);
    Path python = LibTorchFolder.withLibrary(temporary.resolve("python"));
    Files.writeString(python.resolve("version.py"), "__version__ = '2.9.1+cu128'\ndebug = False\n");
    Path zip = LibTorchFolder.withLibrary(temporary.resolve("zip"));
    Files.writeString(zip.resolve("build-version"), "2.9.1+cpu\n");
    for (Path folder : List.of(header, python, zip)) {
      requested(folder)
          .assertOneMessage(
              "the LibTorch in " + folder + " is version 2.9.1, which is too old",
              "needs 2.10 or newer");
    }
  }

  private Script.Result requested(Path folder) throws Exception {
    return script.with("LIBTORCH", folder).run();
  }

  // Setting one up

  @Test
  void missingPython() throws Exception {
    script
        .run()
        .assertOneMessage(
            "no Python 3 found: looked for python3 on PATH (" + tools.folder() + ").",
            "apt-get install python3 python3-venv",
            "set LIBTORCH");
    assertFalse(Files.exists(cache));
  }

  @Test
  void pythonWithoutVenv() throws Exception {
    new FakePython(tools, temporary.resolve("state")).withoutVenv();
    script
        .run()
        .assertOneMessage(
            tools.folder().resolve("python3"),
            "cannot make virtual environments: its modules venv or ensurepip are missing",
            "apt-get install python3-venv",
            "set LIBTORCH");
    assertFalse(Files.exists(cache));
  }

  @Test
  void pythonTooOld() throws Exception {
    new FakePython(tools, temporary.resolve("state")).version("3.9");
    script.run().assertOneMessage("is of version 3.9", "3.10 or newer", "set PYTHON");
  }

  @Test
  void somethingElseByPythonsName() throws Exception {
    tools.fake("python3", "exit 127\n");
    script.run().assertOneMessage("is of version unknown");
  }

  @Test
  void cacheFolderCannotBeMade() throws Exception {
    new FakePython(tools, temporary.resolve("state"));
    Files.createFile(cache); // a file in the way: permissions do not stop root
    script
        .run()
        .assertOneMessage(
            "the cache folder " + cache + " cannot be made.",
            "Set BSQ4J_CACHE to a folder that you can write to.");
  }

  @Test
  void cacheFolderCannotBeWritten() throws Exception {
    new FakePython(tools, temporary.resolve("state"));
    Files.createDirectories(cache.resolve("torch-2.13.0.lock"));
    script.run().assertOneMessage("the cache folder " + cache + " cannot be written to.");
  }

  @Test
  void diskFull() throws Exception {
    new FakePython(tools, temporary.resolve("state")).withoutSpace();
    Script.Result result = script.run();
    afterProgress(result)
        .assertOneMessage("could not make a virtual environment in " + cache, "No space left");
    assertNothingInstalled();
  }

  /** Real pip, which fails at once: it may not use a network, and finds nothing in a folder. */
  @Test
  void noNetwork() throws Exception {
    Optional<Path> python = Tools.python();
    assumeTrue(python.isPresent(), "no Python with venv here");
    Path wheels = Files.createDirectory(temporary.resolve("wheels"));
    Script.Result result =
        script
            .with("PYTHON", python.get())
            .with("PIP_NO_INDEX", "1")
            .with("PIP_FIND_LINKS", wheels)
            .with("PIP_CONFIG_FILE", "/dev/null")
            .run();
    afterProgress(result)
        .assertOneMessage(
            "torch==2.13.0+cpu neither where it is configured to look nor on"
                + " https://download.pytorch.org/whl/cpu.",
            "Its last error: ERROR: No matching distribution found for torch==2.13.0+cpu",
            "Check the network",
            "set LIBTORCH");
    assertNothingInstalled();
  }

  @Test
  void installsIntoTheCacheFolderOnce() throws Exception {
    FakePython python = new FakePython(tools, temporary.resolve("state"));
    Script.Result result = script.run();
    Path libtorch = cache.resolve("torch-2.13.0/libtorch");
    assertEquals(libtorch + "\n", result.assertSuccess());
    afterProgress(result);
    assertTrue(Files.isReadable(libtorch.resolve("lib/libtorch_cpu.so")));
    assertEquals(
        List.of("", "torch-2.13.0", "torch-2.13.0.lock"),
        Script.listing(cache).stream().filter(name -> !name.contains("/")).toList());

    int calls = python.calls().size();
    assertEquals(new Script.Result(0, libtorch + "\n", ""), script.run());
    assertEquals(calls, python.calls().size());
    tools.remove("python3");
    assertEquals(new Script.Result(0, libtorch + "\n", ""), script.run());
  }

  @Test
  void takesARelativeCacheFolder() throws Exception {
    new FakePython(tools, temporary.resolve("state"));
    script.in(temporary).with("BSQ4J_CACHE", "the cache");
    assertEquals(cache.resolve("torch-2.13.0/libtorch") + "\n", script.run().assertSuccess());
  }

  @Test
  void usesTheHomeFolderWithoutAskingForACache() throws Exception {
    new FakePython(tools, temporary.resolve("state"));
    script.with("BSQ4J_CACHE", "");
    assertEquals(
        temporary.resolve(".cache/bsq4j/torch-2.13.0/libtorch") + "\n",
        script.run().assertSuccess());
  }

  @Test
  void tellsThatAnInstallationIsDamaged() throws Exception {
    Path folder = Files.createDirectories(cache.resolve("torch-2.13.0"));
    script
        .run()
        .assertOneMessage("the LibTorch in " + folder + " is damaged", "Delete that folder");
  }

  /** The result without the line that announces the installation. */
  private Script.Result afterProgress(Script.Result result) {
    String first = result.err().lines().findFirst().orElse("");
    assertTrue(
        first.startsWith("bsq4j: installing LibTorch 2.13.0")
            && first.contains(cache.resolve("torch-2.13.0").toString()),
        result::toString);
    return new Script.Result(
        result.status(), result.out(), result.err().substring(first.length() + 1));
  }

  private void assertNothingInstalled() throws IOException {
    assertEquals(List.of("", "torch-2.13.0.lock"), Script.listing(cache));
  }
}
