package io.github.bsq4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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
