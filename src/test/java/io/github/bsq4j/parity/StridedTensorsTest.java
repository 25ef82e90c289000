package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.github.bsq4j.DType;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.device.OnDevice;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Indices, codes and bits that are not contiguous. For forward and backward passes see {@link
 * GoldenTest} and {@link LivePyTorchTest}.
 */
@OnDevice
@ParameterizedClass
@MethodSource("io.github.bsq4j.parity.Paths#strided")
class StridedTensorsTest {
  private static final int DIM = 7;

  @Parameter private QuantizerPath path;

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16"})
  void indicesSurviveARoundTrip(DType dtype) {
    long[] indices = new Random(1).longs(24, 0, 1 << DIM).toArray();
    PathQuantizer quantizer = path.quantizer(QuantizerOptions.of(DIM), dtype, 2, 3, 4, DIM);
    double[] codes = quantizer.decode(indices);
    assertArrayEquals(indices, quantizer.codesToIndices(codes));
    double[] bits = Arrays.stream(codes).map(code -> code > 0 ? 1 : 0).toArray();
    assertArrayEquals(
        Arrays.stream(codes).map(Math::signum).toArray(), quantizer.bitsToCodes(bits));
  }
}
