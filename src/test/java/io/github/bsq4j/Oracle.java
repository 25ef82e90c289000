package io.github.bsq4j;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.DoubleStream;

/**
 * The quantizer once more, in plain Java and double precision, straight from the definition in
 * {@link QuantizerOptions}: a softmax over all codes of each group, row by row. Slow, and
 * independent of the native code and its factorised algorithms.
 *
 * @param quantized of the shape of x
 * @param indices [rows, codebooks, groups]
 * @param sums the loss sums, as bsq.h defines them
 * @param gradAux d auxLoss / dx, of the shape of x
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier of results, nobody compares two of them
record Oracle(double[] quantized, long[] indices, Losses losses, double[] sums, double[] gradAux) {

  private static final double MIN_NORM = 1e-12;

  static Oracle of(QuantizerOptions options, double[] x) {
    return of(options, x, Batch.of(x.length / options.rowLength()));
  }

  /** Of rows of which those count that the batch says; the entropies are of all of these. */
  static Oracle of(QuantizerOptions options, double[] x, Batch batch) {
    return of(options, x, batch, counted(batch));
  }

  /** As above, but the entropies are of the drawn rows alone, which all count. */
  static Oracle of(QuantizerOptions options, double[] x, Batch batch, boolean[] drawn) {
    return new Computation(options, x, batch, counted(batch), drawn).result();
  }

  static boolean[] counted(Batch batch) {
    boolean[] counted = new boolean[(int) batch.rows()];
    Arrays.fill(counted, true);
    batch
        .mask()
        .ifPresent(
            mask -> {
              for (int row = 0; row < counted.length; row++) {
                counted[row] = mask.get(ValueLayout.JAVA_BYTE, row) != 0;
              }
            });
    return counted;
  }

  double auxLoss() {
    return losses.auxLoss();
  }

  double perSampleEntropy() {
    return losses.perSampleEntropy();
  }

  double codebookEntropy() {
    return losses.codebookEntropy();
  }

  /** d &lt;gradQuantized, quantized&gt; / dx, straight through the signs, of rows of one code. */
  static double[] gradQuantized(double[] x, double[] gradQuantized, int dim) {
    return gradQuantized(QuantizerOptions.of(dim), x, Batch.of(x.length / dim), gradQuantized);
  }

  /** The same of rows of any layout, scaled as the options say. */
  static double[] gradQuantized(
      QuantizerOptions options, double[] x, Batch batch, double[] gradQuantized) {
    Rows rows = new Rows(options, batch);
    double[] gradX = new double[x.length];
    for (int row = 0; row < rows.count(); row++) {
      for (int k = 0; k < options.codebooks(); k++) {
        double[] gradUnit = rows.code(gradQuantized, row, k);
        for (int d = 0; d < gradUnit.length; d++) {
          gradUnit[d] *= options.straightThroughScale();
        }
        rows.setCode(gradX, row, k, normalizeBackward(rows.code(x, row, k), gradUnit));
      }
    }
    return gradX;
  }

  static double norm(double[] x, int row, int dim) {
    return norm(Arrays.copyOfRange(x, row * dim, (row + 1) * dim));
  }

  static double norm(double[] code) {
    return Math.sqrt(Arrays.stream(code).map(v -> v * v).sum());
  }

  private static double[] unit(double[] code) {
    double norm = Math.max(norm(code), MIN_NORM);
    return Arrays.stream(code).map(v -> v / norm).toArray();
  }

  private static double[] normalizeBackward(double[] code, double[] gradUnit) {
    double norm = norm(code);
    double[] unit = unit(code);
    double along = 0;
    for (int d = 0; d < code.length && norm > MIN_NORM; d++) {
      along += unit[d] * gradUnit[d];
    }
    double[] grad = new double[code.length];
    for (int d = 0; d < code.length; d++) {
      grad[d] = (gradUnit[d] - unit[d] * along) / Math.max(norm, MIN_NORM);
    }
    return grad;
  }

  /** Where the components of rows lie. */
  record Rows(QuantizerOptions options, Batch batch) {
    int count() {
      return (int) batch.rows();
    }

    /** A copy of the components of code k of a row. */
    double[] code(double[] x, int row, int k) {
      double[] code = new double[options.codeDim()];
      for (int d = 0; d < code.length; d++) {
        code[d] = x[offset(row, k, d)];
      }
      return code;
    }

    void setCode(double[] x, int row, int k, double[] code) {
      for (int d = 0; d < code.length; d++) {
        x[offset(row, k, d)] = code[d];
      }
    }

    private int offset(int row, int k, int d) {
      int component = k * options.codeDim() + d;
      if (!options.channelFirst()) {
        return row * options.rowLength() + component;
      }
      int positions = (int) batch.positions();
      int item = row / positions;
      return (item * options.rowLength() + component) * positions + row % positions;
    }
  }

  /** One computation, with what its steps hand on to each other. */
  private static final class Computation {
    private final QuantizerOptions options;
    private final Rows rows;
    private final double[] x;
    private final boolean[] counted;
    private final boolean[] drawn;
    private final double count;
    private final double drawnCount;

    /** Bits of a distribution, and how many of these a code and a row have. */
    private final int bits;

    private final int codeDistributions;
    private final int rowDistributions;

    private final double[] quantized;
    private final long[] indices;

    /** p(c|u) of each row and each of its distributions. */
    private final double[][][] p;

    /** Sums over the drawn rows of p. */
    private final double[][] total;

    private double sumOfEntropies;
    private double sumOfSquares;

    Computation(
        QuantizerOptions options, double[] x, Batch batch, boolean[] counted, boolean[] drawn) {
      this.options = options;
      this.rows = new Rows(options, batch);
      this.x = x;
      this.counted = counted;
      this.drawn = drawn;
      count = number(counted);
      drawnCount = number(drawn);
      bits = options.entropyForm() == EntropyForm.ANALYTICAL ? 1 : options.groupSize();
      codeDistributions = options.codeDim() / bits;
      rowDistributions = options.codebooks() * codeDistributions;
      quantized = new double[x.length];
      indices = new long[rows.count() * options.indicesPerRow()];
      p = new double[rows.count()][rowDistributions][];
      total = new double[rowDistributions][1 << bits];
    }

    Oracle result() {
      for (int row = 0; row < rows.count(); row++) {
        for (int k = 0; k < options.codebooks(); k++) {
          quantize(row, k);
          add(row, k);
        }
      }
      Losses losses = losses();
      return new Oracle(quantized, indices, losses, sums(), gradient());
    }

    private void quantize(int row, int k) {
      double[] code = rows.code(x, row, k);
      double[] corner = corner(code);
      rows.setCode(quantized, row, k, corner);
      for (int d = 0; d < code.length; d++) {
        int index = row * options.indicesPerRow() + k * options.groups() + d / options.groupSize();
        indices[index] = indices[index] * 2 + (code[d] > 0 ? 1 : 0);
      }
    }

    private double[] corner(double[] code) {
      double scale = 1 / Math.sqrt(options.codeDim());
      return Arrays.stream(code).map(v -> v > 0 ? scale : -scale).toArray();
    }

    /** Adds code k of a row to the sums. */
    private void add(int row, int k) {
      double[] unit = unit(rows.code(x, row, k));
      for (int j = 0; j < codeDistributions; j++) {
        int distribution = k * codeDistributions + j;
        double[] group = Arrays.copyOfRange(unit, j * bits, (j + 1) * bits);
        p[row][distribution] = softmax(group);
        if (drawn[row]) {
          sumOfEntropies += entropy(p[row][distribution]);
          for (int c = 0; c < 1 << bits; c++) {
            total[distribution][c] += p[row][distribution][c];
          }
        }
      }
      if (counted[row]) {
        double[] corner = corner(rows.code(x, row, k));
        for (int d = 0; d < unit.length; d++) {
          sumOfSquares += (unit[d] - corner[d]) * (unit[d] - corner[d]);
        }
      }
    }

    private double[] sums() {
      double[] head = {count, drawnCount, sumOfEntropies, commits() ? sumOfSquares : 0};
      return DoubleStream.concat(
              Arrays.stream(head), Arrays.stream(total).flatMapToDouble(Arrays::stream))
          .toArray();
    }

    private Losses losses() {
      if (count == 0) {
        return new Losses(0, 0, 0, 0, 0, 0, 0);
      }
      double perSample = sumOfEntropies / drawnCount / options.codebooks();
      double codebook = 0;
      for (double[] sum : total) {
        codebook += entropy(average(sum)) / options.codebooks();
      }
      double commitment = commits() ? sumOfSquares * commitmentScale() : 0;
      double difference =
          options.sampleEntropyWeight() * perSample - options.diversityGamma() * codebook;
      double entropyLoss =
          options.positiveOffset().isPresent()
              ? Math.log1p(Math.exp(difference + options.positiveOffset().getAsDouble()))
              : difference;
      double auxLoss = entropyWeight() * entropyLoss + options.commitmentWeight() * commitment;
      return new Losses(
          auxLoss, perSample, codebook, entropyLoss, commitment, (long) count, (long) drawnCount);
    }

    private boolean commits() {
      return options.commitmentWeight() != 0;
    }

    /** What makes the sum of squares the commitment. */
    private double commitmentScale() {
      return 1
          / (count * options.codebooks())
          / (options.commitment() == Commitment.SQUARE ? options.codeDim() : 1);
    }

    private double entropyWeight() {
      return options.entropyLossWeight()
          / (options.dividedByInverseTemperature() ? options.inverseTemperature() : 1);
    }

    private double[] gradient() {
      double[] gradX = new double[x.length];
      double slope = entropyWeight() * softplusSlope() / (drawnCount * options.codebooks());
      double[][] codebookSlopes = new double[rowDistributions][];
      for (int j = 0; j < rowDistributions; j++) {
        codebookSlopes[j] = slope(average(total[j]));
      }
      for (int row = 0; row < rows.count(); row++) {
        for (int k = 0; k < options.codebooks(); k++) {
          double[] code = rows.code(x, row, k);
          double[] gradUnit = new double[code.length];
          for (int j = 0; j < codeDistributions && drawn[row]; j++) {
            int distribution = k * codeDistributions + j;
            double[] gradGroup =
                distributionBackward(p[row][distribution], codebookSlopes[distribution], slope);
            System.arraycopy(gradGroup, 0, gradUnit, j * bits, bits);
          }
          if (counted[row] && commits()) {
            addCommitment(code, gradUnit);
          }
          rows.setCode(gradX, row, k, normalizeBackward(code, gradUnit));
        }
      }
      return gradX;
    }

    private void addCommitment(double[] code, double[] gradUnit) {
      double[] unit = unit(code);
      double[] corner = corner(code);
      for (int d = 0; d < code.length; d++) {
        gradUnit[d] += options.commitmentWeight() * commitmentScale() * 2 * (unit[d] - corner[d]);
      }
    }

    /** d (softplus or not) / d (its argument). */
    private double softplusSlope() {
      if (options.positiveOffset().isEmpty()) {
        return 1;
      }
      double loss = losses().entropyLoss(); // log(1 + exp(v)); the slope is 1 / (1 + exp(-v))
      return 1 - Math.exp(-loss);
    }

    /** The gradient of the scaled entropies with respect to a group's components. */
    private double[] distributionBackward(double[] prob, double[] codebookSlope, double scale) {
      double[] sampleSlope = slope(prob);
      double[] slope = new double[prob.length];
      double mean = 0;
      for (int c = 0; c < prob.length; c++) {
        slope[c] =
            scale
                * (options.sampleEntropyWeight() * sampleSlope[c]
                    - options.diversityGamma() * codebookSlope[c]);
        mean += prob[c] * slope[c];
      }
      double[] grad = new double[bits];
      for (int c = 0; c < prob.length; c++) {
        for (int d = 0; d < bits; d++) {
          grad[d] +=
              prob[c] * (slope[c] - mean) * 2 * options.inverseTemperature() * component(c, d);
        }
      }
      return grad;
    }

    /** Component d of a group's code c. */
    private double component(int c, int d) {
      return ((c >> (bits - 1 - d) & 1) * 2 - 1) / Math.sqrt(options.codeDim());
    }

    private double[] softmax(double[] group) {
      double[] logits = new double[1 << bits];
      for (int c = 0; c < logits.length; c++) {
        for (int d = 0; d < bits; d++) {
          logits[c] += 2 * options.inverseTemperature() * group[d] * component(c, d);
        }
      }
      double max = Arrays.stream(logits).max().getAsDouble();
      double sum = Arrays.stream(logits).map(logit -> Math.exp(logit - max)).sum();
      return Arrays.stream(logits).map(logit -> Math.exp(logit - max) / sum).toArray();
    }

    private double[] average(double[] sum) {
      return Arrays.stream(sum).map(v -> v / drawnCount).toArray();
    }

    private double entropy(double[] prob) {
      return Arrays.stream(prob).map(v -> -v * log(v)).sum();
    }

    private double log(double v) {
      double epsilon = options.entropyFloor().epsilon();
      return switch (options.entropyFloor().kind()) {
        case CLAMP -> Math.log(Math.max(v, epsilon));
        case ADD -> Math.log(v + epsilon);
      };
    }

    /** d entropy / dp. */
    private double[] slope(double[] prob) {
      double epsilon = options.entropyFloor().epsilon();
      return Arrays.stream(prob)
          .map(
              v ->
                  switch (options.entropyFloor().kind()) {
                    case CLAMP -> -log(v) - (v >= epsilon ? 1 : 0);
                    case ADD -> -log(v) - v / (v + epsilon);
                  })
          .toArray();
    }

    private static double number(boolean[] rows) {
      double number = 0;
      for (boolean row : rows) {
        number += row ? 1 : 0;
      }
      return number;
    }
  }
}
