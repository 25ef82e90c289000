package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Loading, and every way in which it fails: each an exception that says why, in a living JVM. */
class NativeRuntimeTest {
  private static final String NATIVE_ACCESS = "--enable-native-access=ALL-UNNAMED";

  @TempDir private Path folder;

  @Test
  void whatIsLoaded() {
    NativeRuntime.Info info = NativeRuntime.info();
    assertTrue(NativeRuntime.isAvailable());
    assertTrue(info.available());
    assertTrue(info.torchVersion().orElseThrow().matches("2\\.\\d+\\.\\d+"), info::toString);
    assertTrue(Files.isRegularFile(info.library().orElseThrow()));
    NativeRuntime.DeviceInfo cpu = info.devices().getFirst();
    assertEquals(Device.CPU, cpu.device());
    assertTrue(
        cpu.implementation().matches("CPU kernels \\((baseline|AVX2|AVX-512)\\)"), info::toString);
    assertTrue(cpu.totalMemory().orElseThrow() > 1L << 26, info::toString);
    assertTrue(cpu.freeMemory().orElseThrow() <= cpu.totalMemory().orElseThrow(), info::toString);
    assertEquals(Optional.empty(), cpu.computeCapability());
    assertTrue(
        cpu.toString().matches("(.+ \\()?\\d+\\.\\d GiB\\)?, CPU kernels .*"), cpu::toString);
    for (NativeRuntime.DeviceInfo device : info.devices()) {
      assertEquals(Optional.empty(), device.device().problem());
    }
    assertTrue(info.threads().orElseThrow() >= 1);
    assertEquals("enabled for ALL-UNNAMED", info.nativeAccess());
    assertTrue(info.failure().isEmpty());
    String report = NativeRuntime.diagnose();
    for (String expected :
        List.of(
            info.libtorch().orElseThrow().toString(),
            info.torchVersion().orElseThrow(),
            "CPU               " + cpu,
            Device.cuda(0)
                .problem()
                .map(problem -> "CUDA              " + problem)
                .orElse("CUDA 0            "))) {
      assertTrue(report.contains(expected), report);
    }
  }

  @Test
  void noLibTorchAnywhere() throws Exception {
    assertFailure(
        "no LibTorch found: neither the system property libtorch nor the environment variable"
            + " LIBTORCH is set, and "
            + folder
            + "/torch-2.13.0/libtorch has none",
        Map.of("BSQ4J_CACHE", folder.toString(), "LIBTORCH", ""));
  }

  @Test
  void noLibTorchWhereItIsSaidToBe() throws Exception {
    assertFailure(
        "no LibTorch in /nowhere, which -Dlibtorch names: there is no such folder",
        Map.of("LIBTORCH", "/elsewhere"),
        "-Dlibtorch=/nowhere");
    assertFailure(
        "no LibTorch in /elsewhere, which LIBTORCH names: there is no such folder",
        Map.of("LIBTORCH", "/elsewhere"));
    assertFailure(
        "no LibTorch in " + folder + ", which LIBTORCH names: it has no lib/libtorch_cpu.so",
        Map.of("LIBTORCH", folder.toString()));
  }

  @Test
  void aLibTorchThatIsNone() throws Exception {
    Path library = folder.resolve("lib/libtorch_cpu.so");
    Files.createDirectories(library.getParent());
    Files.writeString(library, "this is no library");
    assertFailure(library + " is truncated: it has 18 bytes", Map.of(), "-Dlibtorch=" + folder);
    Files.writeString(library, "this is no library".repeat(100));
    assertFailure(library + " is no 64-bit shared library (ELF)", Map.of(), "-Dlibtorch=" + folder);
  }

  @Test
  void aLibTorchWithoutOneOfItsFiles() throws Exception {
    libTorchWithout("libc10.so");
    // The dynamic linker's own words come through.
    assertFailure(
        "libc10.so: cannot open shared object file: No such file or directory",
        Map.of(),
        "-Dlibtorch=" + folder);
  }

