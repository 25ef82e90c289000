package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeLibrary;
import java.io.Serializable;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a tensor's memory is and where its elements are computed. A device can be named whether or
 * not there is one; {@link #problem()} tells.
 *
 * @param type the kind of device
 * @param index the number that the CUDA driver gives the device in this process, from 0; 0 for the
 *     CPU
 */
public record Device(Type type, int index) implements Serializable {
  /** The kinds of devices. */
  public enum Type {
    /** The processor, and Java's own memory. */
    CPU,
    /** An NVIDIA GPU. */
    CUDA
  }

  /** The processor. */
  public static final Device CPU = new Device(Type.CPU, 0);

  // Nine digits always fit into an int.
  private static final Pattern CUDA_NAME = Pattern.compile("cuda(?::(0|[1-9][0-9]{0,8}))?");

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if the index is negative, or not 0 for the CPU
   */
  public Device {
    requireNonNull(type, "type");
    if (index < 0) {
      throw new IllegalArgumentException("index is " + index + ", expected at least 0");
    }
    if (type == Type.CPU && index != 0) {
      throw new IllegalArgumentException("index is " + index + ", expected 0 for the CPU");
    }
  }

  /**
   * The GPU of this number.
   *
   * @throws IllegalArgumentException if the index is negative
   */
  public static Device cuda(int index) {
    return new Device(Type.CUDA, index);
  }

  /**
   * The device of this name: {@code cpu}, {@code cuda} (the first one) or {@code cuda:1}.
   *
   * @throws IllegalArgumentException if it is none of these
   */
  public static Device parse(String name) {
    requireNonNull(name, "name");
    if (name.equals("cpu")) {
      return CPU;
    }
    Matcher cuda = CUDA_NAME.matcher(name);
    if (!cuda.matches()) {
      throw new IllegalArgumentException(
          "device is \"" + name + "\", expected cpu, cuda or cuda:N, N at least 0");
    }
    return cuda(cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1)));
  }

  /** Whether tensors can be made there. Loads the native library; never fails. */
  public boolean isAvailable() {
    return problem().isEmpty();
  }

  /** What keeps this device from being used, if anything. Loads the library; never fails. */
  public Optional<String> problem() {
    try {
      NativeLibrary.require();
      NativeCalls.checkDevice(this);
      return Optional.empty();
    } catch (BsqException e) {
      return Optional.of(e.getMessage());
    }
  }

  /**
   * Waits until all is done that went onto the device's stream which is current for this thread:
   * the default stream, except in {@link CudaStream#run}. On the CPU there is nothing to wait for.
   *
   * @throws BsqException with code {@link BsqException.Code#UNSUPPORTED} if the device cannot be
   *     used, with code {@link BsqException.Code#DEVICE} if what it did has failed
   */
  public void synchronize() {
    NativeLibrary.require();
    NativeCalls.synchronize(this);
  }

  /** The name that {@link #parse} takes: {@code cpu}, {@code cuda:1}. */
  @Override
  public String toString() {
    String name = type.name().toLowerCase(Locale.ROOT);
    return type == Type.CPU ? name : name + ":" + index;
  }
}
