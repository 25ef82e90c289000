package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.ChildJvm;
import io.github.bsq4j.CodebookUsage;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.HammingSearch;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * Memory that runs out, in a process that may not have more of it than a little above what it has
 * when all is loaded and warm. Each failure says what was asked for; nothing leaks, and small work
 * goes on.
 */
class OutOfMemoryTest {
  private static final String TENSOR =
      "could not allocate \\d+ bytes on cpu for a tensor of shape ";

  private static final String REST =
      ": \\d+ of its \\d+ bytes are free; smaller batches need less, and freed tensors give theirs"
          + " back";

  private static final String BUFFER = "could not allocate \\d+ bytes of CPU memory for .*";

  @Test
  void everyAllocationThatFailsIsToldAndTheProcessLives() throws Exception {
    ChildJvm child =
        ChildJvm.run(
            Work.class,
            // One heap for all threads. Each thread's own would take 128 MB of address space for a
            // moment and give most of it back, and a limit taken in between would be too high.
            Map.of("OMP_NUM_THREADS", "2", "MALLOC_ARENA_MAX", "1"),
            "--enable-native-access=ALL-UNNAMED",
            "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow(),
            "-XX:+UseSerialGC",
            "-Xms768m",
            "-Xmx768m");
    assertEquals(0, child.status(), () -> child.out() + child.err());
    List<String> lines = child.out().lines().toList();
    List<String> expected =
        List.of(
            "zeros: OUT_OF_MEMORY " + TENSOR + "\\[1073741824\\] and type float32" + REST,
            "empty: OUT_OF_MEMORY " + TENSOR + "\\[16384, 65536\\] and type float64" + REST,
            "of: OUT_OF_MEMORY " + TENSOR + "\\[120000000\\] and type float32" + REST,
            "to\\(FLOAT64\\): OUT_OF_MEMORY " + TENSOR + "\\[60000000\\] and type float64" + REST,
            "forward: OUT_OF_MEMORY " + BUFFER,
            "backward: OUT_OF_MEMORY " + BUFFER,
            // What fails first may be what an operator of LibTorch allocates, which tells it
            // itself.
            "forward with operators: OUT_OF_MEMORY (" + TENSOR + "|LibTorch's aten::\\w+ ).*",
            "backward with operators: OUT_OF_MEMORY (" + TENSOR + "|LibTorch's aten::\\w+ ).*",
            "nearest: OUT_OF_MEMORY " + TENSOR + "\\[10000, 6000\\] and type int64" + REST,
            "usage: OUT_OF_MEMORY could not allocate 67108864 counters of 8 bytes, for codeDim 20"
                + " and codebooks 64",
            "live 0");
    assertEquals(expected.size(), lines.size(), child::out);
    for (int i = 0; i < lines.size(); i++) {
      assertTrue(Pattern.matches(expected.get(i), lines.get(i)), child::out);
    }
  }

  /** Fills its address space, and prints what that throws. */
  static final class Work {
    // What is asked for below is of 480 MB or more: the JVM may give back some of its own memory.
    private static final long ALLOWED = 100_000_000;
    private static final int DIM = 24;
    // The average distributions are of 512 MB.
    private static final int CODEBOOKS = 4;

    private Work() {}

    public static void main(String[] args) throws Throwable {
      BinarySphericalQuantizer small = BinarySphericalQuantizer.create(13);
      BinarySphericalQuantizer large =
          BinarySphericalQuantizer.create(
              QuantizerOptions.builder(DIM).codebooks(CODEBOOKS).build());
      BinarySphericalQuantizer operators =
          BinarySphericalQuantizer.create(
              QuantizerOptions.builder(DIM)
                  .codebooks(CODEBOOKS)
                  .implementation(Implementation.OPERATORS)
                  .build());
      useALittle(small);
      float[] array = new float[120_000_000];
      Arena before = Arena.ofConfined();
      Tensor half = Tensor.zeros(before, DType.FLOAT32, Device.CPU, 60_000_000);
      Tensor row = Tensor.zeros(before, DType.FLOAT64, Device.CPU, 1, CODEBOOKS * DIM);
      Tensor codes = Tensor.zeros(before, DType.UINT8, Device.CPU, 10_000, 1);
      QuantizerOptions counted = QuantizerOptions.builder(20).codebooks(64).build();
      Quantization quantization = large.forward(before, row);
      Quantization withOperators = operators.forward(before, row);

      limitAddressSpace();
      tell("zeros", arena -> Tensor.zeros(arena, DType.FLOAT32, Device.CPU, 1L << 30));
      tell("empty", arena -> Tensor.empty(arena, DType.FLOAT64, Device.CPU, 1L << 14, 1L << 16));
      tell("of", arena -> Tensor.of(arena, array));
      tell("to(FLOAT64)", arena -> half.to(arena, DType.FLOAT64));
      tell("forward", arena -> large.forward(arena, row));
      tell("backward", arena -> quantization.backward(arena, 1));
      tell("forward with operators", arena -> operators.forward(arena, row));
      tell("backward with operators", arena -> withOperators.backward(arena, 1));
      tell("nearest", arena -> HammingSearch.create(1).nearest(arena, codes, codes, 6000));
      tell("usage", _ -> CodebookUsage.create(counted));
      useALittle(small);
      before.close();
      System.out.println("live " + LiveHandles.count());
    }

    private static void tell(String name, Consumer<Arena> work) {
      long live = LiveHandles.count();
      try (Arena arena = Arena.ofConfined()) {
        work.accept(arena);
        System.out.println(name + ": done");
      } catch (BsqException e) {
        System.out.println(name + ": " + e.code() + " " + e.getMessage());
      }
      if (LiveHandles.count() != live) {
        System.out.println(name + ": leaves " + (LiveHandles.count() - live));
      }
    }

    private static void useALittle(BinarySphericalQuantizer quantizer) {
      try (Arena arena = Arena.ofConfined()) {
        float[] values = new float[4000 * 13];
        Arrays.fill(values, 1);
        Tensor x = Tensor.of(arena, values, 4000, 13);
        Quantization quantization = quantizer.forward(arena, x);
        quantization.backward(arena, x, 1).to(arena, DType.BFLOAT16).toFloatArray();
        if (quantization.indices().toLongArray()[3999] != 8191) {
          System.out.println("wrong");
        }
      }
    }

    /** As {@code prlimit --as} does. */
    private static void limitAddressSpace() throws Throwable {
      String size = Files.readString(Path.of("/proc/self/statm")).split(" ", 2)[0];
      long limit = Long.parseLong(size) * 4096 + ALLOWED;
      Linker linker = Linker.nativeLinker();
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment limits = arena.allocateFrom(ValueLayout.JAVA_LONG, limit, limit);
        int rlimitAs = 9;
        int result =
            (int)
                linker
                    .downcallHandle(
                        linker.defaultLookup().findOrThrow("setrlimit"),
                        FunctionDescriptor.of(
                            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS))
                    .invokeExact(rlimitAs, limits);
        if (result != 0) {
          throw new IOException("setrlimit failed");
        }
      }
    }
  }
}
