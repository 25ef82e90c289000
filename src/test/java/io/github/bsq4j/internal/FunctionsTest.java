package io.github.bsq4j.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.ChildJvm;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.internal.ffi.Bsq;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What loading makes ready. */
class FunctionsTest {
  /**
   * The class that holds a function is initialised by loading, not by the first call: there, a
   * StackOverflowError would disable the function for good, and an arena could free nothing more.
   */
  @Test
  void loadingInitialisesTheHolderOfEveryFunction() throws Exception {
    ChildJvm child =
        ChildJvm.run(
            Load.class,
            Map.of(),
            "-Xlog:class+init=info",
            "--enable-native-access=ALL-UNNAMED",
            "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow());
    assertEquals(0, child.status(), child.err());
    List<String> functions =
        Arrays.stream(Bsq.class.getMethods())
            .map(Method::getName)
            .filter(name -> name.endsWith("$handle"))
            .map(name -> name.substring(0, name.length() - "$handle".length()))
            .toList();
    assertFalse(functions.isEmpty());
    for (String function : functions) {
      String holder =
          "Initializing '" + Bsq.class.getName().replace('.', '/') + "$" + function + "'";
      assertTrue(child.out().contains(holder), holder);
    }
  }

  static final class Load {
    private Load() {}

    public static void main(String[] args) {
      NativeLibrary.require();
    }
  }
}
