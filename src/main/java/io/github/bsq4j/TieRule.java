package io.github.bsq4j;

/** The bit of a component that is 0 or -0.0. */
public enum TieRule {
  /** 0: a bit is x &gt; 0. */
  ZERO,
  /** 1: a bit is x &gt;= 0. */
  ONE
}
