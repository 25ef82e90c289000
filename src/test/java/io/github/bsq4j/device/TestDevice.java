package io.github.bsq4j.device;

import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.parity.QuantizerPath;
import io.github.bsq4j.parity.TensorPath;
import java.lang.foreign.Arena;
import java.lang.reflect.AnnotatedElement;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where the tests' tensors are: on the device that {@code -Dbsq4j.device} names, {@code cpu} if it
 * is not given. Tests whose tensors come through here are {@link OnDevice}.
 */
public final class TestDevice {
  /** The device. */
  public static final Device DEVICE = Device.parse(System.getProperty("bsq4j.device", "cpu"));

  private static final String OPERATORS_ALONE = "LibTorch operators";

  private TestDevice() {}

  /** The same tensor on the device; on the CPU, where it is made, the very same. */
  public static Tensor put(Arena arena, Tensor tensor) {
    return isCpu() ? tensor : tensor.to(arena, DEVICE);
  }

  /** Whether Java reaches the tensors' memory. */
  public static boolean isCpu() {
    return DEVICE.equals(Device.CPU);
  }

  /** What can be asked to compute there: operators, and kernels where the device has some. */
  public static List<Implementation> implementations() {
    return hasKernels()
        // A GPU's kernels do not have all functions; what they lack, operators compute.
        ? List.of(
            isCpu() ? Implementation.KERNELS : Implementation.AUTOMATIC, Implementation.OPERATORS)
        : List.of(Implementation.OPERATORS);
  }

  /** The same, and nothing in particular. */
  public static List<Implementation> allImplementations() {
    return Stream.concat(Stream.of(Implementation.AUTOMATIC), implementations().stream()).toList();
  }

  /** Tensors on the device. */
  public static QuantizerPath path(Implementation implementation) {
    return new TensorPath(DEVICE, implementation);
  }

  /** The device, on which PyTorch computes the live cases too. */
  public static String name() {
    return DEVICE.toString();
  }

  /** Why tests of this class or method do not run: it is missing, or has no kernels for them. */
  static Optional<String> problem(Optional<? extends AnnotatedElement> tests) {
    Optional<String> missing = DEVICE.problem().map(why -> "-Dbsq4j.device=" + DEVICE + ": " + why);
    if (missing.isPresent() || hasKernels()) {
      return missing;
    }
    return tests
        .map(element -> element.getAnnotation(OnDevice.class))
        .filter(OnDevice::kernels)
        .map(_ -> DEVICE + " has no kernels: operators compute there");
  }

  private static boolean hasKernels() {
    return NativeRuntime.info().devices().stream()
        .filter(info -> info.device().equals(DEVICE))
        .anyMatch(info -> !info.implementation().startsWith(OPERATORS_ALONE));
  }
}
