package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Loss sums by themselves; that they add up is one of {@link LossIdentities}. */
class LossSumsTest {
  private static final QuantizerOptions OPTIONS =
      QuantizerOptions.builder(4).groupSize(2).codebooks(3).commitmentWeight(0.25).build();

  private final BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(OPTIONS);
  private final double[] x = TestData.gaussian(7, 5 * 12);

  @Test
  void whatTheyAre() {
    LossSums sums = quantizer.lossSums(x, Batch.of(5).withLengths(1, 1, 0, 1, 0));
    assertEquals(OPTIONS, sums.options());
    assertEquals(3, sums.rows());
    double[] numbers = sums.toArray();
    assertEquals(4 + 3 * 2 * 4, numbers.length);
    assertEquals(3, numbers[0]);
    assertEquals("LossSums[rows=3, " + OPTIONS + "]", sums.toString());
    numbers[0] = 99; // a copy
    assertEquals(3, sums.rows());
  }

  @Test
  void everyKindOfMemoryGivesTheSame() {
    Batch batch = Batch.of(5).withLengths(1, 1, 0, 1, 0);
    double[] expected = quantizer.lossSums(x, batch).toArray();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment heap = MemorySegment.ofArray(x);
      MemorySegment aligned = arena.allocate(heap.byteSize(), 8).copyFrom(heap);
      MemorySegment unaligned = arena.allocate(heap.byteSize() + 1, 8).asSlice(1).copyFrom(heap);
      for (MemorySegment segment : new MemorySegment[] {heap, aligned, unaligned}) {
        assertArrayEquals(expected, quantizer.lossSums(segment, DType.FLOAT64, batch).toArray());
      }
      Quantization quantization =
          quantizer.forward(
              arena, Tensor.of(arena, x, 5, 1, 12), batch.maskTensor(arena, Device.CPU));
      assertArrayEquals(expected, quantization.lossSums().toArray());
      assertEquals(OPTIONS, quantization.lossSums().options());
    }
    float[] floats = TestData.floats(x);
    double[] rounded = quantizer.lossSums(floats, batch).toArray();
    assertArrayEquals(expected, rounded, 1e-4);
    assertArrayEquals(
        rounded, quantizer.lossSums(MemorySegment.ofArray(floats), DType.FLOAT32, batch).toArray());
  }

  @Test
  void noRows() {
    LossSums none = quantizer.lossSums(new double[0], Batch.of(0));
    assertEquals(new Losses(0, 0, 0, 0, 0, 0, 0), none.losses());
    LossSums some = quantizer.lossSums(x, Batch.of(5));
    assertEquals(some.losses(), some.plus(none).losses());
    assertArrayEquals(
        new double[28], quantizer.lossSums(x, Batch.of(5).withMask(new byte[5])).toArray());
  }

  @Test
  void theLossesAreThoseOfTheirOwnOptions() {
    LossSums sums = quantizer.lossSums(x, Batch.of(5));
    QuantizerOptions heavier = OPTIONS.toBuilder().entropyLossWeight(1).build();
    LossSums same = LossSums.of(heavier, sums.toArray());
    assertEquals(heavier, same.options());
    Losses losses = same.losses();
    assertEquals(losses.entropyLoss() + 0.25 * losses.commitment(), losses.auxLoss(), 1e-15);
    assertEquals(OPTIONS, sums.plus(same).options());
    assertEquals(heavier, same.plus(sums).options());
  }

  @ParameterizedTest
  @CsvSource({
    "codeDim 4, 2",
    "codebooks 3, 1",
    "entropyForm EXACT, ANALYTICAL",
    "groupSize 2, 4",
    "inverseTemperature 100.0, 1.0",
    "'entropyFloor EntropyFloor[kind=CLAMP, epsilon=1.0E-5]', 'EntropyFloor[kind=ADD,"
        + " epsilon=1.0E-5]'"
  })
  void sumsOfOtherOptions(String are, String expected) {
    UnaryOperator<QuantizerOptions.Builder> change =
        switch (are.split(" ", 2)[0]) {
          case "codeDim" -> _ -> QuantizerOptions.builder(2).groupSize(2).codebooks(3);
          case "codebooks" -> builder -> builder.codebooks(1);
          case "entropyForm" -> builder -> builder.entropyForm(EntropyForm.ANALYTICAL);
          case "groupSize" -> builder -> builder.groupSize(4);
          case "inverseTemperature" -> builder -> builder.inverseTemperature(1);
          case "entropyFloor" -> builder -> builder.entropyFloor(EntropyFloor.add(1e-5));
          default -> throw new AssertionError(are);
        };
    LossSums sums = quantizer.lossSums(x, Batch.of(5));
    BinarySphericalQuantizer other =
        BinarySphericalQuantizer.create(change.apply(OPTIONS.toBuilder()).build());
    int length = other.options().rowLength();
    double[] row = new double[length];
    MemorySegment rowOut = MemorySegment.ofArray(new double[length]);
    String message = " are of " + are + ", expected " + expected + " as here";
    assertRefused("other" + message, () -> other.lossSums(row, Batch.of(1)).plus(sums));
    assertRefused("sums" + message, () -> other.backward(row, Batch.of(1), sums, row, 1));
    assertRefused(
        "sums" + message,
        () ->
            other.backward(
                MemorySegment.ofArray(row),
                DType.FLOAT64,
                Batch.of(1),
                sums,
                MemorySegment.NULL,
                1,
                rowOut));
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = Tensor.of(arena, row);
      Quantization quantization = other.forward(arena, tensor);
      assertRefused("sums" + message, () -> quantization.backward(arena, 1, sums));
      assertRefused("sums" + message, () -> quantization.backward(arena, tensor, 1, sums));
    }
  }

  @Test
  void sumsWithoutTheCommitment() {
    LossSums without = LossSums.of(OPTIONS.toBuilder().commitmentWeight(0).build(), new double[28]);
    assertRefused(
        "sums are of commitmentWeight 0, and so without the commitment, but it is 0.25 here",
        () -> quantizer.backward(x, Batch.of(5), without, x, 1));
    without.plus(quantizer.lossSums(x, Batch.of(5))); // it has no use for the commitment
  }

  @Test
  void optionsThatOnlyWeighTheSumsMayDiffer() {
    LossSums sums =
        LossSums.of(
            OPTIONS.toBuilder()
                .entropyLossWeight(9)
                .sampleEntropyWeight(9)
                .diversityGamma(9)
                .positiveOffset(9)
                .dividedByInverseTemperature(true)
                .commitment(Commitment.SQUARE)
                .commitmentWeight(9)
                .straightThroughScale(9)
                .entropySeed(9)
                .channelFirst(true)
                .nonFinitePolicy(NonFinitePolicy.PROPAGATE)
                .implementation(Implementation.OPERATORS)
                .build(),
            quantizer.lossSums(x, Batch.of(5)).toArray());
    assertArrayEquals(
        quantizer.backward(x, Batch.of(5), new double[60], 1),
        quantizer.backward(x, Batch.of(5), sums, new double[60], 1),
        1e-15);
  }

  @Test
  void numbersThatAreNoSums() {
    assertRefused(
        "sums has 27 elements, expected 28 for codebooks 3, codeDim 4, groupSize 2, EXACT",
        () -> LossSums.of(OPTIONS, new double[27]));
    QuantizerOptions analytical = OPTIONS.toBuilder().entropyForm(EntropyForm.ANALYTICAL).build();
    assertRefused(
        "sums has 29 elements, expected 28 for codebooks 3, codeDim 4, groupSize 2, ANALYTICAL",
        () -> LossSums.of(analytical, new double[29]));
    String most = ", expected a number of rows, 0 to 9007199254740992";
    assertRefused("sums[0] is -1.0" + most, () -> LossSums.of(OPTIONS, sums(-1, 0)));
    assertRefused("sums[0] is 0.5" + most, () -> LossSums.of(OPTIONS, sums(0.5, 0)));
    assertRefused("sums[0] is NaN" + most, () -> LossSums.of(OPTIONS, sums(Double.NaN, 0)));
    assertRefused("sums[0] is 1.0E16" + most, () -> LossSums.of(OPTIONS, sums(1e16, 1)));
    assertRefused(
        "sums[1] is 4.0, expected a number of rows, 1 to 3",
        () -> LossSums.of(OPTIONS, sums(3, 4)));
    assertRefused(
        "sums[1] is 0.0, expected a number of rows, 1 to 3",
        () -> LossSums.of(OPTIONS, sums(3, 0)));
    assertRefused(
        "sums[1] is 1.0, expected a number of rows, 0 to 0",
        () -> LossSums.of(OPTIONS, sums(0, 1)));
    double[] negative = sums(3, 2);
    negative[2] = -1; // entropies, which an additive floor lets be negative
    LossSums.of(OPTIONS, negative);
    negative[27] = -0.5;
    assertRefused(
        "sums[27] is -0.5, expected 0 or more: a sum of probabilities",
        () -> LossSums.of(OPTIONS, negative));
    negative[3] = -Double.MIN_VALUE;
    assertRefused(
        "sums[3] is -4.9E-324, expected 0 or more: a sum of distances",
        () -> LossSums.of(OPTIONS, negative));
  }

  private static double[] sums(double rows, double entropyRows) {
    double[] sums = new double[28];
    sums[0] = rows;
    sums[1] = entropyRows;
    return sums;
  }

  @Test
  void sumsThatAreNotOfX() {
    LossSums fewer = quantizer.lossSums(x, Batch.of(5).withLengths(1, 0, 0, 0, 0));
    BsqException e =
        assertThrows(BsqException.class, () -> quantizer.backward(x, Batch.of(5), fewer, x, 1));
    assertEquals(BsqException.Code.INVALID_ARGUMENT, e.code());
    assertEquals(
        "sums are of 1 rows that count and 1 of the entropies, but x has 5 and 5: expected sums of"
            + " all batches, that of x among them",
        e.getMessage());
  }

  @Test
  void lossesThatAreTooLarge() {
    for (QuantizerOptions options :
        new QuantizerOptions[] {
          QuantizerOptions.of(25), QuantizerOptions.builder(34).groupSize(17).build()
        }) {
      BsqException e = assertThrows(BsqException.class, () -> LossSums.of(options));
      assertEquals(BsqException.Code.UNSUPPORTED, e.code());
    }
    BsqException e =
        assertThrows(
            BsqException.class,
            () ->
                LossSums.of(QuantizerOptions.builder(1024).groupSize(16).codebooks(1024).build()));
    assertEquals(BsqException.Code.UNSUPPORTED, e.code());
    assertEquals(
        "4294967300 loss sums do not fit into an array: codebooks is 1024, codeDim 1024, groupSize"
            + " 16",
        e.getMessage());
  }

  @Test
  void nullIsRefused() {
    LossSums sums = quantizer.lossSums(x, Batch.of(5));
    assertNull("options", () -> LossSums.of(null));
    assertNull("sums", () -> LossSums.of(OPTIONS, (double[]) null));
    assertNull("other", () -> sums.plus(null));
    assertNull("sums", () -> quantizer.backward(x, Batch.of(5), null, x, 1));
    assertNull("batch", () -> quantizer.lossSums(x, null));
    assertNull("x", () -> quantizer.lossSums((double[]) null, Batch.of(1)));
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  private static void assertNull(String name, Executable call) {
    assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
  }
}
