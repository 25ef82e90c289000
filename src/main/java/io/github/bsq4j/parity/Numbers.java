package io.github.bsq4j.parity;

import io.github.bsq4j.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/** Floating-point elements in memory as numbers, which hold all of them exactly. */
public final class Numbers {
  private Numbers() {}

  /** The elements of a segment. */
  public static double[] read(MemorySegment segment, DType dtype) {
    double[] numbers = new double[Math.toIntExact(segment.byteSize() / dtype.byteSize())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] =
          switch (dtype) {
            case FLOAT32 -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            case FLOAT64 -> segment.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
            case FLOAT16 -> Float.float16ToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, i));
            case BFLOAT16 -> bfloat16ToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, i));
            case INT64, INT32, UINT8 -> throw notFloatingPoint(dtype);
          };
    }
    return numbers;
  }

  /** A new segment with these elements, by way of float32 where the type has 16 bits. */
  public static MemorySegment write(double[] numbers, DType dtype, SegmentAllocator allocator) {
    MemorySegment segment = allocator.allocate(dtype.layout(), numbers.length);
    for (int i = 0; i < numbers.length; i++) {
      float narrow = (float) numbers[i];
      switch (dtype) {
        case FLOAT32 -> segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, narrow);
        case FLOAT64 -> segment.setAtIndex(ValueLayout.JAVA_DOUBLE, i, numbers[i]);
        case FLOAT16 -> segment.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(narrow));
        case BFLOAT16 -> segment.setAtIndex(ValueLayout.JAVA_SHORT, i, floatToBfloat16(narrow));
        case INT64, INT32, UINT8 -> throw notFloatingPoint(dtype);
      }
    }
    return segment;
  }

  private static float bfloat16ToFloat(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** Rounds to the nearest, ties to even. */
  private static short floatToBfloat16(float value) {
    int bits = Float.floatToIntBits(value); // one NaN, whose lower half is 0
    return Float.isNaN(value)
        ? (short) (bits >>> 16)
        : (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  private static IllegalArgumentException notFloatingPoint(DType dtype) {
    return new IllegalArgumentException(dtype + " is no floating-point type");
  }
}
