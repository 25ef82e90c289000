package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Threads that share quantizers and tensors get the results of one. */
@OnDevice
class ThreadsTest {
  private static final int THREADS = 64;
  private static final int ROUNDS = 3;
  private static final int ROWS = 2000;
  private static final int DIM = 13;

  // The row entropies are summed in row order, whatever the threads. The matrix product may be
  // split otherwise under load.
  private static final double ENTROPY_TOLERANCE = 1e-6;
  private static final float GRADIENT_TOLERANCE = 1e-7f;

  private final float[] x = TestData.floats(TestData.gaussian(11, ROWS * DIM));
  private final float[] gradQuantized = TestData.floats(TestData.gaussian(12, x.length));

  @Test
  void arrays() throws Exception {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(DIM);
    HostQuantization<float[]> expected = quantizer.forward(x);
    float[] expectedGradient = quantizer.backward(x, gradQuantized, 1);
    onAllThreads(
        () -> {
          HostQuantization<float[]> actual = quantizer.forward(x);
          assertArrayEquals(expected.indices(), actual.indices());
          assertArrayEquals(expected.quantized(), actual.quantized());
          assertEquals(expected.perSampleEntropy(), actual.perSampleEntropy());
          assertEquals(expected.codebookEntropy(), actual.codebookEntropy(), ENTROPY_TOLERANCE);
          assertArrayEquals(
              expectedGradient, quantizer.backward(x, gradQuantized, 1), GRADIENT_TOLERANCE);
        });
  }

  /** Also views and a quantization are shared, and all threads bind views to the one arena. */
  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void tensors(Implementation implementation) throws Exception {
    BinarySphericalQuantizer quantizer =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(DIM).implementation(implementation).build());
    try (Arena shared = Arena.ofShared()) {
      Tensor tensor = TestDevice.put(shared, Tensor.of(shared, x, ROWS, DIM));
      Tensor gradient = TestDevice.put(shared, Tensor.of(shared, gradQuantized, ROWS, DIM));
      Quantization expected = quantizer.forward(shared, tensor);
      long[] indices = expected.indices().toLongArray();
      float[] quantized = expected.quantized().toFloatArray();
      Losses losses = expected.losses();
      float[] expectedGradient = expected.backward(shared, gradient, 1).toFloatArray();
      // In operators all sums may be split otherwise under load.
      double rowTolerance = implementation == Implementation.KERNELS ? 0 : ENTROPY_TOLERANCE;
      onAllThreads(
          () -> {
            try (Arena arena = Arena.ofConfined()) {
              Quantization actual = quantizer.forward(arena, tensor);
              assertArrayEquals(indices, actual.indices().toLongArray());
              assertArrayEquals(quantized, actual.quantized().toFloatArray());
              assertEquals(losses.perSampleEntropy(), actual.perSampleEntropy(), rowTolerance);
              assertEquals(losses.codebookEntropy(), actual.codebookEntropy(), ENTROPY_TOLERANCE);
              assertEquals(losses, expected.losses());
              assertArrayEquals(
                  expectedGradient,
                  expected.backward(arena, gradient, 1).toFloatArray(),
                  GRADIENT_TOLERANCE);
              Tensor view = tensor.narrow(0, 100, 50);
              assertArrayEquals(
                  Arrays.copyOfRange(indices, 100, 150),
                  quantizer.encode(arena, view).toLongArray());
            }
          });
    }
  }

  /** Work of a thread. */
  private interface Work {
    void run() throws Exception;
  }

  private static void onAllThreads(Work work) throws Exception {
    CountDownLatch start = new CountDownLatch(THREADS);
    try (ExecutorService pool = Executors.newFixedThreadPool(THREADS)) {
      List<Future<?>> futures = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        futures.add(
            pool.submit(
                () -> {
                  start.countDown();
                  start.await();
                  for (int round = 0; round < ROUNDS; round++) {
                    work.run();
                  }
                  return null;
                }));
      }
      for (Future<?> future : futures) {
        future.get();
      }
    }
  }
}
