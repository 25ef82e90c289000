package io.github.bsq4j.cli;

/**
 * The losses as their definition says, from the probability of every code. (The probabilities are
 * products over the bits, since the softmax runs over all combinations of signs.)
 */
record DenseLosses(double aux, double perSample, double codebook) {
  private static final double EPSILON = 1e-5;

  static DenseLosses of(
      float[] x, int dim, double inverseTemperature, double weight, double gamma) {
    int rows = x.length / dim;
    double[] mean = new double[1 << dim];
    double perSample = 0;
    for (int row = 0; row < rows; row++) {
      double[] p = probabilities(x, row * dim, dim, inverseTemperature);
      perSample += entropy(p) / rows;
      for (int code = 0; code < p.length; code++) {
        mean[code] += p[code] / rows;
      }
    }
    double codebook = entropy(mean);
    return new DenseLosses(weight * (perSample - gamma * codebook), perSample, codebook);
  }

  private static double[] probabilities(float[] x, int start, int dim, double inverseTemperature) {
    double squares = 0;
    for (int d = 0; d < dim; d++) {
      squares += (double) x[start + d] * x[start + d];
    }
    double norm = Math.max(Math.sqrt(squares), 1e-12);
    double[] p = new double[1 << dim];
    p[0] = 1;
    for (int d = 0; d < dim; d++) {
      double logit = 4 * inverseTemperature * x[start + d] / norm / Math.sqrt(dim);
      double one = 1 / (1 + Math.exp(-logit));
      for (int code = (1 << d) - 1; code >= 0; code--) { // dimension 0 becomes the highest bit
        p[2 * code + 1] = p[code] * one;
        p[2 * code] = p[code] * (1 / (1 + Math.exp(logit)));
      }
    }
    return p;
  }

  private static double entropy(double[] p) {
    double sum = 0;
    for (double value : p) {
      sum -= value * Math.log(Math.max(value, EPSILON));
    }
    return sum;
  }
}
