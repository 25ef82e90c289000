package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The reference holds rows × 2^codeDim numbers: over 100 GB here. We hold 2^codeDim of them and a
 * chunk of rows.
 */
class PeakMemoryTest {
  private static final long LIMIT_KB = 1_500_000;

  @Test
  void forwardAndBackwardOfLargeCodesFitIntoOneAndAHalfGigabytes() throws Exception {
    ChildJvm child =
        ChildJvm.run(
            Work.class,
            Map.of(),
            "--enable-native-access=ALL-UNNAMED",
            "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow());
    assertEquals(0, child.status(), child.err());
    long peakKb = Long.parseLong(child.out().strip());
    System.out.printf("peak resident memory of the JVM: %d MB%n", peakKb / 1000);
    assertTrue(peakKb < LIMIT_KB, () -> "peak resident memory: " + peakKb + " kB");
  }

  /** Does the work and prints its own peak resident memory in kB. */
  static final class Work {
    private Work() {}

    public static void main(String[] args) throws IOException {
      int dim = 20;
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(dim);
      float[] x = TestData.floats(TestData.gaussian(1, 8000 * dim));
      if (!(quantizer.forward(x).codebookEntropy() > 0)
          || quantizer.backward(x, x, 1).length != x.length) {
        System.exit(1);
      }
      String peak =
          Files.readAllLines(Path.of("/proc/self/status")).stream()
              .filter(line -> line.startsWith("VmHWM:"))
              .findFirst()
              .orElseThrow();
      System.out.println(peak.replaceAll("[^0-9]", ""));
    }
  }
}
