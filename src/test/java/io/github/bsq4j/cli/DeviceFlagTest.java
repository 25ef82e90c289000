package io.github.bsq4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --device}: as far as a machine without a GPU can tell, and on its first GPU if it has. */
class DeviceFlagTest {
  private static final Path EXAMPLE = Path.of("examples/librivox_mfcc13.npy");
  private static final Path GOLDEN = Path.of("src/test/resources/golden/d13_one_row.safetensors");

  @TempDir private Path folder;

  @Test
  void aDeviceThatIsMissing() throws Exception {
    String problem = Device.cuda(77).problem().orElseThrow();
    Path out = folder.resolve("out.npy");
    Cli.run("encode", EXAMPLE, "--device", "cuda:77", "-o", out).assertRefused(problem);
    Cli.run("verify", GOLDEN, "--device", "cuda:77").assertRefused(problem);
    Cli.run("bench", "--device", "cuda:77").assertRefused(problem);
    assertFalse(Files.exists(out));
  }

  @Test
  void namesOfNothing() {
    for (Object[] command :
        new Object[][] {
          {"encode", EXAMPLE, "--device=gpu"},
          {"verify", GOLDEN, "--device=gpu"},
          {"bench", "--device=gpu"}
        }) {
      Cli.run(command).assertRefused("--device is gpu; expected cpu, cuda or cuda:N, N at least 0");
    }
  }

  @Test
  void theCpuIsTheDefault() {
    String expected = Cli.run("encode", EXAMPLE).assertText();
    String actual = Cli.run("encode", EXAMPLE, "--device", "cpu").assertText();
    assertEquals(withoutTime(expected), withoutTime(actual));
    Cli.run("verify", GOLDEN, "--device=cpu", "--path=operators").assertText();
  }

  private static String withoutTime(String report) {
    return report.replaceAll("time .*", "");
  }

  /** What encode does on tensors gives what it does on the host. */
  @ParameterizedTest
  @CsvSource({"false, AUTOMATIC", "true, AUTOMATIC", "false, OPERATORS", "true, OPERATORS"})
  void onDevicesAsOnTheHost(boolean channelFirst, Implementation implementation) {
    Device device = Device.cuda(0).isAvailable() ? Device.cuda(0) : Device.CPU;
    QuantizerOptions options =
        QuantizerOptions.builder(6).codebooks(2).groupSize(3).channelFirst(channelFirst).build();
    BinarySphericalQuantizer onHost = BinarySphericalQuantizer.create(options);
    BinarySphericalQuantizer onTensors =
        BinarySphericalQuantizer.create(options.toBuilder().implementation(implementation).build());
    Batch batch = Batch.of(3, 5).withLengths(5, 2, 0);
    SplittableRandom random = new SplittableRandom(7);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(ValueLayout.JAVA_DOUBLE, 15 * 12);
      for (int i = 0; i < 15 * 12; i++) {
        x.setAtIndex(ValueLayout.JAVA_DOUBLE, i, random.nextGaussian());
      }
      VectorEncoder host = VectorEncoder.onHost(onHost, x, DType.FLOAT64, batch);
      VectorEncoder there =
          VectorEncoder.onDevice(onTensors, x, DType.FLOAT64, batch, device, arena);
      byte[][] results = new byte[2][];
      Losses[] losses = new Losses[2];
      for (int i = 0; i < 2; i++) {
        VectorEncoder encoder = i == 0 ? host : there;
        MemorySegment all = arena.allocate(3 * 15 * 4 * 8 + 15 * 2, 8);
        MemorySegment indices = all.asSlice(0, 15 * 4 * 8);
        encoder.encode(indices);
        losses[i] = encoder.forward(all.asSlice(15 * 4 * 8, 15 * 4 * 8));
        encoder.forward(MemorySegment.NULL);
        encoder.pack(all.asSlice(3 * 15 * 4 * 8, 15 * 2));
        assertEquals(-1, indices.mismatch(all.asSlice(15 * 4 * 8, 15 * 4 * 8)));
        results[i] = all.toArray(ValueLayout.JAVA_BYTE);
      }
      assertArrayEquals(results[0], results[1]);
      assertEquals(losses[0].rows(), losses[1].rows());
      assertEquals(losses[0].auxLoss(), losses[1].auxLoss(), 1e-9);
      assertEquals(losses[0].codebookEntropy(), losses[1].codebookEntropy(), 1e-9);
      MemorySegment expected = arena.allocate(ValueLayout.JAVA_DOUBLE, 30);
      MemorySegment margins = arena.allocate(ValueLayout.JAVA_DOUBLE, 30);
      host.signMargins(expected);
      there.signMargins(margins);
      for (int i = 0; i < 30; i++) {
        assertEquals(
            expected.getAtIndex(ValueLayout.JAVA_DOUBLE, i),
            margins.getAtIndex(ValueLayout.JAVA_DOUBLE, i),
            1e-12);
      }
    }
  }

  @Test
  void onAGpuEverythingRuns() {
    assumeTrue(Device.cuda(0).isAvailable(), () -> Device.cuda(0).problem().orElseThrow());
    String expected = Cli.run("encode", EXAMPLE).assertText();
    assertEquals(
        expected.lines().limit(5).toList(),
        Cli.run("encode", EXAMPLE, "--device=cuda").assertText().lines().limit(5).toList());
    Cli.run("verify", GOLDEN, "--device=cuda").assertText();
    Cli.run("bench", "--device=cuda", "--seconds=0.01").assertText();
    Cli.run("bench", "--device=cuda", "--seconds=0.01", "--reference").assertText();
  }
}
