package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Quantizes vectors to binary codes on the unit sphere, as SpeechBrain's {@code
 * BinarySphericalQuantizer} does, on native LibTorch.
 *
 * <p>A row of {@code codeDim} = D components is normalised to u and quantized to the corner of the
 * hypercube {-1/√D, +1/√D}<sup>D</sup> that shares its signs. A component x<sub>d</sub> &gt; 0
 * gives bit 1; 0, -0.0 and negative ones give bit 0. The bits, component 0 as the most significant,
 * make up the row's index.
 *
 * <p>Every operation exists on arrays, which are copied, on {@link MemorySegment}s, of which native
 * ones are used in place, and on {@link Tensor}s.
 *
 * <p><b>Arrays and segments</b> are FLOAT32 or FLOAT64. Vectors are rows of a row-major matrix; all
 * leading dimensions of an array of higher rank count as rows. A segment is used only during the
 * call; it must be at least as long as the shapes say, outputs must be writable and overlap
 * nothing, and the usual rules of its arena hold. A mapped file that somebody truncates during a
 * call ends the JVM. After an exception the contents of outputs are unspecified; inputs are never
 * written.
 *
 * <p><b>Tensors</b> are of any rank and strides, of all floating-point types, and on any device.
 * Rows are the last dimension, which is {@code codeDim} long; all others count as rows. Results are
 * new, contiguous tensors on the input's device. They live in the arena that the method takes, and
 * need neither the input nor its arena any more. Results of an operation on a GPU, or with {@link
 * Implementation#OPERATORS}, may not be computed yet when it returns; values that are refused are
 * then reported by what reads a result, or anything computed from it: see {@link Tensor#check()}.
 *
 * <p>A quantizer is immutable and holds nothing to close. All threads may share one.
 *
 * <p>All methods throw {@link NullPointerException} for null, which they name; {@link
 * IllegalArgumentException} for sizes, shapes, types and devices that do not fit, outputs that are
 * read-only or overlap another segment, and arrays of another type than {@code dtype}; {@link
 * IllegalStateException} and {@link WrongThreadException} where an arena is closed or belongs to
 * another thread; and {@link BsqException} for what the native side finds: values that are not
 * finite, with their position, or memory that cannot be had.
 */
public final class BinarySphericalQuantizer {
  private final QuantizerOptions options;
  private final MemorySegment nativeOptions;

  private BinarySphericalQuantizer(QuantizerOptions options) {
    this.options = options;
    this.nativeOptions = NativeCalls.options(options);
  }

  /**
   * A quantizer with these options. The first call in a process loads the native library.
   *
   * @throws BsqException with code {@link BsqException.Code#UNAVAILABLE} if that cannot be loaded
   */
  public static BinarySphericalQuantizer create(QuantizerOptions options) {
    return new BinarySphericalQuantizer(requireNonNull(options, "options"));
  }

  /** A quantizer with the default options; see {@link #create(QuantizerOptions)}. */
  public static BinarySphericalQuantizer create(int codeDim) {
    return create(QuantizerOptions.of(codeDim));
  }

  /** What this quantizer was made with. */
  public QuantizerOptions options() {
    return options;
  }

  /** D: the number of components of a row and of bits of a code. */
  public int codeDim() {
    return options.codeDim();
  }

  /**
   * A quantizer that differs from this one in its inverse temperature alone, for schedules that
   * change it while training. Making one takes less than a microsecond.
   */
  public BinarySphericalQuantizer withInverseTemperature(double inverseTemperature) {
    return create(options.toBuilder().inverseTemperature(inverseTemperature).build());
  }

  // Encoding

  /**
   * The index of each row of {@code x}; the losses are not computed.
   *
   * @param x {@code [rows, codeDim]} of {@code dtype}
   * @param indicesOut {@code [rows]} of {@code long}
   */
  public void encode(MemorySegment x, DType dtype, long rows, MemorySegment indicesOut) {
    ValueLayout layout = hostLayout(dtype);
    long rowBytes = rowBytes(rows, layout);
    long indexBytes = indexBytes(rows);
    boolean direct =
        HostBuffers.isDirect(x, layout) && HostBuffers.isDirect(indicesOut, ValueLayout.JAVA_LONG);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "x", x, rowBytes);
      NativeCalls.encode(nativeOptions, dtype, rows, in, out);
      buffers.copyBack();
    }
  }

  /** The index of each row of {@code x}, which holds whole rows of {@code codeDim} components. */
  public long[] encode(float[] x) {
    return encode(HostArray.of("x", x));
  }

  /** The index of each row of {@code x}, which holds whole rows of {@code codeDim} components. */
  public long[] encode(double[] x) {
    return encode(HostArray.of("x", x));
  }

  private long[] encode(HostArray<?> x) {
    long[] indices = new long[rows(x)];
    encode(x.segment(), x.dtype(), indices.length, MemorySegment.ofArray(indices));
    return indices;
  }

  /**
   * The index of each row of {@code x}; the losses are not computed.
   *
   * @param arena where the result lives
   * @param x {@code [..., codeDim]} of a floating-point type
   * @return {@code [...]} of INT64; {@code [1]} for an x of rank 1
   */
  public Tensor encode(Arena arena, Tensor x) {
    requireVectors("x", x);
    return new Tensor(arena, NativeTensors.encode(arena, nativeOptions, x.handle()));
  }

  // Decoding

  /**
   * The code of each index: bit 1 gives +1/√codeDim, bit 0 gives -1/√codeDim. An index outside [0,
   * 2<sup>codeDim</sup>) is refused with its position.
   *
   * @param indices {@code [rows]} of {@code long}
   * @param quantizedOut {@code [rows, codeDim]} of {@code dtype}
   */
  public void decode(MemorySegment indices, long rows, DType dtype, MemorySegment quantizedOut) {
    ValueLayout layout = hostLayout(dtype);
    long rowBytes = rowBytes(rows, layout);
    long indexBytes = indexBytes(rows);
    boolean direct =
        HostBuffers.isDirect(indices, ValueLayout.JAVA_LONG)
            && HostBuffers.isDirect(quantizedOut, layout);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("indices", indices, indexBytes, ValueLayout.JAVA_LONG);
      MemorySegment out = buffers.output("quantizedOut", quantizedOut, rowBytes, layout);
      HostBuffers.requireApart(
          "quantizedOut", quantizedOut, rowBytes, "indices", indices, indexBytes);
      NativeCalls.decode(nativeOptions, dtype, rows, in, out);
      buffers.copyBack();
    }
  }

  /** The code of each index, {@code codeDim} components each. */
  public float[] decode(long[] indices) {
    requireNonNull(indices, "indices");
    return decode(indices, HostArray.of("quantized", new float[arrayLength(indices.length)]));
  }

  /** The code of each index in double precision, {@code codeDim} components each. */
  public double[] decodeToDouble(long[] indices) {
    requireNonNull(indices, "indices");
    return decode(indices, HostArray.of("quantized", new double[arrayLength(indices.length)]));
  }

  private <A> A decode(long[] indices, HostArray<A> quantized) {
    decode(MemorySegment.ofArray(indices), indices.length, quantized.dtype(), quantized.segment());
    return quantized.values();
  }

  /** The code of each index in FLOAT32; see {@link #decode(Arena, Tensor, DType)}. */
  public Tensor decode(Arena arena, Tensor indices) {
    return decode(arena, indices, DType.FLOAT32);
  }

  /**
   * The code of each index: bit 1 gives +1/√codeDim, bit 0 gives -1/√codeDim. An index outside [0,
   * 2<sup>codeDim</sup>) is refused with its position.
   *
   * @param arena where the result lives
   * @param indices {@code [...]} of an integer type, of rank 63 at most
   * @param dtype the floating-point type of the result
   * @return {@code [..., codeDim]} of {@code dtype}
   */
  public Tensor decode(Arena arena, Tensor indices, DType dtype) {
    requireNonNull(indices, "indices");
    requireNonNull(dtype, "dtype").requireFloatingPoint("dtype");
    if (indices.dtype().isFloatingPoint()) {
      throw new IllegalArgumentException(
          "indices is " + indices.dtype() + ", expected an integer type");
    }
    if (indices.rank() == NativeTensors.MAX_RANK) {
      throw new IllegalArgumentException(
          "indices has %d dimensions, expected one less, for the result has one more"
              .formatted(indices.rank()));
    }
    return new Tensor(arena, NativeTensors.decode(arena, nativeOptions, indices.handle(), dtype));
  }

  // Training: forward and backward

  /**
   * The quantized rows, their indices, and the losses, which take O(2<sup>codeDim</sup>) memory and
   * are computed for {@code codeDim} up to {@value QuantizerOptions#MAX_LOSS_CODE_DIM}; above, use
   * {@link #encode} and {@link #decode}.
   *
   * @param x {@code [rows, codeDim]} of {@code dtype}
   * @param quantizedOut {@code [rows, codeDim]} of {@code dtype}; {@link MemorySegment#NULL} where
   *     not wanted
   * @param indicesOut {@code [rows]} of {@code long}; {@link MemorySegment#NULL} where not wanted
   */
  public Losses forward(
      MemorySegment x,
      DType dtype,
      long rows,
      MemorySegment quantizedOut,
      MemorySegment indicesOut) {
    ValueLayout layout = hostLayout(dtype);
    long rowBytes = rowBytes(rows, layout);
    long indexBytes = indexBytes(rows);
    boolean direct =
        HostBuffers.isDirect(x, layout)
            && HostBuffers.isDirect(quantizedOut, layout)
            && HostBuffers.isDirect(indicesOut, ValueLayout.JAVA_LONG);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment quantized =
          buffers.optionalOutput("quantizedOut", quantizedOut, rowBytes, layout);
      HostBuffers.requireApart("quantizedOut", quantizedOut, rowBytes, "x", x, rowBytes);
      MemorySegment indices =
          buffers.optionalOutput("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "x", x, rowBytes);
      HostBuffers.requireApart(
          "indicesOut", indicesOut, indexBytes, "quantizedOut", quantizedOut, rowBytes);
      Losses losses = NativeCalls.forward(nativeOptions, dtype, rows, in, quantized, indices);
      buffers.copyBack();
      return losses;
    }
  }

  /** The quantized rows of {@code x}, their indices and the losses. */
  public HostQuantization<float[]> forward(float[] x) {
    return forward(HostArray.of("x", x), HostArray.of("quantized", new float[x.length]));
  }

  /** The quantized rows of {@code x}, their indices and the losses. */
  public HostQuantization<double[]> forward(double[] x) {
    return forward(HostArray.of("x", x), HostArray.of("quantized", new double[x.length]));
  }

  private <A> HostQuantization<A> forward(HostArray<A> x, HostArray<A> quantized) {
    long[] indices = new long[rows(x)];
    Losses losses =
        forward(
            x.segment(),
            x.dtype(),
            indices.length,
            quantized.segment(),
            MemorySegment.ofArray(indices));
    return new HostQuantization<>(
        quantized.values(),
        indices,
        losses.auxLoss(),
        losses.perSampleEntropy(),
        losses.codebookEntropy());
  }

  /**
   * The quantized rows of {@code x}, their indices and the losses, and what {@link
   * Quantization#backward} needs. As for segments, {@code codeDim} is at most {@value
   * QuantizerOptions#MAX_LOSS_CODE_DIM}.
   *
   * @param arena where the results live
   * @param x {@code [..., codeDim]} of a floating-point type
   */
  public Quantization forward(Arena arena, Tensor x) {
    requireVectors("x", x);
    return new Quantization(arena, NativeTensors.forward(arena, nativeOptions, x.handle()));
  }

  /**
   * The gradient of {@code <gradQuantized, quantized> + gradAuxLoss · auxLoss} with respect to x.
   * The signs are passed straight through: the gradient of {@code quantized} is that of the
   * normalised x. Takes x again and recomputes what it needs, so it follows any forward, or none.
   *
   * <p>{@code gradQuantized} and {@code gradAuxLoss} are not checked: NaN and infinities in them go
   * into the result, as in PyTorch. Where ‖x‖ ≤ 1e-12 the norm counts as the constant 1e-12, as in
   * the reference. Where {@link NonFinitePolicy#PROPAGATE} lets rows through, these get NaN, and
   * all rows do if {@code gradAuxLoss} is not 0.
   *
   * @param x {@code [rows, codeDim]} of {@code dtype}
   * @param gradQuantized {@code [rows, codeDim]} of {@code dtype}, or {@link MemorySegment#NULL}
   *     for none
   * @param gradAuxLoss the gradient of the auxiliary loss; with 0 no loss is computed and any
   *     {@code codeDim} is served
   * @param gradXOut {@code [rows, codeDim]} of {@code dtype}
   */
  public void backward(
      MemorySegment x,
      DType dtype,
      long rows,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradXOut) {
    ValueLayout layout = hostLayout(dtype);
    long rowBytes = rowBytes(rows, layout);
    boolean direct =
        HostBuffers.isDirect(x, layout)
            && HostBuffers.isDirect(gradQuantized, layout)
            && HostBuffers.isDirect(gradXOut, layout);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment gradient =
          buffers.optionalInput("gradQuantized", gradQuantized, rowBytes, layout);
      MemorySegment out = buffers.output("gradXOut", gradXOut, rowBytes, layout);
      HostBuffers.requireApart("gradXOut", gradXOut, rowBytes, "x", x, rowBytes);
      HostBuffers.requireApart(
          "gradXOut", gradXOut, rowBytes, "gradQuantized", gradQuantized, rowBytes);
      NativeCalls.backward(nativeOptions, dtype, rows, in, gradient, gradAuxLoss, out);
      buffers.copyBack();
    }
  }

  /**
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, long,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param gradQuantized as long as {@code x}
   */
  public float[] backward(float[] x, float[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new float[x.length]));
  }

  /**
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, long,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param gradQuantized as long as {@code x}
   */
  public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new double[x.length]));
  }

  private <A> A backward(
      HostArray<A> x, HostArray<A> gradQuantized, double gradAuxLoss, HostArray<A> gradX) {
    int rows = rows(x);
    if (gradQuantized.length() != x.length()) { // a longer segment would do
      throw new IllegalArgumentException(
          "gradQuantized has %d elements, expected as many as x, %d"
              .formatted(gradQuantized.length(), x.length()));
    }
    backward(x.segment(), x.dtype(), rows, gradQuantized.segment(), gradAuxLoss, gradX.segment());
    return gradX.values();
  }

  // Bits, codes, indices

  /**
   * Codes from bits: {0, 1} to {-1, +1} by 2·bit - 1, element by element, whatever the shape.
   *
   * @param bits {@code count} elements of {@code dtype}
   * @param codesOut {@code count} elements of {@code dtype}
   */
  public void bitsToCodes(MemorySegment bits, DType dtype, long count, MemorySegment codesOut) {
    ValueLayout layout = hostLayout(dtype);
    HostBuffers.requireCount("count", count);
    long byteSize = HostBuffers.byteSize(count, 1, layout.byteSize());
    boolean direct = HostBuffers.isDirect(bits, layout) && HostBuffers.isDirect(codesOut, layout);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("bits", bits, byteSize, layout);
      MemorySegment out = buffers.output("codesOut", codesOut, byteSize, layout);
      HostBuffers.requireApart("codesOut", codesOut, byteSize, "bits", bits, byteSize);
      NativeCalls.bitsToCodes(dtype, count, in, out);
      buffers.copyBack();
    }
  }

  /** Codes from bits: {0, 1} to {-1, +1}. */
  public float[] bitsToCodes(float[] bits) {
    return bitsToCodes(HostArray.of("bits", bits), HostArray.of("codes", new float[bits.length]));
  }

  /** Codes from bits: {0, 1} to {-1, +1}. */
  public double[] bitsToCodes(double[] bits) {
    return bitsToCodes(HostArray.of("bits", bits), HostArray.of("codes", new double[bits.length]));
  }

  private <A> A bitsToCodes(HostArray<A> bits, HostArray<A> codes) {
    bitsToCodes(bits.segment(), bits.dtype(), bits.length(), codes.segment());
    return codes.values();
  }

  /**
   * Codes from bits: {0, 1} to {-1, +1}.
   *
   * @param arena where the result lives
   * @param bits of any shape, and any type but UINT8, which has no -1
   * @return of the shape and type of {@code bits}
   */
  public Tensor bitsToCodes(Arena arena, Tensor bits) {
    requireNonNull(bits, "bits");
    requireSigned("bits", bits);
    return new Tensor(arena, NativeTensors.bitsToCodes(arena, bits.handle()));
  }

  /**
   * The index of each code, of any scale (±1, ±1/√codeDim): the inverse of {@link #decode}. Unlike
   * {@link #encode} it refuses what is no code value: zeros, NaN and infinities, with their
   * position.
   *
   * @param codes {@code [rows, codeDim]} of {@code dtype}
   * @param indicesOut {@code [rows]} of {@code long}
   */
  public void codesToIndices(
      MemorySegment codes, DType dtype, long rows, MemorySegment indicesOut) {
    ValueLayout layout = hostLayout(dtype);
    long rowBytes = rowBytes(rows, layout);
    long indexBytes = indexBytes(rows);
    boolean direct =
        HostBuffers.isDirect(codes, layout)
            && HostBuffers.isDirect(indicesOut, ValueLayout.JAVA_LONG);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("codes", codes, rowBytes, layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "codes", codes, rowBytes);
      NativeCalls.codesToIndices(nativeOptions, dtype, rows, in, out);
      buffers.copyBack();
    }
  }

  /** The index of each code in {@code codes}, which holds whole rows of {@code codeDim}. */
  public long[] codesToIndices(float[] codes) {
    return codesToIndices(HostArray.of("codes", codes));
  }

  /** The index of each code in {@code codes}, which holds whole rows of {@code codeDim}. */
  public long[] codesToIndices(double[] codes) {
    return codesToIndices(HostArray.of("codes", codes));
  }

  private long[] codesToIndices(HostArray<?> codes) {
    long[] indices = new long[rows(codes)];
    codesToIndices(codes.segment(), codes.dtype(), indices.length, MemorySegment.ofArray(indices));
    return indices;
  }

  /**
   * The index of each code, of any scale (±1, ±1/√codeDim): the inverse of {@link #decode(Arena,
   * Tensor, DType)}. Zeros, NaN and infinities are refused with their position.
   *
   * @param arena where the result lives
   * @param codes {@code [..., codeDim]} of any type but UINT8, which has no -1
   * @return {@code [...]} of INT64; {@code [1]} for codes of rank 1
   */
  public Tensor codesToIndices(Arena arena, Tensor codes) {
    requireRows("codes", codes);
    requireSigned("codes", codes);
    return new Tensor(arena, NativeTensors.codesToIndices(arena, nativeOptions, codes.handle()));
  }

  @Override
  public String toString() {
    return "BinarySphericalQuantizer[" + options + "]";
  }

  private long rowBytes(long rows, ValueLayout layout) {
    return HostBuffers.byteSize(rows, codeDim(), layout.byteSize());
  }

  private static long indexBytes(long rows) {
    return HostBuffers.byteSize(rows, 1, ValueLayout.JAVA_LONG.byteSize());
  }

  /** The layout of an element of an array or segment, once it is clear that these are served. */
  private ValueLayout hostLayout(DType dtype) {
    if (options.implementation() == Implementation.OPERATORS) {
      throw new BsqException(
          BsqException.Code.UNSUPPORTED,
          "Implementation.OPERATORS computes tensors alone: use a Tensor, or another"
              + " implementation for arrays and segments");
    }
    return switch (requireNonNull(dtype, "dtype")) {
      case FLOAT32, FLOAT64 -> dtype.layout();
      default ->
          throw new IllegalArgumentException(
              "dtype is " + dtype + ", expected FLOAT32 or FLOAT64 (use a Tensor for the others)");
    };
  }

  private int rows(HostArray<?> array) {
    if (array.length() % codeDim() != 0) {
      throw new IllegalArgumentException(
          "%s has %d elements, which are no whole rows of codeDim %d"
              .formatted(array.name(), array.length(), codeDim()));
    }
    return array.length() / codeDim();
  }

  private int arrayLength(int rows) {
    long length = (long) rows * codeDim();
    if (length > Integer.MAX_VALUE - 8) { // what JVMs allow
      throw new IllegalArgumentException(
          rows + " rows of codeDim " + codeDim() + " do not fit into an array; use segments");
    }
    return (int) length;
  }

  private void requireVectors(String name, Tensor tensor) {
    requireRows(name, tensor);
    tensor.dtype().requireFloatingPoint(name);
  }

  private void requireRows(String name, Tensor tensor) {
    long[] shape = requireNonNull(tensor, name).shape();
    if (shape[shape.length - 1] != codeDim()) {
      throw new IllegalArgumentException(
          "%s has shape %s, expected a last dimension of codeDim %d"
              .formatted(name, Arrays.toString(shape), codeDim()));
    }
  }

  private static void requireSigned(String name, Tensor tensor) {
    if (tensor.dtype() == DType.UINT8) {
      throw new IllegalArgumentException(name + " is UINT8, expected a type that has -1");
    }
  }
}
