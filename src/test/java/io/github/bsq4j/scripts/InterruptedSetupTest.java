package io.github.bsq4j.scripts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Set-ups that are killed, or that run at the same time. */
class InterruptedSetupTest {
  @TempDir private Path temporary;
  private Path cache;
  private Path installed;
  @AutoClose private Tools tools;
  private FakePython python;
  private Script script;

  @BeforeEach
  void makeFolders() throws IOException {
    cache = temporary.resolve("cache");
    installed = cache.resolve("torch-2.13.0");
    tools = Tools.basics(temporary.resolve("bin"));
    python = new FakePython(tools, temporary.resolve("state"));
    script =
        Script.of("setup-libtorch.sh", tools).with("HOME", temporary).with("BSQ4J_CACHE", cache);
  }

  @Test
  void anInterruptLeavesNothing() throws Exception {
    python.holdPip();
    Script.Running run = script.start();
    python.awaitPip();
    run.interrupt();
    Script.Result result = run.result();
    assertEquals(130, result.status(), result::toString);
    assertEquals("", result.out());
    assertEquals(List.of("", "torch-2.13.0.lock"), Script.listing(cache));

    python.releasePip();
    assertSucceeds(script.run());
    assertEquals(2, python.pipCalls());
  }

  /** The pip that a killed set-up leaves behind goes on; nothing that it makes is trusted. */
  @Test
  void whatAKilledSetupLeavesIsNotTrusted() throws Exception {
    python.holdPip();
    Script.Running killed = script.start();
    python.awaitPip();
    killed.kill();
    assertEquals("", killed.result().out());
    assertFalse(Files.exists(installed));

    Script.Running next = script.start();
    next.awaitMessage("waiting for another set-up of LibTorch in " + cache);
    python.releasePip();
    assertSucceeds(next.result());
    assertEquals(2, python.pipCalls());
  }

  @Test
  void whatAPowerCutLeavesIsNotTrusted() throws Exception {
    LibTorchFolder.withLibrary(cache.resolve("torch-2.13.0.partial.4711").resolve("libtorch"));
    assertSucceeds(script.run());
    assertEquals(1, python.pipCalls());
  }

  @Test
  void twoAtOnceInstallOnce() throws Exception {
    python.holdPip();
    Script.Running first = script.start();
    python.awaitPip();
    Script.Running second = script.start();
    second.awaitMessage("waiting for another set-up");
    python.releasePip();
    assertSucceeds(first.result());
    assertSucceeds(second.result());
    assertEquals(1, python.pipCalls());
  }

  private void assertSucceeds(Script.Result result) throws IOException {
    Path libtorch = installed.resolve("libtorch");
    assertEquals(libtorch + "\n", result.assertSuccess());
    assertTrue(Files.isReadable(libtorch.resolve("include/torch/csrc/stable/c/shim.h")));
    assertEquals(
        List.of("", "torch-2.13.0", "torch-2.13.0.lock"),
        Script.listing(cache).stream().filter(name -> !name.contains("/")).toList());
  }
}
