package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.CodebookUsage.CodeCount;
import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Usage of codes that are small enough to see what is right; {@link UsageIdentities} has more. */
class CodebookUsageTest {
  private static final QuantizerOptions TWO_BITS = QuantizerOptions.of(2);

  private static final QuantizerOptions TWO_CODEBOOKS =
      QuantizerOptions.builder(13).codebooks(2).build();

  @Test
  void figuresThatCanBeSeen() {
    CodebookUsage usage = CodebookUsage.create(TWO_BITS);
    usage.add(new long[] {3, 0, 3, 1});
    assertEquals(TWO_BITS, usage.options());
    assertEquals(4, usage.rows());
    assertTrue(usage.countsCodes());
    assertEquals(1, usage.count(0));
    assertEquals(0, usage.count(2));
    assertEquals(2, usage.count(3));
    assertEquals(3, usage.codesUsed());
    assertEquals(1.5 * Math.log(2), usage.entropy(), 1e-15);
    assertEquals(Math.pow(2, 1.5), usage.perplexity(), 1e-14);
    assertEquals(List.of(new CodeCount(3, 2), new CodeCount(0, 1)), usage.mostUsed(2));
    assertEquals(
        List.of(new CodeCount(0, 1), new CodeCount(1, 1), new CodeCount(3, 2)), usage.leastUsed(4));
    assertArrayEquals(new long[] {2}, usage.unused(5));
    assertArrayEquals(new double[] {0.5, 0.75}, usage.bitBalance());
    assertArrayEquals(
        new double[] {Math.log(2), -0.75 * Math.log(0.75) - 0.25 * Math.log(0.25)},
        usage.bitEntropy(),
        1e-15);
    // Bits 1, 0, 1, 0 and 1, 0, 1, 1.
    assertEquals(1 / Math.sqrt(3), usage.bitCorrelation()[0][1], 1e-15);
    assertEquals(usage.bitCorrelation()[0][1], usage.bitCorrelation()[1][0]);
    assertEquals(1, usage.bitCorrelation()[1][1]);
    assertEquals("CodebookUsage[rows=4, " + TWO_BITS + "]", usage.toString());
  }

  @Test
  void oneCodeAlone() {
    CodebookUsage usage = CodebookUsage.create(QuantizerOptions.of(3));
    usage.add(new long[] {5, 5});
    assertEquals("0.0", Double.toString(usage.entropy()));
    assertEquals(1, usage.perplexity());
    assertArrayEquals(new double[] {1, 0, 1}, usage.bitBalance());
    assertArrayEquals(new double[3], usage.bitEntropy());
    for (double[] row : usage.bitCorrelation()) {
      assertTrue(Arrays.stream(row).allMatch(Double::isNaN));
    }
  }

  @Test
  void noRows() {
    CodebookUsage usage = CodebookUsage.create(TWO_BITS);
    usage.add(new long[0]);
    assertEquals(0, usage.rows());
    assertEquals(0, usage.codesUsed());
    assertTrue(Double.isNaN(usage.entropy()) && Double.isNaN(usage.perplexity()));
    assertTrue(Double.isNaN(usage.bitBalance()[0]) && Double.isNaN(usage.bitEntropy()[1]));
    assertTrue(Double.isNaN(usage.bitCorrelation()[0][1]));
    assertEquals(List.of(), usage.mostUsed(3));
    assertEquals(List.of(), usage.leastUsed(3));
    assertArrayEquals(new long[] {0, 1}, usage.unused(2));
  }

  @Test
  void indicesAreThoseOfTheConvention() {
    QuantizerOptions least =
        QuantizerOptions.builder(3).convention(Convention.named("seed-voken")).build();
    CodebookUsage usage = CodebookUsage.create(least);
    usage.add(new long[] {1, 1, 4}); // the ones of components 0 and 2
    assertEquals(2, usage.count(1));
    assertEquals(List.of(new CodeCount(1, 2), new CodeCount(4, 1)), usage.mostUsed(3));
    assertArrayEquals(new long[] {0, 2, 3}, usage.unused(3));
    assertArrayEquals(new double[] {2 / 3.0, 0, 1 / 3.0}, usage.bitBalance());
    CodebookUsage most = CodebookUsage.create(QuantizerOptions.of(3));
    most.add(usage); // the same codes, told otherwise
    assertEquals(List.of(new CodeCount(4, 2), new CodeCount(1, 1)), most.mostUsed(3));
  }

