package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The results of a forward pass with several levels over a {@link Tensor}, and what a backward pass
 * needs: x itself may be closed before, and so may a mask. It lives in the arena that {@link
 * ResidualQuantizer#forward(Arena, Tensor)} was given, is immutable, and may be shared by all
 * threads that the arena admits.
 */
public final class ResidualQuantization {
  private final QuantizerOptions options;
  private final MemorySegment handle;
  private final Tensor quantized;
  private final Tensor indices; // null where codes have none
  private final List<Quantization> levels;

  /** The results of a handle that is bound to this arena. */
  ResidualQuantization(QuantizerOptions options, int levels, Arena arena, MemorySegment handle) {
    this.options = options;
    this.handle = handle;
    this.quantized = new Tensor(arena, NativeTensors.residualQuantized(arena, handle));
    this.indices =
        options.hasIndices()
            ? new Tensor(arena, NativeTensors.residualIndices(arena, handle))
            : null;
    List<Quantization> all = new ArrayList<>(levels);
    for (int level = 0; level < levels; level++) {
      all.add(new Quantization(options, arena, NativeTensors.residualLevel(arena, handle, level)));
    }
    this.levels = List.copyOf(all);
  }

  /** The sums over the levels, of the shape, type and device of x. */
  public Tensor quantized() {
    return quantized;
  }

  /**
   * The indices of all levels, INT64: of the shape that {@link ResidualQuantizer#encode(Arena,
   * Tensor)} gives them.
   *
   * @throws IllegalArgumentException if codes have too many bits for an index
   */
  public Tensor indices() {
    options.requireIndices();
    return indices;
  }

  /**
   * What each level made of its residual, as if there were no others: losses, sums, indices, and
   * quantized without the scale of the level, in FLOAT64 for such an x and in FLOAT32 otherwise.
   */
  public List<Quantization> levels() {
    return levels;
  }

  /** The losses of each level. Waits for the device. */
  public List<Losses> losses() {
    return levels.stream().map(Quantization::losses).toList();
  }

  /** The sum of the levels' {@link Losses#auxLoss}. Waits for the device. */
  public double auxLoss() {
    return levels.stream().mapToDouble(Quantization::auxLoss).sum();
  }

  /**
   * The gradient of {@code straightThroughScale · <gradQuantized, u>} + the sum over the levels of
   * {@code gradAuxLosses[level] · auxLoss} with respect to x; see {@link ResidualQuantizer}.
   *
   * @param arena where the result lives
   * @param gradQuantized of the shape and device of x, any floating-point type and strides
   * @param gradAuxLosses one for each level, or a single one for all
   * @return a tensor of the shape, type and device of x
   * @throws IllegalArgumentException if gradQuantized is of another shape, device or kind of type
   */
  public Tensor backward(Arena arena, Tensor gradQuantized, double... gradAuxLosses) {
    requireNonNull(gradQuantized, "gradQuantized");
    gradQuantized.dtype().requireFloatingPoint("gradQuantized");
    if (!Arrays.equals(gradQuantized.shape(), quantized.shape())) {
      throw new IllegalArgumentException(
          "gradQuantized has shape %s, expected that of x, %s"
              .formatted(
                  Arrays.toString(gradQuantized.shape()), Arrays.toString(quantized.shape())));
    }
    return backward(arena, gradQuantized.handle(), gradAuxLosses);
  }

  /** The gradient of the losses alone; see {@link #backward(Arena, Tensor, double...)}. */
  public Tensor backward(Arena arena, double... gradAuxLosses) {
    return backward(arena, MemorySegment.NULL, gradAuxLosses);
  }

  private Tensor backward(Arena arena, MemorySegment gradQuantized, double[] gradAuxLosses) {
    double[] weights = ResidualQuantizer.ofLevels(gradAuxLosses, levels.size());
    return new Tensor(arena, NativeTensors.residualBackward(arena, handle, gradQuantized, weights));
  }

  /** Type, shape and device of x, and the levels. Never fails. */
  @Override
  public String toString() {
    return "ResidualQuantization[%s, levels=%d]".formatted(quantized.description(), levels.size());
  }
}
