package io.github.bsq4j;

/** The form of packed bytes. */
public enum ByteForm {
  /** The bits, 0 to 255. */
  PLAIN,
  /** That less 128, for systems with signed bytes: each byte's highest bit is inverted. */
  OFFSET
}
