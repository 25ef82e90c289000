package io.github.bsq4j.bench.peers;

/**
 * One way to compute a {@link Problem} from Java.
 *
 * <p>The works, which are timed, leave their results where this way of computing has them. The
 * results as arrays are for the check beforehand.
 */
interface Peer extends AutoCloseable {
  /** The version of what computes. */
  String version();

  /** The index of each row. */
  void encode();

  /** Indices, quantized rows and losses. */
  void forward();

  /** The same, and the gradient with respect to x. */
  void forwardBackward();

  /** What {@link #encode} computes. */
  long[] indices();

  /** What {@link #forward} computes. */
  double auxLoss();

  /** What {@link #forwardBackward} computes, {@code [rows, codeDim]}. */
  float[] gradX();

  @Override
  void close();
}
