package io.github.bsq4j.bench.peers;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;

/**
 * The dense computation on DJL's PyTorch engine. Numbers are floats, since DJL makes arrays of
 * them: a double would turn a loss into one.
 */
final class DjlPeer implements Peer {
  private static final int[] ROW = {1};
  private static final int[] ROWS = {0};

  private record Forward(NDArray quantized, NDArray indices, NDArray auxLoss) {}

  private final Problem problem;
  private final Engine engine = Engine.getEngine("PyTorch");
  private final NDManager manager = engine.newBaseManager();
  private final NDArray x;
  private final NDArray gradQuantized;
  private final NDArray codeColumns;
  private final NDArray placeValues;

  DjlPeer(Problem problem) {
    this.problem = problem;
    x = matrix(problem.x(), problem.codeDim());
    gradQuantized = matrix(problem.gradQuantized(), problem.codeDim());
    codeColumns = matrix(problem.codeColumns(), problem.codeCount());
    placeValues = manager.create(problem.placeValues());
  }

  private NDArray matrix(float[] values, int columns) {
    return manager.create(values, new Shape(values.length / columns, columns));
  }

  @Override
  public String version() {
    return Engine.getDjlVersion() + ", LibTorch " + engine.getVersion();
  }

  /** X in a manager of its own: what is computed from it lives as long as that. */
  private NDArray vectors(NDManager scope) {
    NDArray vectors = x.duplicate();
    vectors.attach(scope);
    return vectors;
  }

  @Override
  public void encode() {
    try (NDManager scope = manager.newSubManager()) {
      encode(vectors(scope).gt(0));
    }
  }

  private NDArray encode(NDArray bits) {
    return bits.toType(DataType.INT64, false).mul(placeValues).sum(ROW);
  }

  @Override
  public void forward() {
    try (NDManager scope = manager.newSubManager()) {
      forward(vectors(scope));
    }
  }

  private Forward forward(NDArray vectors) {
    NDArray unit = vectors.normalize(2, 1);
    NDArray bits = vectors.gt(0);
    NDArray code =
        bits.toType(DataType.FLOAT32, false)
            .mul(2)
            .sub(1)
            .div((float) Math.sqrt(problem.codeDim()));
    NDArray quantized = unit.add(code.sub(unit).stopGradient()); // the straight-through estimator

    NDArray logits = unit.matMul(codeColumns).mul((float) (2 * problem.inverseTemperature()));
    NDArray probabilities = logits.softmax(1);
    NDArray perSampleEntropy = entropy(probabilities).mean();
    NDArray codebookEntropy = entropy(probabilities.mean(ROWS));
    NDArray auxLoss =
        perSampleEntropy.sub(codebookEntropy).mul((float) Problem.ENTROPY_LOSS_WEIGHT);
    return new Forward(quantized, encode(bits), auxLoss);
  }

  /** Along the last dimension. */
  private static NDArray entropy(NDArray probabilities) {
    NDArray logarithms = probabilities.clip(Problem.EPSILON, Float.MAX_VALUE).log();
    return probabilities.mul(logarithms).sum(new int[] {-1}).neg();
  }

  @Override
  public void forwardBackward() {
    try (NDManager scope = manager.newSubManager()) {
      backward(scope);
    }
  }

  private NDArray backward(NDManager scope) {
    NDArray leaf = vectors(scope);
    leaf.setRequiresGradient(true);
    try (GradientCollector collector = engine.newGradientCollector()) {
      Forward result = forward(leaf);
      NDArray objective =
          result
              .quantized
              .mul(gradQuantized)
              .sum()
              .add(result.auxLoss.mul((float) problem.gradAuxLoss()));
      collector.backward(objective);
    }
    return leaf.getGradient();
  }

  @Override
  public long[] indices() {
    try (NDManager scope = manager.newSubManager()) {
      return encode(vectors(scope).gt(0)).toLongArray();
    }
  }

  @Override
  public double auxLoss() {
    try (NDManager scope = manager.newSubManager()) {
      return forward(vectors(scope)).auxLoss.getFloat();
    }
  }

  @Override
  public float[] gradX() {
    try (NDManager scope = manager.newSubManager()) {
      return backward(scope).toFloatArray();
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
