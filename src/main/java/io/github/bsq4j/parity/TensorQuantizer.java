package io.github.bsq4j.parity;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The quantizer on tensors. Results of a wrong type or shape are {@link IllegalStateException}s.
 */
final class TensorQuantizer implements PathQuantizer {
  /** Makes the tensors that go in. */
  interface TensorMaker {
    /** A tensor of the row-major elements in {@code data}, on any device and of any strides. */
    Tensor make(Arena arena, MemorySegment data, DType dtype, long[] shape);
  }

  private final BinarySphericalQuantizer quantizer;
  private final DType dtype;
  private final long[] shape;
  private final TensorMaker maker;

  /**
   * A quantizer on vectors of this type.
   *
   * @param shape their shape; empty for {@code [rows, codeDim]}
   */
  TensorQuantizer(QuantizerOptions options, DType dtype, long[] shape, TensorMaker maker) {
    this.quantizer = BinarySphericalQuantizer.create(options);
    this.dtype = dtype;
    this.shape = shape.clone();
    this.maker = maker;
  }

  @Override
  public long[] encode(double[] x) {
    try (Arena arena = Arena.ofConfined()) {
      return indices(quantizer.encode(arena, vectors(arena, x)), x.length);
    }
  }

  @Override
  public double[] decode(long[] indices) {
    long[] indexShape = indexShape(indices.length * quantizer.codeDim());
    long[] decodedShape = Arrays.copyOf(indexShape, indexShape.length + 1);
    decodedShape[indexShape.length] = quantizer.codeDim();
    try (Arena arena = Arena.ofConfined()) {
      Tensor in = maker.make(arena, MemorySegment.ofArray(indices), DType.INT64, indexShape);
      return numbers(quantizer.decode(arena, in, dtype), decodedShape);
    }
  }

  @Override
  public HostQuantization<double[]> forward(double[] x) {
    try (Arena arena = Arena.ofConfined()) {
      Quantization result = quantizer.forward(arena, vectors(arena, x));
      return new HostQuantization<>(
          numbers(result.quantized(), vectorShape(x.length)),
          indices(result.indices(), x.length),
          result.losses());
    }
  }

  @Override
  public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
    try (Arena arena = Arena.ofConfined()) {
      Quantization result = quantizer.forward(arena, vectors(arena, x));
      Tensor gradient = vectors(arena, gradQuantized);
      return numbers(result.backward(arena, gradient, gradAuxLoss), vectorShape(x.length));
    }
  }

  @Override
  public double[] backward(double[] x, double gradAuxLoss) {
    try (Arena arena = Arena.ofConfined()) {
      Quantization result = quantizer.forward(arena, vectors(arena, x));
      return numbers(result.backward(arena, gradAuxLoss), vectorShape(x.length));
    }
  }

  @Override
  public double[] bitsToCodes(double[] bits) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor codes = quantizer.bitsToCodes(arena, vectors(arena, bits));
      return numbers(codes, vectorShape(bits.length));
    }
  }

  @Override
  public long[] codesToIndices(double[] codes) {
    try (Arena arena = Arena.ofConfined()) {
      return indices(quantizer.codesToIndices(arena, vectors(arena, codes)), codes.length);
    }
  }

  private Tensor vectors(Arena arena, double[] values) {
    MemorySegment data = Numbers.write(values, dtype, arena);
    return maker.make(arena, data, dtype, vectorShape(values.length));
  }

  private double[] numbers(Tensor tensor, long[] expectedShape) {
    require(tensor, dtype, expectedShape);
    return tensor.toDoubleArray();
  }

  private long[] indices(Tensor tensor, int vectorElements) {
    require(tensor, DType.INT64, indexShape(vectorElements));
    return tensor.toLongArray();
  }

  private long[] vectorShape(int elements) {
    int dim = quantizer.codeDim();
    return shape.length == 0 ? new long[] {elements / dim, dim} : shape.clone();
  }

  /** The leading dimensions of the vectors; 1 where there are none. */
  private long[] indexShape(int vectorElements) {
    long[] vectors = vectorShape(vectorElements);
    return vectors.length == 1 ? new long[] {1} : Arrays.copyOf(vectors, vectors.length - 1);
  }

  private static void require(Tensor tensor, DType dtype, long[] shape) {
    if (tensor.dtype() != dtype || !Arrays.equals(tensor.shape(), shape)) {
      throw new IllegalStateException(
          "got " + tensor + ", expected " + dtype + " " + Arrays.toString(shape));
    }
  }
}
