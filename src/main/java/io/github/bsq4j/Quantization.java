package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The results of a forward pass over a {@link Tensor}, and what a backward pass needs: x itself may
 * be closed before. It lives in the arena that {@link BinarySphericalQuantizer#forward(Arena,
 * Tensor)} was given, by the rules of {@link Tensor}, is immutable, and may be shared by all
 * threads that the arena admits.
 *
 * <p>Losses wait for the device, and throw a {@link BsqException} where x has values that are
 * refused, unless forward itself did.
 */
public final class Quantization {
  private final MemorySegment handle;
  private final Tensor quantized;
  private final Tensor indices;

  /** The results of a handle that is bound to this arena. */
  Quantization(Arena arena, MemorySegment handle) {
    this.handle = handle;
    this.quantized = new Tensor(arena, NativeTensors.quantized(arena, handle));
    this.indices = new Tensor(arena, NativeTensors.indices(arena, handle));
  }

  /** The quantized rows, of the shape, type and device of x: every component is ±1/√codeDim. */
  public Tensor quantized() {
    return quantized;
  }

  /**
   * One code index in [0, 2<sup>codeDim</sup>) for each row, INT64, of the shape of x without its
   * last dimension; {@code [1]} for an x of rank 1.
   */
  public Tensor indices() {
    return indices;
  }

  /** The losses, in nats. */
  public Losses losses() {
    return NativeTensors.losses(handle);
  }

  /** See {@link Losses#auxLoss}. */
  public double auxLoss() {
    return losses().auxLoss();
  }

  /** See {@link Losses#perSampleEntropy}. */
  public double perSampleEntropy() {
    return losses().perSampleEntropy();
  }

  /** See {@link Losses#codebookEntropy}. */
  public double codebookEntropy() {
    return losses().codebookEntropy();
  }

  /**
   * The gradient of {@code <gradQuantized, quantized> + gradAuxLoss · auxLoss} with respect to x,
   * as {@link BinarySphericalQuantizer#backward(MemorySegment, DType, long, MemorySegment, double,
   * MemorySegment)} defines it.
   *
   * @param arena where the result lives
   * @param gradQuantized of the shape and device of x, any floating-point type and strides
   * @param gradAuxLoss the gradient of the auxiliary loss; with 0 none is computed
   * @return a tensor of the shape, type and device of x
   * @throws IllegalArgumentException if gradQuantized is of another shape, device or kind of type
   */
  public Tensor backward(Arena arena, Tensor gradQuantized, double gradAuxLoss) {
    requireNonNull(gradQuantized, "gradQuantized");
    gradQuantized.dtype().requireFloatingPoint("gradQuantized");
    if (!Arrays.equals(gradQuantized.shape(), quantized.shape())) {
      throw new IllegalArgumentException(
          "gradQuantized has shape %s, expected that of x, %s"
              .formatted(
                  Arrays.toString(gradQuantized.shape()), Arrays.toString(quantized.shape())));
    }
    if (!gradQuantized.device().equals(quantized.device())) {
      throw new IllegalArgumentException(
          "gradQuantized is on %s, but x is on %s"
              .formatted(gradQuantized.device(), quantized.device()));
    }
    return new Tensor(
        arena, NativeTensors.backward(arena, handle, gradQuantized.handle(), gradAuxLoss));
  }

  /**
   * The gradient of {@code gradAuxLoss · auxLoss} alone; see {@link #backward(Arena, Tensor,
   * double)}.
   */
  public Tensor backward(Arena arena, double gradAuxLoss) {
    return new Tensor(
        arena, NativeTensors.backward(arena, handle, MemorySegment.NULL, gradAuxLoss));
  }

  /**
   * Makes sure that x has no values that are refused; see {@link Tensor#check()}.
   *
   * @throws BsqException if x has values that are refused; the message has the position and the
   *     value
   */
  public void check() {
    quantized.check();
  }

  /** Type, shape and device of x. Never fails. */
  @Override
  public String toString() {
    return "Quantization[" + quantized.description() + "]";
  }
}
