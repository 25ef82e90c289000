package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.ChildJvm;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The global arena, which frees nothing: in a process of its own. */
class GlobalArenaTest {
  @Test
  void allThreadsMayUseItForEver() throws Exception {
    ChildJvm child =
        ChildJvm.run(
            Work.class,
            Map.of(),
            "--enable-native-access=ALL-UNNAMED",
            "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow());
    assertEquals(
        """
        live 4
        [5, 3] on another thread
        [1.0, -2.0, 3.0, -1.0, 4.0, 5.0]
        live 4
        """,
        child.out(),
        child.err());
    assertEquals(0, child.status(), child.err());
  }

  static final class Work {
    private Work() {}

    public static void main(String[] args) throws InterruptedException {
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(3);
      Tensor x = Tensor.of(Arena.global(), Use.X, 2, 3);
      Quantization quantization = quantizer.forward(Arena.global(), x);
      System.out.println("live " + LiveHandles.count());
      Thread thread =
          new Thread(
              () ->
                  System.out.println(
                      Arrays.toString(quantization.indices().toLongArray())
                          + " on another thread"));
      thread.start();
      thread.join();
      for (int i = 0; i < 5; i++) {
        System.gc();
      }
      System.out.println(Arrays.toString(x.toFloatArray()));
      System.out.println("live " + LiveHandles.count());
    }
  }
}
