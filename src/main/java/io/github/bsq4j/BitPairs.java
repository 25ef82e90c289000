package io.github.bsq4j;

/** How many codes have a 1 in two bits: see "Usage" in {@code bsq.h}. */
final class BitPairs {
  private final long[] numbers;
  private final int dim;

  BitPairs(long... numbers) {
    this.numbers = numbers;
    this.dim = (int) Math.sqrt(2.0 * (numbers.length - 1)); // sqrt(dim^2 + dim), rounded down
  }

  /** From how often each code is used, which is overwritten. */
  static BitPairs ofCodes(int dim, long... counts) {
    // How many codes have at least these ones: those with a bit are added to those without.
    for (int bit = 1; bit < counts.length; bit *= 2) {
      for (int i = 0; i < counts.length; i++) {
        counts[i] += (i & bit) == 0 ? counts[i | bit] : 0;
      }
    }
    long[] numbers = new long[1 + dim * (dim + 1) / 2];
    int pair = 0;
    numbers[pair++] = counts[0];
    for (int a = 0; a < dim; a++) {
      for (int b = a; b < dim; b++) {
        numbers[pair++] = counts[1 << (dim - 1 - a) | 1 << (dim - 1 - b)];
      }
    }
    return new BitPairs(numbers);
  }

  long rows() {
    return numbers[0];
  }

  long ones(int bit) {
    return both(bit, bit);
  }

  /** a up to b. */
  private long both(int a, int b) {
    return numbers[1 + a * dim - a * (a + 1) / 2 + b];
  }

  double correlation(int a, int b) {
    double rows = rows();
    double ones = both(a, b);
    double onesA = ones(a);
    double onesB = ones(b);
    // Of zeros and ones: all sums of products are numbers of codes.
    double covariance = differenceOfProducts(rows, ones, onesA, onesB);
    double varianceA = onesA * (rows - onesA);
    double varianceB = onesB * (rows - onesB);
    double correlation = covariance / Math.sqrt(varianceA * varianceB);
    return Math.clamp(correlation, -1, 1); // rounding may have left a little more; NaN stays
  }

  /** a · b - c · d without cancellation, by Kahan's method. */
  private static double differenceOfProducts(double a, double b, double c, double d) {
    double product = c * d;
    double error = Math.fma(-c, d, product);
    return Math.fma(a, b, -product) + error;
  }
}
