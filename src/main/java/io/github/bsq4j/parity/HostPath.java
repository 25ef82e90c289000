package io.github.bsq4j.parity;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.LossSums;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/** Native memory segments, which are used in place. */
final class HostPath implements QuantizerPath {
  @Override
  public boolean serves(DType dtype) {
    return dtype == DType.FLOAT32 || dtype == DType.FLOAT64;
  }

  @Override
  public PathQuantizer quantizer(QuantizerOptions options, DType dtype, long... shape) {
    Optional<Batch> batch =
        shape.length == 0 ? Optional.empty() : Optional.of(new VectorShape(options, shape).batch());
    return new OnSegments(BinarySphericalQuantizer.create(options), dtype, batch);
  }

  @Override
  public String toString() {
    return "host";
  }

  /**
   * The quantizer on segments.
   *
   * @param batch how their rows lie; one after the other, as many as there are, if not given
   */
  private record OnSegments(BinarySphericalQuantizer quantizer, DType dtype, Optional<Batch> batch)
      implements PathQuantizer {
    @Override
    public PathQuantizer counting(Batch rows) {
      return new OnSegments(quantizer, dtype, Optional.of(rows));
    }

    @Override
    public long[] encode(double[] x) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment indices = indices(arena, batch(x));
        quantizer.encode(segment(arena, x), dtype, batch(x), indices);
        return indices.toArray(ValueLayout.JAVA_LONG);
      }
    }

    @Override
    public double[] decode(long[] indices) {
      try (Arena arena = Arena.ofConfined()) {
        Batch rows = batch.orElseGet(() -> Batch.of(indices.length / options().indicesPerRow()));
        MemorySegment quantized = vectors(arena, rows);
        MemorySegment in = arena.allocateFrom(ValueLayout.JAVA_LONG, indices);
        quantizer.decode(in, rows, dtype, quantized);
        return Numbers.read(quantized, dtype);
      }
    }

    @Override
    public HostQuantization<double[]> forward(double[] x) {
      try (Arena arena = Arena.ofConfined()) {
        Batch rows = batch(x);
        MemorySegment quantized = vectors(arena, rows);
        MemorySegment indices = indices(arena, rows);
        Losses losses = quantizer.forward(segment(arena, x), dtype, rows, quantized, indices);
        return new HostQuantization<>(
            Numbers.read(quantized, dtype), indices.toArray(ValueLayout.JAVA_LONG), losses);
      }
    }

    @Override
    public LossSums lossSums(double[] x) {
      try (Arena arena = Arena.ofConfined()) {
        return quantizer.lossSums(segment(arena, x), dtype, batch(x));
      }
    }

    @Override
    public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment gradX = vectors(arena, batch(x));
        quantizer.backward(
            segment(arena, x), dtype, batch(x), segment(arena, gradQuantized), gradAuxLoss, gradX);
        return Numbers.read(gradX, dtype);
      }
    }

    @Override
    public double[] backward(double[] x, double gradAuxLoss) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment gradX = vectors(arena, batch(x));
        quantizer.backward(
            segment(arena, x), dtype, batch(x), MemorySegment.NULL, gradAuxLoss, gradX);
        return Numbers.read(gradX, dtype);
      }
    }

    @Override
    public double[] backward(double[] x, double gradAuxLoss, LossSums sums) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment gradX = vectors(arena, batch(x));
        quantizer.backward(
            segment(arena, x), dtype, batch(x), sums, MemorySegment.NULL, gradAuxLoss, gradX);
        return Numbers.read(gradX, dtype);
      }
    }

    @Override
    public double[] bitsToCodes(double[] bits) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment codes = arena.allocate(dtype.layout(), bits.length);
        quantizer.bitsToCodes(segment(arena, bits), dtype, bits.length, codes);
        return Numbers.read(codes, dtype);
      }
    }

    @Override
    public long[] codesToIndices(double[] codes) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment indices = indices(arena, batch(codes));
        quantizer.codesToIndices(segment(arena, codes), dtype, batch(codes), indices);
        return indices.toArray(ValueLayout.JAVA_LONG);
      }
    }

    private QuantizerOptions options() {
      return quantizer.options();
    }

    private Batch batch(double[] vectors) {
      return batch.orElseGet(() -> Batch.of(vectors.length / options().rowLength()));
    }

    private MemorySegment segment(SegmentAllocator arena, double[] values) {
      return Numbers.write(values, dtype, arena);
    }

    private MemorySegment vectors(SegmentAllocator arena, Batch rows) {
      return arena.allocate(dtype.layout(), rows.rows() * options().rowLength());
    }

    private MemorySegment indices(SegmentAllocator arena, Batch rows) {
      return arena.allocate(ValueLayout.JAVA_LONG, rows.rows() * options().indicesPerRow());
    }
  }
}
