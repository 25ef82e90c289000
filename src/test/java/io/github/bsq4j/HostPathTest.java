package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Segments and arrays in, segments and arrays out; and everything that can be wrong with them. */
class HostPathTest {
  private static final int DIM = 3;
  private static final double HALF = 1 / Math.sqrt(3);
  private static final float[] X = {1, -2, 3, -1, 0, 5};
  private static final long[] INDICES = {0b101, 0b001};

  private final BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(DIM);

  // What must come out, by hand

  @Test
  void arrays() {
    assertArrayEquals(INDICES, quantizer.encode(X));
    assertArrayEquals(INDICES, quantizer.encode(TestData.doubles(X)));
    float h = (float) HALF;
    assertArrayEquals(new float[] {h, -h, h, -h, -h, h}, quantizer.decode(INDICES));
    assertArrayEquals(
        new double[] {HALF, -HALF, HALF, -HALF, -HALF, HALF},
        quantizer.decodeToDouble(INDICES),
        1e-16);
    assertArrayEquals(new float[] {1, -1, 1, 1}, quantizer.bitsToCodes(new float[] {1, 0, 1, 1}));
    assertArrayEquals(new double[] {-1, 1}, quantizer.bitsToCodes(new double[] {0, 1}));
    assertArrayEquals(INDICES, quantizer.codesToIndices(new float[] {1, -1, 1, -1, -1, 1}));
    assertArrayEquals(INDICES, quantizer.codesToIndices(new double[] {9, -9, 9, -9, -9, 9}));
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT64"})
  void segmentsOfEveryKindGiveTheSame(DType dtype) {
    float[] x = TestData.floats(TestData.gaussian(3, 100 * DIM));
    try (Arena arena = Arena.ofConfined()) {
      long bytes = x.length * dtype.byteSize();
      MemorySegment aligned = arena.allocate(bytes, 64);
      for (int i = 0; i < x.length; i++) {
        switch (dtype) {
          case FLOAT32 -> aligned.setAtIndex(ValueLayout.JAVA_FLOAT, i, x[i]);
          case FLOAT64 -> aligned.setAtIndex(ValueLayout.JAVA_DOUBLE, i, x[i]);
          default -> throw new AssertionError(dtype);
        }
      }
      MemorySegment unaligned = arena.allocate(bytes + 1, 64).asSlice(1).copyFrom(aligned);
      MemorySegment heap = MemorySegment.ofArray(new byte[(int) bytes]).copyFrom(aligned);
      MemorySegment readOnly = aligned.asReadOnly();
      MemorySegment longer = arena.allocate(bytes + 100, 64).copyFrom(aligned);

      HostQuantization<float[]> expected = quantizer.forward(x);
      for (MemorySegment input : new MemorySegment[] {aligned, unaligned, heap, readOnly, longer}) {
        MemorySegment nativeOut = arena.allocate(100 * 8L, 8);
        MemorySegment unalignedOut = arena.allocate(100 * 8L + 1, 8).asSlice(1);
        MemorySegment heapOut = MemorySegment.ofArray(new long[100]);
        for (MemorySegment output : new MemorySegment[] {nativeOut, unalignedOut, heapOut}) {
          quantizer.encode(input, dtype, 100, output);
          assertArrayEquals(expected.indices(), output.toArray(ValueLayout.JAVA_LONG_UNALIGNED));
          output.fill((byte) 7);
          Losses losses = quantizer.forward(input, dtype, 100, MemorySegment.NULL, output);
          assertArrayEquals(expected.indices(), output.toArray(ValueLayout.JAVA_LONG_UNALIGNED));
          assertEquals(expected.auxLoss(), losses.auxLoss(), 1e-6);
        }
      }
    }
  }

  @Test
  void forwardAndBackwardTakeOnlyWhatIsWanted() {
    MemorySegment x = MemorySegment.ofArray(X);
    float[] quantized = new float[X.length];
    Losses losses =
        quantizer.forward(
            x, DType.FLOAT32, 2, MemorySegment.ofArray(quantized), MemorySegment.NULL);
    assertArrayEquals(quantizer.decode(INDICES), quantized);
    assertEquals(quantizer.forward(X).auxLoss(), losses.auxLoss());

    float[] gradient = new float[X.length];
    quantizer.backward(x, DType.FLOAT32, 2, MemorySegment.NULL, 1, MemorySegment.ofArray(gradient));
    assertArrayEquals(quantizer.backward(X, new float[X.length], 1), gradient);
  }

  @Test
  void noRows() {
    assertArrayEquals(new long[0], quantizer.encode(new float[0]));
    assertArrayEquals(new float[0], quantizer.decode(new long[0]));
    assertArrayEquals(new double[0], quantizer.backward(new double[0], new double[0], 1));
    HostQuantization<double[]> nothing = quantizer.forward(new double[0]);
    assertEquals(0, nothing.auxLoss());
    assertEquals(0, nothing.perSampleEntropy());
    assertEquals(0, nothing.codebookEntropy());
    quantizer.encode(MemorySegment.NULL, DType.FLOAT32, 0, MemorySegment.NULL);
  }

  @Test
  void inputsAreNotWritten() {
    float[] x = X.clone();
    float[] gradient = {1, 2, 3, 4, 5, 6};
    quantizer.forward(x);
    quantizer.backward(x, gradient, 1);
    assertArrayEquals(X, x);
    assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, gradient);
  }

