package io.github.bsq4j.cli;

import io.github.bsq4j.Device;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Where to compute, on the command line. Commands include it as a {@link Mixin}. */
final class DeviceFlag {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      defaultValue = "cpu",
      description = "Where to compute: cpu, cuda or cuda:N (default: ${DEFAULT-VALUE}).")
  private String name;

  /** The device, whether it is there or not. */
  Device named() {
    return named(name);
  }

  static Device named(String name) {
    try {
      return Device.parse(name);
    } catch (IllegalArgumentException _) {
      throw new InputException(
          "--device is " + name + "; expected cpu, cuda or cuda:N, N at least 0");
    }
  }

  /**
   * A device that can be used.
   *
   * @throws io.github.bsq4j.BsqException if it cannot; the message says what is missing
   */
  Device usable() {
    Device device = named();
    device.synchronize(); // which it must be there for, and idle in no time
    return device;
  }
}
