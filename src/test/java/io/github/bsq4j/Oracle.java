package io.github.bsq4j;

import java.util.Arrays;

/**
 * The quantizer once more, in plain Java and double precision, straight from the definition: a
 * softmax over all 2^D codes. Slow, and independent of the native code and its factorised
 * algorithm.
 *
 * @param quantized [rows * dim]
 * @param gradAux d auxLoss / dx, [rows * dim]
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier of results, nobody compares two of them
record Oracle(
    double[] quantized,
    long[] indices,
    double auxLoss,
    double perSampleEntropy,
    double codebookEntropy,
    double[] gradAux) {

  private static final double EPSILON = 1e-5;
  private static final double MIN_NORM = 1e-12;

  static Oracle of(QuantizerOptions options, double[] x) {
    int dim = options.codeDim();
    int rows = x.length / dim;
    int codes = 1 << dim;
    double beta = options.inverseTemperature();
    double[] quantized = new double[x.length];
    long[] indices = new long[rows];
    double[][] p = new double[rows][];
    double[] average = new double[codes];
    double perSample = 0;
    for (int row = 0; row < rows; row++) {
      double[] unit = unit(x, row, dim);
      for (int d = 0; d < dim; d++) {
        boolean one = x[row * dim + d] > 0;
        indices[row] = indices[row] * 2 + (one ? 1 : 0);
        quantized[row * dim + d] = (one ? 1 : -1) / Math.sqrt(dim);
      }
      p[row] = softmax(unit, dim, beta);
      perSample += entropy(p[row]) / rows;
      for (int c = 0; c < codes; c++) {
        average[c] += p[row][c] / rows;
      }
    }
    double codebook = entropy(average);
    double auxLoss =
        rows == 0
            ? 0
            : options.entropyLossWeight() * (perSample - options.diversityGamma() * codebook);

    double[] gradAux = new double[x.length];
    double[] codebookSlope = slope(average);
    for (int row = 0; row < rows; row++) {
      double[] rowSlope = slope(p[row]);
      double[] slope = new double[codes]; // of the aux loss with respect to p[row]
      for (int c = 0; c < codes; c++) {
        slope[c] =
            options.entropyLossWeight()
                / rows
                * (rowSlope[c] - options.diversityGamma() * codebookSlope[c]);
      }
      double[] gradUnit = softmaxBackward(p[row], slope, dim, beta);
      System.arraycopy(normalizeBackward(x, row, dim, gradUnit), 0, gradAux, row * dim, dim);
    }
    return new Oracle(quantized, indices, auxLoss, perSample, codebook, gradAux);
  }

  /** d &lt;gradQuantized, quantized&gt; / dx, straight through the signs. */
  static double[] gradQuantized(double[] x, double[] gradQuantized, int dim) {
    double[] gradX = new double[x.length];
    for (int row = 0; row < x.length / dim; row++) {
      double[] gradUnit = Arrays.copyOfRange(gradQuantized, row * dim, (row + 1) * dim);
      System.arraycopy(normalizeBackward(x, row, dim, gradUnit), 0, gradX, row * dim, dim);
    }
    return gradX;
  }

  static double norm(double[] x, int row, int dim) {
    double squares = 0;
    for (int d = 0; d < dim; d++) {
      squares += x[row * dim + d] * x[row * dim + d];
    }
    return Math.sqrt(squares);
  }

  private static double[] unit(double[] x, int row, int dim) {
    double norm = Math.max(norm(x, row, dim), MIN_NORM);
    return Arrays.stream(x, row * dim, (row + 1) * dim).map(v -> v / norm).toArray();
  }

  /** Component d of code c. */
  private static double component(int c, int d, int dim) {
    return ((c >> (dim - 1 - d) & 1) * 2 - 1) / Math.sqrt(dim);
  }

  private static double[] softmax(double[] unit, int dim, double beta) {
    double[] p = new double[1 << dim];
    for (int c = 0; c < p.length; c++) {
      for (int d = 0; d < dim; d++) {
        p[c] += 2 * beta * unit[d] * component(c, d, dim);
      }
    }
    double max = Arrays.stream(p).max().getAsDouble();
    double sum = Arrays.stream(p).map(logit -> Math.exp(logit - max)).sum();
    return Arrays.stream(p).map(logit -> Math.exp(logit - max) / sum).toArray();
  }

  private static double entropy(double[] p) {
    return Arrays.stream(p).map(v -> -v * Math.log(Math.max(v, EPSILON))).sum();
  }

  /** d entropy / dp. */
  private static double[] slope(double[] p) {
    return Arrays.stream(p)
        .map(v -> -Math.log(Math.max(v, EPSILON)) - (v >= EPSILON ? 1 : 0))
        .toArray();
  }

  private static double[] softmaxBackward(double[] p, double[] slope, int dim, double beta) {
    double mean = 0;
    for (int c = 0; c < p.length; c++) {
      mean += p[c] * slope[c];
    }
    double[] gradUnit = new double[dim];
    for (int c = 0; c < p.length; c++) {
      for (int d = 0; d < dim; d++) {
        gradUnit[d] += p[c] * (slope[c] - mean) * 2 * beta * component(c, d, dim);
      }
    }
    return gradUnit;
  }

  private static double[] normalizeBackward(double[] x, int row, int dim, double[] gradUnit) {
    double norm = norm(x, row, dim);
    double[] unit = unit(x, row, dim);
    double along = 0;
    for (int d = 0; d < dim && norm > MIN_NORM; d++) {
      along += unit[d] * gradUnit[d];
    }
    double[] gradX = new double[dim];
    for (int d = 0; d < dim; d++) {
      gradX[d] = (gradUnit[d] - unit[d] * along) / Math.max(norm, MIN_NORM);
    }
    return gradX;
  }
}
