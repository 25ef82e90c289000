package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

class ThreadsTest {
  private static final int THREADS = 64;
  private static final int ROUNDS = 5;

  @Test
  void sixtyFourThreadsOnOneQuantizerGiveTheResultsOfOne() throws Exception {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(13);
    float[] x = TestData.floats(TestData.gaussian(11, 2000 * 13));
    float[] gradQuantized = TestData.floats(TestData.gaussian(12, x.length));
    HostQuantization<float[]> expected = quantizer.forward(x);
    float[] expectedGradient = quantizer.backward(x, gradQuantized, 1);

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
                    HostQuantization<float[]> actual = quantizer.forward(x);
                    assertArrayEquals(expected.indices(), actual.indices());
                    assertArrayEquals(expected.quantized(), actual.quantized());
                    // The row entropies are summed in row order, whatever the threads. The matrix
                    // product may be split otherwise under load.
                    assertEquals(expected.perSampleEntropy(), actual.perSampleEntropy());
                    assertEquals(expected.codebookEntropy(), actual.codebookEntropy(), 1e-6);
                    assertArrayEquals(
                        expectedGradient, quantizer.backward(x, gradQuantized, 1), 1e-7f);
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
