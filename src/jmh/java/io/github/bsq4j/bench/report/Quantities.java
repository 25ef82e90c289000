package io.github.bsq4j.bench.report;

import java.util.Locale;
import java.util.function.DoubleFunction;

/** Numbers for people. */
final class Quantities {
  private Quantities() {}

  /** In the unit that fits, with three digits. */
  static String time(double seconds) {
    return inUnit(seconds, Quantities::digits);
  }

  /** In the unit that fits: a power of ten. */
  static String decade(double seconds) {
    return inUnit(seconds * (1 + 1e-9), Quantities::count); // it may have been rounded down
  }

  private static String inUnit(double seconds, DoubleFunction<String> format) {
    if (seconds < 1e-6) {
      return format.apply(seconds * 1e9) + " ns";
    }
    if (seconds < 1e-3) {
      return format.apply(seconds * 1e6) + " µs";
    }
    return seconds < 1 ? format.apply(seconds * 1e3) + " ms" : format.apply(seconds) + " s";
  }

  /** Three of them, or all before the point. */
  static String digits(double value) {
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  /** A whole number, or nothing where it is none. */
  static String count(double value) {
    long whole = Math.round(value);
    return Math.abs(value - whole) < 1e-6 * value ? String.format(Locale.ROOT, "%,d", whole) : "";
  }
}
