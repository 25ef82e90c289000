package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Quantizes vectors to binary codes on the unit sphere, as SpeechBrain's {@code
 * BinarySphericalQuantizer}, BSQ-ViT's and lucidrains' LFQ with {@code spherical=True} do, on
 * native LibTorch. {@link QuantizerOptions} chooses, and defines what is computed.
 *
 * <p>A code of {@code codeDim} = D components is normalised to u and quantized to the corner of the
 * hypercube {-1/√D, +1/√D}<sup>D</sup> that shares its signs. A component x<sub>d</sub> &gt; 0
 * gives bit 1; 0, -0.0 and negative ones give bit 0. Each {@code groupSize} consecutive bits, the
 * first as the most significant, make up an index. A row has one code, or {@code codebooks} of
 * them, one after the other: {@link QuantizerOptions#rowLength} components and {@link
 * QuantizerOptions#indicesPerRow} indices.
 *
 * <p>Every operation exists on arrays, which are copied, on {@link MemorySegment}s, of which native
 * ones are used in place, and on {@link Tensor}s.
 *
 * <p><b>Arrays and segments</b> are FLOAT32 or FLOAT64. A {@link Batch} says how many rows there
 * are, and which of them count in the losses; a number of rows, and arrays without either, mean
 * {@link Batch#of(long)}. Vectors are {@code [items, positions, rowLength]} in row-major order,
 * {@code [items, rowLength, positions]} with {@code channelFirst}; indices are {@code [items,
 * positions, codebooks, groups]} in both cases. A segment is used only during the call; it must be
 * at least as long as the shapes say, outputs must be writable and overlap nothing, and the usual
 * rules of its arena hold. A mapped file that somebody truncates during a call ends the JVM. After
 * an exception the contents of outputs are unspecified; inputs are never written.
 *
 * <p><b>Tensors</b> are of any rank and strides, of all floating-point types, and on any device.
 * Vectors are {@code [..., rowLength]}; all leading dimensions count as rows. With {@code
 * channelFirst} they are {@code [items, rowLength, ...]}, of rank 2 at least, and all dimensions
 * but that one count as rows. Indices have the dimensions of the rows, then one of {@code
 * codebooks} where there are several, then one of {@code groups} where there are several; {@code
 * [1]} where that leaves none. Results are new, contiguous tensors on the input's device. They live
 * in the arena that the method takes, and need neither the input nor its arena any more. Results of
 * an operation on a GPU, or with {@link Implementation#OPERATORS}, may not be computed yet when it
 * returns; values that are refused are then reported by what reads a result, or anything computed
 * from it: see {@link Tensor#check()}.
 *
 * <p><b>Positions</b> in messages are those in the matrix of rows, {@code [rows, rowLength]}, or of
 * their indices, whatever the layout.
 *
 * <p>A quantizer is immutable and holds nothing to close. All threads may share one.
 *
 * <p>All methods throw {@link NullPointerException} for null, which they name; {@link
 * IllegalArgumentException} for sizes, shapes, types and devices that do not fit, outputs that are
 * read-only or overlap another segment, and arrays of another type than {@code dtype}; {@link
 * IllegalStateException} and {@link WrongThreadException} where an arena is closed or belongs to
 * another thread; and {@link BsqException} for what the native side finds: values that are not
 * finite, with their position, or memory that cannot be had. Exact losses take memory for
 * 2<sup>groupSize</sup> numbers for each group: where they are asked for, {@link
 * QuantizerOptions#MAX_LOSS_CODE_DIM} and {@link QuantizerOptions#MAX_LOSS_GROUP_SIZE} are the
 * limits, and a {@link BsqException} with code {@link BsqException.Code#UNSUPPORTED} tells so.
 */
public final class BinarySphericalQuantizer {
  private final QuantizerOptions options;
  private final QuantizerShapes shapes;
  private final MemorySegment nativeOptions;

  private BinarySphericalQuantizer(QuantizerOptions options) {
    this.options = options;
    this.shapes = new QuantizerShapes(options);
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

  /** D: the number of components and bits of a code. */
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

  /**
   * A quantizer that differs from this one in its {@link QuantizerOptions#entropySeed} alone, for
   * training steps that each draw other rows.
   */
  public BinarySphericalQuantizer withEntropySeed(long entropySeed) {
    return create(options.toBuilder().entropySeed(entropySeed).build());
  }

  // Encoding

  /**
   * The indices of each row of {@code x}; the losses are not computed, so it does not matter which
   * rows count.
   *
   * @param x vectors of {@code dtype}
   * @param indicesOut {@code [items, positions, codebooks, groups]} of {@code long}
   */
  public void encode(MemorySegment x, DType dtype, Batch batch, MemorySegment indicesOut) {
    requireNonNull(batch, "batch");
    encode(x, dtype, batch.items(), batch.positions(), indicesOut);
  }

  /** As {@link #encode(MemorySegment, DType, Batch, MemorySegment)}, with so many rows. */
  public void encode(MemorySegment x, DType dtype, long rows, MemorySegment indicesOut) {
    encode(x, dtype, rows, 1, indicesOut);
  }

  private void encode(
      MemorySegment x, DType dtype, long items, long positions, MemorySegment indicesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(items * positions, layout);
    long indexBytes = shapes.indexBytes(items * positions);
    boolean direct =
        HostBuffers.isDirect(x, layout) && HostBuffers.isDirect(indicesOut, ValueLayout.JAVA_LONG);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "x", x, rowBytes);
      NativeCalls.encode(nativeOptions, dtype, items, positions, in, out);
      buffers.copyBack();
    }
  }

  /** The indices of each row of {@code x}, which holds whole rows. */
  public long[] encode(float[] x) {
    return encode(HostArray.of("x", x));
  }

  /** The indices of each row of {@code x}, which holds whole rows. */
  public long[] encode(double[] x) {
    return encode(HostArray.of("x", x));
  }

  /** The indices of each row of {@code x}, which holds this batch. */
  public long[] encode(float[] x, Batch batch) {
    return encode(HostArray.of("x", x), batch);
  }

  /** The indices of each row of {@code x}, which holds this batch. */
  public long[] encode(double[] x, Batch batch) {
    return encode(HostArray.of("x", x), batch);
  }

  private long[] encode(HostArray<?> x) {
    return encode(x, shapes.batch(x));
  }

  private long[] encode(HostArray<?> x, Batch batch) {
    shapes.requireRows(x, batch);
    long[] indices = shapes.newIndices(batch);
    encode(x.segment(), x.dtype(), batch, MemorySegment.ofArray(indices));
    return indices;
  }

  /**
   * The indices of each row of {@code x}; the losses are not computed.
   *
   * @param arena where the result lives
   * @param x vectors of a floating-point type
   * @return indices, INT64
   */
  public Tensor encode(Arena arena, Tensor x) {
    options.requireIndices();
    shapes.requireVectors("x", x);
    return new Tensor(arena, NativeTensors.encode(arena, nativeOptions, x.handle()));
  }

  // Decoding

  /**
   * The codes of indices: bit 1 gives +1/√codeDim, bit 0 gives -1/√codeDim. An index outside [0,
   * 2<sup>groupSize</sup>) is refused with its position.
   *
   * @param indices {@code [items, positions, codebooks, groups]} of {@code long}
   * @param quantizedOut vectors of {@code dtype}
   */
  public void decode(MemorySegment indices, Batch batch, DType dtype, MemorySegment quantizedOut) {
    requireNonNull(batch, "batch");
    decode(indices, batch.items(), batch.positions(), dtype, quantizedOut);
  }

  /** As {@link #decode(MemorySegment, Batch, DType, MemorySegment)}, with so many rows. */
  public void decode(MemorySegment indices, long rows, DType dtype, MemorySegment quantizedOut) {
    decode(indices, rows, 1, dtype, quantizedOut);
  }

  private void decode(
      MemorySegment indices, long items, long positions, DType dtype, MemorySegment quantizedOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(items * positions, layout);
    long indexBytes = shapes.indexBytes(items * positions);
    boolean direct =
        HostBuffers.isDirect(indices, ValueLayout.JAVA_LONG)
            && HostBuffers.isDirect(quantizedOut, layout);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("indices", indices, indexBytes, ValueLayout.JAVA_LONG);
      MemorySegment out = buffers.output("quantizedOut", quantizedOut, rowBytes, layout);
      HostBuffers.requireApart(
          "quantizedOut", quantizedOut, rowBytes, "indices", indices, indexBytes);
      NativeCalls.decode(nativeOptions, dtype, items, positions, in, out);
      buffers.copyBack();
    }
  }

  /** The codes of indices, which are those of whole rows. */
  public float[] decode(long[] indices) {
    return decode(indices, shapes.batchOfIndices(indices));
  }

  /** The codes of indices in double precision; the indices are those of whole rows. */
  public double[] decodeToDouble(long[] indices) {
    return decodeToDouble(indices, shapes.batchOfIndices(indices));
  }

  /** The codes of indices, which are those of this batch. */
  public float[] decode(long[] indices, Batch batch) {
    shapes.requireIndices(indices, batch);
    float[] quantized = new float[shapes.arrayLength(batch)];
    return decode(indices, batch, HostArray.of("quantized", quantized));
  }

  /** The codes of indices in double precision; the indices are those of this batch. */
  public double[] decodeToDouble(long[] indices, Batch batch) {
    shapes.requireIndices(indices, batch);
    double[] quantized = new double[shapes.arrayLength(batch)];
    return decode(indices, batch, HostArray.of("quantized", quantized));
  }

  private <A> A decode(long[] indices, Batch batch, HostArray<A> quantized) {
    decode(MemorySegment.ofArray(indices), batch, quantized.dtype(), quantized.segment());
    return quantized.values();
  }

  /** The codes of indices in FLOAT32; see {@link #decode(Arena, Tensor, DType)}. */
  public Tensor decode(Arena arena, Tensor indices) {
    return decode(arena, indices, DType.FLOAT32);
  }

  /**
   * The codes of indices: bit 1 gives +1/√codeDim, bit 0 gives -1/√codeDim. An index outside [0,
   * 2<sup>groupSize</sup>) is refused with its position.
   *
   * @param arena where the result lives
   * @param indices of an integer type, of at most 63 dimensions of rows
   * @param dtype the floating-point type of the result
   * @return vectors of {@code dtype}
   */
  public Tensor decode(Arena arena, Tensor indices, DType dtype) {
    requireNonNull(indices, "indices");
    requireNonNull(dtype, "dtype").requireFloatingPoint("dtype");
    shapes.requireIndices(indices);
    return new Tensor(arena, NativeTensors.decode(arena, nativeOptions, indices.handle(), dtype));
  }

  // Training: forward and backward

  /**
   * The quantized rows, their indices, and the losses.
   *
   * @param x vectors of {@code dtype}
   * @param quantizedOut vectors of {@code dtype}; {@link MemorySegment#NULL} where not wanted
   * @param indicesOut {@code [items, positions, codebooks, groups]} of {@code long}; {@link
   *     MemorySegment#NULL} where not wanted
   */
  public Losses forward(
      MemorySegment x,
      DType dtype,
      Batch batch,
      MemorySegment quantizedOut,
      MemorySegment indicesOut) {
    requireNonNull(batch, "batch");
    return forward(
        x, dtype, batch.items(), batch.positions(), batch.maskOrNull(), quantizedOut, indicesOut);
  }

  /**
   * As {@link #forward(MemorySegment, DType, Batch, MemorySegment, MemorySegment)}, with so many
   * rows.
   */
  public Losses forward(
      MemorySegment x,
      DType dtype,
      long rows,
      MemorySegment quantizedOut,
      MemorySegment indicesOut) {
    return forward(x, dtype, rows, 1, MemorySegment.NULL, quantizedOut, indicesOut);
  }

  private Losses forward(
      MemorySegment x,
      DType dtype,
      long items,
      long positions,
      MemorySegment mask,
      MemorySegment quantizedOut,
      MemorySegment indicesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    options.requireLosses();
    long rowBytes = shapes.rowBytes(items * positions, layout);
    long indexBytes =
        MemorySegment.NULL.equals(indicesOut) ? 0 : shapes.indexBytes(items * positions);
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
      Losses losses =
          NativeCalls.forward(nativeOptions, dtype, items, positions, in, mask, quantized, indices);
      buffers.copyBack();
      return losses;
    }
  }

  /** The quantized rows of {@code x}, which holds whole rows, their indices and the losses. */
  public HostQuantization<float[]> forward(float[] x) {
    return forward(HostArray.of("x", x), HostArray.of("quantized", new float[x.length]));
  }

  /** The quantized rows of {@code x}, which holds whole rows, their indices and the losses. */
  public HostQuantization<double[]> forward(double[] x) {
    return forward(HostArray.of("x", x), HostArray.of("quantized", new double[x.length]));
  }

  /** The quantized rows of {@code x}, which holds this batch, their indices and the losses. */
  public HostQuantization<float[]> forward(float[] x, Batch batch) {
    return forward(HostArray.of("x", x), batch, HostArray.of("quantized", new float[x.length]));
  }

  /** The quantized rows of {@code x}, which holds this batch, their indices and the losses. */
  public HostQuantization<double[]> forward(double[] x, Batch batch) {
    return forward(HostArray.of("x", x), batch, HostArray.of("quantized", new double[x.length]));
  }

  private <A> HostQuantization<A> forward(HostArray<A> x, HostArray<A> quantized) {
    return forward(x, shapes.batch(x), quantized);
  }

  private <A> HostQuantization<A> forward(HostArray<A> x, Batch batch, HostArray<A> quantized) {
    shapes.requireRows(x, batch);
    long[] indices = shapes.newIndices(batch);
    Losses losses =
        forward(x.segment(), x.dtype(), batch, quantized.segment(), MemorySegment.ofArray(indices));
    return new HostQuantization<>(quantized.values(), indices, losses);
  }

  /**
   * The quantized rows of {@code x}, their indices and the losses, and what {@link
   * Quantization#backward} needs. All rows count.
   *
   * @param arena where the results live
   * @param x vectors of a floating-point type
   */
  public Quantization forward(Arena arena, Tensor x) {
    shapes.requireVectors("x", x);
    return forward(arena, x, MemorySegment.NULL);
  }

  /**
   * As {@link #forward(Arena, Tensor)}, where those rows count whose byte in the mask is not 0: see
   * {@link Batch}, whose {@link Batch#maskTensor} makes masks.
   *
   * @param mask UINT8, of the dimensions of x but for that of its components, on the same device;
   *     {@code [1]} for an x of rank 1
   */
  public Quantization forward(Arena arena, Tensor x, Tensor mask) {
    shapes.requireVectors("x", x);
    shapes.requireMask(mask, x);
    return forward(arena, x, mask.handle());
  }

  private Quantization forward(Arena arena, Tensor x, MemorySegment mask) {
    options.requireLosses();
    return new Quantization(
        options, arena, NativeTensors.forward(arena, nativeOptions, x.handle(), mask));
  }

  /**
   * What the losses of {@code x} are made of, to be added up with those of other batches. With an
   * {@link QuantizerOptions#entropyFraction}, rows are drawn from this batch alone.
   *
   * @param x vectors of {@code dtype}
   */
  public LossSums lossSums(MemorySegment x, DType dtype, Batch batch) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    double[] sums = new double[LossSums.size(options, nativeOptions)];
    MemorySegment sumsOut = MemorySegment.ofArray(sums);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment out =
          buffers.output("sums", sumsOut, sumsOut.byteSize(), ValueLayout.JAVA_DOUBLE);
      NativeCalls.lossSums(
          nativeOptions, dtype, batch.items(), batch.positions(), in, batch.maskOrNull(), out);
      buffers.copyBack();
    }
    return LossSums.adopt(options, sums);
  }

  /** The loss sums of {@code x}; see {@link #lossSums(MemorySegment, DType, Batch)}. */
  public LossSums lossSums(float[] x, Batch batch) {
    return lossSums(HostArray.of("x", x), batch);
  }

  /** The loss sums of {@code x}; see {@link #lossSums(MemorySegment, DType, Batch)}. */
  public LossSums lossSums(double[] x, Batch batch) {
    return lossSums(HostArray.of("x", x), batch);
  }

  private LossSums lossSums(HostArray<?> x, Batch batch) {
    shapes.requireRows(x, batch);
    return lossSums(x.segment(), x.dtype(), batch);
  }

  /**
   * The gradient of {@code straightThroughScale · <gradQuantized, u> + gradAuxLoss · auxLoss} with
   * respect to x, with u the normalised x. The first term is the gradient of {@code <gradQuantized,
   * quantized>} with the signs passed straight through. Takes x again and recomputes what it needs,
   * so it follows any forward, or none.
   *
   * <p>{@code gradQuantized} and {@code gradAuxLoss} are not checked: NaN and infinities in them go
   * into the result, as in PyTorch. Where ‖x‖ ≤ 1e-12 the norm counts as the constant 1e-12, as in
   * the reference. Where {@link NonFinitePolicy#PROPAGATE} lets rows through, these get NaN, and
   * all rows do if {@code gradAuxLoss} is not 0 and one of them makes the losses NaN.
   *
   * @param x vectors of {@code dtype}
   * @param gradQuantized vectors of {@code dtype}, or {@link MemorySegment#NULL} for none
   * @param gradAuxLoss the gradient of the auxiliary loss; with 0 no loss is computed and codes of
   *     any size are served
   * @param gradXOut vectors of {@code dtype}
   */
  public void backward(
      MemorySegment x,
      DType dtype,
      Batch batch,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradXOut) {
    backward(x, dtype, batch, MemorySegment.NULL, gradQuantized, gradAuxLoss, gradXOut);
  }

  /**
   * As {@link #backward(MemorySegment, DType, Batch, MemorySegment, double, MemorySegment)}, where
   * {@code auxLoss} is that of all rows which the sums are of, those of x among them: the gradient
   * is that of one batch with all rows.
   *
   * @param sums {@code lossSums} of x, with those of other batches added
   */
  public void backward(
      MemorySegment x,
      DType dtype,
      Batch batch,
      LossSums sums,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradXOut) {
    backward(x, dtype, batch, numbers(sums), gradQuantized, gradAuxLoss, gradXOut);
  }

  /**
   * As {@link #backward(MemorySegment, DType, Batch, MemorySegment, double, MemorySegment)}, with
   * so many rows.
   */
  public void backward(
      MemorySegment x,
      DType dtype,
      long rows,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradXOut) {
    MemorySegment none = MemorySegment.NULL;
    backward(x, dtype, rows, 1, none, none, gradQuantized, gradAuxLoss, gradXOut);
  }

  private void backward(
      MemorySegment x,
      DType dtype,
      Batch batch,
      MemorySegment sums,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradXOut) {
    requireNonNull(batch, "batch");
    backward(
        x,
        dtype,
        batch.items(),
        batch.positions(),
        batch.maskOrNull(),
        sums,
        gradQuantized,
        gradAuxLoss,
        gradXOut);
  }

  private void backward(
      MemorySegment x,
      DType dtype,
      long items,
      long positions,
      MemorySegment mask,
      MemorySegment sums,
      MemorySegment gradQuantized,
      double gradAuxLoss,
      MemorySegment gradXOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    if (gradAuxLoss != 0) {
      options.requireLosses();
    }
    long rowBytes = shapes.rowBytes(items * positions, layout);
    boolean direct =
        HostBuffers.isDirect(x, layout)
            && HostBuffers.isDirect(sums, ValueLayout.JAVA_DOUBLE)
            && HostBuffers.isDirect(gradQuantized, layout)
            && HostBuffers.isDirect(gradXOut, layout);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment total =
          buffers.optionalInput("sums", sums, sums.byteSize(), ValueLayout.JAVA_DOUBLE);
      MemorySegment gradient =
          buffers.optionalInput("gradQuantized", gradQuantized, rowBytes, layout);
      MemorySegment out = buffers.output("gradXOut", gradXOut, rowBytes, layout);
      HostBuffers.requireApart("gradXOut", gradXOut, rowBytes, "x", x, rowBytes);
      HostBuffers.requireApart(
          "gradXOut", gradXOut, rowBytes, "gradQuantized", gradQuantized, rowBytes);
      NativeCalls.backward(
          nativeOptions, dtype, items, positions, in, mask, total, gradient, gradAuxLoss, out);
      buffers.copyBack();
    }
  }

  /**
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, Batch,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param x whole rows
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
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, Batch,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param x whole rows
   * @param gradQuantized as long as {@code x}
   */
  public double[] backward(double[] x, double[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new double[x.length]));
  }

  /**
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, Batch,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param x the vectors of this batch
   * @param gradQuantized as long as {@code x}
   */
  public float[] backward(float[] x, Batch batch, float[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        batch,
        MemorySegment.NULL,
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new float[x.length]));
  }

  /**
   * The gradient with respect to {@code x}; see {@link #backward(MemorySegment, DType, Batch,
   * MemorySegment, double, MemorySegment)}.
   *
   * @param x the vectors of this batch
   * @param gradQuantized as long as {@code x}
   */
  public double[] backward(double[] x, Batch batch, double[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        batch,
        MemorySegment.NULL,
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new double[x.length]));
  }

  /**
   * The gradient with respect to {@code x} as part of all rows; see {@link #backward(MemorySegment,
   * DType, Batch, LossSums, MemorySegment, double, MemorySegment)}.
   *
   * @param x the vectors of this batch
   * @param gradQuantized as long as {@code x}
   */
  public float[] backward(
      float[] x, Batch batch, LossSums sums, float[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        batch,
        numbers(sums),
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new float[x.length]));
  }

  /**
   * The gradient with respect to {@code x} as part of all rows; see {@link #backward(MemorySegment,
   * DType, Batch, LossSums, MemorySegment, double, MemorySegment)}.
   *
   * @param x the vectors of this batch
   * @param gradQuantized as long as {@code x}
   */
  public double[] backward(
      double[] x, Batch batch, LossSums sums, double[] gradQuantized, double gradAuxLoss) {
    return backward(
        HostArray.of("x", x),
        batch,
        numbers(sums),
        HostArray.of("gradQuantized", gradQuantized),
        gradAuxLoss,
        HostArray.of("gradX", new double[x.length]));
  }

  private <A> A backward(
      HostArray<A> x, HostArray<A> gradQuantized, double gradAuxLoss, HostArray<A> gradX) {
    return backward(x, shapes.batch(x), MemorySegment.NULL, gradQuantized, gradAuxLoss, gradX);
  }

  private <A> A backward(
      HostArray<A> x,
      Batch batch,
      MemorySegment sums,
      HostArray<A> gradQuantized,
      double gradAuxLoss,
      HostArray<A> gradX) {
    shapes.requireRows(x, batch);
    if (gradQuantized.length() != x.length()) { // a longer segment would do
      throw new IllegalArgumentException(
          "gradQuantized has %d elements, expected as many as x, %d"
              .formatted(gradQuantized.length(), x.length()));
    }
    backward(
        x.segment(), x.dtype(), batch, sums, gradQuantized.segment(), gradAuxLoss, gradX.segment());
    return gradX.values();
  }

  /** The numbers of sums that are of options like these. */
  private MemorySegment numbers(LossSums sums) {
    requireNonNull(sums, "sums").requireAsOf(options, "sums");
    return sums.segment();
  }

  // Bits, codes, indices

  /**
   * Codes from bits: {0, 1} to {-1, +1} by 2·bit - 1, element by element, whatever the shape.
   *
   * @param bits {@code count} elements of {@code dtype}
   * @param codesOut {@code count} elements of {@code dtype}
   */
  public void bitsToCodes(MemorySegment bits, DType dtype, long count, MemorySegment codesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
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
   * The indices of codes, of any scale (±1, ±1/√codeDim): the inverse of {@link #decode}. Unlike
   * {@link #encode} it refuses what is no code value: zeros, NaN and infinities, with their
   * position.
   *
   * @param codes vectors of {@code dtype}
   * @param indicesOut {@code [items, positions, codebooks, groups]} of {@code long}
   */
  public void codesToIndices(
      MemorySegment codes, DType dtype, Batch batch, MemorySegment indicesOut) {
    requireNonNull(batch, "batch");
    codesToIndices(codes, dtype, batch.items(), batch.positions(), indicesOut);
  }

  /** As {@link #codesToIndices(MemorySegment, DType, Batch, MemorySegment)}, with so many rows. */
  public void codesToIndices(
      MemorySegment codes, DType dtype, long rows, MemorySegment indicesOut) {
    codesToIndices(codes, dtype, rows, 1, indicesOut);
  }

  private void codesToIndices(
      MemorySegment codes, DType dtype, long items, long positions, MemorySegment indicesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(items * positions, layout);
    long indexBytes = shapes.indexBytes(items * positions);
    boolean direct =
        HostBuffers.isDirect(codes, layout)
            && HostBuffers.isDirect(indicesOut, ValueLayout.JAVA_LONG);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("codes", codes, rowBytes, layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "codes", codes, rowBytes);
      NativeCalls.codesToIndices(nativeOptions, dtype, items, positions, in, out);
      buffers.copyBack();
    }
  }

  /** The indices of the codes in {@code codes}, which holds whole rows. */
  public long[] codesToIndices(float[] codes) {
    return codesToIndices(HostArray.of("codes", codes));
  }

  /** The indices of the codes in {@code codes}, which holds whole rows. */
  public long[] codesToIndices(double[] codes) {
    return codesToIndices(HostArray.of("codes", codes));
  }

  /** The indices of the codes in {@code codes}, which holds this batch. */
  public long[] codesToIndices(float[] codes, Batch batch) {
    return codesToIndices(HostArray.of("codes", codes), batch);
  }

  /** The indices of the codes in {@code codes}, which holds this batch. */
  public long[] codesToIndices(double[] codes, Batch batch) {
    return codesToIndices(HostArray.of("codes", codes), batch);
  }

  private long[] codesToIndices(HostArray<?> codes) {
    return codesToIndices(codes, shapes.batch(codes));
  }

  private long[] codesToIndices(HostArray<?> codes, Batch batch) {
    shapes.requireRows(codes, batch);
    long[] indices = shapes.newIndices(batch);
    codesToIndices(codes.segment(), codes.dtype(), batch, MemorySegment.ofArray(indices));
    return indices;
  }

  /**
   * The indices of codes, of any scale (±1, ±1/√codeDim): the inverse of {@link #decode(Arena,
   * Tensor, DType)}. Zeros, NaN and infinities are refused with their position.
   *
   * @param arena where the result lives
   * @param codes vectors of any type but UINT8, which has no -1
   * @return indices, INT64
   */
  public Tensor codesToIndices(Arena arena, Tensor codes) {
    options.requireIndices();
    shapes.requireRows("codes", codes);
    requireSigned("codes", codes);
    return new Tensor(arena, NativeTensors.codesToIndices(arena, nativeOptions, codes.handle()));
  }

  // Packed codes

  /**
   * The bits of each row of {@code x}, packed: straight from the vectors, as fast as {@link
   * #encode}, and for codes of any size.
   *
   * @param x vectors of {@code dtype}
   * @param layout {@link CodeLayout#BYTES} or {@link CodeLayout#WORDS}
   * @param packedOut {@code [items, positions, codebooks, elements]} of the layout
   */
  public void pack(
      MemorySegment x, DType dtype, Batch batch, CodeLayout layout, MemorySegment packedOut) {
    ValueLayout element = shapes.hostLayout(dtype);
    ValueLayout packedElement = requirePacked(layout).elementLayout();
    long rows = requireNonNull(batch, "batch").rows();
    long rowBytes = shapes.rowBytes(rows, element);
    long packedBytes = shapes.codeBytes(layout, rows);
    boolean direct =
        HostBuffers.isDirect(x, element) && HostBuffers.isDirect(packedOut, packedElement);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, element);
      MemorySegment out = buffers.output("packedOut", packedOut, packedBytes, packedElement);
      HostBuffers.requireApart("packedOut", packedOut, packedBytes, "x", x, rowBytes);
      NativeCalls.pack(nativeOptions, dtype, batch.items(), batch.positions(), in, layout, out);
      buffers.copyBack();
    }
  }

  /** The bits of each row of {@code x}, which holds whole rows, as {@link CodeLayout#BYTES}. */
  public byte[] packBytes(float[] x) {
    return packBytes(HostArray.of("x", x));
  }

  /** The bits of each row of {@code x}, which holds whole rows, as {@link CodeLayout#BYTES}. */
  public byte[] packBytes(double[] x) {
    return packBytes(HostArray.of("x", x));
  }

  private byte[] packBytes(HostArray<?> x) {
    Batch batch = shapes.batch(x);
    byte[] packed = new byte[(int) batch.rows() * CodeLayout.BYTES.elementsPerRow(options)];
    pack(x.segment(), x.dtype(), batch, CodeLayout.BYTES, MemorySegment.ofArray(packed));
    return packed;
  }

  /** The bits of each row of {@code x}, which holds whole rows, as {@link CodeLayout#WORDS}. */
  public long[] packWords(float[] x) {
    return packWords(HostArray.of("x", x));
  }

  /** The bits of each row of {@code x}, which holds whole rows, as {@link CodeLayout#WORDS}. */
  public long[] packWords(double[] x) {
    return packWords(HostArray.of("x", x));
  }

  private long[] packWords(HostArray<?> x) {
    Batch batch = shapes.batch(x);
    long[] packed = new long[(int) batch.rows() * CodeLayout.WORDS.elementsPerRow(options)];
    pack(x.segment(), x.dtype(), batch, CodeLayout.WORDS, MemorySegment.ofArray(packed));
    return packed;
  }

  /**
   * The bits of each row of {@code x}, packed.
   *
   * @param arena where the result lives
   * @param x vectors of a floating-point type
   * @param layout {@link CodeLayout#BYTES} or {@link CodeLayout#WORDS}
   * @return of the layout's type: the dimensions of the rows, then one of {@code codebooks} where
   *     there are several, then one of a code's elements
   */
  public Tensor pack(Arena arena, Tensor x, CodeLayout layout) {
    shapes.requireVectors("x", x);
    return new Tensor(
        arena, NativeTensors.pack(arena, nativeOptions, x.handle(), requirePacked(layout)));
  }

  private static CodeLayout requirePacked(CodeLayout layout) {
    if (requireNonNull(layout, "layout") != CodeLayout.BYTES && layout != CodeLayout.WORDS) {
      throw new IllegalArgumentException("layout is " + layout + ", expected BYTES or WORDS");
    }
    return layout;
  }

  /**
   * The codes that are stored in some layout, as vectors: see {@link #decode}. Elements that no
   * code has are refused with their position and value: indices of 2<sup>groupSize</sup> or more,
   * bits beyond the last component that are not 0, and {@link CodeLayout#BITS} above 1.
   *
   * @param codes {@code [items, positions, codebooks, elements]} of the layout
   * @param quantizedOut vectors of {@code dtype}
   */
  public void unpack(
      MemorySegment codes,
      CodeLayout layout,
      Batch batch,
      DType dtype,
      MemorySegment quantizedOut) {
    ValueLayout element = shapes.hostLayout(dtype);
    ValueLayout codeElement = requireNonNull(layout, "layout").elementLayout();
    long rows = requireNonNull(batch, "batch").rows();
    long rowBytes = shapes.rowBytes(rows, element);
    long codeBytes = shapes.codeBytes(layout, rows);
    boolean direct =
        HostBuffers.isDirect(codes, codeElement) && HostBuffers.isDirect(quantizedOut, element);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("codes", codes, codeBytes, codeElement);
      MemorySegment out = buffers.output("quantizedOut", quantizedOut, rowBytes, element);
      HostBuffers.requireApart("quantizedOut", quantizedOut, rowBytes, "codes", codes, codeBytes);
      NativeCalls.unpack(nativeOptions, dtype, batch.items(), batch.positions(), layout, in, out);
      buffers.copyBack();
    }
  }

  /** The codes of {@link CodeLayout#BYTES}, which are those of whole rows. */
  public float[] unpackBytes(byte[] packed) {
    Batch batch =
        shapes.batchOfCodes("packed", requireNonNull(packed, "packed").length, CodeLayout.BYTES);
    return unpack(MemorySegment.ofArray(packed), CodeLayout.BYTES, batch);
  }

  /** The codes of {@link CodeLayout#WORDS}, which are those of whole rows. */
  public float[] unpackWords(long[] packed) {
    Batch batch =
        shapes.batchOfCodes("packed", requireNonNull(packed, "packed").length, CodeLayout.WORDS);
    return unpack(MemorySegment.ofArray(packed), CodeLayout.WORDS, batch);
  }

  private float[] unpack(MemorySegment packed, CodeLayout layout, Batch batch) {
    float[] quantized = new float[shapes.arrayLength(batch)];
    unpack(packed, layout, batch, DType.FLOAT32, MemorySegment.ofArray(quantized));
    return quantized;
  }

  /**
   * The codes that are stored in some layout, as vectors.
   *
   * @param arena where the result lives
   * @param codes of the layout's type, shaped as what {@link #pack(Arena, Tensor, CodeLayout)}
   *     gives, or, of {@link CodeLayout#INDICES}, as what {@link #encode(Arena, Tensor)} gives
   * @param dtype the floating-point type of the result
   * @return vectors of {@code dtype}
   */
  public Tensor unpack(Arena arena, Tensor codes, CodeLayout layout, DType dtype) {
    requireNonNull(codes, "codes");
    requireNonNull(dtype, "dtype").requireFloatingPoint("dtype");
    if (requireNonNull(layout, "layout") == CodeLayout.INDICES) {
      return decode(arena, codes, dtype);
    }
    shapes.requireCodes("codes", codes, layout);
    return new Tensor(
        arena, NativeTensors.unpack(arena, nativeOptions, codes.handle(), layout, dtype));
  }

  // Sign margins

  /**
   * How near each code is to another: the smallest |u<sub>d</sub>| of its components. Where vectors
   * are known with an error, or computed in lower precision, a code may flip whose margin is not
   * above that error, relative to ‖x‖. With {@link NonFinitePolicy#PROPAGATE}, NaN for codes that
   * are not finite.
   *
   * @param x vectors of {@code dtype}
   * @param marginsOut {@code [items, positions, codebooks]} of {@code dtype}
   */
  public void signMargins(MemorySegment x, DType dtype, Batch batch, MemorySegment marginsOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rows = requireNonNull(batch, "batch").rows();
    long rowBytes = shapes.rowBytes(rows, layout);
    long marginBytes = HostBuffers.byteSize(rows, options.codebooks(), layout.byteSize());
    boolean direct = HostBuffers.isDirect(x, layout) && HostBuffers.isDirect(marginsOut, layout);
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment out = buffers.output("marginsOut", marginsOut, marginBytes, layout);
      HostBuffers.requireApart("marginsOut", marginsOut, marginBytes, "x", x, rowBytes);
      NativeCalls.signMargins(nativeOptions, dtype, batch.items(), batch.positions(), in, out);
      buffers.copyBack();
    }
  }

  /** The margin of each code of {@code x}, which holds whole rows. */
  public float[] signMargins(float[] x) {
    HostArray<float[]> in = HostArray.of("x", x);
    Batch batch = shapes.batch(in);
    float[] margins = new float[(int) batch.rows() * options.codebooks()];
    signMargins(in.segment(), in.dtype(), batch, MemorySegment.ofArray(margins));
    return margins;
  }

  /** The margin of each code of {@code x}, which holds whole rows. */
  public double[] signMargins(double[] x) {
    HostArray<double[]> in = HostArray.of("x", x);
    Batch batch = shapes.batch(in);
    double[] margins = new double[(int) batch.rows() * options.codebooks()];
    signMargins(in.segment(), in.dtype(), batch, MemorySegment.ofArray(margins));
    return margins;
  }

  /**
   * The margin of each code.
   *
   * @param arena where the result lives
   * @param x vectors of a floating-point type
   * @return of the type of {@code x}: the dimensions of the rows, then one of {@code codebooks}
   *     where there are several; {@code [1]} where that leaves none
   */
  public Tensor signMargins(Arena arena, Tensor x) {
    shapes.requireVectors("x", x);
    return new Tensor(arena, NativeTensors.signMargins(arena, nativeOptions, x.handle()));
  }

  @Override
  public String toString() {
    return "BinarySphericalQuantizer[" + options + "]";
  }

  private static void requireSigned(String name, Tensor tensor) {
    if (tensor.dtype() == DType.UINT8) {
      throw new IllegalArgumentException(name + " is UINT8, expected a type that has -1");
    }
  }
}
