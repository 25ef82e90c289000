package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Quantizes vectors to binary codes on the unit sphere, as SpeechBrain's {@code
 * BinarySphericalQuantizer} does, on native LibTorch.
 *
 * <p>A row of {@code codeDim} = D components is normalised to u and quantized to the corner of the
 * hypercube {-1/√D, +1/√D}<sup>D</sup> that shares its signs. A component x<sub>d</sub> &gt; 0
 * gives bit 1; 0, -0.0 and negative ones give bit 0. The bits, component 0 as the most significant,
 * make up the row's index.
 *
 * <p>Every operation exists on arrays, which are copied, and on {@link MemorySegment}s, of which
 * native ones are used in place. Vectors are rows of a row-major matrix; all leading dimensions of
 * a tensor of higher rank count as rows. A segment is used only during the call; it must be at
 * least as long as the shapes say, outputs must be writable and overlap nothing, and the usual
 * rules of its arena hold. A mapped file that somebody truncates during a call ends the JVM. After
 * an exception the contents of outputs are unspecified; inputs are never written.
 *
 * <p>A quantizer is immutable and holds nothing to close. All threads may share one.
 *
 * <p>All methods throw {@link NullPointerException} for null, which they name; {@link
 * IllegalArgumentException} for sizes that do not fit, outputs that are read-only or overlap
 * another segment, and arrays of another type than {@code dtype}; {@link IllegalStateException} and
 * {@link WrongThreadException} where a segment's arena is closed or belongs to another thread; and
 * {@link BsqException} for what the native side finds: values that are not finite, with their
 * position, or memory that cannot be had.
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
    ValueLayout layout = requireNonNull(dtype, "dtype").layout();
    try (HostBuffers buffers = new HostBuffers()) {
      MemorySegment in = buffers.input("x", x, rowBytes(rows, layout), layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes(rows), ValueLayout.JAVA_LONG);
      NativeCalls.encode(nativeOptions, dtype, rows, in, out);
      buffers.copyBack();
    }
  }

  /** The index of each row of {@code x}, which holds whole rows of {@code codeDim} components. */
  public long[] encode(float[] x) {
    requireNonNull(x, "x");
    long[] indices = new long[rows("x", x.length)];
    encode(MemorySegment.ofArray(x), DType.FLOAT32, indices.length, MemorySegment.ofArray(indices));
    return indices;
  }

  /** The index of each row of {@code x}, which holds whole rows of {@code codeDim} components. */
  public long[] encode(double[] x) {
    requireNonNull(x, "x");
    long[] indices = new long[rows("x", x.length)];
    encode(MemorySegment.ofArray(x), DType.FLOAT64, indices.length, MemorySegment.ofArray(indices));
    return indices;
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
    ValueLayout layout = requireNonNull(dtype, "dtype").layout();
    try (HostBuffers buffers = new HostBuffers()) {
      MemorySegment in = buffers.input("indices", indices, indexBytes(rows), ValueLayout.JAVA_LONG);
      MemorySegment out =
          buffers.output("quantizedOut", quantizedOut, rowBytes(rows, layout), layout);
      NativeCalls.decode(nativeOptions, dtype, rows, in, out);
      buffers.copyBack();
    }
  }

  /** The code of each index, {@code codeDim} components each. */
  public float[] decode(long[] indices) {
    requireNonNull(indices, "indices");
    float[] quantized = new float[arrayLength(indices.length)];
    decode(
        MemorySegment.ofArray(indices),
        indices.length,
        DType.FLOAT32,
        MemorySegment.ofArray(quantized));
    return quantized;
  }

  /** The code of each index in double precision, {@code codeDim} components each. */
  public double[] decodeToDouble(long[] indices) {
    requireNonNull(indices, "indices");
    double[] quantized = new double[arrayLength(indices.length)];
    decode(
        MemorySegment.ofArray(indices),
        indices.length,
        DType.FLOAT64,
        MemorySegment.ofArray(quantized));
    return quantized;
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
    ValueLayout layout = requireNonNull(dtype, "dtype").layout();
    long rowBytes = rowBytes(rows, layout);
    try (HostBuffers buffers = new HostBuffers()) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment quantized =
          buffers.optionalOutput("quantizedOut", quantizedOut, rowBytes, layout);
      MemorySegment indices =
          buffers.optionalOutput("indicesOut", indicesOut, indexBytes(rows), ValueLayout.JAVA_LONG);
      Losses losses = NativeCalls.forward(nativeOptions, dtype, rows, in, quantized, indices);
      buffers.copyBack();
      return losses;
    }
  }

  /** The quantized rows of {@code x}, their indices and the losses. */
  public HostQuantization<float[]> forward(float[] x) {
    requireNonNull(x, "x");
    float[] quantized = new float[x.length];
    long[] indices = new long[rows("x", x.length)];
    Losses losses =
        forward(
            MemorySegment.ofArray(x),
            DType.FLOAT32,
            indices.length,
            MemorySegment.ofArray(quantized),
            MemorySegment.ofArray(indices));
    return hostQuantization(quantized, indices, losses);
  }

  /** The quantized rows of {@code x}, their indices and the losses. */
  public HostQuantization<double[]> forward(double[] x) {
    requireNonNull(x, "x");
    double[] quantized = new double[x.length];
    long[] indices = new long[rows("x", x.length)];
    Losses losses =
        forward(
            MemorySegment.ofArray(x),
            DType.FLOAT64,
            indices.length,
            MemorySegment.ofArray(quantized),
            MemorySegment.ofArray(indices));
    return hostQuantization(quantized, indices, losses);
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
    ValueLayout layout = requireNonNull(dtype, "dtype").layout();
    long rowBytes = rowBytes(rows, layout);
    try (HostBuffers buffers = new HostBuffers()) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment gradient =
          buffers.optionalInput("gradQuantized", gradQuantized, rowBytes, layout);
      MemorySegment out = buffers.output("gradXOut", gradXOut, rowBytes, layout);
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
    requireNonNull(x, "x");
    requireNonNull(gradQuantized, "gradQuantized");
    float[] gradX = new float[x.length];
    backward(
        MemorySegment.ofArray(x),
        DType.FLOAT32,
        rows("x", x.length),
        gradientOf(MemorySegment.ofArray(gradQuantized), gradQuantized.length, x.length),
        gradAuxLoss,
        MemorySegment.ofArray(gradX));
    return gradX;
  }

  /**
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, long,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param gradQuantized as long as {@code x}
   */
  public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
    requireNonNull(x, "x");
    requireNonNull(gradQuantized, "gradQuantized");
    double[] gradX = new double[x.length];
    backward(
        MemorySegment.ofArray(x),
        DType.FLOAT64,
        rows("x", x.length),
        gradientOf(MemorySegment.ofArray(gradQuantized), gradQuantized.length, x.length),
        gradAuxLoss,
        MemorySegment.ofArray(gradX));
    return gradX;
  }

  // Bits, codes, indices

  /**
   * Codes from bits: {0, 1} to {-1, +1} by 2·bit - 1, element by element, whatever the shape.
   *
   * @param bits {@code count} elements of {@code dtype}
   * @param codesOut {@code count} elements of {@code dtype}
   */
  public void bitsToCodes(MemorySegment bits, DType dtype, long count, MemorySegment codesOut) {
    ValueLayout layout = requireNonNull(dtype, "dtype").layout();
    HostBuffers.requireCount("count", count);
    long byteSize = HostBuffers.byteSize(count, 1, layout.byteSize());
    try (HostBuffers buffers = new HostBuffers()) {
      MemorySegment in = buffers.input("bits", bits, byteSize, layout);
      MemorySegment out = buffers.output("codesOut", codesOut, byteSize, layout);
      NativeCalls.bitsToCodes(dtype, count, in, out);
      buffers.copyBack();
    }
  }

  /** Codes from bits: {0, 1} to {-1, +1}. */
  public float[] bitsToCodes(float[] bits) {
    requireNonNull(bits, "bits");
    float[] codes = new float[bits.length];
    bitsToCodes(
        MemorySegment.ofArray(bits), DType.FLOAT32, bits.length, MemorySegment.ofArray(codes));
    return codes;
  }

  /** Codes from bits: {0, 1} to {-1, +1}. */
  public double[] bitsToCodes(double[] bits) {
    requireNonNull(bits, "bits");
    double[] codes = new double[bits.length];
    bitsToCodes(
        MemorySegment.ofArray(bits), DType.FLOAT64, bits.length, MemorySegment.ofArray(codes));
    return codes;
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
    ValueLayout layout = requireNonNull(dtype, "dtype").layout();
    try (HostBuffers buffers = new HostBuffers()) {
      MemorySegment in = buffers.input("codes", codes, rowBytes(rows, layout), layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes(rows), ValueLayout.JAVA_LONG);
      NativeCalls.codesToIndices(nativeOptions, dtype, rows, in, out);
      buffers.copyBack();
    }
  }

  /** The index of each code in {@code codes}, which holds whole rows of {@code codeDim}. */
  public long[] codesToIndices(float[] codes) {
    requireNonNull(codes, "codes");
    long[] indices = new long[rows("codes", codes.length)];
    codesToIndices(
        MemorySegment.ofArray(codes),
        DType.FLOAT32,
        indices.length,
        MemorySegment.ofArray(indices));
    return indices;
  }

  /** The index of each code in {@code codes}, which holds whole rows of {@code codeDim}. */
  public long[] codesToIndices(double[] codes) {
    requireNonNull(codes, "codes");
    long[] indices = new long[rows("codes", codes.length)];
    codesToIndices(
        MemorySegment.ofArray(codes),
        DType.FLOAT64,
        indices.length,
        MemorySegment.ofArray(indices));
    return indices;
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

  private int rows(String name, int length) {
    if (length % codeDim() != 0) {
      throw new IllegalArgumentException(
          name + " has " + length + " elements, which are no whole rows of codeDim " + codeDim());
    }
    return length / codeDim();
  }

  private int arrayLength(int rows) {
    long length = (long) rows * codeDim();
    if (length > Integer.MAX_VALUE - 8) { // what JVMs allow
      throw new IllegalArgumentException(
          rows + " rows of codeDim " + codeDim() + " do not fit into an array; use segments");
    }
    return (int) length;
  }

  private static MemorySegment gradientOf(MemorySegment gradient, int length, int expected) {
    if (length != expected) {
      throw new IllegalArgumentException(
          "gradQuantized has " + length + " elements, expected as many as x, " + expected);
    }
    return gradient;
  }

  private static <A> HostQuantization<A> hostQuantization(
      A quantized, long[] indices, Losses losses) {
    return new HostQuantization<>(
        quantized, indices, losses.auxLoss(), losses.perSampleEntropy(), losses.codebookEntropy());
  }
}
