package io.github.bsq4j.parity;

import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;

/** Contiguous tensors on a device. */
public record TensorPath(Device device, Implementation implementation) implements QuantizerPath {
  @Override
  public boolean serves(DType dtype) {
    return dtype.isFloatingPoint();
  }

  @Override
  public PathQuantizer quantizer(QuantizerOptions options, DType dtype, long... shape) {
    return new TensorQuantizer(
        options.toBuilder().implementation(implementation).build(),
        dtype,
        shape,
        (arena, data, type, dimensions) ->
            Tensor.copyOf(arena, data, type, dimensions).to(arena, device));
  }

  @Override
  public String toString() {
    String name = implementation == Implementation.OPERATORS ? "operators" : "tensor";
    return device.equals(Device.CPU) ? name : name + " on " + device;
  }
}
