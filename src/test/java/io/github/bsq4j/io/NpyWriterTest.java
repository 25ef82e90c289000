package io.github.bsq4j.io;

import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyWriterTest {
  @TempDir Path folder;

  @Test
  void writesFloat32AsNumpyDoes() throws IOException {
    float[] values = {0, 1.5f, -2, Float.POSITIVE_INFINITY, Float.MIN_VALUE, 3};
    assertWrites(NumpyFiles.FLOAT32_2X3, NpyType.FLOAT32, MemorySegment.ofArray(values), 2, 3);
  }

  @Test
  void writesFloat64AsNumpyDoes() throws IOException {
    double[] values = {1, -0.0, Math.PI};
    assertWrites(NumpyFiles.FLOAT64_3, NpyType.FLOAT64, MemorySegment.ofArray(values), 3);
  }

  @Test
  void writesInt64AsNumpyDoes() throws IOException {
    long[] values = {1, -1, Long.MAX_VALUE, Long.MIN_VALUE};
    assertWrites(NumpyFiles.INT64_2X1X2, NpyType.INT64, MemorySegment.ofArray(values), 2, 1, 2);
  }

  @Test
  void writesUint8AsNumpyDoes() throws IOException {
    byte[] values = {0, 127, -1};
    assertWrites(NumpyFiles.UINT8_3, NpyType.UINT8, MemorySegment.ofArray(values), 3);
  }

  @Test
  void writesBoolAsNumpyDoes() throws IOException {
    byte[] values = {1, 0, 1, 0, 0, 1};
    assertWrites(NumpyFiles.BOOL_2X3, NpyType.BOOL, MemorySegment.ofArray(values), 2, 3);
  }

  @Test
  void writesScalarAsNumpyDoes() throws IOException {
    float[] value = {2.5f};
    assertWrites(NumpyFiles.FLOAT32_SCALAR, NpyType.FLOAT32, MemorySegment.ofArray(value));
  }

  @Test
  void writesEmptyArrayAsNumpyDoes() throws IOException {
    assertWrites(
        NumpyFiles.FLOAT32_EMPTY, NpyType.FLOAT32, MemorySegment.ofArray(new float[0]), 0, 13);
  }

  @Test
  void writesNativeMemory() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment values = arena.allocateFrom(ValueLayout.JAVA_DOUBLE, 1, -0.0, Math.PI);
      assertWrites(NumpyFiles.FLOAT64_3, NpyType.FLOAT64, values, 3);
    }
  }

  @Test
  void rewritesTheExampleByteForByte() throws IOException {
    Path example = Path.of("examples/librivox_mfcc13.npy");
    Path copy = folder.resolve("copy.npy");
    try (Arena arena = Arena.ofConfined()) {
      NpyFile file = NpyFile.read(example, arena);
      NpyWriter.write(copy, file.type(), file.shape(), file.data());
    }
    assertEquals(-1, Files.mismatch(example, copy));
  }

  @Test
  void headersEndAtAMultipleOf64() throws IOException {
    // Ever longer shapes: among them one whose header needs no padding, to which NumPy adds 64.
    Path file = folder.resolve("x.npy");
    boolean wholeBlock = false;
    for (int rank = 0; rank <= 64; rank++) {
      long[] shape = new long[rank];
      Arrays.fill(shape, 1);
      NpyWriter.write(file, NpyType.INT8, shape, MemorySegment.ofArray(new byte[1]));
      String bytes = Files.readString(file, StandardCharsets.ISO_8859_1);
      assertEquals(1, bytes.length() % 64);
      int padding = bytes.length() - 3 - bytes.indexOf('}');
      wholeBlock |= padding - (rank > 0 ? 20 : 0) == 64;
      assertTrue(bytes.startsWith("\n", bytes.length() - 2));
    }
    assertTrue(wholeBlock);
  }

  @ParameterizedTest
  @EnumSource
  void readsBackEveryType(NpyType type) throws IOException {
    byte[] bytes = new byte[6 * type.itemSize()];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (37 * i);
    }
    Path file = folder.resolve("x.npy");
    NpyWriter.write(file, type, new long[] {3, 2}, MemorySegment.ofArray(bytes));
    try (Arena arena = Arena.ofConfined()) {
      NpyFile read = NpyFile.read(file, arena);
      assertEquals(type, read.type());
      assertArrayEquals(new long[] {3, 2}, read.shape());
      assertArrayEquals(bytes, read.data().toArray(ValueLayout.JAVA_BYTE));
    }
  }

  @Test
  void writesMoreThanOneBufferFull() throws IOException {
    int[] values = new int[1_000_001];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    Path file = folder.resolve("x.npy");
    NpyWriter.write(file, NpyType.INT32, new long[] {values.length}, MemorySegment.ofArray(values));
    try (Arena arena = Arena.ofConfined()) {
      assertArrayEquals(values, NpyFile.read(file, arena).data().toArray(ValueLayout.JAVA_INT));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 3, 5, -1, -2, Long.MAX_VALUE})
  void refusesAShapeThatDoesNotSuitTheData(long rows) {
    Path file = folder.resolve("x.npy");
    assertThrows(
        IllegalArgumentException.class,
        () ->
            NpyWriter.write(
                file, NpyType.FLOAT32, new long[] {rows, 2}, MemorySegment.ofArray(new float[4])));
    assertFalse(Files.exists(file));
  }

  @Test
  void refusesTooManyDimensions() {
    long[] shape = new long[65];
    Arrays.fill(shape, 1);
    assertThrows(
        IllegalArgumentException.class,
        () ->
            NpyWriter.write(
                folder.resolve("x.npy"), NpyType.INT8, shape, MemorySegment.ofArray(new byte[1])));
  }

  @Test
  void namesTheFileThatCannotBeWritten() {
    IOException failure =
        assertThrows(
            IOException.class,
            () ->
                NpyWriter.write(
                    folder, NpyType.INT8, new long[] {1}, MemorySegment.ofArray(new byte[1])));
    assertMessage(failure, folder.toString(), "cannot be written", "folder");
  }

  private void assertWrites(byte[] expected, NpyType type, MemorySegment data, long... shape)
      throws IOException {
    Path file = folder.resolve("x.npy");
    NpyWriter.write(file, type, shape, data);
    assertArrayEquals(expected, Files.readAllBytes(file));
  }
}
