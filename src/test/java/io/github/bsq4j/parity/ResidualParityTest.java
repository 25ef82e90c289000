package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.bsq4j.Batch;
import io.github.bsq4j.HostResidualQuantization;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.ResidualQuantization;
import io.github.bsq4j.ResidualQuantizer;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Residual codes, their losses and gradients, as PyTorch makes them of the same vectors. A failure
 * names the run's seed; {@code -Dbsq4j.seed=N} runs its cases again.
 */
@OnDevice
class ResidualParityTest {
  private static final int ROWS = 80;
  private static final long SEED =
      Long.getLong("bsq4j.seed", System.currentTimeMillis() % 1_000_000);

  private static final String SEEDED = "seed " + SEED;

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({"4, 1, 4, 1", "9, 1, 9, 3", "12, 1, 4, 4", "6, 3, 6, 2", "8, 2, 2, 8"})
  void residualCodesEqualPyTorchs(int codeDim, int codebooks, int groupSize, int levels)
      throws Exception {
    Python python =
        Python.find().orElseGet(() -> abort("no Python with PyTorch: see LivePyTorchTest"));
    python.run(
        "residual_with_torch.py",
        Long.toString(SEED),
        Integer.toString(codeDim),
        Integer.toString(codebooks),
        Integer.toString(groupSize),
        Integer.toString(ROWS),
        Integer.toString(levels),
        folder.toString());
    QuantizerOptions options =
        QuantizerOptions.builder(codeDim)
            .codebooks(codebooks)
            .groupSize(groupSize)
            .inverseTemperature(5)
            .commitmentWeight(0.25)
            .build();
    ResidualQuantizer quantizer = ResidualQuantizer.create(options, levels);
    double[] x = doubles("x");
    HostResidualQuantization<double[]> result = quantizer.forward(x);
    assertArrayEquals(longs("indices"), result.indices(), SEEDED);
    assertArrayEquals(doubles("quantized"), result.quantized(), 1e-14, SEEDED);
    double[] losses = doubles("losses");
    for (int level = 0; level < levels; level++) {
      assertEquals(losses[level], result.losses().get(level).auxLoss(), 1e-10, SEEDED);
    }
    double[] gradient =
        quantizer.backward(x, Batch.of(ROWS), doubles("cotangent"), doubles("weights"));
    assertArrayEquals(doubles("gradient"), gradient, 1e-9, SEEDED);

    ResidualQuantizer operators =
        ResidualQuantizer.create(
            options.toBuilder().implementation(Implementation.OPERATORS).build(), levels);
    try (Arena arena = Arena.ofConfined()) {
      ResidualQuantization byOperators = operators.forward(arena, tensor(arena, x));
      assertArrayEquals(longs("indices"), byOperators.indices().toLongArray(), SEEDED);
      assertArrayEquals(
          doubles("gradient"),
          byOperators
              .backward(arena, tensor(arena, doubles("cotangent")), doubles("weights"))
              .toDoubleArray(),
          1e-9,
          SEEDED);
    }
  }

  private static Tensor tensor(Arena arena, double[] rows) {
    return TestDevice.put(arena, Tensor.of(arena, rows, ROWS, rows.length / ROWS));
  }

  private ByteBuffer read(String name) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(folder.resolve(name))).order(ByteOrder.LITTLE_ENDIAN);
  }

  private double[] doubles(String name) throws IOException {
    ByteBuffer bytes = read(name);
    double[] values = new double[bytes.remaining() / Double.BYTES];
    bytes.asDoubleBuffer().get(values);
    return values;
  }

  private long[] longs(String name) throws IOException {
    LongBuffer buffer = read(name).asLongBuffer();
    long[] values = new long[buffer.remaining()];
    buffer.get(values);
    return values;
  }
}