  /** Two codebooks of codeDim 4 in groups of 2: four indices in a row of eight components. */
  private static final QuantizerOptions GROUPED =
      QuantizerOptions.builder(4).codebooks(2).groupSize(2).build();

  private static final float[] GROUPED_X = {
    1, -2, 3, 4, -1, -1, 2, -3, // 10 11 00 10
    -1, 2, -3, 4, 5, 6, -7, -8 // 01 01 11 00
  };

  private static final long[] GROUPED_INDICES = {2, 3, 0, 2, 1, 1, 3, 0};

  @Test
  void groupsAndCodebooks() {
    BinarySphericalQuantizer grouped = BinarySphericalQuantizer.create(GROUPED);
    assertArrayEquals(GROUPED_INDICES, grouped.encode(GROUPED_X));
    assertArrayEquals(GROUPED_INDICES, grouped.encode(GROUPED_X, Batch.of(1, 2)));
    float[] quantized = new float[16];
    for (int i = 0; i < 16; i++) {
      quantized[i] = GROUPED_X[i] > 0 ? 0.5f : -0.5f;
    }
    assertArrayEquals(quantized, grouped.decode(GROUPED_INDICES));
    assertArrayEquals(quantized, grouped.decode(GROUPED_INDICES, Batch.of(2, 1)));
    assertArrayEquals(
        TestData.doubles(quantized), grouped.decodeToDouble(GROUPED_INDICES, Batch.of(2)));
    assertArrayEquals(GROUPED_INDICES, grouped.codesToIndices(quantized));
    assertArrayEquals(
        GROUPED_INDICES, grouped.codesToIndices(TestData.doubles(quantized), Batch.of(2)));
    HostQuantization<float[]> result = grouped.forward(GROUPED_X);
    assertArrayEquals(GROUPED_INDICES, result.indices());
    assertArrayEquals(quantized, result.quantized());
    assertEquals(2, result.losses().rows());
    assertEquals(result.losses().auxLoss(), result.auxLoss());
    assertEquals(result.losses().perSampleEntropy(), result.perSampleEntropy());
    assertEquals(result.losses().codebookEntropy(), result.codebookEntropy());
  }

  @Test
  void channelsFirst() {
    BinarySphericalQuantizer channelFirst =
        BinarySphericalQuantizer.create(QuantizerOptions.builder(DIM).channelFirst(true).build());
    float[] x = {1, -1, -2, 0, 3, 5}; // X, of one item with two positions
    Batch batch = Batch.of(1, 2);
    float h = (float) HALF;
    assertArrayEquals(INDICES, channelFirst.encode(x, batch));
    assertArrayEquals(INDICES, channelFirst.encode(TestData.doubles(x), batch));
    float[] quantized = {h, -h, -h, -h, h, h};
    assertArrayEquals(quantized, channelFirst.decode(INDICES, batch));
    assertArrayEquals(INDICES, channelFirst.codesToIndices(quantized, batch));
    assertArrayEquals(quantized, channelFirst.forward(x, batch).quantized());
    assertEquals(quantizer.forward(X).losses(), channelFirst.forward(x, batch).losses());
    float[] gradient = quantizer.backward(X, X, 1);
    assertArrayEquals(
        new float[] {gradient[0], gradient[3], gradient[1], gradient[4], gradient[2], gradient[5]},
        channelFirst.backward(x, batch, x, 1));
    // So many rows are so many items of one position, in which channels come first and last.
    assertArrayEquals(INDICES, channelFirst.encode(X));
    assertArrayEquals(gradient, channelFirst.backward(X, X, 1));
  }

