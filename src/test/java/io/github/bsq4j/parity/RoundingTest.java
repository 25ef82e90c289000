package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every number of the 16-bit types. */
class RoundingTest {
  private static final double ALLOWED = Double.MIN_NORMAL;

  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16"})
  void theNearestIsRightAndTheNextIsNot(DType dtype) {
    Rounding rounding = Rounding.of(dtype);
    double[] all = nonNegativeFinite(dtype);
    for (int i = 0; i < all.length - 1; i++) {
      double expected = all[i] + (all[i + 1] - all[i]) * 3 / 8;
      assertEquals(0, rounding.fraction(all[i], expected, ALLOWED));
      assertTrue(rounding.fraction(all[i + 1], expected, ALLOWED) > 1);
      assertTrue(rounding.fraction(-all[i + 1], -expected, ALLOWED) > 1);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16"})
  void infinityIsRightFromHalfAStepPastTheLargest(DType dtype) {
    Rounding rounding = Rounding.of(dtype);
    double[] all = nonNegativeFinite(dtype);
    double largest = all[all.length - 1];
    double limit = largest + (largest - all[all.length - 2]) / 2;
    double infinity = Double.POSITIVE_INFINITY;
    assertEquals(0, rounding.fraction(infinity, limit, ALLOWED));
    assertEquals(0, rounding.fraction(-infinity, -limit, ALLOWED));
    assertEquals(0, rounding.fraction(largest, limit, ALLOWED));
    assertEquals(Double.MAX_VALUE, rounding.fraction(-infinity, limit, ALLOWED));
    assertEquals(Double.MAX_VALUE, rounding.fraction(infinity, Math.nextDown(limit), ALLOWED));
    assertTrue(rounding.fraction(largest, 2 * limit, ALLOWED) > 1);
    // Where anything is right, so is either infinity.
    assertEquals(0, rounding.fraction(-infinity, 1, 2 * limit));
    assertEquals(Double.MAX_VALUE, rounding.fraction(-infinity, limit, limit));
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16"})
  void numbersAreWrittenAsTheNearest(DType dtype) {
    double[] all = nonNegativeFinite(dtype);
    double[] between = new double[2 * all.length - 2];
    double[] nearest = new double[between.length];
    for (int i = 0; i < all.length - 1; i++) {
      double step = all[i + 1] - all[i];
      between[2 * i] = all[i] + step / 4;
      nearest[2 * i] = all[i];
      between[2 * i + 1] = -all[i] - step * 3 / 4;
      nearest[2 * i + 1] = -all[i + 1];
    }
    try (Arena arena = Arena.ofConfined()) {
      assertArrayEquals(nearest, Numbers.read(Numbers.write(between, dtype, arena), dtype));
      double[] special = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, -0.0};
      assertArrayEquals(special, Numbers.read(Numbers.write(special, dtype, arena), dtype));
    }
  }

  private static double[] nonNegativeFinite(DType dtype) {
    try (Arena arena = Arena.ofConfined()) {
      short infinity =
          Numbers.write(new double[] {Double.POSITIVE_INFINITY}, dtype, arena)
              .get(ValueLayout.JAVA_SHORT, 0);
      short[] bits = new short[infinity];
      for (short i = 0; i < infinity; i++) {
        bits[i] = i;
      }
      return Numbers.read(MemorySegment.ofArray(bits), dtype);
    }
  }
}
