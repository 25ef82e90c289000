package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Conventions, packed codes, converters and sign margins. */
class ConventionTest {
  private static final float[] X = {0.5f, -1, 0, 2, -0.0f, 3, -4, 5, 6, -7};

  private static BinarySphericalQuantizer quantizer(int codeDim, Convention convention) {
    return BinarySphericalQuantizer.create(options(codeDim, convention));
  }

  private static QuantizerOptions options(int codeDim, Convention convention) {
    return QuantizerOptions.builder(codeDim).convention(convention).build();
  }

  /** By hand: the bits of X are 10010 10110, and where a 0 gives a 1, 10111 10110. */
  @Test
  void eachSystemByHand() {
    assertArrayEquals(
        new long[] {0b10010, 0b10110}, quantizer(5, Convention.SPEECHBRAIN).encode(X));
    assertArrayEquals(new long[] {0b10010, 0b10110}, quantizer(5, Convention.BSQ_VIT).encode(X));
    assertArrayEquals(new long[] {0b01001, 0b01101}, quantizer(5, Convention.SEED_VOKEN).encode(X));
    assertArrayEquals(new long[] {0b01001, 0b01101}, quantizer(5, Convention.KRONOS).encode(X));
    assertArrayEquals(
        new byte[] {(byte) 0b10010101, (byte) 0b10000000},
        quantizer(10, Convention.UBINARY).packBytes(X));
    assertArrayEquals(
        new byte[] {0b10010101 - 128, 0b10000000 - 128},
        quantizer(10, Convention.BINARY).packBytes(X));
    assertArrayEquals(
        new byte[] {(byte) 0b10111101, 0b01}, quantizer(10, Convention.FAISS).packBytes(X));
    assertArrayEquals(
        new long[] {0b1001010110L << 54}, quantizer(10, Convention.UBINARY).packWords(X));
    assertArrayEquals(new long[] {0b0110111101L}, quantizer(10, Convention.FAISS).packWords(X));
  }

  @Test
  void theValuesOfCodes() {
    float corner = (float) (1 / Math.sqrt(5));
    assertEquals(corner, quantizer(5, Convention.KRONOS).decode(new long[] {1})[0]);
    assertArrayEquals(
        new float[] {1, -1, -1, -1, -1},
        quantizer(5, Convention.SEED_VOKEN).decode(new long[] {1}));
    HostQuantization<float[]> result = quantizer(5, Convention.SEED_VOKEN).forward(X);
    assertArrayEquals(new float[] {1, -1, -1, 1, -1, 1, -1, 1, 1, -1}, result.quantized());
    assertEquals(quantizer(5, Convention.SPEECHBRAIN).forward(X).losses(), result.losses());
  }

  @Test
  void presets() {
    for (String name : Convention.names()) {
      assertEquals(
          options(3, Convention.named(name)),
          options(3, Convention.named(name)).toBuilder().build());
    }
    assertRefused(
        "no convention is named \"lfq\"; there are speechbrain, focalcodec, bsq-vit, seed-voken,"
            + " kronos, ubinary, numpy, binary, faiss",
        () -> Convention.named("lfq"));
    assertEquals(Convention.SPEECHBRAIN, Convention.named("focalcodec"));
    assertEquals(Convention.UBINARY, Convention.named("numpy"));
    assertEquals(
        Convention.FAISS,
        Convention.SPEECHBRAIN
            .withBitOrder(BitOrder.LEAST_SIGNIFICANT_FIRST)
            .withTie(TieRule.ONE)
            .withCodeScale(CodeScale.ONE)
            .withByteForm(ByteForm.PLAIN));
  }

  /** Every index to D = 16 (to 20 in the native tests), random ones above. */
  @ParameterizedTest
  @ValueSource(ints = {1, 5, 8, 13, 16, 31, 32, 33, 53, 63, 64, 65, 127, 1024})
  void roundTrips(int codeDim) {
    for (Convention convention : List.of(Convention.SPEECHBRAIN, Convention.FAISS)) {
      BinarySphericalQuantizer quantizer = quantizer(codeDim, convention);
      byte[] packed = codes(codeDim, convention);
      float[] quantized = quantizer.unpackBytes(packed);
      assertArrayEquals(packed, quantizer.packBytes(quantized));
      long[] words = quantizer.packWords(quantized);
      assertArrayEquals(quantized, quantizer.unpackWords(words));
      assertArrayEquals(packed, converter(quantizer, CodeLayout.WORDS).toBytes(words));
      if (codeDim <= 63) {
        long[] indices = quantizer.codesToIndices(quantized);
        assertArrayEquals(packed, converter(quantizer, CodeLayout.INDICES).toBytes(indices));
        assertArrayEquals(quantized, quantizer.decode(indices));
        assertArrayEquals(indices, quantizer.encode(quantized));
      }
    }
  }