  @Test
  void groupsAreOfOneCode() {
    CodebookUsage usage =
        CodebookUsage.create(QuantizerOptions.builder(4).groupSize(2).codebooks(2).build());
    usage.add(new long[] {1, 2, 3, 0, 1, 2, 0, 3});
    assertEquals(2, usage.rows());
    assertEquals(2, usage.codebook(0).count(0b0110));
    assertEquals(1, usage.codebook(1).count(0b1100));
    assertEquals(1, usage.codebook(1).count(0b0011));
    assertEquals(1, usage.codebook(1).options().codebooks());
    IllegalStateException failure = assertThrows(IllegalStateException.class, usage::bitBalance);
    assertEquals(
        "this is the usage of 2 codebooks, and figures are those of one: use codebook(0) to"
            + " codebook(1)",
        failure.getMessage());
    assertThrows(IllegalStateException.class, usage::entropy);
    assertThrows(IndexOutOfBoundsException.class, () -> usage.codebook(2));
  }

  @Test
  void longCodesHaveFiguresOfBits() {
    CodebookUsage usage = CodebookUsage.create(QuantizerOptions.of(21));
    usage.add(new long[] {(1 << 21) - 1, 1, 0, 1L << 20});
    assertFalse(usage.countsCodes());
    assertEquals(4, usage.rows());
    assertEquals(0.5, usage.bitBalance()[0]);
    assertEquals(0.25, usage.bitBalance()[1]);
    assertEquals(0, usage.bitCorrelation()[0][20]);
    assertEquals(1, usage.bitCorrelation()[1][19]);
    for (Executable figure :
        List.<Executable>of(
            usage::entropy,
            usage::perplexity,
            usage::codesUsed,
            () -> usage.count(0),
            () -> usage.mostUsed(1),
            () -> usage.leastUsed(1),
            () -> usage.unused(1))) {
      UnsupportedOperationException failure =
          assertThrows(UnsupportedOperationException.class, figure);
      assertTrue(
          failure.getMessage().contains("needs a counter for each of 2^21 codes, and there are"),
          failure.getMessage());
      assertTrue(failure.getMessage().contains("up to codeDim 20"), failure.getMessage());
    }
  }

  @Test
  void theLimitIsThatOfTheLibrary() {
    int dim = CodebookUsage.MAX_COUNTED_DIM;
    assertEquals(1 << 20, NativeCalls.usageSize(NativeCalls.options(QuantizerOptions.of(dim))));
    assertEquals(
        1 + 21 * 22 / 2, NativeCalls.usageSize(NativeCalls.options(QuantizerOptions.of(dim + 1))));
  }

