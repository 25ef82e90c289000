package io.github.bsq4j.scripts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.bsq4j.NativeRuntime;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code scripts/bsq}, once it has built: what is there must be enough to run. */
class LauncherTest {
  private static final Path EXAMPLE = Script.PROJECT.resolve("examples/librivox_mfcc13.npy");

  @TempDir private static Path temporary;
  private static ProjectCopy project;

  @BeforeAll
  static void build() throws Exception {
    project = new ProjectCopy(temporary);
    Script.Result first = project.buildingLauncher().run("encode", EXAMPLE);
    assertTrue(first.assertSuccess().startsWith("rows                2463\n"), first::toString);
    first.assertMessage("building libbsq.so and the jar");
    assertEquals(1, first.err().lines().count(), first::toString);
    assertEquals(1, project.mavenCalls());
  }

  @AfterAll
  static void deleteLinks() throws IOException {
    project.close();
  }

  @Test
  void doesTheMainJobWithoutMavenAndCmake() throws Exception {
    Path codes = temporary.resolve("codes.npy");
    Script.Result result = project.launcher().run("encode", EXAMPLE, "-o", codes);
    assertEquals("", result.err());
    String text = result.assertSuccess();
    assertTrue(text.contains("distinct codes      1187 of 8192\n"), text);
    assertTrue(text.contains("bit rate            1300 bit/s at 100 frames/s\n"), text);
    assertEquals(128 + 2463 * 8, Files.size(codes));
  }

  @Test
  void standardOutputIsOneJsonObject() throws Exception {
    Script.Result result = project.launcher().run("encode", EXAMPLE, "--json");
    JsonObject json = JsonParser.parseString(result.assertSuccess()).getAsJsonObject();
    assertEquals(2463, json.get("rows").getAsLong());
    assertTrue(result.err().startsWith("rows                2463\n"), result::toString);
  }

  @Test
  void worksFromAnyFolderThroughALinkAndWithSpaces() throws Exception {
    Path folder = Files.createDirectories(temporary.resolve("my data"));
    Path link =
        Files.createSymbolicLink(folder.resolve("the bsq"), project.root().resolve("scripts/bsq"));
    Files.copy(EXAMPLE, folder.resolve("my vectors.npy"));
    Script.Result result =
        project.launcher(link).in(folder).run("encode", "my vectors.npy", "-o", "my codes.npy");
    assertTrue(result.assertSuccess().endsWith("output              my codes.npy\n"));
    assertEquals(128 + 2463 * 8, Files.size(folder.resolve("my codes.npy")));
  }

  @Test
  void passesTheExitStatusOn() throws Exception {
    Script.Result result = project.launcher().in(temporary).run("encode", "none.npy");
    assertEquals(2, result.status(), result::toString);
    assertEquals("bsq: none.npy: cannot be read: no such file or folder\n", result.err());
    assertEquals(2, project.launcher().run("encode").status());
    assertEquals(2, project.launcher().run("frobnicate").status());
    assertEquals(2, project.launcher().run().status());
  }

  @Test
  void passesJvmOptionsOn() throws Exception {
    Script.Result result = project.launcher().run("-Xmx64m", "-Duser.language=de", "info");
    assertTrue(result.assertSuccess().startsWith("available         yes\n"), result::toString);
    assertEquals("", result.err());
    result = project.launcher().run("-Xnonsense", "info");
    assertEquals(1, result.status());
    assertTrue(result.err().contains("-Xnonsense"), result::toString);
  }

  @Test
  void setsTheThreadsOfTheBenchmark() throws Exception {
    int many = Math.min(2, NativeRuntime.info().threads().orElseThrow()); // no more than cores
    Script script = project.launcher().with("OMP_NUM_THREADS", 1);
    assertEquals(1, benchThreads(script));
    assertEquals(many, benchThreads(script, "--threads=" + many));
    assertEquals(many, benchThreads(script, "--threads", many));
    script.with("OMP_NUM_THREADS", many).with("MKL_NUM_THREADS", many);
    assertEquals(1, benchThreads(script, "--threads=1"));

    Script.Result result = script.run("bench", "--threads=0");
    assertEquals(2, result.status(), result::toString);
    assertEquals("bsq: --threads is 0; expected 1 to 1024\n", result.err());
    assertEquals(2, script.run("bench", "--threads").status());
    assertEquals(2, script.run("bench", "--threads=two").status());
  }

  private static int benchThreads(Script script, Object... options) throws Exception {
    List<Object> arguments =
        new ArrayList<>(List.of("bench", "--code-dim=3", "--rows=10", "--seconds=0.01", "--json"));
    arguments.addAll(List.of(options));
    Script.Result result = script.run(arguments.toArray());
    return JsonParser.parseString(result.assertSuccess())
        .getAsJsonObject()
        .get("threads")
        .getAsInt();
  }

  @Test
  void theOptionWinsOverTheVariable() throws Exception {
    Path none = temporary.resolve("none");
    project
        .launcher()
        .run("-Dlibtorch=" + none, "encode", EXAMPLE)
        .assertOneMessage("no LibTorch in " + none, "-Dlibtorch names this folder");

    String libtorch = NativeRuntime.info().libtorch().orElseThrow().toString();
    Script.Result result =
        project.launcher().with("LIBTORCH", none).run("-Dlibtorch=" + libtorch, "info");
    assertTrue(result.assertSuccess().contains(libtorch + " (named by -Dlibtorch)"));
    result = project.launcher().run("info");
    assertTrue(result.assertSuccess().contains(libtorch + " (named by LIBTORCH)"));
  }

  @Test
  void infoAndHelpRunWithoutAUsableLibTorch() throws Exception {
    Path none = temporary.resolve("none");
    Script script = project.launcher().with("LIBTORCH", none);
    script.run("encode", EXAMPLE).assertOneMessage("no LibTorch in " + none);

    Script.Result info = script.run("info", "--json");
    JsonObject json = JsonParser.parseString(info.assertSuccess()).getAsJsonObject();
    assertFalse(json.get("available").getAsBoolean());
    assertTrue(json.get("failure").getAsString().contains("no LibTorch in " + none));

    Script.Result text = script.run("info");
    assertTrue(text.assertSuccess().startsWith("available         no\n"), text::toString);

    Script.Result help = script.run("encode", "--help");
    assertEquals("", help.err());
    assertTrue(help.assertSuccess().contains("\nUsage: bsq encode "), help::toString);
    assertTrue(script.run("--help").assertSuccess().startsWith("Usage: bsq "));
    assertTrue(script.run("--version").assertSuccess().startsWith("bsq4j "));
  }

  @Test
  void tellsThatThereIsNoJdk() throws Exception {
    project
        .launcher()
        .with("JAVA_HOME", temporary)
        .with("BSQ4J_JVM_DIRS", temporary.resolve("none"))
        .run("info")
        .assertOneMessage("no JDK 25 found.", "JAVA_HOME (" + temporary + ")");
  }

  @Test
  void anEditedSourceIsBuilt() throws Exception {
    Path source = project.root().resolve("src/main/Source.java");
    FileTime before = Files.getLastModifiedTime(source);
    Files.setLastModifiedTime(source, FileTime.fromMillis(System.currentTimeMillis() + 1));
    project.launcher().run("encode", EXAMPLE).assertOneMessage("no Maven found");
    Files.setLastModifiedTime(source, before);
    project.launcher().run("encode", EXAMPLE).assertSuccess();
  }
}
