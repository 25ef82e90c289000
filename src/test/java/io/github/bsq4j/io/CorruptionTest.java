package io.github.bsq4j.io;

import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * Damaged files either read as arrays of the same shape or are refused with {@link
 * MalformedFileException}: any other exception or error fails these tests.
 */
class CorruptionTest {
  private static final byte[][] NPY = {
    NumpyFiles.FLOAT32_2X3,
    NumpyFiles.INT16_FORTRAN_2X3X4_BIG_ENDIAN,
    NumpyFiles.UINT64_2X2,
    NumpyFiles.INT32_VERSION_2,
    NumpyFiles.INT32_VERSION_3
  };

  private static final long[][] NPY_SHAPES = {{2, 3}, {2, 3, 4}, {2, 2}, {2}, {2}};

  private static final byte[] SAFETENSORS =
      FileBytes.safetensors(
          "{\"__metadata__\":{\"k\":\"v\"},"
              + "\"first\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
              + "\"second\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]}}   ",
          new byte[16]);

  private static final List<long[]> TENSOR_SHAPES = List.of(new long[] {2, 1}, new long[0]);

  private static Path file;
  private static FileChannel channel;

  @BeforeContainer
  static void createFile() throws IOException {
    file = Files.createTempFile("corruption", ".bin");
    channel = FileChannel.open(file, StandardOpenOption.WRITE);
  }

  @AfterContainer
  static void deleteFile() throws IOException {
    channel.close();
    Files.delete(file);
  }

  @Property(tries = 2000)
  void anNpyFileWithOneWrongByte(
      @ForAll @IntRange(max = 4) int which,
      @ForAll @IntRange(max = 200) int position,
      @ForAll byte value)
      throws IOException {
    byte[] bytes = NPY[which].clone();
    bytes[position % bytes.length] = value;
    assertArrayReadOrRefused(bytes, NPY_SHAPES[which]);
  }

  /** What is legal in a header is likelier to pass as something else. */
  @Property(tries = 2000)
  void anNpyFileWithOneOtherHeaderCharacter(
      @ForAll @IntRange(max = 4) int which,
      @ForAll @IntRange(min = 10, max = 75) int position,
      @ForAll("headerCharacters") char value)
      throws IOException {
    byte[] bytes = NPY[which].clone();
    bytes[position] = (byte) value;
    assertArrayReadOrRefused(bytes, NPY_SHAPES[which]);
  }

  @Property
  void aTruncatedNpyFile(
      @ForAll @IntRange(max = 4) int which, @ForAll @IntRange(max = 1000) int length)
      throws IOException {
    byte[] bytes = Arrays.copyOf(NPY[which], length % NPY[which].length);
    write(bytes);
    try (Arena arena = Arena.ofConfined()) {
      assertMessage(
          assertThrows(MalformedFileException.class, () -> NpyFile.read(file, arena)),
          file.toString());
    }
  }

  @Property(tries = 2000)
  void anNpyFileWithARandomHeader(@ForAll long seed) throws IOException {
    Random random = new Random(seed);
    String[] tokens = {
      "{",
      "}",
      "(",
      ")",
      "[",
      ",",
      ":",
      "'descr'",
      "'shape'",
      "'fortran_order'",
      "'<f4'",
      "True",
      "False",
      "0",
      "1",
      "2",
      "3L",
      "-1",
      " ",
      "\n",
      "'",
      "\"",
      "\\",
      "None",
      "\0",
      "\u00ff"
    };
    StringBuilder header = new StringBuilder(random.nextBoolean() ? "{'descr':'<f4'," : "");
    for (int i = random.nextInt(30); i > 0; i--) {
      header.append(tokens[random.nextInt(tokens.length)]);
    }
    write(FileBytes.npy(header.toString(), new byte[4]));
    try (Arena arena = Arena.ofConfined()) {
      assertEquals(1, NpyFile.read(file, arena).elementCount());
    } catch (MalformedFileException e) {
      assertMessage(e, file.toString());
    }
  }

  @Property(tries = 2000)
  void aSafetensorsFileWithOneWrongByte(
      @ForAll @IntRange(max = 1000) int position, @ForAll byte value) throws IOException {
    byte[] bytes = SAFETENSORS.clone();
    bytes[position % bytes.length] = value;
    assertTensorsReadOrRefused(bytes);
  }

  @Property(tries = 2000)
  void aSafetensorsFileWithOneOtherHeaderCharacter(
      @ForAll @IntRange(max = 1000) int position, @ForAll("headerCharacters") char value)
      throws IOException {
    byte[] bytes = SAFETENSORS.clone();
    bytes[8 + position % (bytes.length - 24)] = (byte) value;
    assertTensorsReadOrRefused(bytes);
  }

  @Property
  void aTruncatedSafetensorsFile(@ForAll @IntRange(max = 1000) int length) throws IOException {
    write(Arrays.copyOf(SAFETENSORS, length % SAFETENSORS.length));
    assertMessage(
        assertThrows(MalformedFileException.class, () -> SafetensorsFile.read(file)),
        file.toString());
  }

  @Property(tries = 2000)
  void aSafetensorsFileWithARandomHeader(@ForAll long seed) throws IOException {
    Random random = new Random(seed);
    String[] tokens = {
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "\"a\"",
      "\"dtype\"",
      "\"shape\"",
      "\"data_offsets\"",
      "\"F32\"",
      "\"__metadata__\"",
      "0",
      "4",
      "1",
      "-1",
      "1.0",
      "true",
      "null",
      "[0,4]",
      "[1]",
      " ",
      "\n",
      "\"",
      "\\",
      "\0",
      "{}"
    };
    StringBuilder header = new StringBuilder("{");
    for (int i = random.nextInt(30); i > 0; i--) {
      header.append(tokens[random.nextInt(tokens.length)]);
    }
    header.append('}');
    write(FileBytes.safetensors(header.toString()));
    try {
      assertEquals(0, SafetensorsFile.read(file).names().size());
    } catch (MalformedFileException e) {
      assertMessage(e, file.toString());
    }
  }

  @Provide
  Arbitrary<Character> headerCharacters() {
    return Arbitraries.chars().with(" \t\n'\"{}()[]<>=|:,.-+eELf0123456789iu\\_TFa");
  }

  /** Overwrites the file; to replace it thousands of times takes file systems minutes. */
  private static void write(byte[] bytes) throws IOException {
    channel.write(ByteBuffer.wrap(bytes), 0);
    channel.truncate(bytes.length);
  }

  private static void assertArrayReadOrRefused(byte[] damaged, long... shape) throws IOException {
    write(damaged);
    try (Arena arena = Arena.ofConfined()) {
      NpyFile read = NpyFile.read(file, arena);
      assertArrayEquals(shape, read.shape());
      assertEquals(read.elementCount() * read.type().itemSize(), read.data().byteSize());
    } catch (MalformedFileException e) {
      assertMessage(e, file.toString());
    }
  }

  private static void assertTensorsReadOrRefused(byte[] damaged) throws IOException {
    write(damaged);
    try {
      SafetensorsFile read = SafetensorsFile.read(file);
      List<long[]> shapes = new ArrayList<>();
      for (String name : read.names()) {
        shapes.add(read.shape(name));
        assertTrue(read.data(name).byteSize() > 0);
      }
      assertEquals(TENSOR_SHAPES.size(), shapes.size());
      for (int i = 0; i < TENSOR_SHAPES.size(); i++) {
        assertArrayEquals(TENSOR_SHAPES.get(i), shapes.get(i));
      }
    } catch (MalformedFileException e) {
      assertMessage(e, file.toString());
    }
  }
}
