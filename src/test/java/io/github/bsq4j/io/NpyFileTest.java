package io.github.bsq4j.io;

import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyFileTest {
  @TempDir Path folder;

  private Arena arena;

  @BeforeEach
  void openArena() {
    arena = Arena.ofConfined();
  }

  @AfterEach
  void closeArena() {
    arena.close();
  }

  @Test
  void readsFloat32() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT32_2X3);
    assertEquals(NpyType.FLOAT32, file.type());
    assertArrayEquals(new long[] {2, 3}, file.shape());
    assertEquals(6, file.elementCount());
    assertArrayEquals(
        new float[] {0, 1.5f, -2, Float.POSITIVE_INFINITY, Float.MIN_VALUE, 3},
        floats(file.data()));
  }

  @Test
  void readsFloat64() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT64_3);
    assertEquals(NpyType.FLOAT64, file.type());
    assertArrayEquals(new long[] {3}, file.shape());
    assertArrayEquals(new double[] {1, -0.0, Math.PI}, doubles(file.data()));
  }

  @Test
  void readsInt64() throws IOException {
    NpyFile file = read(NumpyFiles.INT64_2X1X2);
    assertEquals(NpyType.INT64, file.type());
    assertArrayEquals(new long[] {2, 1, 2}, file.shape());
    assertArrayEquals(new long[] {1, -1, Long.MAX_VALUE, Long.MIN_VALUE}, longs(file.data()));
  }

  @Test
  void readsScalar() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT32_SCALAR);
    assertArrayEquals(new long[0], file.shape());
    assertEquals(1, file.elementCount());
    assertArrayEquals(new float[] {2.5f}, floats(file.data()));
  }

  @Test
  void readsEmptyArray() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT32_EMPTY);
    assertArrayEquals(new long[] {0, 13}, file.shape());
    assertEquals(0, file.elementCount());
    assertEquals(0, file.data().byteSize());
  }

  @Test
  void turnsFortranOrderIntoRows() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT64_FORTRAN_2X3);
    assertArrayEquals(new long[] {2, 3}, file.shape());
    assertArrayEquals(new double[] {0, 1, 2, 3, 4, 5}, doubles(file.data()));
  }

  @Test
  void turnsFortranOrderAndBigEndianTogether() throws IOException {
    NpyFile file = read(NumpyFiles.INT16_FORTRAN_2X3X4_BIG_ENDIAN);
    assertEquals(NpyType.INT16, file.type());
    assertArrayEquals(new long[] {2, 3, 4}, file.shape());
    long[] expected = IntStream.range(0, 24).asLongStream().toArray();
    assertArrayEquals(expected, longs(file.toInt64(arena)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"(4,)", "(1, 4)", "(4, 1)", "()", "(0, 3)", "(3, 0, 2)"})
  void fortranOrderMayBeDeclaredForAnyShape(String shape) throws IOException {
    String header = "{'descr': '|u1', 'fortran_order': True, 'shape': " + shape + "}";
    byte[] data =
        switch (shape) {
          case "()" -> new byte[] {9};
          case "(0, 3)", "(3, 0, 2)" -> new byte[0];
          default -> new byte[] {9, 8, 7, 6};
        };
    NpyFile file = read(FileBytes.npy(header, data));
    assertArrayEquals(data, file.data().toArray(ValueLayout.JAVA_BYTE));
  }

  @ParameterizedTest
  @EnumSource
  void turnsFortranOrderOfEveryType(NpyType type) throws IOException {
    // Each element's bytes count up from a multiple of 16, so that a torn element shows.
    byte[] fortran = new byte[6 * type.itemSize()];
    byte[] rows = new byte[6 * type.itemSize()];
    for (int row = 0; row < 2; row++) {
      for (int column = 0; column < 3; column++) {
        for (int b = 0; b < type.itemSize(); b++) {
          byte value = (byte) (16 * (row * 3 + column) + b);
          fortran[(column * 2 + row) * type.itemSize() + b] = value;
          rows[(row * 3 + column) * type.itemSize() + b] = value;
        }
      }
    }
    String header = "{'descr': '" + type.descr() + "', 'fortran_order': True, 'shape': (2, 3), }";
    NpyFile file = read(FileBytes.npy(header, fortran));
    assertEquals(type, file.type());
    assertArrayEquals(rows, file.data().toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void readsBigEndian() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT32_BIG_ENDIAN_3);
    assertArrayEquals(new float[] {1, 2, -3.5f}, floats(file.data()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"<f4", "=f4", ">f4"})
  void readsEveryByteOrderMark(String descr) throws IOException {
    byte[] one = {0, 0, (byte) 0x80, 0x3f};
    byte[] data = descr.equals(">f4") ? new byte[] {0x3f, (byte) 0x80, 0, 0} : one;
    NpyFile file =
        read(
            FileBytes.npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': ()}", data));
    assertArrayEquals(new float[] {1}, floats(file.data()));
  }

  @Test
  void readsVersion2() throws IOException {
    NpyFile file = read(NumpyFiles.INT32_VERSION_2);
    assertEquals(2, NumpyFiles.INT32_VERSION_2[6]);
    assertArrayEquals(new long[] {7, -8}, longs(file.toInt64(arena)));
  }

  @Test
  void readsVersion3() throws IOException {
    NpyFile file = read(NumpyFiles.INT32_VERSION_3);
    assertEquals(3, NumpyFiles.INT32_VERSION_3[6]);
    assertArrayEquals(new long[] {7, -8}, longs(file.toInt64(arena)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // Python 2, without the final newline, and padded with newlines.
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3,),}\n\n\n",
        "\n { \"shape\" :\t( 2 ,3 ) , 'fortran_order':False,\n 'descr':\"<u1\"}  ",
        "{'descr':'=u1','fortran_order':False,'shape':(2,3)}\n",
        "{'descr':'>u1','fortran_order':False,'shape':(2,3)}\r\n",
      })
  void readsEverySpellingOfAHeader(String header) throws IOException {
    NpyFile file = read(FileBytes.npy(header, new byte[] {1, 2, 3, 4, 5, 6}));
    assertEquals(NpyType.UINT8, file.type());
    assertArrayEquals(new long[] {2, 3}, file.shape());
    assertArrayEquals(new byte[] {1, 2, 3, 4, 5, 6}, file.data().toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void readsBool() throws IOException {
    NpyFile file = read(NumpyFiles.BOOL_2X3);
    assertEquals(NpyType.BOOL, file.type());
    assertEquals("bool", file.type().toString());
    assertArrayEquals(new long[] {2, 3}, file.shape());
    assertArrayEquals(new byte[] {1, 0, 1, 0, 0, 1}, file.data().toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void readsRank64() throws IOException {
    String ones = "1, ".repeat(64);
    NpyFile file =
        read(
            FileBytes.npy(
                "{'descr': '|i1', 'fortran_order': True, 'shape': (" + ones + ")}", (byte) 5));
    assertEquals(64, file.shape().length);
  }

  @Test
  void readsTheExample() throws IOException {
    Path example = Path.of("examples/librivox_mfcc13.npy");
    NpyFile file = NpyFile.read(example, arena);
    assertEquals(NpyType.FLOAT32, file.type());
    assertArrayEquals(new long[] {2463, 13}, file.shape());
    byte[] bytes = Files.readAllBytes(example);
    assertEquals(
        -1,
        file.data().mismatch(MemorySegment.ofArray(bytes).asSlice(bytes.length - 2463L * 13 * 4)));
  }

  @Test
  void alignsTheElements() throws IOException {
    arena.allocate(1);
    for (byte[] bytes : new byte[][] {NumpyFiles.UINT8_3, NumpyFiles.FLOAT64_FORTRAN_2X3}) {
      assertEquals(0, read(bytes).data().address() % 64);
    }
  }

  @Test
  void theElementsLiveAsLongAsTheArena() throws IOException {
    MemorySegment data;
    try (Arena shortLived = Arena.ofConfined()) {
      data = NpyFile.read(write("x.npy", NumpyFiles.FLOAT64_3), shortLived).data();
      assertEquals(1.0, data.get(ValueLayout.JAVA_DOUBLE, 0));
    }
    assertThrows(IllegalStateException.class, () -> data.get(ValueLayout.JAVA_DOUBLE, 0));
  }

  @Test
  void shapeIsACopy() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT32_2X3);
    file.shape()[0] = 99;
    assertArrayEquals(new long[] {2, 3}, file.shape());
  }

  @Test
  void widensFloat16() throws IOException {
    NpyFile file = read(NumpyFiles.FLOAT16_5);
    MemorySegment floats = file.toFloat32(arena);
    assertArrayEquals(
        new float[] {1, -2, 65504, 0x1p-24f, Float.POSITIVE_INFINITY}, floats(floats));
    assertEquals(0, floats.address() % 64);
  }

  @Test
  void doesNotCopyWhatNeedsNoWidening() throws IOException {
    NpyFile floats = read(NumpyFiles.FLOAT32_2X3);
    assertSame(floats.data(), floats.toFloat32(arena));
    NpyFile longs = read(NumpyFiles.INT64_2X1X2);
    assertSame(longs.data(), longs.toInt64(arena));
  }

  @Test
  void refusesToNarrow() throws IOException {
    NpyFile doubles = read(NumpyFiles.FLOAT64_3);
    IOException failure =
        assertThrows(MalformedFileException.class, () -> doubles.toFloat32(arena));
    assertMessage(failure, folder + "/x.npy", "float64", "expected float16 or float32");
    failure = assertThrows(MalformedFileException.class, () -> doubles.toInt64(arena));
    assertMessage(failure, folder + "/x.npy", "float64", "expected integers");
    NpyFile bytes = read(NumpyFiles.UINT8_3);
    failure = assertThrows(MalformedFileException.class, () -> bytes.toFloat32(arena));
    assertMessage(failure, folder + "/x.npy", "uint8", "expected float16 or float32");
    NpyFile bits = read(NumpyFiles.BOOL_2X3);
    failure = assertThrows(MalformedFileException.class, () -> bits.toFloat32(arena));
    assertMessage(failure, folder + "/x.npy", "bool", "expected float16 or float32");
    failure = assertThrows(MalformedFileException.class, () -> bits.toInt64(arena));
    assertMessage(failure, folder + "/x.npy", "bool", "expected integers");
  }

  @ParameterizedTest
  @EnumSource(names = {"INT8", "INT16", "INT32", "UINT8", "UINT16", "UINT32", "UINT64"})
  void widensIntegers(NpyType type) throws IOException {
    int bits = 8 * type.itemSize();
    boolean signed = type.name().startsWith("INT");
    // The smallest, -1 or its unsigned reading, and 1; in bytes, little-endian.
    byte[] data = new byte[3 * type.itemSize()];
    data[type.itemSize() - 1] = (byte) (signed ? 0x80 : 0);
    for (int i = type.itemSize(); i < 2 * type.itemSize(); i++) {
      data[i] = (byte) 0xff;
    }
    data[2 * type.itemSize()] = 1;
    if (type == NpyType.UINT64) {
      data[2 * type.itemSize() - 1] = 0x7f;
    }
    String code = (signed ? "<i" : "<u") + type.itemSize();
    NpyFile file =
        read(
            FileBytes.npy(
                "{'descr': '" + code + "', 'fortran_order': False, 'shape': (3,)}", data));
    assertEquals(type, file.type());
    long smallest = signed ? -(1L << (bits - 1)) : 0;
    long second = signed ? -1 : bits == 64 ? Long.MAX_VALUE : (1L << bits) - 1;
    assertArrayEquals(new long[] {smallest, second, 1}, longs(file.toInt64(arena)));
  }

  @Test
  void refusesUnsignedLongsAboveInt64() throws IOException {
    NpyFile file = read(NumpyFiles.UINT64_2X2);
    IOException failure = assertThrows(MalformedFileException.class, () -> file.toInt64(arena));
    assertMessage(
        failure, folder + "/x.npy", "9223372036854775813", "[1, 1]", "9223372036854775807");
  }

  @Test
  void saysThatAFileIsMissing() {
    assertRefusal(folder.resolve("none.npy"), "no such file");
    assertRefusal(folder.resolve("none/none.npy"), "no such file");
  }

  @Test
  void saysThatAFolderIsNoFile() {
    assertRefusal(folder, "folder", "expected a file");
  }

  @Test
  void saysThatAFileIsEmpty() throws IOException {
    assertRefusal(write("x.npy", new byte[0]), "is empty");
  }

  @Test
  void saysThatADeviceIsNoFile() {
    assertRefusal(Path.of("/dev/zero"), "device", "expected a regular file");
  }

  @Test
  void saysThatAFileIsUnreadable() throws IOException {
    Path file = write("x.npy", NumpyFiles.FLOAT64_3);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("-wx------"));
    assumeFalse(Files.isReadable(file), "the superuser may read every file");
    assertRefusal(file, "cannot be read", "permission denied");
  }

  @Test
  void saysThatAThreadIsInterrupted() throws IOException {
    Path file = write("x.npy", NumpyFiles.FLOAT64_3);
    Thread.currentThread().interrupt();
    try {
      assertRefusal(file, "cannot be read", "interrupted");
    } finally {
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void aFileNameCannotSpoilTheMessage() throws IOException {
    Path file = folder.resolve("a\nb\u001b[31mc.npy");
    Files.write(file, new byte[] {1});
    IOException failure =
        assertThrows(MalformedFileException.class, () -> NpyFile.read(file, arena));
    assertMessage(failure, folder + "/a\\x0ab\\x1b[31mc.npy", "not a .npy file");
  }

  @Test
  void needsNoMemoryForAFileThatIsShorterThanItsHeaderSays() throws IOException {
    Path file =
        write(
            "x.npy",
            FileBytes.npy(
                "{'descr': '<f8', 'fortran_order': True, 'shape': (1000000, 1000000000)}",
                new byte[16]));
    assertRefusal(file, "truncated: found 16 bytes", "7999999999999984 fewer");
  }

  @Test
  void saysThatMemoryIsShort() throws IOException {
    // A sparse file: it takes no space on the disk, but one tebibyte in memory.
    long size = 1L << 40;
    Path file = sparse(size, new byte[0], 0);
    assertRefusal(file, "needs 1099511627776 bytes of memory", "split the file");
  }

  @Test
  void readsInSeveralPieces() throws IOException {
    assertReadsSparse((16L << 20) + 100, (16L << 20) - 200);
  }

  @Test
  @EnabledIfSystemProperty(named = "bsq4j.slow", matches = "true", disabledReason = "takes 5 GiB")
  void readsFilesAbove2GiB() throws IOException {
    assertReadsSparse((1L << 31) + 100, (1L << 31) - 5);
  }

  private void assertReadsSparse(long size, long markAt) throws IOException {
    byte[] mark = "across the border".repeat(17).getBytes(StandardCharsets.US_ASCII);
    mark = Arrays.copyOf(mark, (int) Math.min(mark.length, size - markAt - 1));
    NpyFile array = NpyFile.read(sparse(size, mark, markAt), arena);
    assertArrayEquals(new long[] {size}, array.shape());
    MemorySegment expected = arena.allocate(size);
    MemorySegment.copy(MemorySegment.ofArray(mark), 0, expected, markAt, mark.length);
    assertEquals(-1, array.data().mismatch(expected));
  }

  /** An int8 vector of zeros but for one mark. */
  private Path sparse(long size, byte[] mark, long markAt) throws IOException {
    String header = "{'descr': '|i1', 'fortran_order': False, 'shape': (" + size + ",)}";
    byte[] start = FileBytes.npy(header);
    Path file = write("sparse.npy", start);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[1]), start.length + size - 1);
      channel.write(ByteBuffer.wrap(mark), start.length + markAt);
    } catch (IOException e) {
      assumeTrue(false, "this file system has no such large sparse files: " + e);
    }
    return file;
  }

  private void assertRefusal(Path file, String... words) {
    IOException failure = assertThrows(FileSystemException.class, () -> NpyFile.read(file, arena));
    assertMessage(failure, file.toString(), words);
  }

  private NpyFile read(byte[] bytes) throws IOException {
    return NpyFile.read(write("x.npy", bytes), arena);
  }

  private Path write(String name, byte[] bytes) throws IOException {
    return Files.write(folder.resolve(name), bytes);
  }

  private static float[] floats(MemorySegment memory) {
    return memory.toArray(ValueLayout.JAVA_FLOAT);
  }

  private static double[] doubles(MemorySegment memory) {
    return memory.toArray(ValueLayout.JAVA_DOUBLE);
  }

  private static long[] longs(MemorySegment memory) {
    return memory.toArray(ValueLayout.JAVA_LONG);
  }
}
