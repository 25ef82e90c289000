package io.github.bsq4j;

import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeLibrary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What this process runs on: whether LibTorch and libbsq.so could be loaded, which, and if not,
 * why. Works when loading has failed. Thread-safe.
 *
 * <p>LibTorch is looked for in the folder that the system property {@code libtorch} names, then the
 * environment variable {@code LIBTORCH} (a LibTorch or a Python {@code torch} folder, 2.10 or
 * newer), then where {@code scripts/setup-libtorch.sh} installs it: {@code ~/.cache/bsq4j}, or
 * {@code BSQ4J_CACHE}. libbsq.so comes with the jar; the system property {@code bsq4j.library} can
 * name another file.
 */
public final class NativeRuntime {
  /**
   * The state of the native side. Values are empty where loading did not come that far.
   *
   * @param available whether quantizers can be made
   * @param libtorch the LibTorch folder
   * @param libtorchSource what named that folder
   * @param torchVersion LibTorch's version
   * @param library the libbsq.so in use
   * @param devices the devices that can be used, the CPU first; none where loading failed
   * @param threads how many threads LibTorch uses for a call; {@code OMP_NUM_THREADS} sets it
   * @param java the version of the Java runtime, its vendor and its folder
   * @param nativeAccess whether the JVM lets this library call native code without a warning
   * @param failure the first failure; it is kept, and the cause of every later exception
   */
  public record Info(
      boolean available,
      Optional<Path> libtorch,
      Optional<String> libtorchSource,
      Optional<String> torchVersion,
      Optional<Path> library,
      List<DeviceInfo> devices,
      OptionalInt threads,
      String java,
      String nativeAccess,
      Optional<Throwable> failure) {}

  /**
   * A device that can be used.
   *
   * @param device the device
   * @param implementation the name of what computes there, unless options ask for another
   * @param name what its maker calls it; empty where unknown
   * @param totalMemory in bytes
   * @param freeMemory in bytes, for all processes; of a GPU it is known once this process has used
   *     it, since asking would take memory there
   * @param computeCapability CUDA's, of a GPU: "9.0"
   */
  public record DeviceInfo(
      Device device,
      String implementation,
      String name,
      OptionalLong totalMemory,
      OptionalLong freeMemory,
      Optional<String> computeCapability) {
    /** Name, memory and what computes there, where they are known. */
    @Override
    public String toString() {
      StringBuilder text = new StringBuilder(name);
      if (totalMemory.isPresent()) {
        String size = String.format(Locale.ROOT, "%.1f GiB", totalMemory.getAsLong() * 0x1p-30);
        text.append(name.isEmpty() ? size : " (" + size + ")");
      }
      return text.append(text.isEmpty() ? "" : ", ").append(implementation).toString();
    }
  }

  private NativeRuntime() {}

  /** Whether the native library is loaded, after trying to load it if nobody has. */
  public static boolean isAvailable() {
    return NativeLibrary.outcome().failure() == null;
  }

  /** The state of the native side, after trying to load it if nobody has. Never fails. */
  public static Info info() {
    NativeLibrary.Outcome outcome = NativeLibrary.outcome();
    boolean available = outcome.failure() == null;
    return new Info(
        available,
        Optional.ofNullable(outcome.libtorch()),
        Optional.ofNullable(outcome.libtorchSource()),
        available ? Optional.of(NativeCalls.torchVersion()) : Optional.empty(),
        Optional.ofNullable(outcome.library()),
        available ? devices() : List.of(),
        available ? OptionalInt.of(NativeCalls.threads()) : OptionalInt.empty(),
        "%s (%s, %s)"
            .formatted(
                Runtime.version(),
                System.getProperty("java.vendor"),
                System.getProperty("java.home")),
        nativeAccess(),
        Optional.ofNullable(outcome.failure()));
  }

  /**
   * A report for people: what was looked for and found, versions, and, where loading failed, the
   * failure with all its causes. Never fails.
   */
  public static String diagnose() {
    return diagnose(Optional.empty());
  }

  /**
   * The same report, of all devices with this one alone: what it is, or why it cannot be used.
   * Never fails.
   */
  public static String diagnose(Device device) {
    return diagnose(Optional.of(device));
  }

  private static String diagnose(Optional<Device> wanted) {
    Info info = info();
    StringBuilder report = new StringBuilder();
    line(report, "available", info.available() ? "yes" : "no");
    line(
        report,
        "LibTorch",
        info.libtorch()
            .map(folder -> folder + " (named by " + info.libtorchSource().orElseThrow() + ")")
            .orElse("not found"));
    line(report, "LibTorch version", info.torchVersion().orElse("unknown: not loaded"));
    line(report, "libbsq", info.library().map(Path::toString).orElse("not looked for yet"));
    for (DeviceInfo device : info.devices()) {
      if (wanted.isPresent() && !wanted.get().equals(device.device())) {
        continue;
      }
      line(report, label(device.device()), device.toString());
    }
    if (info.available() && wanted.isPresent()) {
      Device device = wanted.get();
      device.problem().ifPresent(problem -> line(report, label(device), problem));
    } else if (info.available() && info.devices().stream().noneMatch(NativeRuntime::isCuda)) {
      line(report, "CUDA", Device.cuda(0).problem().orElse("no device"));
      line(report, "computes on CUDA", NativeCalls.deviceImplementation(Device.Type.CUDA));
    }
    line(
        report,
        "threads",
        info.threads().isPresent() ? Integer.toString(info.threads().getAsInt()) : "unknown");
    line(report, "Java", info.java());
    line(report, "native access", info.nativeAccess());
    String label = "failure";
    for (Throwable t = info.failure().orElse(null); t != null; t = t.getCause()) {
      line(report, label, t instanceof BsqException ? t.getMessage() : t.toString());
      label = "caused by";
    }
    return report.toString();
  }

  private static List<DeviceInfo> devices() {
    List<DeviceInfo> devices = new ArrayList<>();
    for (Device.Type type : Device.Type.values()) {
      for (int index = 0; index < NativeCalls.deviceCount(type); index++) {
        Device device = new Device(type, index);
        NativeCalls.DeviceDescription description = NativeCalls.describeDevice(device);
        devices.add(
            new DeviceInfo(
                device,
                NativeCalls.deviceImplementation(type),
                description.name(),
                description.totalMemory(),
                description.freeMemory(),
                description.computeCapability()));
      }
    }
    return List.copyOf(devices);
  }

  private static boolean isCuda(DeviceInfo info) {
    return info.device().type() == Device.Type.CUDA;
  }

  private static String label(Device device) {
    return device.equals(Device.CPU) ? "CPU" : device.type() + " " + device.index();
  }

  private static void line(StringBuilder report, String label, String value) {
    report.append("%-16s  %s%n".formatted(label, value));
  }

  private static String nativeAccess() {
    String name = NativeLibrary.moduleName();
    return NativeRuntime.class.getModule().isNativeAccessEnabled()
        ? "enabled for " + name
        : "not enabled; start Java with --enable-native-access=" + name;
  }
}
