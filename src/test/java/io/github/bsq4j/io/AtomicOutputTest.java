package io.github.bsq4j.io;

import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class AtomicOutputTest {
  @TempDir Path folder;

  @Test
  void aNewFileAppearsOnCommit() throws IOException {
    Path target = folder.resolve("x.bin");
    try (AtomicOutput output = AtomicOutput.open(target)) {
      output.write(bytes("one "));
      output.write(bytes("two"));
      assertFalse(Files.exists(target));
      assertTrue(names().getFirst().startsWith(".x.bin."), names()::toString);
      output.commit();
      assertEquals("one two", Files.readString(target));
    }
    assertEquals(List.of("x.bin"), names());
    assertEquals("one two", Files.readString(target));
  }

  @Test
  void withoutCommitNothingRemains() throws IOException {
    try (AtomicOutput output = AtomicOutput.open(folder.resolve("x.bin"))) {
      output.write(bytes("half"));
    }
    assertEquals(List.of(), names());
  }

  @Test
  void withoutCommitTheOldFileRemains() throws IOException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old");
    try (AtomicOutput output = AtomicOutput.open(target)) {
      output.write(bytes("new"));
    }
    assertEquals("old", Files.readString(target));
    assertEquals(List.of("x.bin"), names());
  }

  @Test
  void commitReplacesTheOldFile() throws IOException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old and longer");
    write(target, "new");
    assertEquals("new", Files.readString(target));
    assertEquals(List.of("x.bin"), names());
  }

  @Test
  void anOldReaderKeepsTheOldFile() throws IOException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old");
    try (BufferedReader reader = Files.newBufferedReader(target)) {
      write(target, "new");
      assertEquals("old", reader.readLine());
    }
  }

  @Test
  void twoWritersDoNotMeet() throws IOException {
    Path target = folder.resolve("x.bin");
    try (AtomicOutput first = AtomicOutput.open(target);
        AtomicOutput second = AtomicOutput.open(target)) {
      first.write(bytes("first"));
      second.write(bytes("second"));
      second.commit();
      first.commit();
    }
    assertEquals("first", Files.readString(target));
    assertEquals(List.of("x.bin"), names());
  }

  @Test
  void refusesFurtherUse() throws IOException {
    AtomicOutput output = AtomicOutput.open(folder.resolve("x.bin"));
    output.write(bytes("x"));
    output.commit();
    assertThrows(IllegalStateException.class, () -> output.write(bytes("y")));
    assertThrows(IllegalStateException.class, output::commit);
    output.close();
    output.close();
    assertThrows(IllegalStateException.class, () -> output.write(bytes("y")));
    assertThrows(IllegalStateException.class, output::commit);
    assertEquals("x", Files.readString(folder.resolve("x.bin")));
  }

  @Test
  void cannotCommitAfterAFailure() throws IOException {
    Path target = folder.resolve("x.bin");
    try (AtomicOutput output = AtomicOutput.open(target)) {
      Thread.currentThread().interrupt();
      IOException failure;
      try {
        failure = assertThrows(FileSystemException.class, () -> output.write(bytes("x")));
      } finally {
        assertTrue(Thread.interrupted());
      }
      assertMessage(failure, target.toString(), "cannot be written", "interrupted");
      assertThrows(IllegalStateException.class, output::commit);
    }
    assertEquals(List.of(), names());
  }

  @Test
  void cannotCommitAfterAnErrorOfTheCaller() throws IOException {
    Arena arena = Arena.ofConfined();
    MemorySegment closed = arena.allocate(1);
    arena.close();
    try (AtomicOutput output = AtomicOutput.open(folder.resolve("x.bin"))) {
      assertThrows(IllegalStateException.class, () -> output.write(closed));
      assertThrows(IllegalStateException.class, output::commit);
    }
    assertEquals(List.of(), names());
  }

  @Test
  void saysThatTheDiskIsFull() throws IOException {
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full));
    try (AtomicOutput output = AtomicOutput.open(full)) {
      IOException failure = assertThrows(FileSystemException.class, () -> output.write(bytes("x")));
      assertMessage(failure, "/dev/full", "cannot be written", "No space left");
    }
  }

  @Test
  void refusesAFolder() throws IOException {
    Path target = Files.createDirectory(folder.resolve("sub"));
    assertRefusal(target, "cannot be written", "folder");
    Path link = Files.createSymbolicLink(folder.resolve("link"), target);
    assertRefusal(link, "cannot be written", "folder");
    assertRefusal(Path.of("/"), "folder");
    assertMessage(
        assertThrows(IOException.class, () -> AtomicOutput.open(Path.of(""))), "''", "folder");
    assertEquals(List.of("link", "sub"), names());
  }

  @Test
  void refusesAMissingFolder() throws IOException {
    assertRefusal(folder.resolve("none/x.bin"), "folder " + folder + "/none does not exist");
    Files.writeString(folder.resolve("file"), "");
    assertRefusal(folder.resolve("file/x.bin"), folder + "/file is not a folder");
    assertRefusal(folder.resolve("file/sub/x.bin"), folder + "/file/sub does not exist");
  }

  @Test
  void refusesAProtectedFile() throws IOException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old");
    Files.setPosixFilePermissions(target, PosixFilePermissions.fromString("r--r--r--"));
    assumeFalse(Files.isWritable(target), "the superuser may write every file");
    assertRefusal(target, "write-protected");
    assertEquals("old", Files.readString(target));
  }

  @Test
  void refusesAProtectedFolder() throws IOException {
    Path sub = Files.createDirectory(folder.resolve("sub"));
    Files.setPosixFilePermissions(sub, PosixFilePermissions.fromString("r-xr-xr-x"));
    assumeFalse(Files.isWritable(sub), "the superuser may write every folder");
    assertRefusal(sub.resolve("x.bin"), "cannot be written", "permission denied");
    Files.setPosixFilePermissions(sub, PosixFilePermissions.fromString("---------"));
    assertRefusal(sub.resolve("x.bin"), "cannot be written", "permission denied");
    assertRefusal(sub.resolve("more/x.bin"), "cannot be written", "permission denied");
    Files.setPosixFilePermissions(sub, PosixFilePermissions.fromString("rwx------"));
  }

  @Test
  void aNewFileHasThePermissionsOfTheUmask() throws IOException {
    Path ordinary = Files.writeString(folder.resolve("ordinary"), "");
    Path target = folder.resolve("x.bin");
    write(target, "new");
    assertEquals(Files.getPosixFilePermissions(ordinary), Files.getPosixFilePermissions(target));
  }

  @Test
  void aReplacedFileKeepsItsPermissions() throws IOException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old");
    for (String permissions : List.of("rw-------", "rwxrw-rw-")) {
      Files.setPosixFilePermissions(target, PosixFilePermissions.fromString(permissions));
      write(target, "new");
      assertEquals(
          permissions, PosixFilePermissions.toString(Files.getPosixFilePermissions(target)));
    }
  }

  @Test
  void replacesWhatALinkPointsTo() throws IOException {
    Path sub = Files.createDirectory(folder.resolve("sub"));
    Path target = Files.writeString(sub.resolve("x.bin"), "old");
    Path inner = Files.createSymbolicLink(sub.resolve("inner"), Path.of("x.bin"));
    Path outer = Files.createSymbolicLink(folder.resolve("outer"), Path.of("sub/inner"));
    write(outer, "new");
    assertEquals("new", Files.readString(target));
    assertTrue(Files.isSymbolicLink(inner));
    assertTrue(Files.isSymbolicLink(outer));
    assertEquals(List.of("outer", "sub"), names());
  }

  @Test
  void createsWhatADanglingLinkPointsTo() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("x.bin"));
    write(link, "new");
    assertTrue(Files.isSymbolicLink(link));
    assertEquals("new", Files.readString(folder.resolve("x.bin")));
  }

  @Test
  void refusesALoopOfLinks() throws IOException {
    Path loop = folder.resolve("loop");
    Files.createSymbolicLink(loop, loop);
    assertRefusal(loop, "too many symbolic links");
  }

  @Test
  void acceptsTheLongestName() throws IOException {
    String longest = "x".repeat(255);
    write(folder.resolve(longest), "new");
    assertEquals(List.of(longest), names());
    assertRefusal(folder.resolve(longest + "x"), "cannot be written", "name too long");
    assertEquals(List.of(longest), names());
  }

  @Test
  void doesNotReplaceADevice() throws IOException {
    write(Path.of("/dev/null"), "gone");
    assertFalse(Files.isRegularFile(Path.of("/dev/null")));
    assertEquals(0, Files.size(Path.of("/dev/null")));
  }

  @Test
  void writesToAPipe() throws IOException, InterruptedException {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    Process reader = new ProcessBuilder("cat", pipe.toString()).start();
    write(pipe, "through the pipe");
    assertEquals("through the pipe", output(reader));
    assertEquals(List.of("pipe"), names());
  }

  @Test
  void writesToStandardOutput() throws IOException, InterruptedException {
    Process child = child("commit", "/dev/stdout").start();
    assertEquals("new", output(child));
    assertEquals(0, child.waitFor());
  }

  @Test
  void appendsToStandardOutputThatIsAFile() throws IOException, InterruptedException {
    File log = Files.writeString(folder.resolve("log"), "before ").toFile();
    Process child =
        child("commit", "/dev/stdout")
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log))
            .start();
    assertEquals(0, child.waitFor());
    assertEquals("before new", Files.readString(log.toPath()));
    assertEquals(List.of("log"), names());
  }

  @Test
  void aKilledProcessLeavesTheOldFile() throws IOException, InterruptedException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old");
    Process child = child("wait", target.toString()).start();
    awaitHalfWritten(child);
    child.destroyForcibly();
    assertTrue(child.waitFor(30, TimeUnit.SECONDS));
    assertEquals("old", Files.readString(target));
    assertEquals(2, names().size());
    assertTrue(names().getFirst().startsWith(".x.bin."), names()::toString);
  }

  @Test
  void anInterruptedProcessLeavesNoTemporaryFile() throws IOException, InterruptedException {
    Path target = Files.writeString(folder.resolve("x.bin"), "old");
    Process child = child("wait", target.toString()).start();
    awaitHalfWritten(child);
    child.destroy();
    assertTrue(child.waitFor(30, TimeUnit.SECONDS));
    assertEquals("old", Files.readString(target));
    assertEquals(List.of("x.bin"), names());
  }

  @Test
  void aProcessThatForgetsToCloseLeavesNoTemporaryFile() throws IOException, InterruptedException {
    Process child = child("forget", folder.resolve("x.bin").toString()).start();
    assertEquals(0, child.waitFor());
    assertEquals(List.of(), names());
  }

  /** The program of the child processes. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) throws IOException, InterruptedException {
      AtomicOutput output = AtomicOutput.open(Path.of(args[1]));
      output.write(bytes("new"));
      switch (args[0]) {
        case "commit" -> {
          output.commit();
          output.close();
        }
        case "wait" -> {
          System.out.println("half written");
          Thread.sleep(60_000);
          output.commit();
        }
        case "forget" -> System.exit(0);
        default -> throw new IllegalArgumentException(args[0]);
      }
    }
  }

  private static ProcessBuilder child(String... args) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-cp");
    command.add(location(AtomicOutput.class) + File.pathSeparator + location(Child.class));
    command.add(Child.class.getName());
    command.addAll(List.of(args));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
  }

  private static String location(Class<?> type) {
    return Path.of(URI.create(type.getProtectionDomain().getCodeSource().getLocation().toString()))
        .toString();
  }

  private static void awaitHalfWritten(Process child) throws IOException {
    // Not closed: that would close the child's output as well.
    BufferedReader reader = child.inputReader(StandardCharsets.UTF_8);
    assertEquals("half written", reader.readLine());
  }

  private static String output(Process child) throws IOException {
    return new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  private static void write(Path target, String text) throws IOException {
    try (AtomicOutput output = AtomicOutput.open(target)) {
      output.write(bytes(text));
      output.commit();
    }
  }

  private static void assertRefusal(Path target, String... words) {
    IOException failure =
        assertThrows(FileSystemException.class, () -> AtomicOutput.open(target).close());
    assertMessage(failure, target.toString(), words);
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static MemorySegment bytes(String text) {
    return MemorySegment.ofArray(text.getBytes(StandardCharsets.UTF_8));
  }
}