  @Test
  void rowsThatDoNotCount() {
    float[] x = {1, -2, 3, 7, 8, 9, -1, 0, 5};
    Batch batch = Batch.of(3).withMask(true, false, true);
    HostQuantization<float[]> expected = quantizer.forward(X);
    HostQuantization<float[]> actual = quantizer.forward(x, batch);
    assertEquals(expected.losses(), actual.losses());
    assertEquals(2, actual.losses().rows());
    assertArrayEquals(new long[] {0b101, 0b111, 0b001}, actual.indices());
    float[] gradient = quantizer.backward(X, new float[6], 1);
    float[] masked = quantizer.backward(x, batch, new float[9], 1);
    assertArrayEquals(
        new float[] {
          gradient[0], gradient[1], gradient[2], 0, 0, 0, gradient[3], gradient[4], gradient[5]
        },
        masked);
    MemorySegment segment = MemorySegment.ofArray(x);
    Losses losses =
        quantizer.forward(segment, DType.FLOAT32, batch, MemorySegment.NULL, MemorySegment.NULL);
    assertEquals(expected.losses(), losses);
    float[] gradX = new float[9];
    quantizer.backward(
        segment, DType.FLOAT32, batch, MemorySegment.NULL, 1, MemorySegment.ofArray(gradX));
    assertArrayEquals(masked, gradX);
    LossSums sums = quantizer.lossSums(x, batch);
    assertEquals(expected.losses().auxLoss(), sums.losses().auxLoss(), 1e-12);
    quantizer.backward(
        segment, DType.FLOAT32, batch, sums, MemorySegment.NULL, 1, MemorySegment.ofArray(gradX));
    assertArrayEquals(masked, gradX, 1e-9f);
    assertArrayEquals(masked, quantizer.backward(x, batch, sums, new float[9], 1), 1e-9f);
  }

  @Test
  void noRowCounts() {
    Batch batch = Batch.of(2).withLengths(0, 0);
    HostQuantization<float[]> result = quantizer.forward(X, batch);
    assertEquals(new Losses(0, 0, 0, 0, 0, 0, 0), result.losses());
    assertArrayEquals(INDICES, result.indices());
    assertArrayEquals(new float[6], quantizer.backward(X, batch, new float[6], 1));
    // Not even where softplus makes the loss positive.
    BinarySphericalQuantizer positive =
        BinarySphericalQuantizer.create(QuantizerOptions.builder(DIM).positiveOffset(5).build());
    assertEquals(new Losses(0, 0, 0, 0, 0, 0, 0), positive.forward(X, batch).losses());
  }

