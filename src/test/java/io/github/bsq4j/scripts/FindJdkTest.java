package io.github.bsq4j.scripts;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code scripts/find-jdk.sh} with JDKs that are a release file and a javac. */
class FindJdkTest {
  @TempDir private Path temporary;
  private Path jvms;
  @AutoClose private Tools tools;
  private Script script;

  @BeforeEach
  void makeFolders() throws IOException {
    jvms = Files.createDirectory(temporary.resolve("jvm"));
    tools = Tools.basics(temporary.resolve("bin"));
    script =
        Script.of("find-jdk.sh", tools)
            .with("HOME", temporary)
            .with("BSQ4J_JVM_DIRS", jvms + ":" + temporary.resolve("more jvms"));
  }

  @Test
  void tellsWhereItLookedWhenThereIsNone() throws Exception {
    script
        .run()
        .assertOneMessage(
            "no JDK 25 found.",
            "JAVA_HOME (not set)",
            "java on PATH (none)",
            jvms + ", " + temporary.resolve("more jvms"),
            "Found no JDK at all.",
            "Install a JDK 25",
            "set JAVA_HOME");
  }

  @Test
  void tellsWhichOtherVersionsThereAre() throws Exception {
    Path old = jdk(jvms.resolve("java-17"), "17.0.15");
    Path next = jdk(jvms.resolve("java-250"), "250.0.1");
    tools.link("java", old.resolve("bin").resolve("java"));
    script
        .with("JAVA_HOME", old)
        .run()
        .assertOneMessage(
            "JAVA_HOME (" + old + ")", "Found only", "17.0.15 (" + old, "250.0.1 (" + next);
  }

  @Test
  void aRuntimeWithoutCompilerDoesNotCount() throws Exception {
    Path runtime = jdk(jvms.resolve("jre-25"), "25.0.1");
    Files.delete(runtime.resolve("bin").resolve("javac"));
    script.run().assertOneMessage("no JDK 25 found.", "Found no JDK at all.");
  }

  @Test
  void findsOneInTheUsualFolders() throws Exception {
    jdk(jvms.resolve("java-17"), "17.0.15");
    Path wanted = jdk(temporary.resolve("more jvms").resolve("jdk 25"), "25.0.3");
    assertEquals(wanted + "\n", script.run().assertSuccess());
  }

  @Test
  void findsAnEarlyAccessBuild() throws Exception {
    Path wanted = jdk(jvms.resolve("jdk-25-ea"), "25");
    assertEquals(wanted + "\n", script.run().assertSuccess());
  }

  @Test
  void javaHomeComesFirstThenPath() throws Exception {
    jdk(jvms.resolve("a"), "25.0.1");
    Path onPath = jdk(temporary.resolve("b"), "25.0.2");
    tools.link("java", onPath.resolve("bin").resolve("java"));
    assertEquals(onPath + "\n", script.run().assertSuccess());
    Path home = jdk(temporary.resolve("c"), "25.0.3");
    assertEquals(home + "\n", script.with("JAVA_HOME", home).run().assertSuccess());
  }

  @Test
  void checkingIsSilent() throws Exception {
    script.run("--check").assertOneMessage("no JDK 25 found.");
    jdk(jvms.resolve("java-25"), "25.0.1");
    assertEquals(new Script.Result(0, "", ""), script.run("--check"));
  }

  private static Path jdk(Path home, String version) throws IOException {
    Path bin = Files.createDirectories(home.resolve("bin"));
    Tools.writeScript(bin.resolve("java"), "exit 1\n");
    Tools.writeScript(bin.resolve("javac"), "exit 1\n");
    Files.writeString(
        home.resolve("release"), "IMPLEMENTOR=\"Test\"\nJAVA_VERSION=\"" + version + "\"\n");
    return home;
  }
}
