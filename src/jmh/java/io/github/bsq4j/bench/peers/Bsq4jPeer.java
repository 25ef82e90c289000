package io.github.bsq4j.bench.peers;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.Losses;
import io.github.bsq4j.NativeRuntime;
import io.github.bsq4j.QuantizerOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** This library, from segment to segment. */
final class Bsq4jPeer implements Peer {
  private final int rows;
  private final double gradAuxLoss;
  private final BinarySphericalQuantizer quantizer;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment x;
  private final MemorySegment gradQuantized;
  private final MemorySegment quantized;
  private final MemorySegment indices;
  private final MemorySegment gradX;

  Bsq4jPeer(Problem problem) {
    rows = problem.rows();
    gradAuxLoss = problem.gradAuxLoss();
    quantizer =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(problem.codeDim())
                .entropyLossWeight(Problem.ENTROPY_LOSS_WEIGHT)
                .inverseTemperature(problem.inverseTemperature())
                .build());
    x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, problem.x());
    gradQuantized = arena.allocateFrom(ValueLayout.JAVA_FLOAT, problem.gradQuantized());
    quantized = arena.allocate(ValueLayout.JAVA_FLOAT, problem.x().length);
    indices = arena.allocate(ValueLayout.JAVA_LONG, rows);
    gradX = arena.allocate(ValueLayout.JAVA_FLOAT, problem.x().length);
    requireThreads(problem.threads());
  }

  /** LibTorch counts its threads when it is loaded, and has no way to be told another number. */
  private static void requireThreads(int threads) {
    int used = NativeRuntime.info().threads().orElseThrow();
    if (used != threads) {
      throw new IllegalStateException(
          "LibTorch uses " + used + " threads, expected " + threads + ": set OMP_NUM_THREADS");
    }
  }

  @Override
  public String version() {
    return "LibTorch " + NativeRuntime.info().torchVersion().orElseThrow();
  }

  @Override
  public void encode() {
    quantizer.encode(x, DType.FLOAT32, rows, indices);
  }

  @Override
  public void forward() {
    losses();
  }

  @Override
  public void forwardBackward() {
    losses();
    quantizer.backward(x, DType.FLOAT32, rows, gradQuantized, gradAuxLoss, gradX);
  }

  private Losses losses() {
    return quantizer.forward(x, DType.FLOAT32, rows, quantized, indices);
  }

  @Override
  public long[] indices() {
    encode();
    return indices.toArray(ValueLayout.JAVA_LONG);
  }

  @Override
  public double auxLoss() {
    return losses().auxLoss();
  }

  @Override
  public float[] gradX() {
    forwardBackward();
    return gradX.toArray(ValueLayout.JAVA_FLOAT);
  }

  @Override
  public void close() {
    arena.close();
  }
}
