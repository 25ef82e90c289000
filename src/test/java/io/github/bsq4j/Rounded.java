package io.github.bsq4j;

import io.github.bsq4j.parity.Numbers;
import java.lang.foreign.Arena;

/** Numbers that a type holds. */
final class Rounded {
  private Rounded() {}

  static double[] to(DType dtype, double... numbers) {
    try (Arena arena = Arena.ofConfined()) {
      return Numbers.read(Numbers.write(numbers, dtype, arena), dtype);
    }
  }
}
