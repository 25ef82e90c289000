package io.github.bsq4j.bench.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The dense computation with eager PyTorch operators, called through {@code org.bytedeco}. */
final class BytedecoPeer implements Peer {
  private static final long[] ROW = {1};

  private record Forward(Tensor quantized, Tensor indices, Tensor auxLoss) {}

  private final PointerScope scope = new PointerScope(); // of what all calls use
  private final Problem problem;
  private final Tensor x;
  private final Tensor gradQuantized;
  private final Tensor codeColumns;
  private final Tensor placeValues;

  BytedecoPeer(Problem problem) {
    this.problem = problem;
    torch.set_num_threads(problem.threads());
    x = matrix(problem.x(), problem.codeDim());
    gradQuantized = matrix(problem.gradQuantized(), problem.codeDim());
    codeColumns = matrix(problem.codeColumns(), problem.codeCount());
    placeValues = Tensor.create(problem.placeValues());
  }

  private static Tensor matrix(float[] values, int columns) {
    return Tensor.create(values, values.length / columns, columns);
  }

  @Override
  public String version() {
    try {
      return Loader.getVersion("org.bytedeco", "pytorch");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void encode() {
    try (PointerScope _ = new PointerScope()) {
      encode(x.gt(new Scalar(0)));
    }
  }

  private Tensor encode(Tensor bits) {
    return bits.toType(torch.ScalarType.Long).mul(placeValues).sum(ROW);
  }

  @Override
  public void forward() {
    try (PointerScope _ = new PointerScope()) {
      forward(x);
    }
  }

  private Forward forward(Tensor vectors) {
    Tensor norm = vectors.norm(new ScalarOptional(new Scalar(2)), ROW, true);
    Tensor unit = vectors.div(norm.clamp_min(new Scalar(Problem.LEAST_NORM)));
    Tensor bits = vectors.gt(new Scalar(0));
    Tensor code =
        bits.toType(torch.ScalarType.Float)
            .mul(new Scalar(2))
            .sub(new Scalar(1))
            .div(new Scalar(Math.sqrt(problem.codeDim())));
    Tensor quantized = unit.add(code.sub(unit).detach()); // the straight-through estimator

    Tensor logits = unit.matmul(codeColumns).mul(new Scalar(2 * problem.inverseTemperature()));
    Tensor probabilities = logits.softmax(1);
    Tensor perSampleEntropy = entropy(probabilities).mean();
    Tensor codebookEntropy = entropy(probabilities.mean(0));
    Tensor auxLoss =
        perSampleEntropy.sub(codebookEntropy).mul(new Scalar(Problem.ENTROPY_LOSS_WEIGHT));
    return new Forward(quantized, encode(bits), auxLoss);
  }

  /** Along the last dimension. */
  private static Tensor entropy(Tensor probabilities) {
    Tensor logarithms = probabilities.clamp_min(new Scalar(Problem.EPSILON)).log();
    return probabilities.mul(logarithms).sum(-1).neg();
  }

  @Override
  public void forwardBackward() {
    try (PointerScope _ = new PointerScope()) {
      backward();
    }
  }

  private Tensor backward() {
    Tensor leaf = x.detach().set_requires_grad(true);
    Forward result = forward(leaf);
    result
        .quantized
        .mul(gradQuantized)
        .sum()
        .add(result.auxLoss.mul(new Scalar(problem.gradAuxLoss())))
        .backward();
    return leaf.grad();
  }

  @Override
  public long[] indices() {
    try (PointerScope _ = new PointerScope()) {
      long[] indices = new long[problem.rows()];
      encode(x.gt(new Scalar(0))).data_ptr_long().get(indices);
      return indices;
    }
  }

  @Override
  public double auxLoss() {
    try (PointerScope _ = new PointerScope()) {
      return forward(x).auxLoss.item_double();
    }
  }

  @Override
  public float[] gradX() {
    try (PointerScope _ = new PointerScope()) {
      float[] gradX = new float[problem.x().length];
      backward().data_ptr_float().get(gradX);
      return gradX;
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
