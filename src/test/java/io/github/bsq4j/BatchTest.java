package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Which rows there are, and which of them count. */
class BatchTest {
  @Test
  void allRowsCountUnlessAMaskSaysOtherwise() {
    Batch rows = Batch.of(7);
    assertEquals(7, rows.items());
    assertEquals(1, rows.positions());
    assertEquals(7, rows.rows());
    assertEquals(Optional.empty(), rows.mask());
    Batch batch = Batch.of(2, 3);
    assertEquals(2, batch.items());
    assertEquals(3, batch.positions());
    assertEquals(6, batch.rows());
    assertEquals(Optional.empty(), batch.mask());
    assertEquals("Batch[items=2, positions=3, counting=all]", batch.toString());
  }

  @Test
  void masksOfAllKinds() {
    Batch batch = Batch.of(2, 2);
    assertArrayEquals(
        new byte[] {0, 1, -1, 0}, mask(batch.withMask((byte) 0, (byte) 1, (byte) -1, (byte) 0)));
    assertArrayEquals(new byte[] {1, 0, 0, 1}, mask(batch.withMask(true, false, false, true)));
    MemorySegment unaligned = MemorySegment.ofArray(new byte[] {9, 0, 2, 0, 3}).asSlice(1);
    Batch masked = batch.withMask(unaligned);
    assertArrayEquals(new byte[] {0, 2, 0, 3}, mask(masked));
    assertEquals("Batch[items=2, positions=2, counting=2 of them]", masked.toString());
    assertEquals(Optional.empty(), batch.mask()); // is what it was
  }

  @Test
  void theMaskIsCopiedAndCannotBeWritten() {
    byte[] bytes = {1, 1};
    Batch batch = Batch.of(2).withMask(bytes);
    bytes[0] = 0;
    assertArrayEquals(new byte[] {1, 1}, mask(batch));
    MemorySegment mask = batch.mask().orElseThrow();
    assertTrue(mask.isReadOnly());
    assertTrue(mask.isNative()); // used in place
  }

  @Test
  void lengthsCountTheFirstPositions() {
    Batch batch = Batch.of(3, 4);
    assertArrayEquals(
        new byte[] {1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0}, mask(batch.withLengths(4, 0, 1)));
    assertArrayEquals(new byte[0], mask(Batch.of(0, 4).withLengths()));
    assertArrayEquals(new byte[0], mask(Batch.of(2, 0).withLengths(0, 0)));
  }

  @Test
  void relativeLengthsAreRoundedAsTorchDoes() {
    // torch.round(torch.tensor([0.5, 1.5, 2.5, 3.5, 3.49])) is [0, 2, 2, 4, 3].
    Batch batch = Batch.of(5, 10).withRelativeLengths(0.05, 0.15, 0.25, 0.35, 0.349);
    int[] counted = new int[5];
    byte[] mask = mask(batch);
    for (int row = 0; row < mask.length; row++) {
      counted[row / 10] += mask[row];
    }
    assertArrayEquals(new int[] {0, 2, 2, 4, 3}, counted);
    assertArrayEquals(
        mask(Batch.of(2, 7).withLengths(7, 0)), mask(Batch.of(2, 7).withRelativeLengths(1, 0)));
  }

  @Test
  void relativeLengthsOfFloatsFindTheirLengths() {
    // What SpeechBrain's batches hold: length / longest in float32.
    for (int longest : new int[] {3, 100, 1777, 100_003}) {
      for (int length = 1; length <= longest; length += Math.max(1, longest / 50)) {
        double relative = (float) length / longest;
        assertArrayEquals(
            mask(Batch.of(1, longest).withLengths(length)),
            mask(Batch.of(1, longest).withRelativeLengths(relative)));
      }
    }
  }

  @Test
  void masksAsTensors() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor mask = Batch.of(2, 3).withLengths(1, 3).maskTensor(arena, Device.CPU);
      assertEquals("Tensor[UINT8, [2, 3], cpu]", mask.toString());
      assertArrayEquals(new byte[] {1, 0, 0, 1, 1, 1}, mask.toByteArray());
      assertArrayEquals(
          new byte[] {1, 1}, Batch.of(1, 2).maskTensor(arena, Device.CPU).toByteArray());
    }
  }

  @Test
  void numbersThatDoNotFit() {
    assertRefused("rows is -1, expected at least 0", () -> Batch.of(-1));
    assertRefused("items is -1, expected at least 0", () -> Batch.of(-1, 3));
    assertRefused("positions is -3, expected at least 0", () -> Batch.of(1, -3));
    assertRefused(
        "4294967296 items of 2147483648 positions are more than 2^63 - 1 rows",
        () -> Batch.of(1L << 32, 1L << 31));
    assertRefused(
        "9223372036854775807 items of 4 positions are more than 2^63 - 1 rows",
        () -> Batch.of(Long.MAX_VALUE, 4));
    assertEquals(0, Batch.of(Long.MAX_VALUE, 0).rows());
    Batch batch = Batch.of(2, 3);
    String rest = ", expected one for each of 6 rows, 2 items of 3 positions";
    assertRefused("mask has 5 bytes" + rest, () -> batch.withMask(new byte[5]));
    assertRefused("mask has 7 elements" + rest, () -> batch.withMask(new boolean[7]));
    assertRefused(
        "mask has 24 bytes" + rest, () -> batch.withMask(MemorySegment.ofArray(new int[6])));
    assertRefused(
        "lengths has 3 elements, expected one for each of 2 items",
        () -> batch.withLengths(1, 2, 3));
    assertRefused("lengths[1] is 4, expected 0 to 3 positions", () -> batch.withLengths(0, 4));
    assertRefused("lengths[0] is -1, expected 0 to 3 positions", () -> batch.withLengths(-1, 4));
    assertRefused(
        "lengths has 1 elements, expected one for each of 2 items",
        () -> batch.withRelativeLengths(1));
    assertRefused("lengths[1] is 1.1, expected 0 to 1", () -> batch.withRelativeLengths(1, 1.1));
    assertRefused(
        "lengths[0] is NaN, expected 0 to 1", () -> batch.withRelativeLengths(Double.NaN, 1));
  }

  @Test
  void nullIsRefused() {
    Batch batch = Batch.of(1);
    assertNull("mask", () -> batch.withMask((byte[]) null));
    assertNull("mask", () -> batch.withMask((boolean[]) null));
    assertNull("mask", () -> batch.withMask((MemorySegment) null));
    assertNull("lengths", () -> batch.withLengths((long[]) null));
    assertNull("lengths", () -> batch.withRelativeLengths((double[]) null));
    assertNull("device", () -> batch.maskTensor(Arena.global(), null));
    assertNull("arena", () -> batch.maskTensor(null, Device.CPU));
  }

  private static byte[] mask(Batch batch) {
    return batch.mask().orElseThrow().toArray(ValueLayout.JAVA_BYTE);
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  private static void assertNull(String name, Executable call) {
    assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
  }
}
