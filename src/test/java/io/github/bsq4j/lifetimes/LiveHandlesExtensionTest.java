package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;
import static org.junit.platform.testkit.engine.EventConditions.event;
import static org.junit.platform.testkit.engine.EventConditions.finishedWithFailure;
import static org.junit.platform.testkit.engine.TestExecutionResultConditions.message;

import io.github.bsq4j.ChildJvm;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.Map;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Events;

/** The check that all other tests rely on: it runs without being asked for, and finds leaks. */
class LiveHandlesExtensionTest {
  /** Tests that run only when they are asked for below, whatever goes through this class. */
  static final class Samples {
    private static boolean asked;
    private static Arena arena;

    @Test
    void leaks() {
      assumeTrue(asked);
      arena = Arena.ofConfined();
      Tensor.zeros(arena, DType.FLOAT32, Device.CPU, 1);
      Tensor.zeros(arena, DType.FLOAT32, Device.CPU, 1);
    }

    @Test
    void closes() {
      try (Arena confined = Arena.ofConfined()) {
        Tensor.zeros(confined, DType.FLOAT32, Device.CPU, 1);
      }
    }

    @Test
    void leavesItToTheGarbageCollector() {
      Tensor.zeros(Arena.ofAuto(), DType.FLOAT32, Device.CPU, 1);
    }

    @Property(tries = 1)
    void leakingProperty() {
      leaks();
    }
  }

  @Test
  void aLeakFailsTheTestThatHasItAndNoOther() {
    assertFails("leaks() leaves 2 native handles", run("junit-jupiter", "leaks"));
    assertEquals(1, run("junit-jupiter", "closes").succeeded().count());
    Samples.arena.close();
    assertEquals(1, run("junit-jupiter", "leavesItToTheGarbageCollector").succeeded().count());
  }

  @Test
  void aLeakFailsAProperty() {
    assertFails("leakingProperty leaves 2 native handles", run("jqwik", "leakingProperty"));
    Samples.arena.close();
  }

  private static void assertFails(String message, Events tests) {
    tests
        .assertThatEvents()
        .haveExactly(1, event(finishedWithFailure(message(text -> text.startsWith(message)))));
  }

  /** As in the build: with junit-platform.properties and META-INF/services. */
  private static Events run(String engine, String method) {
    Samples.asked = true;
    try {
      return EngineTestKit.engine(engine)
          .enableImplicitConfigurationParameters(true)
          .selectors(selectMethod(Samples.class, method))
          .execute()
          .testEvents();
    } finally {
      Samples.asked = false;
    }
  }

  @Test
  void patienceEnds() {
    try (Arena confined = Arena.ofConfined()) {
      Tensor.zeros(confined, DType.FLOAT32, Device.CPU, 1);
      AssertionError leak =
          assertThrows(
              AssertionError.class, () -> LiveHandles.requireNoMore("it", 0, Duration.ofMillis(1)));
      assertTrue(leak.getMessage().startsWith("it leaves 1 native handles"), leak::getMessage);
    }
  }

  @Test
  void theLibraryIsNotLoadedForIt() throws Exception {
    ChildJvm child =
        ChildJvm.run(Unloaded.class, Map.of("LIBTORCH", "/nowhere"), "-Dlibtorch=/nowhere");
    assertEquals("0\n", child.out(), child.err());
    assertEquals("", child.err());
  }

  /** Counts in a JVM that could not load the library. */
  static final class Unloaded {
    private Unloaded() {}

    public static void main(String[] args) {
      System.out.println(LiveHandles.count());
    }
  }
}
