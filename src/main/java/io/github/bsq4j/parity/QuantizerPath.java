package io.github.bsq4j.parity;

import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.QuantizerOptions;

/**
 * A way through the library to the quantizer's results. All of them must compute the same: golden
 * cases and tests take the path as a parameter.
 */
public interface QuantizerPath {
  /** The caller's CPU memory, in and out. */
  QuantizerPath HOST = new HostPath();

  /** Tensors on the CPU, computed by this library's kernels. */
  QuantizerPath TENSOR = new TensorPath(Device.CPU, Implementation.KERNELS);

  /** Tensors on the CPU, computed by LibTorch's operators. */
  QuantizerPath OPERATORS = new TensorPath(Device.CPU, Implementation.OPERATORS);

  /** Whether this path takes vectors of this type. */
  boolean serves(DType dtype);

  /**
   * The quantizer on this path.
   *
   * @param dtype the type of x, codes and gradients, one that this path serves
   * @param shape the shape of x, {@code [..., codebooks · codeDim]}, or with channels first {@code
   *     [items, codebooks · codeDim, ...]}; none for {@code [rows, codebooks · codeDim]} of as many
   *     rows as there are in each call
   */
  PathQuantizer quantizer(QuantizerOptions options, DType dtype, long... shape);
}
