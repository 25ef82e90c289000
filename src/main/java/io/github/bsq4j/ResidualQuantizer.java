package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * Quantizes vectors to several codes, each of what the codes before it left over: the more levels,
 * the nearer. With u the normalised code and L levels,
 *
 * <pre>{@code
 * r_0 = u     q_l = 2^-l sign(r_l) / √codeDim     r_(l+1) = r_l - q_l     quantized = q_0 + ... + q_(L-1)
 * }</pre>
 *
 * <p>One level is a {@link BinarySphericalQuantizer}. lucidrains' {@code ResidualLFQ} with {@code
 * spherical=True} has the same scales, but normalises each residual before it is quantized and
 * subtracted from.
 *
 * <p><b>Indices</b> are {@code [items, positions, levels, codebooks, groups]} in arrays and
 * segments; those of tensors have the dimensions of the rows, then {@code levels}, then codebooks
 * and groups where there are several. Each component of quantized is an odd multiple of
 * 2<sup>1-L</sup>/√codeDim, so quantized tells its indices: {@link #codesToIndices} is the exact
 * inverse of decoding all levels. Encoding quantized again is not: it normalises.
 *
 * <p><b>Losses</b> are those of each level's residual as rows of their own, which no scale of a
 * level changes. The gradient of quantized goes straight through to u once, not once for each
 * level; that of a level's losses goes through its residual to u. From level 1 on, a residual is
 * what rounding left over where its norm is at most 2<sup>-22</sup> (2<sup>-50</sup> where FLOAT64
 * is computed in): its code counts in the losses, but gets no gradient of them.
 *
 * <p>Residuals are computed in double precision from x itself. They are often near 0, where a bit
 * hangs on the last digit of the norm: CPU and GPU may then differ. {@link #residual} gives the
 * rows that a level quantizes; with them, everything that a {@link BinarySphericalQuantizer} does
 * can be had for a level.
 *
 * <p>What that class says of arrays, segments, tensors, batches, threads and exceptions holds here.
 */
public final class ResidualQuantizer {
  /** The most levels there can be: sums of so many are exact in FLOAT32. */
  public static final int MAX_LEVELS = 16;

  private final QuantizerOptions options;
  private final int levels;
  private final QuantizerShapes shapes;
  private final MemorySegment nativeOptions;

  private ResidualQuantizer(QuantizerOptions options, int levels) {
    this.options = options;
    this.levels = levels;
    this.shapes = new QuantizerShapes(options);
    this.nativeOptions = NativeCalls.options(options);
  }

  /**
   * A quantizer with these options and so many levels.
   *
   * @throws IllegalArgumentException if levels is not 1 to {@link #MAX_LEVELS}
   * @throws BsqException with code {@link BsqException.Code#UNAVAILABLE} if the native library
   *     cannot be loaded
   */
  public static ResidualQuantizer create(QuantizerOptions options, int levels) {
    requireNonNull(options, "options");
    if (levels < 1 || levels > MAX_LEVELS) {
      throw new IllegalArgumentException(
          "levels is %d, expected 1 to %d".formatted(levels, MAX_LEVELS));
    }
    return new ResidualQuantizer(options, levels);
  }

  /** Those of every level. */
  public QuantizerOptions options() {
    return options;
  }

  /** L: how many codes there are for one. */
  public int levels() {
    return levels;
  }

  // Encoding

  /**
   * The indices of all levels of each row of {@code x}.
   *
   * @param x vectors of {@code dtype}
   * @param indicesOut {@code [items, positions, levels, codebooks, groups]} of {@code long}
   */
  public void encode(MemorySegment x, DType dtype, Batch batch, MemorySegment indicesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    long indexBytes = indexBytes(batch);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "x", x, rowBytes);
      NativeCalls.residualEncode(
          nativeOptions, levels, dtype, batch.items(), batch.positions(), in, out);
      buffers.copyBack();
    }
  }

  /** The indices of each row of {@code x}, which holds whole rows. */
  public long[] encode(float[] x) {
    HostArray<float[]> rows = HostArray.of("x", x);
    return encode(rows, shapes.batch(rows));
  }

  /** The indices of each row of {@code x}, which holds whole rows. */
  public long[] encode(double[] x) {
    HostArray<double[]> rows = HostArray.of("x", x);
    return encode(rows, shapes.batch(rows));
  }

  /** The indices of each row of {@code x}, which holds this batch. */
  public long[] encode(float[] x, Batch batch) {
    return encode(HostArray.of("x", x), batch);
  }

  /** The indices of each row of {@code x}, which holds this batch. */
  public long[] encode(double[] x, Batch batch) {
    return encode(HostArray.of("x", x), batch);
  }

  private long[] encode(HostArray<?> x, Batch batch) {
    shapes.requireRows(x, batch);
    long[] indices = newIndices(batch);
    encode(x.segment(), x.dtype(), batch, MemorySegment.ofArray(indices));
    return indices;
  }

  /**
   * The indices of all levels of each row of {@code x}.
   *
   * @param arena where the result lives
   * @param x vectors of a floating-point type
   * @return indices, INT64
   */
  public Tensor encode(Arena arena, Tensor x) {
    options.requireIndices();
    shapes.requireVectors("x", x);
    return new Tensor(
        arena, NativeTensors.residualEncode(arena, nativeOptions, levels, x.handle()));
  }

  // Decoding

  /**
   * The sums of the first {@code usedLevels} levels. Of the indices of other levels none is looked
   * at.
   *
   * @param indices {@code [items, positions, levels, codebooks, groups]} of {@code long}
   * @param usedLevels 1 to {@link #levels}
   * @param quantizedOut vectors of {@code dtype}
   */
  public void decode(
      MemorySegment indices, Batch batch, int usedLevels, DType dtype, MemorySegment quantizedOut) {
    requireUsed(usedLevels);
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    long indexBytes = indexBytes(batch);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("indices", indices, indexBytes, ValueLayout.JAVA_LONG);
      MemorySegment out = buffers.output("quantizedOut", quantizedOut, rowBytes, layout);
      HostBuffers.requireApart(
          "quantizedOut", quantizedOut, rowBytes, "indices", indices, indexBytes);
      NativeCalls.residualDecode(
          nativeOptions, levels, usedLevels, dtype, batch.items(), batch.positions(), in, out);
      buffers.copyBack();
    }
  }

  /** The sums of all levels, of indices of whole rows. */
  public float[] decode(long[] indices) {
    return decode(indices, levels);
  }

  /** As {@link #decode(long[])}, in double precision. */
  public double[] decodeToDouble(long[] indices) {
    return decodeToDouble(indices, levels);
  }

  /** The sums of the first {@code usedLevels} levels, of indices of whole rows. */
  public float[] decode(long[] indices, int usedLevels) {
    return decode(indices, batchOfIndices(indices), usedLevels);
  }

  /** As {@link #decode(long[], int)}, in double precision. */
  public double[] decodeToDouble(long[] indices, int usedLevels) {
    return decodeToDouble(indices, batchOfIndices(indices), usedLevels);
  }

  /** The sums of all levels, of indices that are those of this batch. */
  public float[] decode(long[] indices, Batch batch) {
    return decode(indices, batch, levels);
  }

  /** As {@link #decode(long[], Batch)}, in double precision. */
  public double[] decodeToDouble(long[] indices, Batch batch) {
    return decodeToDouble(indices, batch, levels);
  }

  /** The sums of the first {@code usedLevels} levels, of indices that are those of this batch. */
  public float[] decode(long[] indices, Batch batch, int usedLevels) {
    requireIndices(indices, batch);
    float[] quantized = new float[shapes.arrayLength(batch)];
    return decode(indices, batch, usedLevels, HostArray.of("quantized", quantized));
  }

  /** As {@link #decode(long[], Batch, int)}, in double precision. */
  public double[] decodeToDouble(long[] indices, Batch batch, int usedLevels) {
    requireIndices(indices, batch);
    double[] quantized = new double[shapes.arrayLength(batch)];
    return decode(indices, batch, usedLevels, HostArray.of("quantized", quantized));
  }

  private <A> A decode(long[] indices, Batch batch, int usedLevels, HostArray<A> quantized) {
    decode(
        MemorySegment.ofArray(indices), batch, usedLevels, quantized.dtype(), quantized.segment());
    return quantized.values();
  }

  /**
   * The sums of the first {@code usedLevels} levels.
   *
   * @param arena where the result lives
   * @param indices of an integer type
   * @param usedLevels 1 to {@link #levels}
   * @param dtype the floating-point type of the result. FLOAT16 tells up to 9 levels apart, and
   *     BFLOAT16 up to 6: with more, codesToIndices refuses what they round to.
   * @return vectors of {@code dtype}
   */
  public Tensor decode(Arena arena, Tensor indices, int usedLevels, DType dtype) {
    requireUsed(usedLevels);
    options.requireIndices();
    requireNonNull(indices, "indices");
    requireNonNull(dtype, "dtype").requireFloatingPoint("dtype");
    return new Tensor(
        arena,
        NativeTensors.residualDecode(
            arena, nativeOptions, levels, usedLevels, indices.handle(), dtype));
  }

  /**
   * The inverse of decoding all levels. A component that is further from all that levels give than
   * a quarter of the last level's is refused.
   *
   * @param quantized vectors of {@code dtype}
   * @param indicesOut {@code [items, positions, levels, codebooks, groups]} of {@code long}
   */
  public void codesToIndices(
      MemorySegment quantized, DType dtype, Batch batch, MemorySegment indicesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    long indexBytes = indexBytes(batch);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("quantized", quantized, rowBytes, layout);
      MemorySegment out =
          buffers.output("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart(
          "indicesOut", indicesOut, indexBytes, "quantized", quantized, rowBytes);
      NativeCalls.residualCodesToIndices(
          nativeOptions, levels, dtype, batch.items(), batch.positions(), in, out);
      buffers.copyBack();
    }
  }

  /** The indices of {@code quantized}, which holds whole rows. */
  public long[] codesToIndices(float[] quantized) {
    HostArray<float[]> rows = HostArray.of("quantized", quantized);
    return codesToIndices(rows, shapes.batch(rows));
  }

  /** The indices of {@code quantized}, which holds whole rows. */
  public long[] codesToIndices(double[] quantized) {
    HostArray<double[]> rows = HostArray.of("quantized", quantized);
    return codesToIndices(rows, shapes.batch(rows));
  }

  /** The indices of {@code quantized}, which holds this batch. */
  public long[] codesToIndices(float[] quantized, Batch batch) {
    return codesToIndices(HostArray.of("quantized", quantized), batch);
  }

  /** The indices of {@code quantized}, which holds this batch. */
  public long[] codesToIndices(double[] quantized, Batch batch) {
    return codesToIndices(HostArray.of("quantized", quantized), batch);
  }

  private long[] codesToIndices(HostArray<?> quantized, Batch batch) {
    shapes.requireRows(quantized, batch);
    long[] indices = newIndices(batch);
    codesToIndices(quantized.segment(), quantized.dtype(), batch, MemorySegment.ofArray(indices));
    return indices;
  }

  /**
   * The indices of {@code quantized}, vectors of a floating-point type: FLOAT16 for up to 9 levels,
   * BFLOAT16 for up to 6.
   */
  public Tensor codesToIndices(Arena arena, Tensor quantized) {
    options.requireIndices();
    shapes.requireVectors("quantized", quantized);
    return new Tensor(
        arena,
        NativeTensors.residualCodesToIndices(arena, nativeOptions, levels, quantized.handle()));
  }

  // Residuals

  /**
   * What the first {@code level} levels left over: the rows that this level quantizes. 0 gives u.
   *
   * @param level 0 to {@link #levels}
   * @param x vectors of {@code dtype}
   * @param residualOut likewise
   */
  public void residual(
      int level, MemorySegment x, DType dtype, Batch batch, MemorySegment residualOut) {
    requireLevel(level);
    ValueLayout layout = shapes.hostLayout(dtype);
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment out = buffers.output("residualOut", residualOut, rowBytes, layout);
      HostBuffers.requireApart("residualOut", residualOut, rowBytes, "x", x, rowBytes);
      NativeCalls.residual(nativeOptions, level, dtype, batch.items(), batch.positions(), in, out);
      buffers.copyBack();
    }
  }

  /** The residual of {@code x}, which holds whole rows. */
  public float[] residual(int level, float[] x) {
    HostArray<float[]> rows = HostArray.of("x", x);
    return residual(level, rows, shapes.batch(rows), HostArray.of("residual", new float[x.length]));
  }

  /** The residual of {@code x}, which holds whole rows. */
  public double[] residual(int level, double[] x) {
    HostArray<double[]> rows = HostArray.of("x", x);
    return residual(
        level, rows, shapes.batch(rows), HostArray.of("residual", new double[x.length]));
  }

  /** The residual of {@code x}, which holds this batch. */
  public float[] residual(int level, float[] x, Batch batch) {
    HostArray<float[]> rows = HostArray.of("x", x);
    return residual(level, rows, batch, HostArray.of("residual", new float[x.length]));
  }

  /** The residual of {@code x}, which holds this batch. */
  public double[] residual(int level, double[] x, Batch batch) {
    HostArray<double[]> rows = HostArray.of("x", x);
    return residual(level, rows, batch, HostArray.of("residual", new double[x.length]));
  }

  private <A> A residual(int level, HostArray<A> x, Batch batch, HostArray<A> residual) {
    shapes.requireRows(x, batch);
    residual(level, x.segment(), x.dtype(), batch, residual.segment());
    return residual.values();
  }

  /**
   * The residual of {@code x}, vectors of a floating-point type, which is also the result's.
   * Rounded to FLOAT16 or BFLOAT16 it has other signs, in places, than the level has: take that of
   * {@code x.to(arena, DType.FLOAT32)}.
   */
  public Tensor residual(Arena arena, int level, Tensor x) {
    requireLevel(level);
    shapes.requireVectors("x", x);
    return new Tensor(arena, NativeTensors.residual(arena, nativeOptions, level, x.handle()));
  }

  // Training: forward and backward

  /**
   * The sums over the levels, their indices, and the losses of each level.
   *
   * @param x vectors of {@code dtype}
   * @param quantizedOut vectors of {@code dtype}; {@link MemorySegment#NULL} where not wanted
   * @param indicesOut {@code [items, positions, levels, codebooks, groups]} of {@code long}; {@link
   *     MemorySegment#NULL} where not wanted
   */
  public List<Losses> forward(
      MemorySegment x,
      DType dtype,
      Batch batch,
      MemorySegment quantizedOut,
      MemorySegment indicesOut) {
    ValueLayout layout = shapes.hostLayout(dtype);
    options.requireLosses();
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    long indexBytes = MemorySegment.NULL.equals(indicesOut) ? 0 : indexBytes(batch);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment quantized =
          buffers.optionalOutput("quantizedOut", quantizedOut, rowBytes, layout);
      HostBuffers.requireApart("quantizedOut", quantizedOut, rowBytes, "x", x, rowBytes);
      MemorySegment indices =
          buffers.optionalOutput("indicesOut", indicesOut, indexBytes, ValueLayout.JAVA_LONG);
      HostBuffers.requireApart("indicesOut", indicesOut, indexBytes, "x", x, rowBytes);
      HostBuffers.requireApart(
          "indicesOut", indicesOut, indexBytes, "quantizedOut", quantizedOut, rowBytes);
      List<Losses> losses =
          NativeCalls.residualForward(
              nativeOptions,
              levels,
              dtype,
              batch.items(),
              batch.positions(),
              in,
              batch.maskOrNull(),
              quantized,
              indices);
      buffers.copyBack();
      return losses;
    }
  }

  /** The results of {@code x}, which holds whole rows. */
  public HostResidualQuantization<float[]> forward(float[] x) {
    HostArray<float[]> rows = HostArray.of("x", x);
    return forward(rows, shapes.batch(rows), HostArray.of("quantized", new float[x.length]));
  }

  /** The results of {@code x}, which holds whole rows. */
  public HostResidualQuantization<double[]> forward(double[] x) {
    HostArray<double[]> rows = HostArray.of("x", x);
    return forward(rows, shapes.batch(rows), HostArray.of("quantized", new double[x.length]));
  }

  /** The results of {@code x}, which holds this batch. */
  public HostResidualQuantization<float[]> forward(float[] x, Batch batch) {
    return forward(HostArray.of("x", x), batch, HostArray.of("quantized", new float[x.length]));
  }

  /** The results of {@code x}, which holds this batch. */
  public HostResidualQuantization<double[]> forward(double[] x, Batch batch) {
    return forward(HostArray.of("x", x), batch, HostArray.of("quantized", new double[x.length]));
  }

  private <A> HostResidualQuantization<A> forward(
      HostArray<A> x, Batch batch, HostArray<A> quantized) {
    shapes.requireRows(x, batch);
    long[] indices = newIndices(batch);
    List<Losses> losses =
        forward(x.segment(), x.dtype(), batch, quantized.segment(), MemorySegment.ofArray(indices));
    return new HostResidualQuantization<>(quantized.values(), indices, losses);
  }

  /**
   * The sums over the levels, their indices and losses, and what {@link
   * ResidualQuantization#backward} needs. All rows count.
   *
   * @param arena where the results live
   * @param x vectors of a floating-point type
   */
  public ResidualQuantization forward(Arena arena, Tensor x) {
    shapes.requireVectors("x", x);
    return forward(arena, x, MemorySegment.NULL);
  }

  /** As {@link #forward(Arena, Tensor)}, where those rows count that the mask marks. */
  public ResidualQuantization forward(Arena arena, Tensor x, Tensor mask) {
    shapes.requireVectors("x", x);
    shapes.requireMask(mask, x);
    return forward(arena, x, mask.handle());
  }

  private ResidualQuantization forward(Arena arena, Tensor x, MemorySegment mask) {
    options.requireLosses();
    return new ResidualQuantization(
        options,
        levels,
        arena,
        NativeTensors.residualForward(arena, nativeOptions, levels, x.handle(), mask));
  }

  /**
   * The gradient of {@code straightThroughScale · <gradQuantized, u>} + the sum over the levels of
   * {@code gradAuxLosses[level] · auxLoss} with respect to x.
   *
   * @param x vectors of {@code dtype}
   * @param gradQuantized vectors of {@code dtype}; {@link MemorySegment#NULL} for none
   * @param gradXOut vectors of {@code dtype}
   * @param gradAuxLosses one for each level, or a single one for all
   */
  public void backward(
      MemorySegment x,
      DType dtype,
      Batch batch,
      MemorySegment gradQuantized,
      MemorySegment gradXOut,
      double... gradAuxLosses) {
    ValueLayout layout = shapes.hostLayout(dtype);
    double[] weights = ofLevels(gradAuxLosses, levels);
    if (Arrays.stream(weights).anyMatch(weight -> weight != 0)) {
      options.requireLosses();
    }
    long rowBytes = shapes.rowBytes(requireNonNull(batch, "batch").rows(), layout);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment in = buffers.input("x", x, rowBytes, layout);
      MemorySegment gradient =
          buffers.optionalInput("gradQuantized", gradQuantized, rowBytes, layout);
      MemorySegment out = buffers.output("gradXOut", gradXOut, rowBytes, layout);
      HostBuffers.requireApart("gradXOut", gradXOut, rowBytes, "x", x, rowBytes);
      HostBuffers.requireApart(
          "gradXOut", gradXOut, rowBytes, "gradQuantized", gradQuantized, rowBytes);
      NativeCalls.residualBackward(
          nativeOptions,
          levels,
          dtype,
          batch.items(),
          batch.positions(),
          in,
          batch.maskOrNull(),
          gradient,
          buffers.input(
              "gradAuxLosses",
              MemorySegment.ofArray(weights),
              (long) levels * Double.BYTES,
              ValueLayout.JAVA_DOUBLE),
          out);
      buffers.copyBack();
    }
  }

  /**
   * The gradient of {@code x}, which holds this batch.
   *
   * @param gradQuantized as long as {@code x}
   * @param gradAuxLosses one for each level, or a single one for all
   */
  public float[] backward(float[] x, Batch batch, float[] gradQuantized, double... gradAuxLosses) {
    HostArray<float[]> rows = HostArray.of("x", x);
    HostArray<float[]> gradient = HostArray.of("gradQuantized", gradQuantized);
    return backward(
        rows, batch, gradient, HostArray.of("gradX", new float[x.length]), gradAuxLosses);
  }

  /** As {@link #backward(float[], Batch, float[], double...)}. */
  public double[] backward(
      double[] x, Batch batch, double[] gradQuantized, double... gradAuxLosses) {
    HostArray<double[]> rows = HostArray.of("x", x);
    HostArray<double[]> gradient = HostArray.of("gradQuantized", gradQuantized);
    return backward(
        rows, batch, gradient, HostArray.of("gradX", new double[x.length]), gradAuxLosses);
  }

  private <A> A backward(
      HostArray<A> x,
      Batch batch,
      HostArray<A> gradQuantized,
      HostArray<A> gradX,
      double[] weights) {
    shapes.requireRows(x, batch);
    shapes.requireRows(gradQuantized, batch);
    backward(x.segment(), x.dtype(), batch, gradQuantized.segment(), gradX.segment(), weights);
    return gradX.values();
  }

  // Sizes

  /** One for each level, from one for each or a single one. */
  static double[] ofLevels(double[] gradAuxLosses, int levels) {
    int length = requireNonNull(gradAuxLosses, "gradAuxLosses").length;
    if (length != 1 && length != levels) {
      throw new IllegalArgumentException(
          "gradAuxLosses has %d elements, expected one for each of %d levels, or a single one"
              .formatted(length, levels));
    }
    double[] all = Arrays.copyOf(gradAuxLosses, levels);
    Arrays.fill(all, length, levels, gradAuxLosses[0]);
    return all;
  }

  private int indicesPerRow() {
    options.requireIndices();
    return levels * options.indicesPerRow();
  }

  private long indexBytes(Batch batch) {
    return HostBuffers.byteSize(batch.rows(), indicesPerRow(), Long.BYTES);
  }

  private long[] newIndices(Batch batch) {
    return new long[QuantizerShapes.arrayLength(batch.rows(), indicesPerRow())];
  }

  private Batch batchOfIndices(long[] indices) {
    int count = indicesPerRow();
    if (requireNonNull(indices, "indices").length % count != 0) {
      throw new IllegalArgumentException(
          "indices has %d elements, which are no whole rows of %s"
              .formatted(indices.length, indicesName()));
    }
    return Batch.of(indices.length / count);
  }

  /** A longer array would do, but whoever passes one means all of it. */
  private void requireIndices(long[] indices, Batch batch) {
    int length = requireNonNull(indices, "indices").length;
    long rows = requireNonNull(batch, "batch").rows();
    int count = indicesPerRow();
    if (length % count != 0 || length / count != rows) {
      throw new IllegalArgumentException(
          "indices has %d elements, expected %d rows of %s".formatted(length, rows, indicesName()));
    }
  }

  private String indicesName() {
    return "%d (levels %d, codebooks %d, groups %d)"
        .formatted(indicesPerRow(), levels, options.codebooks(), options.groups());
  }

  private void requireUsed(int usedLevels) {
    if (usedLevels < 1 || usedLevels > levels) {
      throw new IllegalArgumentException(
          "usedLevels is %d, expected 1 to %d".formatted(usedLevels, levels));
    }
  }

  private void requireLevel(int level) {
    if (level < 0 || level > levels) {
      throw new IllegalArgumentException("level is %d, expected 0 to %d".formatted(level, levels));
    }
  }

  /** The options and levels. */
  @Override
  public String toString() {
    return "ResidualQuantizer[levels=%d, %s]".formatted(levels, options);
  }
}
