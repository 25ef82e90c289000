package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.CodeConverter;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.Convention;
import io.github.bsq4j.QuantizerOptions;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Codes in every convention, as numpy makes them of the same vectors. A failure names the run's
 * seed; {@code -Dbsq4j.seed=N} runs its cases again.
 */
class ConventionParityTest {
  private static final int ROWS = 100;
  private static final long SEED =
      Long.getLong("bsq4j.seed", System.currentTimeMillis() % 1_000_000);

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 8, 13, 18, 31, 32, 33, 53, 63, 64, 65, 127, 384, 1024, 4096})
  void codesEqualNumpys(int codeDim) throws Exception {
    Python python =
        Python.find().orElseGet(() -> abort("no Python with numpy: see LivePyTorchTest"));
    python.run(
        "pack_with_numpy.py",
        Long.toString(SEED),
        Integer.toString(codeDim),
        Integer.toString(ROWS),
        folder.toString());
    float[] x = new float[ROWS * codeDim];
    read("x").asFloatBuffer().get(x);
    for (String name : new String[] {"ubinary", "binary", "faiss"}) {
      byte[] expected = bytes(name);
      assertArrayEquals(expected, quantizer(codeDim, name).packBytes(x), seeded(name));
      for (String other : new String[] {"ubinary", "binary"}) {
        if (!name.equals("faiss")) { // which has other bits, where components are 0
          CodeConverter converter =
              CodeConverter.create(
                  options(codeDim, name),
                  CodeLayout.BYTES,
                  options(codeDim, other),
                  CodeLayout.BYTES);
          assertArrayEquals(
              bytes(other), converter.toBytes(expected), seeded(name + " to " + other));
        }
      }
    }
    if (codeDim <= QuantizerOptions.MAX_GROUP_SIZE) {
      for (String name : new String[] {"speechbrain", "seed-voken", "kronos"}) {
        assertArrayEquals(longs(name), quantizer(codeDim, name).encode(x), seeded(name));
      }
      CodeConverter converter =
          CodeConverter.create(
              options(codeDim, "kronos"),
              CodeLayout.INDICES,
              options(codeDim, "faiss"),
              CodeLayout.BYTES);
      assertArrayEquals(bytes("little"), converter.toBytes(longs("kronos")), seeded("kronos"));
    }
  }

  private static String seeded(String what) {
    return "seed " + SEED + ", " + what;
  }

  private static QuantizerOptions options(int codeDim, String convention) {
    return QuantizerOptions.builder(codeDim).convention(Convention.named(convention)).build();
  }

  private static BinarySphericalQuantizer quantizer(int codeDim, String convention) {
    return BinarySphericalQuantizer.create(options(codeDim, convention));
  }

  private ByteBuffer read(String name) throws IOException {
    return ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private byte[] bytes(String name) throws IOException {
    return Files.readAllBytes(folder.resolve(name));
  }

  private long[] longs(String name) throws IOException {
    long[] values = new long[ROWS];
    read(name).asLongBuffer().get(values);
    return values;
  }
}
