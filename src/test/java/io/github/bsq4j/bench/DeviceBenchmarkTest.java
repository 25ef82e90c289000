package io.github.bsq4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.bsq4j.Device;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.bench.Benchmark.Comparison;
import io.github.bsq4j.bench.Benchmark.EncodeTimes;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.parity.Python;
import java.util.OptionalLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** That it works; how fast anything is depends on the machine. */
@OnDevice
class DeviceBenchmarkTest {
  private static final int ROWS = 10;

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void allWorks(boolean channelFirst) {
    try (DeviceBenchmark benchmark = start(channelFirst)) {
      OptionalLong memory = benchmark.forwardBackwardMemory();
      assertEquals(!TestDevice.DEVICE.equals(Device.CPU), memory.isPresent());
      EncodeTimes encode = benchmark.encode();
      assertSpread(encode.encode());
      assertSpread(encode.copy());
      assertSpread(encode.share());
      assertEquals(ROWS * (2 * 4 * 4 + 2 * 8), encode.bytes());
      for (Comparison times : new Comparison[] {benchmark.forward(), benchmark.forwardBackward()}) {
        assertSpread(times.ours());
        assertTrue(times.reference().isEmpty() && times.ratio().isEmpty(), times::toString);
        assertTrue(times.chunkRows().isEmpty(), times::toString);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void besideTheReference(boolean channelFirst) throws Exception {
    assumeTrue(Python.find().isPresent(), "no PyTorch beside this LibTorch");
    try (DeviceBenchmark benchmark = start(channelFirst)) {
      benchmark.startReference();
      for (Comparison times : new Comparison[] {benchmark.forward(), benchmark.forwardBackward()}) {
        assertSpread(times.ours());
        assertSpread(times.reference().orElseThrow());
        assertSpread(times.ratio().orElseThrow());
        assertEquals(OptionalLong.of(ROWS), times.chunkRows());
      }
    }
  }

  private static DeviceBenchmark start(boolean channelFirst) {
    QuantizerOptions options =
        QuantizerOptions.builder(4).codebooks(2).channelFirst(channelFirst).build();
    return new DeviceBenchmark(options, ROWS, TestDevice.DEVICE, 0.01);
  }

  private static void assertSpread(Spread spread) {
    assertTrue(spread.min() > 0, spread::toString);
    assertTrue(spread.min() <= spread.median(), spread::toString);
    assertTrue(spread.median() <= spread.max(), spread::toString);
  }
}
