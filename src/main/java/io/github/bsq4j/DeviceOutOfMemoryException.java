package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import java.io.Serial;
import java.util.OptionalLong;

/**
 * Memory of a device, the CPU's included, that could not be had for a tensor. Its {@linkplain
 * #code() code} is {@link BsqException.Code#OUT_OF_MEMORY}. Smaller calls work, and what closed
 * arenas had is free again.
 */
public final class DeviceOutOfMemoryException extends BsqException {
  @Serial private static final long serialVersionUID = 1;

  private static final long UNKNOWN = -1;

  private final Device device;
  private final long requestedBytes;
  private final long freeBytes;
  private final long totalBytes;

  /** An exception about so many bytes of a device, as far as they are known. */
  public DeviceOutOfMemoryException(
      String message,
      Device device,
      OptionalLong requestedBytes,
      OptionalLong freeBytes,
      OptionalLong totalBytes) {
    super(Code.OUT_OF_MEMORY, message);
    this.device = requireNonNull(device, "device");
    this.requestedBytes = requestedBytes.orElse(UNKNOWN);
    this.freeBytes = freeBytes.orElse(UNKNOWN);
    this.totalBytes = totalBytes.orElse(UNKNOWN);
  }

  /** Whose memory it was. */
  public Device device() {
    return device;
  }

  /**
   * How much was asked for. Empty where an operator of LibTorch asked, for what it needs inside:
   * only the message tells then.
   */
  public OptionalLong requestedBytes() {
    return known(requestedBytes);
  }

  /**
   * How much the device had free after the failure, for all processes. What LibTorch keeps for
   * later tensors of this process is not free.
   */
  public OptionalLong freeBytes() {
    return known(freeBytes);
  }

  /** How much memory the device has. */
  public OptionalLong totalBytes() {
    return known(totalBytes);
  }

  private static OptionalLong known(long bytes) {
    return bytes == UNKNOWN ? OptionalLong.empty() : OptionalLong.of(bytes);
  }
}