  private static byte[] codes(int codeDim, Convention convention) {
    if (codeDim <= 16) {
      long[] indices = new long[1 << codeDim];
      for (int i = 0; i < indices.length; i++) {
        indices[i] = i;
      }
      return converter(quantizer(codeDim, convention), CodeLayout.INDICES).toBytes(indices);
    }
    float[] x = new float[50 * codeDim];
    Random random = new Random(codeDim);
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return quantizer(codeDim, convention).packBytes(x);
  }

  private static CodeConverter converter(BinarySphericalQuantizer quantizer, CodeLayout from) {
    return CodeConverter.create(quantizer.options(), from, quantizer.options(), CodeLayout.BYTES);
  }

  @OnDevice
  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void tensorsGiveTheSame(Implementation implementation) {
    for (Convention convention : List.of(Convention.BINARY, Convention.KRONOS)) {
      QuantizerOptions options =
          options(5, convention).toBuilder().codebooks(2).implementation(implementation).build();
      BinarySphericalQuantizer tensors = BinarySphericalQuantizer.create(options);
      BinarySphericalQuantizer arrays =
          BinarySphericalQuantizer.create(
              options.toBuilder().implementation(Implementation.AUTOMATIC).build());
      try (Arena arena = Arena.ofConfined()) {
        Tensor x = TestDevice.put(arena, Tensor.of(arena, X, 1, 10));
        Tensor bytes = tensors.pack(arena, x, CodeLayout.BYTES);
        assertArrayEquals(new long[] {1, 2, 1}, bytes.shape());
        assertArrayEquals(arrays.packBytes(X), bytes.toByteArray());
        Tensor words = tensors.pack(arena, x, CodeLayout.WORDS);
        assertArrayEquals(arrays.packWords(X), words.toLongArray());
        assertArrayEquals(
            arrays.unpackWords(arrays.packWords(X)),
            tensors.unpack(arena, words, CodeLayout.WORDS, DType.FLOAT32).toFloatArray());
        CodeConverter converter =
            CodeConverter.create(options, CodeLayout.BYTES, options, CodeLayout.INDICES);
        Tensor indices = converter.convert(arena, bytes);
        assertArrayEquals(new long[] {1, 2}, indices.shape());
        assertArrayEquals(arrays.encode(X), indices.toLongArray());
        assertArrayEquals(
            arrays.decode(arrays.encode(X)),
            tensors.unpack(arena, indices, CodeLayout.INDICES, DType.FLOAT32).toFloatArray());
        Tensor margins = tensors.signMargins(arena, x);
        assertArrayEquals(new long[] {1, 2}, margins.shape());
        assertArrayEquals(arrays.signMargins(X), margins.toFloatArray(), 1e-7f);
      }
    }
  }

  @Test
  void margins() {
    float[] x = {3, -4, 0, 5};
    assertArrayEquals(
        new float[] {0.6f, 0}, BinarySphericalQuantizer.create(2).signMargins(x), 1e-7f);
    assertArrayEquals(
        new double[] {0.6, 0},
        BinarySphericalQuantizer.create(2).signMargins(new double[] {3, -4, 0, 5}),
        1e-15);
  }

