package io.github.bsq4j.bench.peers;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Loops over arrays, as one writes them by hand: row after row, the probability of every code. Only
 * one row's probabilities are held at a time, and computed again for the gradient. Loops over codes
 * are such that the JVM's compiler vectorizes what it can.
 */
final class PlainJavaPeer implements Peer {
  private final Problem problem;
  private final int rows;
  private final int codeDim;
  private final int codeCount;
  private final float[][] codes; // [codeDim][codeCount]
  private final float[] quantized;
  private final long[] indices;
  private final float[] gradX;
  private double auxLoss;

  PlainJavaPeer(Problem problem) {
    this.problem = problem;
    rows = problem.rows();
    codeDim = problem.codeDim();
    codeCount = problem.codeCount();
    float[] columns = problem.codeColumns();
    codes =
        IntStream.range(0, codeDim)
            .mapToObj(d -> Arrays.copyOfRange(columns, d * codeCount, (d + 1) * codeCount))
            .toArray(float[][]::new);
    quantized = new float[problem.x().length];
    indices = new long[rows];
    gradX = new float[problem.x().length];
  }

  @Override
  public String version() {
    return "Java " + Runtime.version();
  }

  @Override
  public void encode() {
    inParallel(
        (first, end) -> {
          for (int row = first; row < end; row++) {
            indices[row] = index(row);
          }
        });
  }

  private long index(int row) {
    long index = 0;
    for (int d = 0; d < codeDim; d++) {
      index = 2 * index + (problem.x()[row * codeDim + d] > 0 ? 1 : 0);
    }
    return index;
  }

  @Override
  public void forward() {
    meanProbabilities();
  }

  /** The codebook's probabilities. Sets the indices, quantized rows and the loss on the way. */
  private float[] meanProbabilities() {
    float[] mean = new float[codeCount];
    double[] entropySum = new double[1];
    inParallel(
        (first, end) -> {
          float[] unit = new float[codeDim];
          float[] probabilities = new float[codeCount];
          float[] sum = new float[codeCount];
          double entropies = 0;
          for (int row = first; row < end; row++) {
            indices[row] = index(row);
            for (int d = 0; d < codeDim; d++) {
              quantized[row * codeDim + d] = problem.codeComponent(indices[row], d);
            }
            normalize(row, unit);
            probabilities(unit, probabilities);
            entropies += entropy(probabilities);
            for (int code = 0; code < codeCount; code++) {
              sum[code] += probabilities[code];
            }
          }
          synchronized (mean) {
            entropySum[0] += entropies;
            for (int code = 0; code < codeCount; code++) {
              mean[code] += sum[code] / rows;
            }
          }
        });
    auxLoss = Problem.ENTROPY_LOSS_WEIGHT * (entropySum[0] / rows - entropy(mean));
    return mean;
  }

  @Override
  public void forwardBackward() {
    float[] mean = meanProbabilities();
    double scale = problem.gradAuxLoss() * Problem.ENTROPY_LOSS_WEIGHT / rows;
    float[] gradMean = new float[codeCount];
    for (int code = 0; code < codeCount; code++) {
      gradMean[code] = entropyDerivative(mean[code]);
    }
    inParallel(
        (first, end) -> {
          float[] unit = new float[codeDim];
          float[] probabilities = new float[codeCount];
          float[] gradLogits = new float[codeCount];
          float[] gradUnit = new float[codeDim];
          for (int row = first; row < end; row++) {
            float norm = normalize(row, unit);
            probabilities(unit, probabilities);
            float inner = 0;
            for (int code = 0; code < codeCount; code++) {
              gradLogits[code] = entropyDerivative(probabilities[code]) - gradMean[code];
              inner += gradLogits[code] * probabilities[code];
            }
            for (int code = 0; code < codeCount; code++) {
              gradLogits[code] = (gradLogits[code] - inner) * probabilities[code];
            }
            for (int d = 0; d < codeDim; d++) {
              double grad = 2 * problem.inverseTemperature() * scale * dot(gradLogits, codes[d]);
              gradUnit[d] = problem.gradQuantized()[row * codeDim + d] + (float) grad;
            }
            float radial = dot(gradUnit, unit);
            for (int d = 0; d < codeDim; d++) {
              gradX[row * codeDim + d] = (gradUnit[d] - radial * unit[d]) / norm;
            }
          }
        });
  }

  /** Sets {@code unit} to the direction of a row, and returns the row's length. */
  private float normalize(int row, float[] unit) {
    float[] vector = Arrays.copyOfRange(problem.x(), row * codeDim, (row + 1) * codeDim);
    float norm = Math.max((float) Math.sqrt(dot(vector, vector)), Problem.LEAST_NORM);
    for (int d = 0; d < codeDim; d++) {
      unit[d] = vector[d] / norm;
    }
    return norm;
  }

  /** The softmax over all codes. */
  private void probabilities(float[] unit, float[] result) {
    Arrays.fill(result, 0);
    for (int d = 0; d < codeDim; d++) {
      float factor = (float) (2 * problem.inverseTemperature()) * unit[d];
      float[] components = codes[d];
      for (int code = 0; code < codeCount; code++) {
        result[code] += factor * components[code];
      }
    }
    float largest = Float.NEGATIVE_INFINITY;
    for (int code = 0; code < codeCount; code++) {
      largest = Math.max(largest, result[code]);
    }
    float sum = 0;
    for (int code = 0; code < codeCount; code++) {
      result[code] = (float) Math.exp(result[code] - largest);
      sum += result[code];
    }
    for (int code = 0; code < codeCount; code++) {
      result[code] /= sum;
    }
  }

  /** The sum of -p · ln(max(p, ε)). */
  private static double entropy(float[] probabilities) {
    double sum = 0;
    for (float p : probabilities) {
      sum -= p * Math.log(Math.max(p, Problem.EPSILON));
    }
    return sum;
  }

  /** The derivative of -p · ln(max(p, ε)). */
  private static float entropyDerivative(float p) {
    double clamped = -Math.log(Math.max(p, Problem.EPSILON));
    return (float) (p >= Problem.EPSILON ? clamped - 1 : clamped);
  }

  private static float dot(float[] a, float[] b) {
    float sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  @FunctionalInterface
  private interface RowLoop {
    void run(int first, int end);
  }

  /** A share of the rows in each thread. The JVM is started with as many in its common pool. */
  private void inParallel(RowLoop loop) {
    int threads = problem.threads();
    IntStream.range(0, threads)
        .parallel()
        .forEach(
            part ->
                loop.run(
                    (int) ((long) rows * part / threads),
                    (int) ((long) rows * (part + 1) / threads)));
  }

  @Override
  public long[] indices() {
    encode();
    return indices;
  }

  @Override
  public double auxLoss() {
    forward();
    return auxLoss;
  }

  @Override
  public float[] gradX() {
    forwardBackward();
    return gradX;
  }

  @Override
  public void close() {}
}
