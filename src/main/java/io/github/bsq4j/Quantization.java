package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The results of a forward pass over a {@link Tensor}, and what a backward pass needs: x itself may
 * be closed before, and so may a mask. It lives in the arena that {@link
 * BinarySphericalQuantizer#forward(Arena, Tensor)} was given, by the rules of {@link Tensor}, is
 * immutable, and may be shared by all threads that the arena admits. On a GPU it also keeps what
 * the backward pass would compute again, where that is little: at most 34 MB.
 *
 * <p>Losses wait for the device, and throw a {@link BsqException} where x has values that are
 * refused, unless forward itself did.
 */
public final class Quantization {
  private final QuantizerOptions options;
  private final MemorySegment handle;
  private final Tensor quantized;
  private final Tensor indices; // null where codes have none

  /** The results of a handle that is bound to this arena. */
  Quantization(QuantizerOptions options, Arena arena, MemorySegment handle) {
    this.options = options;
    this.handle = handle;
    this.quantized = new Tensor(arena, NativeTensors.quantized(arena, handle));
    this.indices =
        options.hasIndices() ? new Tensor(arena, NativeTensors.indices(arena, handle)) : null;
  }

  /**
   * The quantized rows, of the shape, type and device of x: every component is ±1/√codeDim, or ±1
   * with {@link CodeScale#ONE}.
   */
  public Tensor quantized() {
    return quantized;
  }

  /**
   * One index in [0, 2<sup>groupSize</sup>) for each group of bits of each code, INT64: of the
   * shape that {@link BinarySphericalQuantizer#encode(Arena, Tensor)} gives them.
   *
   * @throws IllegalArgumentException if codes have too many bits for an index
   */
  public Tensor indices() {
    options.requireIndices();
    return indices;
  }

  /** Every term of the losses of the rows that count. */
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
   * What the losses are made of, to be added up with those of other batches. Waits for the device.
   *
   * @throws BsqException if x has values that are refused
   */
  public LossSums lossSums() {
    try (Arena temporary = Arena.ofConfined()) {
      Tensor sums = new Tensor(temporary, NativeTensors.lossSums(temporary, handle));
      return LossSums.adopt(options, sums.toDoubleArray());
    }
  }

  /**
   * The gradient of {@code straightThroughScale · <gradQuantized, u> + gradAuxLoss · auxLoss} with
   * respect to x, as {@link BinarySphericalQuantizer#backward(MemorySegment, DType, Batch,
   * MemorySegment, double, MemorySegment)} defines it.
   *
   * @param arena where the result lives
   * @param gradQuantized of the shape and device of x, any floating-point type and strides
   * @param gradAuxLoss the gradient of the auxiliary loss; with 0 none is computed
   * @return a tensor of the shape, type and device of x
   * @throws IllegalArgumentException if gradQuantized is of another shape, device or kind of type
   */
  public Tensor backward(Arena arena, Tensor gradQuantized, double gradAuxLoss) {
    requireGradient(gradQuantized);
    return backward(arena, MemorySegment.NULL, gradQuantized.handle(), gradAuxLoss);
  }

  /**
   * The gradient of {@code gradAuxLoss · auxLoss} alone; see {@link #backward(Arena, Tensor,
   * double)}.
   */
  public Tensor backward(Arena arena, double gradAuxLoss) {
    return backward(arena, MemorySegment.NULL, MemorySegment.NULL, gradAuxLoss);
  }

  /**
   * As {@link #backward(Arena, Tensor, double)}, where {@code auxLoss} is that of all rows which
   * the sums are of, those of x among them.
   *
   * @param sums this quantization's {@link #lossSums()}, with those of other batches added
   * @throws IllegalArgumentException if gradQuantized is of another shape, device or kind of type,
   *     or the sums are of other options
   */
  public Tensor backward(Arena arena, Tensor gradQuantized, double gradAuxLoss, LossSums sums) {
    requireGradient(gradQuantized);
    return backward(arena, sums, gradQuantized.handle(), gradAuxLoss);
  }

  /**
   * The gradient of {@code gradAuxLoss · auxLoss} alone; see {@link #backward(Arena, Tensor,
   * double, LossSums)}.
   */
  public Tensor backward(Arena arena, double gradAuxLoss, LossSums sums) {
    return backward(arena, sums, MemorySegment.NULL, gradAuxLoss);
  }

  private Tensor backward(
      Arena arena, LossSums sums, MemorySegment gradQuantized, double gradAuxLoss) {
    requireNonNull(sums, "sums").requireAsOf(options, "sums");
    long size = sums.segment().byteSize() / DType.FLOAT64.byteSize();
    try (Arena temporary = Arena.ofConfined()) {
      Tensor tensor =
          Tensor.copyOf(temporary, sums.segment(), DType.FLOAT64, size)
              .to(temporary, quantized.device());
      return backward(arena, tensor.handle(), gradQuantized, gradAuxLoss);
    }
  }

  private Tensor backward(
      Arena arena, MemorySegment sums, MemorySegment gradQuantized, double gradAuxLoss) {
    return new Tensor(
        arena, NativeTensors.backward(arena, handle, sums, gradQuantized, gradAuxLoss));
  }

  private void requireGradient(Tensor gradQuantized) {
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
