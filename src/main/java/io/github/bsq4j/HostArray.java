package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;

/**
 * A Java array of one of the two types that the quantizer takes.
 *
 * @param name what messages call it
 * @param values the array itself
 * @param length how long it is
 * @param dtype the type of its elements
 * @param segment its memory
 */
record HostArray<A>(String name, A values, int length, DType dtype, MemorySegment segment) {
  static HostArray<float[]> of(String name, float[] values) {
    MemorySegment segment = MemorySegment.ofArray(requireNonNull(values, name));
    return new HostArray<>(name, values, values.length, DType.FLOAT32, segment);
  }

  static HostArray<double[]> of(String name, double[] values) {
    MemorySegment segment = MemorySegment.ofArray(requireNonNull(values, name));
    return new HostArray<>(name, values, values.length, DType.FLOAT64, segment);
  }
}
