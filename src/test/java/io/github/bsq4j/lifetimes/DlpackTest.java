package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.DlpackTensor;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Tensors that come from and go to other native libraries, and who frees them when. */
class DlpackTest {
  private static final float[] X = {1, -2, 3, -1, 4, 5};

  private final Arena foreign = Arena.ofShared();
  private final ForeignTensor offer = offer();

  private ForeignTensor offer() {
    return new ForeignTensor(foreign, X, new long[] {2, 3}, new long[] {3, 1});
  }

  @AfterEach
  void close() {
    foreign.close();
  }

  // In

  @Test
  void memoryOfAnotherLibraryIsShared() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.fromDlpack(arena, offer.managed());
      assertEquals("Tensor[FLOAT32, [2, 3], cpu]", x.toString());
      assertArrayEquals(X, x.toFloatArray());
      assertEquals(offer.data().address(), x.pointer().address());
      offer.data().set(ValueLayout.JAVA_FLOAT, 4, 20);
      assertEquals(20, x.toFloatArray()[1]);
      assertEquals(0, offer.deletions());
    }
    assertEquals(1, offer.deletions());
  }

  @Test
  void strides() {
    ForeignTensor columns = new ForeignTensor(foreign, X, new long[] {3, 2}, new long[] {1, 3});
    ForeignTensor contiguous = new ForeignTensor(foreign, X, new long[] {2, 3}, null);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.fromDlpack(arena, columns.managed());
      assertArrayEquals(new long[] {1, 3}, x.strides());
      assertArrayEquals(new float[] {1, -1, -2, 4, 3, 5}, x.toFloatArray());
      assertArrayEquals(
          new long[] {3, 1}, Tensor.fromDlpack(arena, contiguous.managed()).strides());
    }
    assertEquals(1, columns.deletions());
    assertEquals(1, contiguous.deletions());
  }

  @Test
  void viewsAndResults() {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(3);
    try (Arena results = Arena.ofConfined()) {
      Quantization result;
      Tensor view;
      try (Arena arena = Arena.ofConfined()) {
        Tensor x = Tensor.fromDlpack(arena, offer.managed());
        view = x.narrow(0, 1, 1);
        assertArrayEquals(new float[] {-1, 4, 5}, view.toFloatArray());
        result = quantizer.forward(results, x);
        assertEquals(0, offer.deletions());
      }
      assertEquals(1, offer.deletions());
      assertThrows(IllegalStateException.class, view::check);
      assertArrayEquals(new long[] {5, 3}, result.indices().toLongArray());
      assertEquals(6, result.backward(results, 1).size());
    }
    assertEquals(1, offer.deletions());
  }

  @Test
  void refusalsLeaveItToTheCaller() {
    record Spoilt(String message, BsqException.Code code, Consumer<MemorySegment> spoil) {}
    BsqException.Code invalid = BsqException.Code.INVALID_ARGUMENT;
    BsqException.Code unsupported = BsqException.Code.UNSUPPORTED;
    List<Spoilt> all =
        List.of(
            new Spoilt(
                "managed is of DLPack 2.0, expected 1.x",
                unsupported,
                m -> m.set(ValueLayout.JAVA_INT, ForeignTensor.MAJOR, 2)),
            new Spoilt(
                "managed is on a device of DLPack's type 8, expected 1 (CPU), 2 (CUDA) or 3",
                unsupported,
                m -> m.set(ValueLayout.JAVA_INT, ForeignTensor.DEVICE_TYPE, 8)),
            new Spoilt(
                "managed has rank 0, expected 1 to 64: a scalar has to be reshaped to [1]",
                invalid,
                m -> m.set(ValueLayout.JAVA_INT, ForeignTensor.RANK, 0)),
            new Spoilt(
                "managed has elements of DLPack's type code 5 with 32 bits and 1 lanes",
                unsupported,
                m -> m.set(ValueLayout.JAVA_BYTE, ForeignTensor.TYPE_CODE, (byte) 5)),
            new Spoilt(
                "type code 2 with 32 bits and 4 lanes",
                unsupported,
                m -> m.set(ValueLayout.JAVA_SHORT, ForeignTensor.TYPE_LANES, (short) 4)),
            new Spoilt(
                "strides is [3, -1], expected strides of at least 0",
                invalid,
                m ->
                    m.set(
                        ValueLayout.ADDRESS,
                        ForeignTensor.STRIDES,
                        foreign.allocateFrom(ValueLayout.JAVA_LONG, 3, -1))),
            new Spoilt(
                "data is at an address not aligned to 4 bytes",
                invalid,
                m -> m.set(ValueLayout.JAVA_LONG, ForeignTensor.BYTE_OFFSET, 2)),
            new Spoilt(
                "data is NULL, expected 24 bytes",
                invalid,
                m -> m.set(ValueLayout.ADDRESS, ForeignTensor.DATA, MemorySegment.NULL)));
    try (Arena arena = Arena.ofConfined()) {
      for (Spoilt spoilt : all) {
        ForeignTensor other = offer();
        spoilt.spoil().accept(other.managed());
        BsqException e =
            assertThrows(BsqException.class, () -> Tensor.fromDlpack(arena, other.managed()));
        assertTrue(e.getMessage().contains(spoilt.message()), e::getMessage);
        assertEquals(spoilt.code(), e.code(), e::getMessage);
        assertEquals(0, other.deletions());
      }
    }
  }

  @Test
  void addressesThatAreNone() {
    try (Arena arena = Arena.ofConfined()) {
      assertEquals(
          "managed is NULL, expected the address of a DLManagedTensorVersioned",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> Tensor.fromDlpack(arena, MemorySegment.NULL))
              .getMessage());
      assertThrows(
          IllegalArgumentException.class,
          () -> Tensor.fromDlpack(arena, MemorySegment.ofArray(new long[10])));
      assertThrows(NullPointerException.class, () -> Tensor.fromDlpack(arena, null));
      assertThrows(NullPointerException.class, () -> Tensor.fromDlpack(null, offer.managed()));
      assertEquals(0, offer.deletions());
    }
  }

  @Test
  void anArenaThatDoesNotTakeItLeavesItToTheCaller() throws Exception {
    Arena closed = Arena.ofConfined();
    closed.close();
    assertThrows(IllegalStateException.class, () -> Tensor.fromDlpack(closed, offer.managed()));
    Arena confined = Arena.ofConfined();
    try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
      ExecutionException e =
          assertThrows(
              ExecutionException.class,
              () -> thread.submit(() -> Tensor.fromDlpack(confined, offer.managed())).get());
      assertSame(WrongThreadException.class, e.getCause().getClass());
    }
    confined.close();
    assertEquals(0, LiveHandles.count());
    assertEquals(0, offer.deletions());
    try (Arena arena = Arena.ofConfined()) {
      assertArrayEquals(X, Tensor.fromDlpack(arena, offer.managed()).toFloatArray());
    }
    assertEquals(1, offer.deletions());
  }

  // Out

  @Test
  void whatNobodyTakesIsFreedWithItsArena() {
    try (Arena arena = Arena.ofConfined()) {
      DlpackTensor exported = Tensor.of(arena, X, 2, 3).toDlpack(arena);
      assertFalse(exported.isGiven());
      assertEquals(2, LiveHandles.count());
    }
    assertEquals(0, LiveHandles.count());
  }

  @Test
  void roundTripsShareMemoryAndOutliveTheTensor() {
    try (Arena last = Arena.ofConfined()) {
      Tensor back;
      long address;
      try (Arena arena = Arena.ofConfined()) {
        Tensor x = Tensor.of(arena, X, 2, 3).permute(1, 0).narrow(0, 1, 2);
        address = x.pointer().address();
        back = take(last, x.toDlpack(arena));
      }
      assertEquals(address, back.pointer().address());
      assertArrayEquals(new long[] {2, 2}, back.shape());
      assertArrayEquals(new long[] {1, 3}, back.strides());
      assertArrayEquals(new float[] {-2, 4, 3, 5}, back.toFloatArray());
      Tensor again = take(last, back.toDlpack(last));
      assertEquals(address, again.pointer().address());
    }
    assertEquals(0, LiveHandles.count());
  }

  @Test
  void aRoundTripOfAnotherLibrarysTensorEndsAtItsDeleter() {
    try (Arena last = Arena.ofConfined()) {
      try (Arena arena = Arena.ofConfined()) {
        take(last, Tensor.fromDlpack(arena, offer.managed()).toDlpack(arena));
      }
      assertEquals(0, offer.deletions());
    }
    assertEquals(1, offer.deletions());
  }

  /** All orders in which the arenas of a tensor, its export and what was made of that can close. */
  @Test
  void closingOrders() {
    int[][] orders = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int[] order : orders) {
      ForeignTensor other = offer();
      List<Arena> arenas = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        arenas.add(Arena.ofConfined());
      }
      Tensor x = Tensor.fromDlpack(arenas.get(0), other.managed());
      take(arenas.get(2), x.narrow(1, 1, 2).toDlpack(arenas.get(1)));
      for (int arena : order) {
        arenas.get(arena).close();
      }
      assertEquals(1, other.deletions());
      assertEquals(0, LiveHandles.count());
    }
  }

  @Test
  void borrowedMemoryIsCopied() {
    try (Arena last = Arena.ofConfined()) {
      Tensor back;
      try (Arena owner = Arena.ofConfined()) {
        MemorySegment memory = owner.allocateFrom(ValueLayout.JAVA_FLOAT, X);
        Tensor x = Tensor.borrow(owner, memory, DType.FLOAT32, Device.CPU, 2, 3);
        back = take(last, x.toDlpack(owner));
        assertNotEquals(memory.address(), back.pointer().address());
      }
      assertArrayEquals(X, back.toFloatArray());
    }
  }

  @Test
  void itIsReadOnly() {
    try (Arena arena = Arena.ofConfined()) {
      DlpackTensor exported = Tensor.of(arena, X).toDlpack(arena);
      assertThrows(
          Refused.class,
          () ->
              exported.give(
                  managed -> {
                    assertEquals(80, managed.byteSize());
                    assertEquals(1, managed.get(ValueLayout.JAVA_INT, ForeignTensor.MAJOR));
                    assertEquals(1, managed.get(ValueLayout.JAVA_LONG, ForeignTensor.FLAGS));
                    throw new Refused();
                  }));
    }
  }

  @Test
  void aTakerThatThrowsHasTakenNothing() {
    try (Arena arena = Arena.ofConfined()) {
      DlpackTensor exported = Tensor.of(arena, X).toDlpack(arena);
      Consumer<MemorySegment> refuse =
          _ -> {
            throw new Refused();
          };
      assertThrows(Refused.class, () -> exported.give(refuse));
      assertThrows(Refused.class, () -> exported.give(refuse));
      assertFalse(exported.isGiven());
      assertArrayEquals(X, take(arena, exported).toFloatArray());
      assertTrue(exported.isGiven());
      assertEquals(
          "the tensor has been given to somebody already",
          assertThrows(IllegalStateException.class, () -> exported.give(refuse)).getMessage());
    }
  }

  /** A taker of the same library that refuses: nothing is freed twice. */
  @Test
  void aRefusalOfFromDlpackKeepsIt() {
    try (Arena arena = Arena.ofConfined()) {
      DlpackTensor exported = Tensor.of(arena, X).toDlpack(arena);
      Arena closed = Arena.ofConfined();
      closed.close();
      assertThrows(
          IllegalStateException.class,
          () -> exported.give(managed -> Tensor.fromDlpack(closed, managed)));
      assertEquals(2, LiveHandles.count());
      assertArrayEquals(X, take(arena, exported).toFloatArray());
    }
  }

  @Test
  void aTakerThatClosesTheArena() {
    for (boolean takes : new boolean[] {true, false}) {
      try (Arena last = Arena.ofConfined()) {
        Arena arena = Arena.ofConfined();
        DlpackTensor exported = Tensor.of(last, X).toDlpack(arena);
        Consumer<MemorySegment> taker =
            managed -> {
              arena.close();
              if (!takes) {
                throw new Refused();
              }
              Tensor.fromDlpack(last, managed);
            };
        if (takes) {
          exported.give(taker);
        } else {
          assertThrows(Refused.class, () -> exported.give(taker));
        }
        assertEquals(takes ? 3 : 1, LiveHandles.count());
        assertThrows(IllegalStateException.class, () -> exported.give(taker));
      }
    }
  }

  /** The struct is gone by then, so nobody may look at it. */
  @Test
  void whatIsGivenStaysGiven() {
    DlpackTensor exported;
    try (Arena arena = Arena.ofConfined()) {
      exported = Tensor.of(arena, X).toDlpack(arena);
      exported.give(
          managed -> {
            try (Arena theirs = Arena.ofConfined()) {
              Tensor.fromDlpack(theirs, managed);
            }
          });
      assertEquals(1, LiveHandles.count());
      assertThrows(IllegalStateException.class, () -> exported.give(_ -> {}));
      assertTrue(exported.isGiven());
    }
    assertTrue(exported.isGiven());
  }

  @Test
  void useAfterCloseAndOnOtherThreads() throws Exception {
    DlpackTensor exported;
    try (Arena arena = Arena.ofConfined();
        ExecutorService thread = Executors.newSingleThreadExecutor()) {
      exported = Tensor.of(arena, X).toDlpack(arena);
      DlpackTensor confined = exported;
      ExecutionException e =
          assertThrows(
              ExecutionException.class, () -> thread.submit(() -> confined.give(_ -> {})).get());
      assertSame(WrongThreadException.class, e.getCause().getClass());
    }
    assertFalse(exported.isGiven());
    assertEquals(
        "Already closed",
        assertThrows(IllegalStateException.class, () -> exported.give(_ -> {})).getMessage());
    assertThrows(NullPointerException.class, () -> exported.give(null));
  }

  private static Tensor take(Arena arena, DlpackTensor exported) {
    List<Tensor> taken = new ArrayList<>();
    exported.give(managed -> taken.add(Tensor.fromDlpack(arena, managed)));
    return taken.getFirst();
  }

  @SuppressWarnings("serial")
  private static final class Refused extends RuntimeException {}
}
