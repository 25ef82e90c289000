package io.github.bsq4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Any part of a file is what {@link NpyFile} has there. */
class NpyReaderTest {
  private static final String C_ORDER =
      "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3), }\n";

  @TempDir private Path folder;

  private Path write(String descr, String header) throws Exception {
    String text = header.formatted(descr);
    ByteBuffer bytes = ByteBuffer.allocate(10 + text.length() + 6 * Long.BYTES);
    bytes.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) text.length(), 0});
    bytes.put(text.getBytes(StandardCharsets.ISO_8859_1));
    bytes.order(descr.startsWith(">") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 6; i++) {
      bytes.putLong(10 + i);
    }
    return Files.write(folder.resolve("a.npy"), bytes.array());
  }

  @ParameterizedTest
  @ValueSource(strings = {"<i8", ">i8"})
  void anyPartInAnyOrder(String descr) throws Exception {
    for (String header : new String[] {C_ORDER, C_ORDER.replace("False", "True")}) {
      Path file = write(descr, header);
      try (Arena arena = Arena.ofConfined();
          NpyReader reader = NpyReader.open(file, arena)) {
        assertEquals(NpyType.INT64, reader.type());
        assertArrayEquals(new long[] {2, 3}, reader.shape());
        MemorySegment all = NpyFile.read(file, arena).data();
        for (int first = 0; first <= 6; first++) {
          for (int count = 0; count <= 6 - first; count++) {
            MemorySegment part = arena.allocate(count * (long) Long.BYTES, 8);
            reader.read(first, part);
            assertArrayEquals(
                all.asSlice(first * (long) Long.BYTES, part.byteSize())
                    .toArray(ValueLayout.JAVA_LONG),
                part.toArray(ValueLayout.JAVA_LONG));
          }
        }
      }
    }
  }

  /** Mapped where the file has what memory shall have, read otherwise: the same elements. */
  @ParameterizedTest
  @ValueSource(strings = {"<i8", ">i8"})
  void mappedFiles(String descr) throws Exception {
    for (String header : new String[] {C_ORDER, C_ORDER.replace("False", "True")}) {
      Path file = write(descr, header);
      try (Arena arena = Arena.ofConfined()) {
        NpyFile mapped = NpyFile.map(file, arena);
        assertEquals(descr.startsWith("<") && header.equals(C_ORDER), mapped.data().isMapped());
        assertArrayEquals(new long[] {2, 3}, mapped.shape());
        assertEquals(-1, NpyFile.read(file, arena).data().mismatch(mapped.data()));
      }
      try (RandomAccessFile other = new RandomAccessFile(file.toFile(), "rw");
          Arena arena = Arena.ofConfined()) {
        other.setLength(other.length() - 8);
        assertTrue(
            assertThrows(MalformedFileException.class, () -> NpyFile.map(file, arena))
                .getMessage()
                .contains("truncated: found 40 bytes after the header, 8 fewer than the 48 of"));
      }
    }
  }

  /** Of more elements than any machine has memory for: only what is looked at is read. */
  @Test
  void aMappedFileThatIsLargerThanMemory() throws Exception {
    Path file = write("<i8", C_ORDER.replace("(2, 3)", "(%d,)".formatted(1L << 40)));
    long bytes = 8L << 40;
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      long header = sparse.length() - 48;
      try {
        sparse.setLength(header + bytes);
      } catch (IOException e) {
        abort("this file system has no files of 8 TiB: " + e.getMessage());
      }
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = NpyFile.map(file, arena).data();
      assertEquals(bytes, data.byteSize());
      assertEquals(15, data.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, 5));
      assertEquals(0, data.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, (1L << 40) - 1));
    }
  }

  @Test
  void smallerIntegersAreWidened() throws Exception {
    for (String descr : new String[] {"|u1", "|i1", "<i2", ">u2", "<i4", ">i4", "<u4", "<i8"}) {
      Path file = write(descr, C_ORDER.replace("(2, 3)", "(%d,)".formatted(48 / size(descr))));
      try (Arena arena = Arena.ofConfined();
          NpyReader reader = NpyReader.open(file, arena)) {
        long[] all = NpyFile.read(file, arena).toInt64(arena).toArray(ValueLayout.JAVA_LONG);
        MemorySegment part = arena.allocate(4 * 8, 8);
        reader.readInt64(2, part);
        assertArrayEquals(Arrays.copyOfRange(all, 2, 6), part.toArray(ValueLayout.JAVA_LONG));
      }
    }
    Path file = write("<f8", C_ORDER);
    try (Arena arena = Arena.ofConfined();
        NpyReader reader = NpyReader.open(file, arena)) {
      assertTrue(
          assertThrows(
                  MalformedFileException.class, () -> reader.readInt64(0, arena.allocate(8, 8)))
              .getMessage()
              .contains("found elements of type float64; expected integers"));
    }
  }

  private static int size(String descr) {
    return descr.charAt(2) - '0';
  }

  @Test
  void aFileThatIsTruncatedMeanwhile() throws Exception {
    Path file = write("<i8", C_ORDER);
    try (Arena arena = Arena.ofConfined();
        NpyReader reader = NpyReader.open(file, arena)) {
      try (RandomAccessFile other = new RandomAccessFile(file.toFile(), "rw")) {
        other.setLength(other.length() - 8);
      }
      reader.read(4, arena.allocate(8, 8));
      MalformedFileException failure =
          assertThrows(MalformedFileException.class, () -> reader.read(5, arena.allocate(8, 8)));
      assertTrue(failure.getMessage().contains("another process has truncated it"));
      assertThrows(MalformedFileException.class, () -> NpyReader.open(file, arena));
    }
  }
}
