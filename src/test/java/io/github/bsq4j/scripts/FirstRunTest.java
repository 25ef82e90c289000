package io.github.bsq4j.scripts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code scripts/bsq} in a project where nothing has been built. */
class FirstRunTest {
  @TempDir private Path temporary;
  @AutoClose private ProjectCopy project;

  @BeforeEach
  void copyProject() throws Exception {
    project = new ProjectCopy(temporary);
  }

  @Test
  void missingMaven() throws Exception {
    project
        .launcher()
        .run("info")
        .assertOneMessage(
            "no Maven found: looked for mvn on PATH (",
            "Install 3.8 or newer",
            "apt-get install maven");
    assertFalse(Files.exists(project.root().resolve("target")));
  }

  @Test
  void aFailedBuildIsToldAndTriedAgain() throws Exception {
    project.breakBuild();
    Script.Result result = project.buildingLauncher().run("info");
    assertEquals(1, result.status());
    assertEquals("", result.out());
    assertTrue(result.err().contains("[ERROR] something does not compile\n"), result::toString);
    assertTrue(
        result
            .err()
            .endsWith(
                "bsq4j: the build failed; the lines above say why. They are in "
                    + project.root().resolve("target/launcher.log")
                    + ", too.\n"),
        result::toString);

    project.repairBuild();
    result = project.buildingLauncher().run("info");
    assertTrue(result.assertSuccess().startsWith("available         yes\n"), result::toString);
    assertEquals(2, project.mavenCalls());
  }

  @Test
  void twoAtOnceBuildOnce() throws Exception {
    Script.Running first = project.buildingLauncher().start("info");
    Script.Running second = project.buildingLauncher().start("info");
    first.result().assertSuccess();
    second.result().assertSuccess();
    assertEquals(1, project.mavenCalls());
  }
}
