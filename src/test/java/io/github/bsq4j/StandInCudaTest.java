package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.internal.NativeCalls;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a machine without a GPU can show of CUDA, in a JVM whose LibTorch has stand-ins for NVIDIA's
 * driver and its own CUDA libraries: those of the C++ tests.
 */
class StandInCudaTest {
  @TempDir private static Path folder;

  @BeforeAll
  static void build() throws Exception {
    Path lib = Files.createDirectories(folder.resolve("lib"));
    Path torch = NativeRuntime.info().libtorch().orElseThrow().toRealPath();
    for (String pattern :
        List.of("libgomp*.so*", "libopenblas*.so*", "libc10.so", "libtorch_cpu.so")) {
      try (DirectoryStream<Path> matches =
          Files.newDirectoryStream(torch.resolve("lib"), pattern)) {
        for (Path file : matches) {
          Path link = lib.resolve(file.getFileName());
          try { // as the loader resolves symbolic ones
            Files.createLink(link, file.toRealPath());
          } catch (IOException | UnsupportedOperationException e) {
            Files.copy(file, link);
          }
        }
      }
    }
    compile("torch_cuda.cpp", "libtorch_cuda.so");
    compile("cuda.cpp", "libcuda.so.1");
  }

  private static void compile(String source, String library) throws Exception {
    Process compiler =
        new ProcessBuilder(
                "c++",
                "-std=c++20",
                "-shared",
                "-fPIC",
                "-Wl,-soname," + library,
                "-o",
                folder.resolve("lib").resolve(library).toString(),
                Path.of("native/tests/stand_in", source).toString())
            .inheritIO()
            .start();
    assertEquals(0, compiler.waitFor());
  }

  private static List<String> linesOf(Class<?> main, Map<String, String> settings)
      throws Exception {
    Map<String, String> environment = new HashMap<>(settings);
    environment.put("LD_LIBRARY_PATH", folder.resolve("lib").toString());
    ChildJvm child =
        ChildJvm.run(
            main, environment, "--enable-native-access=ALL-UNNAMED", "-Dlibtorch=" + folder);
    assertEquals(0, child.status(), () -> child.out() + child.err());
    return child.out().lines().toList();
  }

  @Test
  void devices() throws Exception {
    List<String> lines = linesOf(Report.class, Map.of());
    assertTrue(
        lines.stream().anyMatch(line -> line.matches("CUDA 0 +Stand-in GPU \\(100.0 GiB\\), .*")),
        lines::toString);
    assertTrue(
        lines.stream().anyMatch(line -> line.matches("CUDA 1 +x{254} \\(101.0 GiB\\), .*")),
        lines::toString);
    assertEquals("cuda:0 9.1 OptionalLong.empty", lines.getLast());
  }

  @Test
  void aDriverThatIsTooOld() throws Exception {
    List<String> lines =
        linesOf(Report.class, Map.of("STAND_IN_DRIVER", "11080", "STAND_IN_RUNTIME", "12060"));
    assertTrue(
        lines.contains(
            "CUDA              cuda:0 is not available: the NVIDIA driver is too old: it offers"
                + " CUDA 11.8, and the LibTorch in use needs CUDA 12; update the driver, or use a"
                + " LibTorch that was built with an older CUDA"),
        lines::toString);
  }

  static final class Report {
    private Report() {}

    public static void main(String[] args) {
      System.out.print(NativeRuntime.diagnose());
      for (NativeRuntime.DeviceInfo info : NativeRuntime.info().devices()) {
        if (info.device().equals(Device.cuda(0))) {
          System.out.println(
              info.device() + " " + info.computeCapability().get() + " " + info.freeMemory());
        }
      }
    }
  }

  @Test
  void streams() throws Exception {
    assertEquals(
        List.of(
            "other stream: true",
            "inside: true",
            "result: 7",
            "nested: true",
            "after nested: true",
            "after: true",
            "after a failure: true",
            "other device: true",
            "other thread: true",
            "synchronized",
            "virtual: a virtual thread has no current stream, since it may go on as another native"
                + " thread: use a platform thread",
            "live 0"),
        linesOf(Streams.class, Map.of()));
  }

  /** Prints what is current where. */
  static final class Streams {
    private static final Device DEVICE = Device.cuda(1);

    private Streams() {}

    public static void main(String[] args) throws Exception {
      CudaStream stream = CudaStream.of(DEVICE);
      CudaStream other = CudaStream.of(DEVICE);
      tell("other stream", !stream.pointer().equals(other.pointer()));
      int result =
          stream.call(
              () -> {
                tell("inside", isCurrent(stream.pointer()));
                return 7;
              });
      System.out.println("result: " + result);
      stream.run(
          () -> {
            other.run(() -> tell("nested", isCurrent(other.pointer())));
            tell("after nested", isCurrent(stream.pointer()));
          });
      tell("after", isCurrent(MemorySegment.NULL));
      Callable<Void> failing =
          () -> {
            throw new IOException();
          };
      try {
        stream.call(failing);
      } catch (IOException e) {
        tell("after a failure", isCurrent(MemorySegment.NULL));
      }
      stream.run(
          () -> tell("other device", NativeCalls.currentStream(Device.cuda(0)).address() == 0));
      stream.run(
          () -> {
            try {
              Thread.ofPlatform()
                  .start(() -> tell("other thread", isCurrent(MemorySegment.NULL)))
                  .join();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
          });
      stream.run(DEVICE::synchronize);
      stream.synchronize();
      System.out.println("synchronized");
      List<String> refused = new ArrayList<>();
      Thread.ofVirtual()
          .start(
              () -> {
                try {
                  stream.run(() -> refused.add("it ran"));
                } catch (IllegalStateException e) {
                  refused.add(e.getMessage());
                }
              })
          .join();
      System.out.println("virtual: " + refused.getFirst());
      System.out.println("live " + NativeCalls.liveHandles());
    }

    private static boolean isCurrent(MemorySegment stream) {
      return NativeCalls.currentStream(DEVICE).equals(stream);
    }

    private static void tell(String what, boolean holds) {
      System.out.println(what + ": " + holds);
    }
  }
}
