package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.ChildJvm;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * A million forward passes, each in an arena of its own. The growth that is allowed is 5 bytes for
 * each; one lost handle takes at least twenty times that.
 */
class ResidentMemoryTest {
  private static final long LIMIT_KB = 4_000;

  @Test
  void aMillionForwardsTakeNoMoreThanTheFirstHundredThousand() throws Exception {
    ChildJvm child =
        ChildJvm.run(
            Work.class,
            Map.of(),
            "--enable-native-access=ALL-UNNAMED",
            "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow(),
            // A heap that does not grow, nor the collector's own data.
            "-XX:+UseSerialGC",
            "-Xms32m",
            "-Xmx32m",
            "-XX:+AlwaysPreTouch");
    long[] residentKb = child.out().lines().mapToLong(Long::parseLong).toArray();
    assertEquals(3, residentKb.length, child.err());
    System.out.printf(
        "resident after 100 000 forwards: %d kB, after 1 000 000: %d kB; peak %d kB%n",
        residentKb[0], residentKb[1], residentKb[2]);
    assertTrue(residentKb[1] - residentKb[0] < LIMIT_KB, child.out());
    assertTrue(residentKb[2] - residentKb[0] < LIMIT_KB, child.out());
    assertEquals(0, child.status(), child.err());
  }

  /**
   * Does the work and prints the resident memory after a tenth of it and after all, and its peak.
   */
  static final class Work {
    private Work() {}

    public static void main(String[] args) throws IOException {
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(4);
      float[] values = {1, -2, 3, -4, 5, -6, 7, -8};
      double sum = 0;
      for (int i = 1; i <= 1_000_000; i++) {
        try (Arena arena = Arena.ofConfined()) {
          Tensor x = Tensor.of(arena, values, 2, 4);
          sum += quantizer.forward(arena, x).auxLoss();
        }
        if (i == 100_000) {
          System.out.println(kilobytes("VmRSS:"));
        }
      }
      System.out.println(kilobytes("VmRSS:"));
      System.out.println(kilobytes("VmHWM:"));
      if (LiveHandles.count() != 0 || Double.isNaN(sum)) {
        System.exit(1);
      }
    }

    private static String kilobytes(String key) throws IOException {
      return Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith(key))
          .findFirst()
          .orElseThrow()
          .replaceAll("[^0-9]", "");
    }
  }
}