  @Test
  void everyKindOfMemory() {
    BinarySphericalQuantizer quantizer = quantizer(5, Convention.FAISS);
    byte[] expected = quantizer.packBytes(X);
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> inputs = new ArrayList<>();
      inputs.add(MemorySegment.ofArray(X));
      inputs.add(arena.allocateFrom(ValueLayout.JAVA_FLOAT, X));
      inputs.add(arena.allocate(41, 8).asSlice(1).copyFrom(MemorySegment.ofArray(X)));
      for (MemorySegment x : inputs) {
        MemorySegment out = arena.allocate(2);
        quantizer.pack(x, DType.FLOAT32, Batch.of(2), CodeLayout.BYTES, out);
        assertArrayEquals(expected, out.toArray(ValueLayout.JAVA_BYTE));
        MemorySegment quantized = arena.allocate(40, 4);
        quantizer.unpack(out, CodeLayout.BYTES, Batch.of(2), DType.FLOAT32, quantized);
        assertArrayEquals(
            new float[] {1, -1, 1, 1, 1, 1, -1, 1, 1, -1},
            quantized.toArray(ValueLayout.JAVA_FLOAT));
      }
      MemorySegment margins = arena.allocate(8, 4);
      quantizer.signMargins(inputs.get(0), DType.FLOAT32, Batch.of(2), margins);
      assertArrayEquals(quantizer.signMargins(X), margins.toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  @Test
  void whatDoesNotFit() {
    BinarySphericalQuantizer quantizer = quantizer(13, Convention.UBINARY);
    assertNative(
        "packed[1, 1] is 0x1, whose padding is not 0: codes of code_dim 13 fill 5 bits of their"
            + " last byte, the most significant ones",
        () -> quantizer.unpackBytes(new byte[] {1, 0, 2, 1}));
    assertRefused(
        "packed has 3 elements, which are no whole rows of 2 (BYTES of codeDim 13)",
        () -> quantizer.unpackBytes(new byte[3]));
    assertRefused(
        "layout is BITS, expected BYTES or WORDS",
        () ->
            quantizer.pack(
                MemorySegment.ofArray(new float[13]),
                DType.FLOAT32,
                Batch.of(1),
                CodeLayout.BITS,
                MemorySegment.ofArray(new byte[13])));
    CodeConverter converter =
        CodeConverter.create(
            quantizer.options(), CodeLayout.INDICES, quantizer.options(), CodeLayout.BITS);
    assertNative(
        "indices[1] is 8192, expected 0 to 8191 for code_dim 13",
        () -> converter.toBytes(new long[] {8191, 8192}));
    assertRefused(
        "toOptions have codeDim 12 and codebooks 1, expected 13 and 1 as fromOptions have",
        () ->
            CodeConverter.create(
                quantizer.options(), CodeLayout.BYTES, QuantizerOptions.of(12), CodeLayout.BYTES));
    try (Arena arena = Arena.ofConfined()) {
      Tensor words = Tensor.of(arena, new long[2], 2, 1);
      assertRefused(
          "codes is INT64, expected UINT8 for BYTES",
          () -> quantizer.unpack(arena, words, CodeLayout.BYTES, DType.FLOAT32));
      Tensor two = Tensor.of(arena, new long[2], 1, 2);
      assertRefused(
          "codes has shape [1, 2], expected last dimensions [1] of WORDS of codeDim 13",
          () -> quantizer.unpack(arena, two, CodeLayout.WORDS, DType.FLOAT32));
    }
  }

  @Test
  void codesWithoutIndices() {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(127);
    float[] x = new float[254];
    x[0] = 1;
    String refusal =
        "codeDim is 127, but an index has at most 63 bits: set groupSize, for an index of each"
            + " group, or pack the bits";
    assertRefused(refusal, () -> quantizer.encode(x));
    assertRefused(refusal, () -> quantizer.decode(new long[2]));
    assertRefused(refusal, () -> quantizer.codesToIndices(x));
    QuantizerOptions options =
        quantizer.options().toBuilder().entropyForm(EntropyForm.ANALYTICAL).build();
    assertRefused(refusal, () -> BinarySphericalQuantizer.create(options).forward(x));
    assertRefused(
        refusal,
        () -> CodeConverter.create(options, CodeLayout.BYTES, options, CodeLayout.INDICES));
    assertEquals(32, quantizer.packBytes(x).length);
    assertEquals(Long.MIN_VALUE, quantizer.packWords(x)[0]);
    assertTrue(
        BinarySphericalQuantizer.create(options)
                .forward(
                    MemorySegment.ofArray(x),
                    DType.FLOAT32,
                    2,
                    MemorySegment.NULL,
                    MemorySegment.NULL)
                .codebookEntropy()
            > 0);
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = Tensor.of(arena, x, 2, 127);
      assertRefused(refusal, () -> quantizer.encode(arena, tensor));
      Quantization quantization = BinarySphericalQuantizer.create(options).forward(arena, tensor);
      assertRefused(refusal, quantization::indices);
      assertEquals(254, quantization.quantized().toFloatArray().length);
    }
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  private static void assertNative(String message, Executable call) {
    assertEquals(message, assertThrows(BsqException.class, call).getMessage());
  }
}
