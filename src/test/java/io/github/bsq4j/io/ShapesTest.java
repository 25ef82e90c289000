package io.github.bsq4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class ShapesTest {
  @Test
  void multipliesDimensions() {
    assertEquals(4, Shapes.byteSize(new long[] {}, 4));
    assertEquals(120, Shapes.byteSize(new long[] {3, 5}, 8));
    assertEquals(0, Shapes.byteSize(new long[] {3, 0, 5}, 8));
    assertEquals(Long.MAX_VALUE, Shapes.byteSize(new long[] {Long.MAX_VALUE}, 1));
  }

  @Test
  void noticesOverflow() {
    assertThrows(ArithmeticException.class, () -> Shapes.byteSize(new long[] {Long.MAX_VALUE}, 2));
    assertThrows(
        ArithmeticException.class, () -> Shapes.byteSize(new long[] {1L << 32, 0, 1L << 32}, 1));
  }

  @Test
  void printsTuplesAsPythonDoes() {
    assertEquals("()", Shapes.toTuple(new long[] {}));
    assertEquals("(3,)", Shapes.toTuple(new long[] {3}));
    assertEquals("(2, 3, 4)", Shapes.toTuple(new long[] {2, 3, 4}));
  }

  @Test
  void findsTheIndexOfAnElement() {
    long[] shape = {3, 4, 5};
    long position = 0;
    for (int i = 0; i < 3; i++) {
      for (int j = 0; j < 4; j++) {
        for (int k = 0; k < 5; k++) {
          assertArrayEquals(new long[] {i, j, k}, Shapes.indexAt(position, shape));
          position++;
        }
      }
    }
    assertArrayEquals(new long[0], Shapes.indexAt(0, new long[0]));
  }
}
