package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.MemorySegment;

/**
 * What the losses of some rows are made of, added up over these rows: the sums of several batches,
 * threads or machines add up, by {@link #plus}, to those of one batch with all rows. {@link
 * #losses()} are then the exact losses of all rows, and {@code backward} with these sums gives the
 * gradient of each batch as part of all: the codebook entropy is that of the average over all
 * batches, which is not an average of the batches' codebook entropies.
 *
 * <p>They take 2<sup>groupSize</sup> numbers for each group and codebook, two for each bit with
 * {@link EntropyForm#ANALYTICAL}. Immutable; all threads may share them.
 */
public final class LossSums {
  /** Up to here all whole numbers are doubles. */
  private static final double MAX_ROWS = 0x1p53;

  private final QuantizerOptions options;
  private final double[] sums;

  /** Takes the array over. */
  private LossSums(QuantizerOptions options, double[] sums) {
    this.options = options;
    this.sums = sums;
  }

  /**
   * The sums that {@link #toArray()} gave, perhaps in another process.
   *
   * @param options those that the sums were computed with
   * @param sums {@code bsq.h} tells what they are; they are copied
   * @throws IllegalArgumentException if there are more or fewer than these options make, or the
   *     first two, the rows that count and the rows that the entropies are of, are no such numbers,
   *     or one of the sums of distances and probabilities, all from the fourth on, is negative
   * @throws BsqException if the losses of these options would take too much memory, or the library
   *     cannot be loaded
   */
  public static LossSums of(QuantizerOptions options, double... sums) {
    requireNonNull(options, "options");
    requireNonNull(sums, "sums");
    int size = size(options, NativeCalls.options(options));
    if (sums.length != size) {
      throw new IllegalArgumentException(
          "sums has %d elements, expected %d for codebooks %d, codeDim %d, groupSize %d, %s"
              .formatted(
                  sums.length,
                  size,
                  options.codebooks(),
                  options.codeDim(),
                  options.groupSize(),
                  options.entropyForm()));
    }
    requireCount("sums[0]", sums[0], 0, MAX_ROWS);
    requireCount("sums[1]", sums[1], Math.min(sums[0], 1), sums[0]);
    for (int i = 3; i < size; i++) {
      if (sums[i] < 0) {
        throw new IllegalArgumentException(
            "sums[%d] is %s, expected 0 or more: a sum of %s"
                .formatted(i, sums[i], i == 3 ? "distances" : "probabilities"));
      }
    }
    return new LossSums(options, sums.clone());
  }

  /** The sums that a native call has made, which take the array over. */
  static LossSums adopt(QuantizerOptions options, double[] sums) {
    return new LossSums(options, sums);
  }

  /** How many numbers there are. */
  static int size(QuantizerOptions options, MemorySegment nativeOptions) {
    options.requireLosses();
    long size = NativeCalls.lossSumsSize(nativeOptions);
    if (size > Integer.MAX_VALUE - 8) { // what JVMs allow
      throw new BsqException(
          BsqException.Code.UNSUPPORTED,
          "%d loss sums do not fit into an array: codebooks is %d, codeDim %d, groupSize %d"
              .formatted(size, options.codebooks(), options.codeDim(), options.groupSize()));
    }
    return (int) size;
  }

  /** What the sums were computed with. */
  public QuantizerOptions options() {
    return options;
  }

  /** How many rows count in these sums. */
  public long rows() {
    return (long) sums[0];
  }

  /** The sums as numbers, for {@link #of} in another process: a new array. */
  public double[] toArray() {
    return sums.clone();
  }

  /**
   * The sums of all rows of both. Their options are these ones'.
   *
   * @throws IllegalArgumentException if they are of options that other sums come from; the message
   *     names one
   */
  public LossSums plus(LossSums other) {
    requireNonNull(other, "other").requireAsOf(options, "other");
    double[] total = sums.clone();
    for (int i = 0; i < total.length; i++) {
      total[i] += other.sums[i];
    }
    return new LossSums(options, total);
  }

  /** The losses of all rows that the sums are of, with the weights of these options. */
  public Losses losses() {
    return NativeCalls.lossesFromSums(NativeCalls.options(options), segment());
  }

  /** The numbers themselves, not to be written. */
  MemorySegment segment() {
    return MemorySegment.ofArray(sums).asReadOnly();
  }

  /**
   * Makes sure that the options, which may have other weights, make the same sums.
   *
   * @throws IllegalArgumentException if they do not; the message names these sums and an option
   */
  void requireAsOf(QuantizerOptions others, String name) {
    requireSame(name, "codeDim", options.codeDim(), others.codeDim());
    requireSame(name, "codebooks", options.codebooks(), others.codebooks());
    requireSame(name, "entropyForm", options.entropyForm(), others.entropyForm());
    if (options.entropyForm() == EntropyForm.EXACT) {
      requireSame(name, "groupSize", options.groupSize(), others.groupSize());
    }
    requireSame(
        name, "inverseTemperature", options.inverseTemperature(), others.inverseTemperature());
    requireSame(name, "entropyFloor", options.entropyFloor(), others.entropyFloor());
    if (others.commitmentWeight() != 0 && options.commitmentWeight() == 0) {
      throw new IllegalArgumentException(
          "%s are of commitmentWeight 0, and so without the commitment, but it is %s here"
              .formatted(name, others.commitmentWeight()));
    }
  }

  private static void requireSame(String name, String option, Object value, Object expected) {
    if (!value.equals(expected)) {
      throw new IllegalArgumentException(
          "%s are of %s %s, expected %s as here".formatted(name, option, value, expected));
    }
  }

  private static void requireCount(String name, double count, double least, double most) {
    if (!(count >= least && count <= most && count == Math.rint(count))) {
      throw new IllegalArgumentException(
          "%s is %s, expected a number of rows, %.0f to %.0f".formatted(name, count, least, most));
    }
  }

  @Override
  public String toString() {
    return "LossSums[rows=%d, %s]".formatted(rows(), options);
  }
}