  @ParameterizedTest
  @EnumSource(CodeLayout.class)
  void everyKindOfMemoryGivesTheSame(CodeLayout layout) {
    for (Implementation implementation : Implementation.values()) {
      QuantizerOptions options =
          QuantizerOptions.builder(13).codebooks(2).implementation(implementation).build();
      long[] indices = {7, 8191, 0, 7, 4096, 1, 5000, 8191, 3, 3, 77, 12};
      Batch batch = Batch.of(3, 2).withMask(true, false, true, true, false, true);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment codes = stored(arena, layout, indices);
        MemorySegment unaligned = arena.allocate(codes.byteSize() + 1, 8).asSlice(1);
        unaligned.copyFrom(codes);
        Tensor tensor =
            Tensor.copyOf(
                arena,
                codes,
                layout.dtype(),
                layout == CodeLayout.INDICES
                    ? new long[] {3, 2, 2}
                    : new long[] {3, 2, 2, layout.elements(options)});
        CodebookUsage expected = CodebookUsage.create(TWO_CODEBOOKS);
        expected.add(indices, batch);
        assertEquals(4, expected.rows());
        CodebookUsage ofTensor = CodebookUsage.create(options);
        ofTensor.add(tensor, layout, batch.maskTensor(arena, Device.CPU));
        assertArrayEquals(expected.toBytes(), ofTensor.toBytes());
        if (implementation != Implementation.OPERATORS) {
          for (MemorySegment segment : List.of(codes, unaligned, heap(codes, layout))) {
            CodebookUsage usage = CodebookUsage.create(options);
            usage.add(segment, layout, batch);
            assertArrayEquals(expected.toBytes(), usage.toBytes());
          }
        }

        CodebookUsage all = CodebookUsage.create(TWO_CODEBOOKS);
        all.add(indices);
        CodebookUsage unmasked = CodebookUsage.create(options);
        unmasked.add(tensor, layout);
        assertArrayEquals(all.toBytes(), unmasked.toBytes());
        if (implementation != Implementation.OPERATORS) {
          CodebookUsage ofArray = CodebookUsage.create(options);
          if (layout.elementSize() == Long.BYTES) {
            ofArray.add(codes.toArray(ValueLayout.JAVA_LONG), layout);
          } else {
            ofArray.add(codes.toArray(ValueLayout.JAVA_BYTE), layout);
          }
          assertArrayEquals(all.toBytes(), ofArray.toBytes());
          CodebookUsage ofRows = CodebookUsage.create(options);
          ofRows.add(codes, layout, 6);
          assertArrayEquals(all.toBytes(), ofRows.toBytes());
        }
      }
    }
  }

  private static MemorySegment heap(MemorySegment codes, CodeLayout layout) {
    return layout.elementSize() == Long.BYTES
        ? MemorySegment.ofArray(codes.toArray(ValueLayout.JAVA_LONG))
        : MemorySegment.ofArray(codes.toArray(ValueLayout.JAVA_BYTE));
  }

  private static MemorySegment stored(Arena arena, CodeLayout layout, long... indices) {
    long rows = indices.length / 2;
    MemorySegment codes =
        arena.allocate(rows * layout.elementsPerRow(TWO_CODEBOOKS) * layout.elementSize(), 8);
    CodeConverter.create(TWO_CODEBOOKS, CodeLayout.INDICES, TWO_CODEBOOKS, layout)
        .convert(MemorySegment.ofArray(indices), rows, codes);
    return codes;
  }

  // Refusals

  @Test
  void refusedCodesAddNothing() {
    CodebookUsage usage = CodebookUsage.create(TWO_BITS);
    usage.add(new long[] {1});
    byte[] before = usage.toBytes();
    assertRefused(
        "indices[2] is 4, expected 0 to 3 for code_dim 2",
        () -> usage.add(new long[] {0, 3, 4, 2}));
    assertRefused(
        "packed[1, 0] is 0x1, whose padding is not 0",
        () -> usage.add(new byte[] {(byte) 0x80, 1}, CodeLayout.BYTES));
    assertRefused(
        "bits[0, 1] is 2, expected 0 or 1", () -> usage.add(new byte[] {1, 2}, CodeLayout.BITS));
    try (Arena arena = Arena.ofConfined()) {
      for (Implementation implementation : Implementation.values()) {
        CodebookUsage ofTensors =
            CodebookUsage.create(
                QuantizerOptions.builder(2).implementation(implementation).build());
        ofTensors.add(usage);
        Tensor bad = Tensor.of(arena, new long[] {0, -1}, 2);
        assertRefused("indices[1] is -1, expected 0 to 3 for code_dim 2", () -> ofTensors.add(bad));
        assertArrayEquals(before, ofTensors.toBytes());
      }
    }
    assertArrayEquals(before, usage.toBytes());
  }

  private static void assertRefused(String message, Executable call) {
    BsqException failure = assertThrows(BsqException.class, call);
    assertEquals(BsqException.Code.INVALID_ARGUMENT, failure.code());
    assertTrue(failure.getMessage().startsWith(message), failure.getMessage());
  }

  @Test
  void wrongArguments() {
    CodebookUsage usage = CodebookUsage.create(TWO_CODEBOOKS);
    assertWrong("indices has 3 elements, which are no whole rows", () -> usage.add(new long[3]));
    assertWrong(
        "codes has 5 elements, which are no whole rows of 4 (BYTES",
        () -> usage.add(new byte[5], CodeLayout.BYTES));
    assertWrong(
        "codes has 8 bytes, expected at least 16",
        () -> usage.add(MemorySegment.ofArray(new long[1]), CodeLayout.INDICES, 1));
    assertWrong("rows is -1", () -> usage.add(MemorySegment.NULL, CodeLayout.INDICES, -1));
    assertWrong(
        "codes is a float[], expected a byte[]",
        () -> usage.add(MemorySegment.ofArray(new float[9]), CodeLayout.BITS, 1));
    assertWrong(
        "codeDim is 64, but an index has at most 63 bits",
        () -> CodebookUsage.create(QuantizerOptions.of(64)).add(new long[1]));
    assertWrong(
        "other is of codeDim 2, expected 13", () -> usage.add(CodebookUsage.create(TWO_BITS)));
    assertWrong(
        "other is of codebooks 1, expected 2",
        () -> usage.plus(CodebookUsage.create(QuantizerOptions.of(13))));
    CodebookUsage one = CodebookUsage.create(TWO_BITS);
    assertWrong("n is -1, expected at least 0", () -> one.mostUsed(-1));
    assertEquals(
        "index is 4, expected 0 to 3",
        assertThrows(IndexOutOfBoundsException.class, () -> one.count(4)).getMessage());
    try (Arena arena = Arena.ofConfined()) {
      Tensor codes = Tensor.zeros(arena, DType.INT64, Device.CPU, 3, 2);
      assertWrong("codes is INT64", () -> usage.add(codes, CodeLayout.BYTES));
      assertWrong("codes has shape [3, 2]", () -> one.add(codes, CodeLayout.WORDS));
      assertRefused(
          "mask has shape [2], expected the leading dimensions of codes, [3]",
          () ->
              usage.add(
                  codes, CodeLayout.INDICES, Tensor.zeros(arena, DType.UINT8, Device.CPU, 2)));
    }
    assertEquals("layout", nullIn(() -> usage.add(new long[2], (CodeLayout) null)));
    assertEquals("indices", nullIn(() -> usage.add((long[]) null)));
    assertEquals("codes", nullIn(() -> usage.add((byte[]) null, CodeLayout.BYTES)));
    assertEquals("options", nullIn(() -> CodebookUsage.create(null)));
    assertEquals("other", nullIn(() -> usage.add((CodebookUsage) null)));
    assertEquals("bytes", nullIn(() -> CodebookUsage.fromBytes((byte[]) null)));
  }

  private static String nullIn(Executable call) {
    return assertThrows(NullPointerException.class, call).getMessage();
  }

  private static void assertWrong(String message, Executable call) {
    IllegalArgumentException failure = assertThrows(IllegalArgumentException.class, call);
    assertTrue(failure.getMessage().startsWith(message), failure.getMessage());
  }

  // Serialisation

  @ParameterizedTest
  @ValueSource(ints = {1, 13, 21, 70})
  void thereAndBack(int dim) {
    QuantizerOptions options = QuantizerOptions.builder(dim).codebooks(3).build();
    CodebookUsage usage = CodebookUsage.create(options);
    byte[] bits = new byte[3 * dim * 50];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = (byte) (i * 7 % 11 % 2);
    }
    usage.add(bits, CodeLayout.BITS);
    byte[] bytes = usage.toBytes();
    CodebookUsage back = CodebookUsage.fromBytes(bytes);
    assertArrayEquals(bytes, back.toBytes());
    assertEquals(options, back.options());
    assertEquals(50, back.rows());
    back.add(usage);
    assertEquals(100, back.rows());
    QuantizerOptions seed = options.toBuilder().convention(Convention.named("seed-voken")).build();
    assertEquals(seed, CodebookUsage.fromBytes(seed, bytes).options());
  }

  @Test
  void theFormatIsThatOfVersion1() {
    CodebookUsage usage = CodebookUsage.create(QuantizerOptions.of(1));
    usage.add(new long[] {1, 0, 1});
    ByteBuffer expected = ByteBuffer.allocate(36).order(ByteOrder.LITTLE_ENDIAN);
    expected.put(new byte[] {'B', 'S', 'Q', 'U'}).putInt(1).putInt(1).putInt(1);
    expected.putLong(1).putLong(2);
    CRC32 crc = new CRC32();
    crc.update(expected.array(), 0, 32);
    expected.putInt((int) crc.getValue());
    assertArrayEquals(expected.array(), usage.toBytes());
  }

  @Test
  void everyBitAndByteOfTheFormatMatters() {
    for (int dim : new int[] {2, 21}) {
      CodebookUsage usage = CodebookUsage.create(QuantizerOptions.of(dim));
      usage.add(new long[] {1, 2, 1});
      byte[] bytes = usage.toBytes();
      for (int i = 0; i < bytes.length; i++) {
        for (int bit = 0; bit < 8; bit++) {
          byte[] changed = bytes.clone();
          changed[i] ^= (byte) (1 << bit);
          assertThrows(IllegalArgumentException.class, () -> CodebookUsage.fromBytes(changed));
        }
        byte[] truncated = Arrays.copyOf(bytes, i);
        assertThrows(IllegalArgumentException.class, () -> CodebookUsage.fromBytes(truncated));
      }
      byte[] longer = Arrays.copyOf(bytes, bytes.length + 1);
      assertThrows(IllegalArgumentException.class, () -> CodebookUsage.fromBytes(longer));
    }
  }

  @Test
  void refusedBytesAreNamed() {
    CodebookUsage usage = CodebookUsage.create(TWO_BITS);
    usage.add(new long[] {1, 2, 1});
    byte[] bytes = usage.toBytes();
    assertEquals(16 + 4 * 8 + 4, bytes.length);
    assertBytes("bytes has length 7, expected at least 16", Arrays.copyOf(bytes, 7));
    assertBytes(
        "bytes has length 51, expected 52 for codeDim 2 and codebooks 1: it is truncated",
        Arrays.copyOf(bytes, 51));
    assertBytes("bytes begins with 0x55515343, expected 0x55515342", with(bytes, 0, 0x55515343));
    assertBytes("bytes is of version 2, expected 1", with(bytes, 4, 2));
    assertBytes("bytes has codeDim 4097, expected 1 to 4096", with(bytes, 8, 4097));
    assertBytes("bytes has codebooks 0, expected 1 to 1024", with(bytes, 12, 0));
    byte[] corrupt = bytes.clone();
    corrupt[20] = 9;
    assertBytes("bytes has the checksum 0x", corrupt);
    assertBytes("counter 0 is -4294967296, expected 0 to", with(bytes, 20, -1));
    assertWrong(
        "bytes are the usage of codes of codeDim 2, expected 3 as the options have",
        () -> CodebookUsage.fromBytes(QuantizerOptions.of(3), bytes));
    CodebookUsage pairs = CodebookUsage.create(QuantizerOptions.of(21));
    pairs.add(new long[] {1, 2, 1});
    byte[] ofPairs = pairs.toBytes();
    assertBytes("counter 1 is 4, expected 0 to 3", with(ofPairs, 16 + 8, 4));
    assertBytes("counter 2 is 1, expected 0 to 0", with(ofPairs, 16 + 2 * 8, 1));
    CodebookUsage two = CodebookUsage.create(QuantizerOptions.builder(1).codebooks(2).build());
    two.add(new long[] {1, 1});
    assertBytes("codebook 1 has 6 rows, expected 1 as those before it", with(two.toBytes(), 32, 5));
  }

  private static void assertBytes(String message, byte... bytes) {
    assertWrong(message, () -> CodebookUsage.fromBytes(bytes));
  }

  /** With another int at a place, and the checksum of that. */
  private static byte[] with(byte[] bytes, int position, int value) {
    ByteBuffer changed = ByteBuffer.wrap(bytes.clone()).order(ByteOrder.LITTLE_ENDIAN);
    changed.putInt(position, value);
    CRC32 crc = new CRC32();
    crc.update(changed.array(), 0, bytes.length - 4);
    return changed.putInt(bytes.length - 4, (int) crc.getValue()).array();
  }

  @Test
  void rowsThatALongCannotCount() {
    byte[] bytes = CodebookUsage.create(TWO_BITS).toBytes();
    CodebookUsage huge = CodebookUsage.fromBytes(with(bytes, 20, 1 << 30)); // 2^62 rows
    assertEquals(1L << 62, huge.rows());
    huge.add(CodebookUsage.create(TWO_BITS));
    assertWrong(
        "other has 4611686018427387904 rows, which with 4611686018427387904 are more",
        () -> huge.add(huge));
    assertEquals(1L << 62, huge.rows());

    byte[] mostBytes = with(with(bytes, 20, Integer.MAX_VALUE), 16, -2); // 2^63 - 2 rows
    CodebookUsage most = CodebookUsage.fromBytes(mostBytes);
    String message = " rows, which with 9223372036854775806 are more than 2^63 - 1";
    assertWrong("codes has 2" + message, () -> most.add(new long[] {0, 3}));
    assertWrong("codes has 3" + message, () -> most.add(new byte[6], CodeLayout.BITS));
    try (Arena arena = Arena.ofConfined()) {
      Tensor two = Tensor.of(arena, new long[] {0, 3}, 2);
      assertWrong("codes has 2" + message, () -> most.add(two));
    }
    assertWrong(
        "codes has 2" + message, () -> most.plus(CodebookUsage.create(TWO_BITS)).add(new long[2]));
    assertArrayEquals(mostBytes, most.toBytes());
    most.add(new long[] {3});
    assertEquals(Long.MAX_VALUE, most.rows());
    assertWrong("codes has 1 rows", () -> most.add(new long[] {3}));
  }
}
