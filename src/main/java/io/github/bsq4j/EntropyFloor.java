package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

/**
 * What keeps the logarithm of a probability from that of 0, in entropies and their gradients.
 * Immutable.
 *
 * @param kind where the number comes in
 * @param epsilon ε: {@value #MIN_EPSILON} to {@value #MAX_EPSILON}
 */
public record EntropyFloor(Kind kind, double epsilon) {

  /** Where ε comes in. */
  public enum Kind {
    /** {@code log max(p, ε)}, as SpeechBrain and LFQ do: a p below ε has no gradient of its own. */
    CLAMP,
    /** {@code log(p + ε)}, as BSQ-ViT does. */
    ADD
  }

  /** The smallest ε: a normal number in float32. */
  public static final double MIN_EPSILON = 1e-30;

  /** The largest ε. */
  public static final double MAX_EPSILON = 0.1;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if epsilon is out of range
   */
  public EntropyFloor {
    requireNonNull(kind, "kind");
    if (!(epsilon >= MIN_EPSILON && epsilon <= MAX_EPSILON)) {
      throw new IllegalArgumentException(
          "epsilon is " + epsilon + ", expected " + MIN_EPSILON + " to " + MAX_EPSILON);
    }
  }

  /** {@code log max(p, epsilon)}. */
  public static EntropyFloor clamp(double epsilon) {
    return new EntropyFloor(Kind.CLAMP, epsilon);
  }

  /** {@code log(p + epsilon)}. */
  public static EntropyFloor add(double epsilon) {
    return new EntropyFloor(Kind.ADD, epsilon);
  }
}
