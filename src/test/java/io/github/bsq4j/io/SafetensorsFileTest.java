package io.github.bsq4j.io;

import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SafetensorsFileTest {
  /** Written by safetensors 0.8.0 for Python, {@code safetensors.numpy.save}. */
  private static final byte[] WRITTEN_BY_SAFETENSORS =
      FileBytes.base64(
          """
          SAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJub3RlIjoiZ3LDtsOfZSBcInFcIlxuIn0sImkiOnsi
          ZHR5cGUiOiJJNjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlswLDE2XX0sImQiOnsiZHR5
          cGUiOiJGNjQiLCJzaGFwZSI6W10sImRhdGFfb2Zmc2V0cyI6WzE2LDI0XX0sIm5vbmUiOnsiZHR5
          cGUiOiJGMzIiLCJzaGFwZSI6WzAsNF0sImRhdGFfb2Zmc2V0cyI6WzI0LDI0XX0sInciOnsiZHR5
          cGUiOiJGMzIiLCJzaGFwZSI6WzIsMl0sImRhdGFfb2Zmc2V0cyI6WzI0LDQwXX0sIm9kZCI6eyJk
          dHlwZSI6IlU4Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbNDAsNDNdfX0gICAgAwAAAAAA
          AAD8/////////wAAAAAAAARAAAAAAAAAwD8AAADAAACAfwECAw==
          """);

  @TempDir Path folder;

  private Path path;
  private SafetensorsFile file;

  @BeforeEach
  void read() throws IOException {
    path = Files.write(folder.resolve("x.safetensors"), WRITTEN_BY_SAFETENSORS);
    file = SafetensorsFile.read(path);
  }

  @Test
  void listsTensorsInTheOrderOfTheHeader() {
    assertEquals(List.of("i", "d", "none", "w", "odd"), List.copyOf(file.names()));
    assertThrows(UnsupportedOperationException.class, () -> file.names().remove("i"));
  }

  @Test
  void readsMetadata() {
    assertEquals(Map.of("note", "größe \"q\"\n"), file.metadata());
    assertThrows(UnsupportedOperationException.class, () -> file.metadata().clear());
  }

  @Test
  void readsTensors() throws IOException {
    assertEquals(SafetensorsType.F32, file.type("w"));
    assertArrayEquals(new long[] {2, 2}, file.shape("w"));
    assertArrayEquals(new float[] {0, 1.5f, -2, Float.POSITIVE_INFINITY}, file.floats("w"));

    assertEquals(SafetensorsType.I64, file.type("i"));
    assertArrayEquals(new long[] {2}, file.shape("i"));
    assertArrayEquals(new long[] {3, -4}, file.longs("i"));

    assertEquals(SafetensorsType.F64, file.type("d"));
    assertArrayEquals(new long[0], file.shape("d"));
    assertArrayEquals(new double[] {2.5}, file.doubles("d"));

    assertArrayEquals(new long[] {0, 4}, file.shape("none"));
    assertArrayEquals(new float[0], file.floats("none"));

    assertEquals(SafetensorsType.U8, file.type("odd"));
    assertArrayEquals(new byte[] {1, 2, 3}, file.data("odd").toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void shapeIsACopy() throws IOException {
    file.shape("w")[0] = 99;
    assertArrayEquals(new long[] {2, 2}, file.shape("w"));
  }

  @Test
  void dataIsReadOnly() throws IOException {
    MemorySegment data = file.data("w");
    assertThrows(IllegalArgumentException.class, () -> data.set(ValueLayout.JAVA_FLOAT, 0, 1));
  }

  @Test
  void alignsTensorsThatTheFileDoesNot() throws IOException {
    // One byte before the float64, and a header of odd length: both are legal.
    SafetensorsFile unaligned =
        SafetensorsFile.read(
            Files.write(
                folder.resolve("unaligned.safetensors"),
                FileBytes.safetensors(
                    "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                        + "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[1,9]}} ",
                    FileBytes.concat(
                        new byte[] {7},
                        FileBytes.littleEndian(Double.doubleToLongBits(Math.PI))))));
    assertEquals(Math.PI, unaligned.data("b").get(ValueLayout.JAVA_DOUBLE, 0));
    assertEquals(0, unaligned.data("b").address() % 8);
    assertEquals(7, unaligned.data("a").get(ValueLayout.JAVA_BYTE, 0));
  }

  @Test
  void tensorsMayLieInAnyOrder() throws IOException {
    SafetensorsFile shuffled =
        SafetensorsFile.read(
            Files.write(
                folder.resolve("shuffled.safetensors"),
                FileBytes.safetensors(
                    "{\"late\":{\"data_offsets\":[2,3],\"shape\":[1,1],\"dtype\":\"I8\"},"
                        + "\"empty\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[2,2]},"
                        + "\"\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                    new byte[] {1, 2, 3})));
    assertArrayEquals(new byte[] {3}, shuffled.data("late").toArray(ValueLayout.JAVA_BYTE));
    assertArrayEquals(new byte[] {1, 2}, shuffled.data("").toArray(ValueLayout.JAVA_BYTE));
    assertEquals(0, shuffled.data("empty").byteSize());
  }

  @Test
  void readsAFileWithoutTensors() throws IOException {
    for (String header : List.of("{}", "{}      ", "{ \"__metadata__\" : { } }")) {
      SafetensorsFile empty =
          SafetensorsFile.read(
              Files.write(folder.resolve("empty.safetensors"), FileBytes.safetensors(header)));
      assertEquals(0, empty.names().size());
      assertEquals(Map.of(), empty.metadata());
    }
  }

  @ParameterizedTest
  @EnumSource
  void readsEveryType(SafetensorsType type) throws IOException {
    byte[] data = new byte[3 * type.itemSize()];
    for (int i = 0; i < data.length; i++) {
      data[i] = (byte) (i + 1);
    }
    SafetensorsFile one =
        SafetensorsFile.read(
            Files.write(
                folder.resolve("one.safetensors"),
                FileBytes.safetensors(
                    "{\"t\":{\"dtype\":\""
                        + type
                        + "\",\"shape\":[3],\"data_offsets\":[0,"
                        + data.length
                        + "]}}",
                    data)));
    assertEquals(type, one.type("t"));
    assertArrayEquals(data, one.data("t").toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void namesAMissingTensor() {
    assertRefusal(() -> file.floats("v"), "no tensor 'v'", "found i, d, none, w, odd");
    assertRefusal(() -> file.shape("v"), "no tensor 'v'");
    assertRefusal(() -> file.type("v"), "no tensor 'v'");
    assertRefusal(() -> file.data("v\n"), "no tensor 'v\\x0a'");
  }

  @Test
  void namesAnotherType() {
    assertRefusal(() -> file.floats("i"), "tensor 'i' of type I64; expected F32");
    assertRefusal(() -> file.doubles("w"), "tensor 'w' of type F32; expected F64");
    assertRefusal(() -> file.longs("d"), "tensor 'd' of type F64; expected I64");
  }

  @Test
  void refusesWhatIsNoFile() {
    assertRefusal(folder.resolve("none"), "no such file");
    assertRefusal(folder, "folder", "expected a file");
  }

  @Test
  void readsAGoldenFile() throws IOException {
    SafetensorsFile golden =
        SafetensorsFile.read(Path.of("src/test/resources/golden/d2_min.safetensors"));
    assertEquals("2", golden.metadata().get("code_dim"));
    assertArrayEquals(new long[] {2, 10, 2}, golden.shape("x"));
    float[] x = golden.floats("x");
    float[] quantized = golden.floats("quantized");
    long[] indices = golden.longs("indices");
    for (int row = 0; row < indices.length; row++) {
      int index = (x[2 * row] > 0 ? 2 : 0) + (x[2 * row + 1] > 0 ? 1 : 0);
      assertEquals(index, indices[row]);
      assertEquals(Math.signum(index - 1.5), Math.signum(quantized[2 * row]));
    }
  }

  private void assertRefusal(Executable call, String... words) {
    assertMessage(assertThrows(MalformedFileException.class, call), path.toString(), words);
  }

  private static void assertRefusal(Path path, String... words) {
    assertMessage(
        assertThrows(FileSystemException.class, () -> SafetensorsFile.read(path)),
        path.toString(),
        words);
  }
}
