package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.lifetimes.FailingArena.Refusal;
import io.github.bsq4j.lifetimes.FailingArena.Way;
import io.github.bsq4j.lifetimes.Use.Subjects;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * An arena that fails half-way through making something: at its first use, at its second, and so on
 * until the work is done. What had been made by then, and what was just being made, must be freed
 * when the arena is closed, once; and the caller must hear about it. A handle that is bound to the
 * arena after other work, or by a second path that forgets to free, is left over here.
 */
@OnDevice
class FailingArenaTest {
  /** Something that uses an arena. */
  record Work(String name, Consumer<Arena> make) {
    @Override
    public String toString() {
      return name;
    }
  }

  static List<Work> works() {
    List<Work> works = new ArrayList<>();
    works.add(new Work("of", arena -> Tensor.of(arena, Use.X, 2, 3)));
    works.add(
        new Work(
            "copyOf",
            arena -> Tensor.copyOf(arena, MemorySegment.ofArray(Use.X), DType.FLOAT32, 6)));
    works.add(new Work("empty", arena -> Tensor.empty(arena, DType.INT32, TestDevice.DEVICE, 5)));
    works.add(new Work("zeros", arena -> Tensor.zeros(arena, DType.INT32, TestDevice.DEVICE, 5)));
    works.add(
        new Work(
            "borrow",
            arena -> {
              MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, Use.X);
              Tensor.borrow(arena, data, DType.FLOAT32, Device.CPU, 2, 3);
            }));
    works.add(
        new Work(
            "fromDlpack",
            arena -> {
              ForeignTensor offer =
                  new ForeignTensor(Arena.global(), Use.X, new long[] {6}, new long[] {1});
              try {
                Tensor.fromDlpack(arena, offer.managed());
              } catch (RuntimeException e) {
                assertEquals(0, offer.deletions()); // not taken
                throw e;
              }
              assertEquals(0, offer.deletions());
            }));
    for (Use use : Use.values()) {
      // The subjects' own arena fails ...
      works.add(new Work(use + " in it", arena -> use.on(Subjects.in(arena), arena)));
      if (use.makesSomething()) { // ... or that of the result
        works.add(
            new Work(
                use + " into it",
                arena -> {
                  try (Arena own = Arena.ofConfined()) {
                    use.on(Subjects.in(own), arena);
                  }
                }));
      }
    }
    return works;
  }

  @ParameterizedTest
  @MethodSource("works")
  void nothingIsLeftAndTheFailureIsTold(Work work) {
    List<Supplier<Arena>> kinds = List.of(Arena::ofConfined, Arena::ofShared);
    for (Supplier<Arena> kind : kinds) {
      for (Way way : Way.values()) {
        int uses = 0;
        while (failsAfter(uses, work, kind.get(), way)) {
          uses++;
        }
        assertTrue(uses > 0, "the arena was not used");
      }
    }
  }

  /** Whether the arena came to fail. */
  private static boolean failsAfter(int uses, Work work, Arena kind, Way way) {
    FailingArena arena = new FailingArena(kind, way, uses);
    Throwable told = null;
    try (arena) {
      work.make().accept(arena);
    } catch (RuntimeException e) {
      told = e;
    }
    assertEquals(0, LiveHandles.count(), () -> "live handles after " + uses + " uses");
    if (!arena.hasFailed()) {
      assertEquals(null, told);
    } else if (way == Way.THROWS) {
      assertInstanceOf(Refusal.class, told);
    } else {
      assertInstanceOf(IllegalStateException.class, told);
      assertEquals("Already closed", told.getMessage());
    }
    return arena.hasFailed();
  }
}
