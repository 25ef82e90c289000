package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** More than 2^31 elements. Takes 10 GB of memory, so it runs only where that is asked for. */
@EnabledIfSystemProperty(named = "bsq4j.slow", matches = "true")
class HugeTensorTest {
  private static final int DIM = 63;
  private static final long ROWS = (1L << 31) / DIM + 2;

  @ParameterizedTest
  @EnumSource
  void theLastRowIsReached(Implementation implementation) {
    BinarySphericalQuantizer quantizer =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(DIM).implementation(implementation).build());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(ValueLayout.JAVA_FLOAT, ROWS * DIM);
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, ROWS * DIM - 1, 1);
      Tensor x = Tensor.borrow(arena, memory, DType.FLOAT32, Device.CPU, ROWS, DIM);
      MemorySegment indices = quantizer.encode(arena, x).asSegment();
      assertEquals(ROWS * Long.BYTES, indices.byteSize());
      assertEquals(0, indices.getAtIndex(ValueLayout.JAVA_LONG, ROWS - 2));
      assertEquals(1, indices.getAtIndex(ValueLayout.JAVA_LONG, ROWS - 1));
    }
  }
}
