package io.github.bsq4j.bench;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.Device;
import io.github.bsq4j.QuantizerOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** That it works; how fast anything is depends on the machine. */
class DeviceBenchmarkTest {
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void allWorks(boolean channelFirst) {
    QuantizerOptions options =
        QuantizerOptions.builder(4).codebooks(2).channelFirst(channelFirst).build();
    Device device = Device.cuda(0).isAvailable() ? Device.cuda(0) : Device.CPU;
    try (DeviceBenchmark benchmark = new DeviceBenchmark(options, 10, device, 0.01)) {
      for (Spread times :
          new Spread[] {benchmark.encode(), benchmark.forward(), benchmark.forwardBackward()}) {
        assertTrue(times.min() > 0 && times.min() <= times.median(), times::toString);
      }
    }
  }
}