  /** libgomp comes with PyTorch's builds; a machine with GCC has one that serves as well. */
  @Test
  void aLibTorchWithoutLibgomp() throws Exception {
    libTorchWithout("libgomp");
    ChildJvm child = ChildJvm.run(Failing.class, Map.of(), NATIVE_ACCESS, "-Dlibtorch=" + folder);
    if (child.out().startsWith("available         yes")) {
      assertTrue(child.err().contains("it loaded"), child::err);
    } else {
      assertFailure(
          "libgomp.so.1: cannot open shared object file: No such file or directory",
          Map.of(),
          "-Dlibtorch=" + folder);
    }
  }

  @Test
  void aLibTorchWithABrokenFile() throws Exception {
    for (Path file : libTorchWithout()) {
      byte[] begin;
      try (InputStream in = Files.newInputStream(file)) {
        begin = in.readNBytes(100_000);
      }
      Path hidden = Files.move(file, file.resolveSibling("hidden"));
      Files.write(file, begin);
      assertFailure(file + " is truncated: it has 100000 bytes", Map.of(), "-Dlibtorch=" + folder);
      begin[18] = (byte) 183; // ARM
      Files.write(file, begin);
      assertFailure(
          file + " is made for aarch64, but this JVM runs on ", Map.of(), "-Dlibtorch=" + folder);
      Files.move(hidden, file, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  @Test
  void aLibTorchWithAFileOfAnother() throws Exception {
    libTorchWithout("libc10.so");
    compile("int nothing_of_c10;", folder.resolve("lib/libc10.so"));
    assertFailure(
        folder.resolve("lib/libtorch_cpu.so") + ": undefined symbol: ",
        Map.of(),
        "-Dlibtorch=" + folder);
  }

  /**
   * This LibTorch in the folder, without the files whose names begin so. Hard links where they can
   * be, since the loader resolves symbolic ones, and a copy takes 400 MB.
   */
  private List<Path> libTorchWithout(String... names) throws IOException {
    Path lib = Files.createDirectories(folder.resolve("lib"));
    Path torch = NativeRuntime.info().libtorch().orElseThrow().toRealPath();
    List<Path> files = new ArrayList<>();
    for (String pattern :
        List.of("libgomp*.so*", "libopenblas*.so*", "libc10.so", "libtorch_cpu.so")) {
      try (DirectoryStream<Path> matches =
          Files.newDirectoryStream(torch.resolve("lib"), pattern)) {
        for (Path file : matches) {
          Path link = lib.resolve(file.getFileName());
          if (Stream.of(names).noneMatch(file.getFileName().toString()::startsWith)) {
            try {
              Files.createLink(link, file.toRealPath());
            } catch (IOException | UnsupportedOperationException e) {
              Files.copy(file, link);
            }
            files.add(link);
          }
        }
      }
    }
    return files;
  }

  @Test
  void noLibbsqWhereItIsSaidToBe() throws Exception {
    assertFailure(
        "/nowhere/libbsq.so, which -Dbsq4j.library names, is no file that can be read",
        Map.of(),
        libtorch(),
        "-Dbsq4j.library=/nowhere/libbsq.so");
  }

  @Test
  void aBrokenLibbsq() throws Exception {
    byte[] whole = Files.readAllBytes(NativeRuntime.info().library().orElseThrow());
    Path broken = folder.resolve("libbsq.so");
    for (int size : new int[] {0, 63, 100, 5000, whole.length / 2}) {
      Files.write(broken, Arrays.copyOf(whole, size));
      assertFailure(
          broken + " is truncated: it has " + size + " bytes",
          Map.of(),
          libtorch(),
          "-Dbsq4j.library=" + broken);
    }
    byte[] foreign = whole.clone();
    foreign[18] = (byte) 243; // RISC-V
    Files.write(broken, foreign);
    assertFailure(
        broken + " is made for ELF machine 243, but this JVM runs on ",
        Map.of(),
        libtorch(),
        "-Dbsq4j.library=" + broken);
  }

  /** Of the right size, but not all there: an interrupted download into a file of that size. */
  @Test
  void aLibbsqWhoseTailIsMissing() throws Exception {
    byte[] whole = Files.readAllBytes(NativeRuntime.info().library().orElseThrow());
    Path broken = folder.resolve("libbsq.so");
    for (int size : new int[] {5000, whole.length / 2}) {
      Files.write(broken, Arrays.copyOf(Arrays.copyOf(whole, size), whole.length));
      assertFailure(
          broken + " is incomplete: its end is missing, there are zeros instead",
          Map.of(),
          libtorch(),
          "-Dbsq4j.library=" + broken);
    }
  }

  @Test
  void aLibTorchThatIsTooOld() throws Exception {
    Path lib = Files.createDirectories(folder.resolve("lib"));
    compile(
        "unsigned long aoti_torch_abi_version(void) { return 0x0209010000000000UL; }",
        lib.resolve("libtorch_cpu.so"));
    assertFailure(
        "the LibTorch in "
            + folder
            + " is version 2.9.1, which is too old: bsq4j needs 2.10 or newer",
        Map.of(),
        "-Dlibtorch=" + folder);
  }

  @Test
  void aLibbsqOfAnotherVersion() throws Exception {
    Path other = folder.resolve("libbsq.so");
    compile("int bsq_abi_version(void) { return 99; }", other);
    assertFailure(
        other + " has ABI version 99, but this version of bsq4j needs 6",
        Map.of(),
        libtorch(),
        "-Dbsq4j.library=" + other);
  }

  private void compile(String source, Path library) throws Exception {
    Path file = Files.writeString(folder.resolve("source.c"), source);
    Process compiler =
        new ProcessBuilder("cc", "-shared", "-fPIC", "-o", library.toString(), file.toString())
            .inheritIO()
            .start();
    assertEquals(0, compiler.waitFor());
  }

  @Test
  void anInterruptedThreadMayBeTheFirst() throws Exception {
    ChildJvm child = ChildJvm.run(Interrupted.class, Map.of(), NATIVE_ACCESS, libtorch());
    assertEquals("[5] true\n", child.out(), child.err());
  }

  /** Makes the process's first quantizer on a thread that has been interrupted. */
  static final class Interrupted {
    private Interrupted() {}

    public static void main(String[] args) {
      Thread.currentThread().interrupt();
      long[] codes = BinarySphericalQuantizer.create(3).encode(new float[] {1, -1, 1});
      System.out.println(Arrays.toString(codes) + " " + Thread.currentThread().isInterrupted());
    }
  }

  @Test
  void nativeAccessThatIsDenied() throws Exception {
    assertFailure(
        "Java denies native access; start it with --enable-native-access=ALL-UNNAMED",
        Map.of(),
        libtorch(),
        "--illegal-native-access=deny");
  }

  @Test
  void aLibraryThatIsNotLibbsq() throws Exception {
    Path torch = NativeRuntime.info().libtorch().orElseThrow().toRealPath();
    assertFailure(
        "libc10.so is no libbsq.so: it has no function bsq_abi_version",
        Map.of(),
        libtorch(),
        "-Dbsq4j.library=" + torch.resolve("lib/libc10.so"));
  }

  private static String libtorch() {
    return "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow();
  }

  private static void assertFailure(
      String message, Map<String, String> environment, String... options) throws Exception {
    List<String> jvmOptions = new ArrayList<>(List.of(options));
    if (!jvmOptions.contains("--illegal-native-access=deny")) {
      jvmOptions.add(NATIVE_ACCESS);
    }
    ChildJvm child = ChildJvm.run(Failing.class, environment, jvmOptions.toArray(String[]::new));
    assertEquals(0, child.status(), () -> child.out() + child.err());
    assertEquals("", child.err());
    // Told by the report, and by each of two attempts, with the cause.
    List<String> parts = List.of(child.out().split("---\n", -1));
    assertEquals(3, parts.size(), child::out);
    for (String part : parts) {
      assertTrue(part.contains(message), child::out);
    }
    assertTrue(parts.getFirst().contains("available         no"), child::out);
    assertEquals(parts.get(1), parts.get(2));
  }

  /** Prints the report, and what two attempts to make a quantizer throw. */
  static final class Failing {
    private Failing() {}

    public static void main(String[] args) {
      System.out.print(NativeRuntime.diagnose());
      for (int attempt = 0; attempt < 2; attempt++) {
        try {
          BinarySphericalQuantizer.create(13);
          throw new AssertionError("it loaded");
        } catch (BsqException e) {
          System.out.println("---");
          System.out.println(e.code() + " " + e.getMessage());
          System.out.println(e.getCause());
        }
      }
    }
  }
}