  @Test
  void otherSeed() {
    BinarySphericalQuantizer drawing =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(DIM).entropyFraction(0.5).inverseTemperature(1).build());
    BinarySphericalQuantizer other = drawing.withEntropySeed(3);
    assertEquals(drawing.options().toBuilder().entropySeed(3).build(), other.options());
    double[] x = TestData.gaussian(1, 100 * DIM);
    Losses losses = drawing.forward(x).losses();
    assertEquals(100, losses.rows());
    assertEquals(50, losses.entropyRows());
    assertEquals(losses, drawing.withEntropySeed(0).forward(x).losses());
    assertTrue(losses.perSampleEntropy() != other.forward(x).losses().perSampleEntropy());
  }

  @Test
  void otherTemperature() {
    BinarySphericalQuantizer other = quantizer.withInverseTemperature(1);
    assertEquals(quantizer.options().toBuilder().inverseTemperature(1).build(), other.options());
    assertEquals(100, quantizer.options().inverseTemperature());
    assertTrue(other.forward(X).perSampleEntropy() > quantizer.forward(X).perSampleEntropy());
  }

  // Sizes that do not fit

  @Test
  void arraysThatAreNoWholeRows() {
    assertRefused(
        "x has 7 elements, which are no whole rows of codeDim 3",
        () -> quantizer.encode(new float[7]));
    assertRefused(
        "x has 7 elements, which are no whole rows of codeDim 3",
        () -> quantizer.forward(new double[7]));
    assertRefused(
        "codes has 1 elements, which are no whole rows of codeDim 3",
        () -> quantizer.codesToIndices(new float[1]));
    assertRefused(
        "gradQuantized has 3 elements, expected as many as x, 6",
        () -> quantizer.backward(X, new float[3], 1));
    BinarySphericalQuantizer grouped = BinarySphericalQuantizer.create(GROUPED);
    assertRefused(
        "x has 12 elements, which are no whole rows of 2 codebooks of codeDim 4",
        () -> grouped.encode(new float[12]));
    assertRefused(
        "indices has 6 elements, which are no whole rows of 4 indices (codebooks 2, groups 2)",
        () -> grouped.decode(new long[6]));
  }

  @Test
  void arraysThatAreNoBatch() {
    Batch three = Batch.of(1, 3);
    String x = "x has 6 elements, expected 3 rows of codeDim 3";
    assertRefused(x, () -> quantizer.encode(X, three));
    assertRefused(x, () -> quantizer.encode(TestData.doubles(X), three));
    assertRefused(x, () -> quantizer.forward(X, three));
    assertRefused(x, () -> quantizer.forward(TestData.doubles(X), three));
    assertRefused(x, () -> quantizer.backward(X, three, X, 1));
    assertRefused(x, () -> quantizer.lossSums(X, three));
    assertRefused(
        "codes has 6 elements, expected 3 rows of codeDim 3",
        () -> quantizer.codesToIndices(X, three));
    String indices = "indices has 2 elements, expected 3 rows of 1 indices (codebooks 1, groups 1)";
    assertRefused(indices, () -> quantizer.decode(INDICES, three));
    assertRefused(indices, () -> quantizer.decodeToDouble(INDICES, three));
    assertRefused(
        "gradQuantized has 9 elements, expected as many as x, 6",
        () -> quantizer.backward(X, Batch.of(2), new float[9], 1));
    assertRefused(
        "x has 7 elements, expected 2 rows of codeDim 3",
        () -> quantizer.encode(new float[7], Batch.of(2)));
    assertRefused(
        "x has 0 elements, expected 4611686018427387904 rows of codeDim 3",
        () -> quantizer.encode(new float[0], Batch.of(1L << 62)));
  }

  @Test
  void segmentsThatAreShorterThanTheBatch() {
    MemorySegment x = MemorySegment.ofArray(X);
    MemorySegment none = MemorySegment.NULL;
    MemorySegment indices = MemorySegment.ofArray(new long[1]);
    Batch three = Batch.of(1, 3);
    Batch two = Batch.of(2, 1);
    DType f32 = DType.FLOAT32;
    String shortX = "x has 24 bytes, expected at least 36";
    assertRefused(shortX, () -> quantizer.encode(x, f32, three, indices));
    assertRefused(shortX, () -> quantizer.forward(x, f32, three, none, none));
    assertRefused(shortX, () -> quantizer.lossSums(x, f32, three));
    assertRefused(shortX, () -> quantizer.backward(x, f32, three, none, 1, x));
    assertRefused(
        "codes has 24 bytes, expected at least 36",
        () -> quantizer.codesToIndices(x, f32, three, indices));
    String shortIndices = "indicesOut has 8 bytes, expected at least 16";
    assertRefused(shortIndices, () -> quantizer.encode(x, f32, two, indices));
    assertRefused(shortIndices, () -> quantizer.forward(x, f32, two, none, indices));
    assertRefused(
        "indices has 8 bytes, expected at least 16", () -> quantizer.decode(indices, two, f32, x));
    BinarySphericalQuantizer grouped = BinarySphericalQuantizer.create(GROUPED);
    MemorySegment row = MemorySegment.ofArray(new float[8]);
    assertRefused(
        "indicesOut has 8 bytes, expected at least 32", () -> grouped.encode(row, f32, 1, indices));
    assertRefused(
        "x has 24 bytes, expected at least 32",
        () -> grouped.encode(x, f32, 1, MemorySegment.ofArray(new long[4])));
    assertRefused(
        "4611686018427387904 rows of 3 elements are more than 2^63 - 1 bytes",
        () -> quantizer.encode(x, f32, Batch.of(1L << 61, 2), indices));
  }

  @Test
  void segmentsThatAreTooShort() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(24, 8);
      MemorySegment indices = arena.allocate(16, 8);
      MemorySegment shortX = x.asSlice(0, 23);
      MemorySegment shortIndices = indices.asSlice(0, 15);
      DType f32 = DType.FLOAT32;
      String xMessage = " has 23 bytes, expected at least 24";
      String indicesMessage = " has 15 bytes, expected at least 16";
      assertRefused("x" + xMessage, () -> quantizer.encode(shortX, f32, 2, indices));
      assertRefused("indicesOut" + indicesMessage, () -> quantizer.encode(x, f32, 2, shortIndices));
      assertRefused("indices" + indicesMessage, () -> quantizer.decode(shortIndices, 2, f32, x));
      assertRefused("quantizedOut" + xMessage, () -> quantizer.decode(indices, 2, f32, shortX));
      MemorySegment out = arena.allocate(24, 8);
      assertRefused("x" + xMessage, () -> quantizer.forward(shortX, f32, 2, out, indices));
      assertRefused("quantizedOut" + xMessage, () -> quantizer.forward(x, f32, 2, shortX, indices));
      assertRefused(
          "indicesOut" + indicesMessage, () -> quantizer.forward(x, f32, 2, out, shortIndices));
      assertRefused("x" + xMessage, () -> quantizer.backward(shortX, f32, 2, out, 1, out));
      assertRefused(
          "gradQuantized" + xMessage, () -> quantizer.backward(x, f32, 2, shortX, 1, out));
      assertRefused("gradXOut" + xMessage, () -> quantizer.backward(x, f32, 2, x, 1, shortX));
      assertRefused("bits" + xMessage, () -> quantizer.bitsToCodes(shortX, f32, 6, out));
      assertRefused("codesOut" + xMessage, () -> quantizer.bitsToCodes(x, f32, 6, shortX));
      assertRefused("codes" + xMessage, () -> quantizer.codesToIndices(shortX, f32, 2, indices));
      assertRefused(
          "indicesOut" + indicesMessage, () -> quantizer.codesToIndices(x, f32, 2, shortIndices));
    }
  }

  @Test
  void rowCountsThatMakeNoSense() {
    MemorySegment nothing = MemorySegment.NULL;
    assertRefused(
        "rows is -1, expected at least 0",
        () -> quantizer.encode(nothing, DType.FLOAT32, -1, nothing));
    assertRefused(
        "count is -1, expected at least 0",
        () -> quantizer.bitsToCodes(nothing, DType.FLOAT32, -1, nothing));
    assertRefused(
        "9223372036854775807 rows of 3 elements are more than 2^63 - 1 bytes",
        () -> quantizer.encode(nothing, DType.FLOAT32, Long.MAX_VALUE, nothing));
    assertRefused(
        "x has 0 bytes, expected at least 12",
        () -> quantizer.encode(nothing, DType.FLOAT32, 1, nothing));
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FLOAT32", "FLOAT64"})
  void typesThatOnlyTensorsHave(DType dtype) {
    MemorySegment x = MemorySegment.NULL;
    for (Executable call :
        new Executable[] {
          () -> quantizer.encode(x, dtype, 0, x),
          () -> quantizer.decode(x, 0, dtype, x),
          () -> quantizer.forward(x, dtype, 0, x, x),
          () -> quantizer.backward(x, dtype, 0, x, 0, x),
          () -> quantizer.bitsToCodes(x, dtype, 0, x),
          () -> quantizer.codesToIndices(x, dtype, 0, x)
        }) {
      assertRefused(
          "dtype is " + dtype + ", expected FLOAT32 or FLOAT64 (use a Tensor for the others)",
          call);
    }
  }

  @Test
  void operatorsAreForTensorsOnly() {
    BinarySphericalQuantizer operators =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(DIM).implementation(Implementation.OPERATORS).build());
    for (Executable call :
        new Executable[] {
          () -> operators.encode(X),
          () -> operators.decode(INDICES),
          () -> operators.forward(X),
          () -> operators.backward(X, X, 1),
          () -> operators.lossSums(X, Batch.of(2)),
          () -> operators.codesToIndices(X)
        }) {
      BsqException e = assertThrows(BsqException.class, call);
      assertEquals(BsqException.Code.UNSUPPORTED, e.code());
      assertTrue(e.getMessage().startsWith("Implementation.OPERATORS computes tensors alone"));
    }
  }

  @Test
  void moreThanAnArrayHolds() {
    BinarySphericalQuantizer wide = BinarySphericalQuantizer.create(63);
    assertRefused(
        "40000000 rows of 63 elements do not fit into an array; use segments",
        () -> wide.decode(new long[40_000_000]));
  }

  @Test
  void nullIsRefused() {
    MemorySegment x = MemorySegment.ofArray(X);
    assertAll(
        () -> assertNull("x", () -> quantizer.encode((float[]) null)),
        () -> assertNull("indices", () -> quantizer.decode(null)),
        () -> assertNull("indicesOut", () -> quantizer.encode(x, DType.FLOAT32, 2, null)),
        () -> assertNull("dtype", () -> quantizer.encode(x, null, 2, x)),
        () -> assertNull("gradQuantized", () -> quantizer.backward(X, null, 1)),
        () -> assertNull("quantizedOut", () -> quantizer.forward(x, DType.FLOAT32, 2, null, x)),
        () -> assertNull("batch", () -> quantizer.encode(X, null)),
        () -> assertNull("batch", () -> quantizer.encode(x, DType.FLOAT32, null, x)),
        () -> assertNull("batch", () -> quantizer.decode(INDICES, null)),
        () -> assertNull("batch", () -> quantizer.decode(x, null, DType.FLOAT32, x)),
        () -> assertNull("batch", () -> quantizer.forward(X, null)),
        () -> assertNull("batch", () -> quantizer.forward(x, DType.FLOAT32, null, x, x)),
        () -> assertNull("batch", () -> quantizer.lossSums(x, DType.FLOAT32, null)),
        () -> assertNull("batch", () -> quantizer.backward(X, null, X, 1)),
        () -> assertNull("batch", () -> quantizer.backward(x, DType.FLOAT32, null, x, 1, x)),
        () -> assertNull("batch", () -> quantizer.codesToIndices(X, null)),
        () -> assertNull("batch", () -> quantizer.codesToIndices(x, DType.FLOAT32, null, x)),
        () ->
            assertNull("options", () -> BinarySphericalQuantizer.create((QuantizerOptions) null)));
  }

  // Memory that must not be touched

  @Test
  void readOnlyOutputs() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(24, 8);
      MemorySegment out = arena.allocate(24, 8).asReadOnly();
      MemorySegment indices = arena.allocate(16, 8);
      DType f32 = DType.FLOAT32;
      assertRefused("indicesOut is read-only", () -> quantizer.encode(x, f32, 2, out));
      assertRefused("quantizedOut is read-only", () -> quantizer.decode(indices, 2, f32, out));
      assertRefused("quantizedOut is read-only", () -> quantizer.forward(x, f32, 2, out, indices));
      assertRefused("gradXOut is read-only", () -> quantizer.backward(x, f32, 2, x, 0, out));
    }
  }

  @Test
  void closedAndForeignArenas() throws InterruptedException {
    MemorySegment indices = MemorySegment.ofArray(new long[2]);
    MemorySegment closed;
    try (Arena arena = Arena.ofConfined()) {
      closed = arena.allocate(24, 8);
    }
    assertThrows(
        IllegalStateException.class, () -> quantizer.encode(closed, DType.FLOAT32, 2, indices));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment confined = arena.allocate(24, 8);
      AtomicReference<Throwable> thrown = new AtomicReference<>();
      Thread other =
          Thread.ofPlatform()
              .uncaughtExceptionHandler((_, e) -> thrown.set(e))
              .start(() -> quantizer.encode(confined, DType.FLOAT32, 2, indices));
      other.join();
      assertEquals(WrongThreadException.class, thrown.get().getClass());
    }
  }

  @Test
  void outputsThatOverlap() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(64, 8);
      assertRefused(
          "indicesOut overlaps x, expected memory of its own",
          () -> quantizer.encode(memory, DType.FLOAT32, 2, memory.asSlice(16)));
      // Side by side is fine, whatever lies behind.
      quantizer.encode(memory, DType.FLOAT32, 2, memory.asSlice(24));
    }
  }

  @Test
  void arraysThatOverlapOrAreOfAnotherType() {
    MemorySegment x = MemorySegment.ofArray(X.clone());
    MemorySegment bytes = MemorySegment.ofArray(new byte[48]);
    MemorySegment longs = MemorySegment.ofArray(new long[6]);
    DType f32 = DType.FLOAT32;
    String rest = ", expected memory of its own";
    assertRefused(
        "quantizedOut overlaps x" + rest,
        () -> quantizer.forward(x, f32, 2, x, MemorySegment.NULL));
    assertRefused(
        "indicesOut overlaps quantizedOut" + rest,
        () -> quantizer.forward(x, f32, 2, bytes, bytes));
    assertRefused(
        "gradXOut overlaps gradQuantized" + rest,
        () -> quantizer.backward(x, f32, 2, bytes, 0, bytes));
    assertRefused(
        "x is a double[], expected a float[]",
        () -> quantizer.encode(MemorySegment.ofArray(new double[6]), f32, 2, longs));
    assertRefused(
        "indicesOut is a float[], expected a long[]",
        () -> quantizer.encode(x, f32, 2, MemorySegment.ofArray(new float[6])));
  }

  // Values

  @Test
  void rowsThatAreNotFinite() {
    float[] x = TestData.floats(TestData.gaussian(1, 1000 * DIM));
    x[700 * DIM + 2] = Float.NEGATIVE_INFINITY;
    x[300 * DIM + 1] = Float.NaN;
    String message = "x[300, 1] is nan, expected a finite number";
    assertNativelyRefused(message, () -> quantizer.encode(x));
    assertNativelyRefused(message, () -> quantizer.forward(x));
    assertNativelyRefused(message, () -> quantizer.backward(x, new float[x.length], 1));
    assertNativelyRefused(message, () -> quantizer.backward(x, new float[x.length], 0));
  }

  @Test
  void rowsThatAreNotFiniteMayPropagate() {
    BinarySphericalQuantizer lenient =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(DIM).nonFinitePolicy(NonFinitePolicy.PROPAGATE).build());
    float nan = Float.NaN;
    float[] x = {1, 2, 3, 1, nan, 3, 1, Float.POSITIVE_INFINITY, 3};
    assertArrayEquals(new long[] {7, 0, 0}, lenient.encode(x));
    HostQuantization<float[]> result = lenient.forward(x);
    float h = (float) HALF;
    assertArrayEquals(new float[] {h, h, h, nan, nan, nan, -h, nan, -h}, result.quantized());
    assertArrayEquals(new long[] {7, 0, 0}, result.indices());
    assertEquals(Double.NaN, result.auxLoss());
    assertEquals(Double.NaN, result.perSampleEntropy());
    assertEquals(Double.NaN, result.codebookEntropy());
    float[] straight = lenient.backward(x, new float[] {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0);
    assertTrue(Float.isFinite(straight[0]) && Float.isNaN(straight[3]) && Float.isNaN(straight[8]));
    float[] all = new float[9];
    Arrays.fill(all, nan);
    assertArrayEquals(all, lenient.backward(x, new float[9], 1));
  }

  @Test
  void aCodeThatIsNotFiniteTouchesNoOtherCodeOfItsRow() {
    BinarySphericalQuantizer lenient =
        BinarySphericalQuantizer.create(
            GROUPED.toBuilder().nonFinitePolicy(NonFinitePolicy.PROPAGATE).build());
    float nan = Float.NaN;
    float[] x = GROUPED_X.clone();
    x[1] = nan;
    HostQuantization<float[]> result = lenient.forward(x);
    assertArrayEquals(new long[] {0, 0, 0, 2, 1, 1, 3, 0}, result.indices());
    float[] quantized = result.quantized();
    assertArrayEquals(new float[] {nan, nan, nan, nan}, Arrays.copyOf(quantized, 4));
    assertArrayEquals(new float[] {-0.5f, -0.5f, 0.5f, -0.5f}, Arrays.copyOfRange(quantized, 4, 8));
    assertEquals(Double.NaN, result.auxLoss());
    assertNativelyRefused(
        "x[0, 1] is nan, expected a finite number",
        () -> BinarySphericalQuantizer.create(GROUPED).forward(x));
  }

  @Test
  void aRowThatIsNotFiniteAndDoesNotCountSpoilsNoLoss() {
    BinarySphericalQuantizer lenient =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(DIM).nonFinitePolicy(NonFinitePolicy.PROPAGATE).build());
    float[] x = {1, -2, 3, Float.NaN, 8, 9, -1, 0, 5};
    Batch batch = Batch.of(3).withMask(true, false, true);
    assertEquals(quantizer.forward(X).losses(), lenient.forward(x, batch).losses());
    float[] gradient = lenient.backward(x, batch, new float[9], 1);
    assertTrue(Float.isFinite(gradient[0]) && Float.isFinite(gradient[8]));
    assertTrue(Float.isNaN(gradient[3]));
    // Unless the policy lets it through, it is refused all the same: it is quantized.
    assertNativelyRefused(
        "x[1, 0] is nan, expected a finite number", () -> quantizer.forward(x, batch));
  }

  @Test
  void hugeAndTinyRowsAreQuantizedRight() {
    // The reference loses these: its float32 norm overflows, and u underflows.
    float[] x = {1e38f, -1e38f, 1e30f, 1e-30f, 1e17f, -Float.MIN_VALUE};
    assertArrayEquals(new long[] {0b101, 0b110}, quantizer.encode(x));
    Oracle oracle = Oracle.of(quantizer.options(), new double[] {1, -1, 1e-8, 1e-30, 1, -1e-45});
    assertEquals(oracle.auxLoss(), quantizer.forward(x).auxLoss(), 1e-6);
    double[] huge = {1e308, -1e308, 1e300, 1e-30, 1e17, -1e-45};
    assertEquals(oracle.auxLoss(), quantizer.forward(huge).auxLoss(), 1e-9);
  }

  @Test
  void inputsThatChangeDuringTheCallKillNobody() throws InterruptedException {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment x = arena.allocate(DIM * 4L, 64).fill((byte) 1);
      MemorySegment indices = arena.allocate(8, 8);
      AtomicBoolean stop = new AtomicBoolean();
      Thread writer =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      x.setAtIndex(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
                      x.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 1);
                    }
                  });
      int refused = 0;
      for (int i = 0; i < 200_000; i++) {
        try {
          quantizer.encode(x, DType.FLOAT32, 1, indices);
          quantizer.codesToIndices(x, DType.FLOAT32, 1, indices);
        } catch (BsqException e) {
          assertEquals(BsqException.Code.INVALID_ARGUMENT, e.code());
          assertFalse(e.getMessage().contains("-1"), e::getMessage); // a column that was not found
          refused++;
        }
      }
      stop.set(true);
      writer.join();
      assertTrue(refused > 0, "the race did not take place");
    }
  }

  @Test
  void indicesOutOfRange() {
    assertNativelyRefused(
        "indices[2] is 8, expected 0 to 7 for code_dim 3",
        () -> quantizer.decode(new long[] {0, 7, 8, -1}));
    assertNativelyRefused(
        "indices[0] is -1, expected 0 to 7 for code_dim 3",
        () -> quantizer.decodeToDouble(new long[] {-1}));
    assertNativelyRefused(
        "indices[0] is -9223372036854775808, expected 0 to 9223372036854775807 for code_dim 63",
        () -> BinarySphericalQuantizer.create(63).decode(new long[] {Long.MIN_VALUE}));
  }

  @Test
  void indicesOfGroupsOutOfRange() {
    assertNativelyRefused(
        "indices[1, 2] is 4, expected 0 to 3 for group_size 2",
        () -> BinarySphericalQuantizer.create(GROUPED).decode(new long[] {0, 1, 2, 3, 0, 1, 4, 9}));
  }

  @Test
  void positionsAreThoseOfRowsWhereverChannelsAre() {
    BinarySphericalQuantizer channelFirst =
        BinarySphericalQuantizer.create(QuantizerOptions.builder(DIM).channelFirst(true).build());
    float[] x = {1, 1, 1, 1, 1, Float.NaN, 1, 1, 1, 1, 1, 1};
    assertNativelyRefused(
        "x[1, 2] is nan, expected a finite number", () -> channelFirst.encode(x, Batch.of(2, 2)));
    x[5] = 0;
    assertNativelyRefused(
        "codes[1, 2] is 0, expected a code value: finite and not 0 (encode takes any numbers)",
        () -> channelFirst.codesToIndices(x, Batch.of(2, 2)));
  }

  @Test
  void valuesThatAreNoCodes() {
    String rest = ", expected a code value: finite and not 0 (encode takes any numbers)";
    assertNativelyRefused(
        "codes[1, 0] is 0" + rest, () -> quantizer.codesToIndices(new float[] {1, 1, 1, 0, 1, 1}));
    assertNativelyRefused(
        "codes[0, 2] is nan" + rest,
        () -> quantizer.codesToIndices(new double[] {1, 1, Double.NaN}));
  }

  @Test
  void lossesOfLargeCodes() {
    BinarySphericalQuantizer wide = BinarySphericalQuantizer.create(25);
    for (Executable call :
        new Executable[] {
          () -> wide.forward(new float[25]), () -> wide.backward(new float[25], new float[25], 1)
        }) {
      BsqException e = assertThrows(BsqException.class, call);
      assertEquals(BsqException.Code.UNSUPPORTED, e.code());
      assertEquals(
          "codeDim is 25: the codebook entropy needs memory for 2^codeDim numbers and is computed"
              + " up to codeDim 24; for larger codes use encode and decode, or another formula:"
              + " groupSize, or EntropyForm.ANALYTICAL",
          e.getMessage());
    }
    assertArrayEquals(new long[] {0}, wide.encode(new float[25]));
    assertArrayEquals(new float[25], wide.backward(new float[25], new float[25], 0));
  }

  @Test
  void lossesOfLargeGroups() {
    QuantizerOptions options = QuantizerOptions.builder(34).groupSize(17).build();
    BinarySphericalQuantizer wide = BinarySphericalQuantizer.create(options);
    for (Executable call :
        new Executable[] {
          () -> wide.forward(new float[34]),
          () -> wide.backward(new float[34], new float[34], 1),
          () -> wide.lossSums(new float[34], Batch.of(1))
        }) {
      BsqException e = assertThrows(BsqException.class, call);
      assertEquals(BsqException.Code.UNSUPPORTED, e.code());
      assertEquals(
          "groupSize is 17: the codebook entropy needs memory for 2^groupSize numbers for each"
              + " group and is computed up to groupSize 16; for larger ones use encode and decode,"
              + " or another formula: EntropyForm.ANALYTICAL",
          e.getMessage());
    }
    assertArrayEquals(new long[] {0, 0}, wide.encode(new float[34]));
    assertArrayEquals(new float[34], wide.backward(new float[34], new float[34], 0));
  }

  @Test
  void analyticalLossesAreServedForAllCodes() {
    QuantizerOptions options =
        QuantizerOptions.builder(1024).groupSize(32).entropyForm(EntropyForm.ANALYTICAL).build();
    HostQuantization<double[]> zero =
        BinarySphericalQuantizer.create(options).forward(new double[1024]);
    assertArrayEquals(new long[32], zero.indices());
    assertEquals(1024 * Math.log(2), zero.perSampleEntropy(), 1e-9);
    assertEquals(1024 * Math.log(2), zero.codebookEntropy(), 1e-9);
    double[] wide =
        BinarySphericalQuantizer.create(
                QuantizerOptions.builder(63).entropyForm(EntropyForm.ANALYTICAL).build())
            .backward(new double[63], new double[63], 1);
    assertArrayEquals(new double[63], wide);
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  private static void assertNull(String name, Executable call) {
    assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
  }

  private static void assertNativelyRefused(String message, Executable call) {
    BsqException e = assertThrows(BsqException.class, call);
    assertEquals(BsqException.Code.INVALID_ARGUMENT, e.code());
    assertEquals(message, e.getMessage());
  }
}
