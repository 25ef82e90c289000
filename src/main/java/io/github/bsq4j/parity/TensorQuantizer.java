package io.github.bsq4j.parity;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.LossSums;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;

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
  private final Optional<MemorySegment> mask;

  /**
   * A quantizer on vectors of this type.
   *
   * @param shape their shape; empty for {@code [rows, codebooks · codeDim]}
   */
  TensorQuantizer(QuantizerOptions options, DType dtype, long[] shape, TensorMaker maker) {
    this(BinarySphericalQuantizer.create(options), dtype, shape, maker, Optional.empty());
  }

  private TensorQuantizer(
      BinarySphericalQuantizer quantizer,
      DType dtype,
      long[] shape,
      TensorMaker maker,
      Optional<MemorySegment> mask) {
    this.quantizer = quantizer;
    this.dtype = dtype;
    this.shape = shape.clone();
    this.maker = maker;
    this.mask = mask;
  }

  @Override
  public PathQuantizer counting(Batch batch) {
    return new TensorQuantizer(quantizer, dtype, shape, maker, batch.mask());
  }

  @Override
  public long[] encode(double[] x) {
    try (Arena arena = Arena.ofConfined()) {
      return indices(quantizer.encode(arena, vectors(arena, x)), x.length);
    }
  }

  @Override
  public double[] decode(long[] indices) {
    QuantizerOptions options = quantizer.options();
    int elements = indices.length / options.indicesPerRow() * options.rowLength();
    boolean oneIndex = shape.length == 1 && options.indicesPerRow() == 1; // [1] is one row of them
    long[] decodedShape = oneIndex ? new long[] {1, elements} : vectorShape(elements);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = MemorySegment.ofArray(indices);
      Tensor in = maker.make(arena, data, DType.INT64, indexShape(elements));
      return numbers(quantizer.decode(arena, in, dtype), decodedShape);
    }
  }

  @Override
  public HostQuantization<double[]> forward(double[] x) {
    try (Arena arena = Arena.ofConfined()) {
      Quantization result = quantization(arena, x);
      return new HostQuantization<>(
          numbers(result.quantized(), vectorShape(x.length)),
          indices(result.indices(), x.length),
          result.losses());
    }
  }

  @Override
  public LossSums lossSums(double[] x) {
    try (Arena arena = Arena.ofConfined()) {
      return quantization(arena, x).lossSums();
    }
  }

  @Override
  public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor gradient = vectors(arena, gradQuantized);
      Tensor gradX = quantization(arena, x).backward(arena, gradient, gradAuxLoss);
      return numbers(gradX, vectorShape(x.length));
    }
  }

  @Override
  public double[] backward(double[] x, double gradAuxLoss) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor gradX = quantization(arena, x).backward(arena, gradAuxLoss);
      return numbers(gradX, vectorShape(x.length));
    }
  }

  @Override
  public double[] backward(double[] x, double gradAuxLoss, LossSums sums) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor gradX = quantization(arena, x).backward(arena, gradAuxLoss, sums);
      return numbers(gradX, vectorShape(x.length));
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

  private Quantization quantization(Arena arena, double[] x) {
    Tensor in = vectors(arena, x);
    if (mask.isEmpty()) {
      return quantizer.forward(arena, in);
    }
    long[] rows = oneIfNone(shapes(x.length).rowShape());
    return quantizer.forward(arena, in, maker.make(arena, mask.get(), DType.UINT8, rows));
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
    int rowLength = quantizer.options().rowLength();
    return shape.length == 0 ? new long[] {elements / rowLength, rowLength} : shape.clone();
  }

  private long[] indexShape(int vectorElements) {
    return oneIfNone(shapes(vectorElements).indexShape());
  }

  private VectorShape shapes(int vectorElements) {
    return new VectorShape(quantizer.options(), vectorShape(vectorElements));
  }

  /** Tensors have a dimension. */
  private static long[] oneIfNone(long[] dimensions) {
    return dimensions.length == 0 ? new long[] {1} : dimensions;
  }

  private static void require(Tensor tensor, DType dtype, long[] shape) {
    if (tensor.dtype() != dtype || !Arrays.equals(tensor.shape(), shape)) {
      throw new IllegalStateException(
          "got " + tensor + ", expected " + dtype + " " + Arrays.toString(shape));
    }
  }
}
