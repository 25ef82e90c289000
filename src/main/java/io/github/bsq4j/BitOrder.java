package io.github.bsq4j;

/** Which of a code's bits is the first, in its indices, packed bytes and packed words. */
public enum BitOrder {
  /** The bit of component 0 is the most significant one, as in SpeechBrain and numpy.packbits. */
  MOST_SIGNIFICANT_FIRST,
  /** The bit of component 0 is the least significant one, as in SEED-Voken and faiss. */
  LEAST_SIGNIFICANT_FIRST
}
