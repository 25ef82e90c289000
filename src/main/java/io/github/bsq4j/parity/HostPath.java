package io.github.bsq4j.parity;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/** Native memory segments, which are used in place. */
final class HostPath implements QuantizerPath {
  @Override
  public boolean serves(DType dtype) {
    return dtype == DType.FLOAT32 || dtype == DType.FLOAT64;
  }

  @Override
  public PathQuantizer quantizer(QuantizerOptions options, DType dtype, long... shape) {
    return new OnSegments(BinarySphericalQuantizer.create(options), dtype);
  }

  @Override
  public String toString() {
    return "host";
  }

  private record OnSegments(BinarySphericalQuantizer quantizer, DType dtype)
      implements PathQuantizer {
    @Override
    public long[] encode(double[] x) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment indices = indices(arena, rows(x));
        quantizer.encode(segment(arena, x), dtype, rows(x), indices);
        return indices.toArray(ValueLayout.JAVA_LONG);
      }
    }

    @Override
    public double[] decode(long[] indices) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment quantized = vectors(arena, indices.length * quantizer.codeDim());
        MemorySegment in = arena.allocateFrom(ValueLayout.JAVA_LONG, indices);
        quantizer.decode(in, indices.length, dtype, quantized);
        return Numbers.read(quantized, dtype);
      }
    }

    @Override
    public HostQuantization<double[]> forward(double[] x) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment quantized = vectors(arena, x.length);
        MemorySegment indices = indices(arena, rows(x));
        Losses losses = quantizer.forward(segment(arena, x), dtype, rows(x), quantized, indices);
        return new HostQuantization<>(
            Numbers.read(quantized, dtype), indices.toArray(ValueLayout.JAVA_LONG), losses);
      }
    }

    @Override
    public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
      try (Arena arena = Arena.ofConfined()) {
        return backward(arena, x, segment(arena, gradQuantized), gradAuxLoss);
      }
    }

    @Override
    public double[] backward(double[] x, double gradAuxLoss) {
      try (Arena arena = Arena.ofConfined()) {
        return backward(arena, x, MemorySegment.NULL, gradAuxLoss);
      }
    }

    private double[] backward(
        SegmentAllocator arena, double[] x, MemorySegment gradQuantized, double gradAuxLoss) {
      MemorySegment gradX = vectors(arena, x.length);
      quantizer.backward(segment(arena, x), dtype, rows(x), gradQuantized, gradAuxLoss, gradX);
      return Numbers.read(gradX, dtype);
    }

    @Override
    public double[] bitsToCodes(double[] bits) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment codes = vectors(arena, bits.length);
        quantizer.bitsToCodes(segment(arena, bits), dtype, bits.length, codes);
        return Numbers.read(codes, dtype);
      }
    }

    @Override
    public long[] codesToIndices(double[] codes) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment indices = indices(arena, rows(codes));
        quantizer.codesToIndices(segment(arena, codes), dtype, rows(codes), indices);
        return indices.toArray(ValueLayout.JAVA_LONG);
      }
    }

    private int rows(double[] vectors) {
      return vectors.length / quantizer.codeDim();
    }

    private MemorySegment segment(SegmentAllocator arena, double[] values) {
      return Numbers.write(values, dtype, arena);
    }

    private MemorySegment vectors(SegmentAllocator arena, int count) {
      return arena.allocate(dtype.layout(), count);
    }

    private static MemorySegment indices(SegmentAllocator arena, int rows) {
      return arena.allocate(ValueLayout.JAVA_LONG, rows);
    }
  }
}
