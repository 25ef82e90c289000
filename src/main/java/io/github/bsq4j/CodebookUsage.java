package io.github.bsq4j;

import static java.util.Comparator.comparingLong;
import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeTensors;
import io.github.bsq4j.internal.TensorShapes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.LongStream;

/**
 * Which codes are used, how often, and how their bits go together: the figures that tell whether a
 * codebook has collapsed. Codes are added part by part, as they come; the usage of several threads
 * or machines adds up, in any order, by {@link #plus} and {@link #add(CodebookUsage)}, to that of
 * all their rows.
 *
 * <p>Memory is bounded, however many rows there are. Up to {@link #MAX_COUNTED_DIM} bits there is a
 * counter for each code: 8 · 2<sup>codeDim</sup> bytes for each codebook, 8 MiB at most. Longer
 * codes have counters of bits and pairs of bits alone, 4 · codeDim · (codeDim + 1) bytes, and the
 * figures that need those of codes throw {@link UnsupportedOperationException}. The counters above
 * that limit, and on tensors all, are gone through in each call: adding many rows at once is
 * faster.
 *
 * <p>Usage is that of whole codes, whatever their groups are. <b>Indices</b> here are those of all
 * {@code codeDim} bits, in the bit order of the options' {@link Convention}. <b>Bits</b> are
 * numbered as the components are. Of no rows, figures that are shares of rows are NaN.
 *
 * <p>Of several codebooks each has its own usage: {@link #codebook} gives it, and figures of all
 * together throw {@link IllegalStateException}.
 *
 * <p>Not thread-safe: a thread of several may have one of its own, and add them up at the end.
 * Codes that are none are refused with position and value, by a {@link BsqException}, and nothing
 * of that call is added. So are more rows than a long can count, by an {@link
 * IllegalArgumentException}. Other arguments are checked as those of {@link
 * BinarySphericalQuantizer} are.
 */
public final class CodebookUsage {
  /** Up to so many bits there is a counter for each code. */
  public static final int MAX_COUNTED_DIM = 20;

  private final QuantizerOptions options;
  private final QuantizerShapes shapes;
  private final MemorySegment nativeOptions;

  /** See "Usage" in {@code bsq.h}. */
  private final MemorySegment counts;

  /** Not fewer than there are: those that do not count may be among them. */
  private long rowsAtMost;

  private CodebookUsage(QuantizerOptions options, MemorySegment nativeOptions) {
    this.options = options;
    this.shapes = new QuantizerShapes(options);
    this.nativeOptions = nativeOptions;
    this.counts = allocate(options, NativeCalls.usageSize(nativeOptions));
  }

  private static MemorySegment allocate(QuantizerOptions options, long size) {
    try {
      return Arena.ofAuto().allocate(size * Long.BYTES, Long.BYTES);
    } catch (OutOfMemoryError e) {
      throw new BsqException(
          BsqException.Code.OUT_OF_MEMORY,
          "could not allocate %d counters of 8 bytes, for codeDim %d and codebooks %d"
              .formatted(size, options.codeDim(), options.codebooks()),
          e);
    }
  }

  /**
   * The usage of no rows.
   *
   * @param options of the codes that will be added: codeDim, codebooks, groupSize (of indices) and
   *     convention matter
   * @throws BsqException if there is not enough memory, or the library cannot be loaded
   */
  public static CodebookUsage create(QuantizerOptions options) {
    return new CodebookUsage(requireNonNull(options, "options"), NativeCalls.options(options));
  }

  /** What the codes are. */
  public QuantizerOptions options() {
    return options;
  }

  // Adding

  /**
   * Adds the codes of some rows.
   *
   * @param codes {@code [items, positions, elementsPerRow]} of the layout
   * @param batch how many rows there are, and by its mask which of them count
   */
  public void add(MemorySegment codes, CodeLayout layout, Batch batch) {
    long rows = requireNonNull(batch, "batch").rows();
    long codeBytes = shapes.codeBytes(requireNonNull(layout, "layout"), rows);
    ValueLayout elements = layout.elementLayout();
    try (HostBuffers buffers = HostBuffers.open(HostBuffers.isDirect(codes, elements))) {
      MemorySegment in = buffers.input("codes", codes, codeBytes, elements);
      long after = rowsAfter(rows);
      NativeCalls.addUsage(nativeOptions, layout, rows, in, batch.maskOrNull(), counts);
      rowsAtMost = after;
    }
  }

  /** {@link #rowsAtMost} when so many rows have been added: counters would wrap around. */
  private long rowsAfter(long more) {
    if (rowsAtMost > Long.MAX_VALUE - more) {
      rowsAtMost = rows();
    }
    if (rowsAtMost > Long.MAX_VALUE - more) {
      throw new IllegalArgumentException(
          "codes has %d rows, which with %d are more than 2^63 - 1".formatted(more, rowsAtMost));
    }
    return rowsAtMost + more;
  }

  /** Adds the codes of so many rows, all of which count. */
  public void add(MemorySegment codes, CodeLayout layout, long rows) {
    add(codes, layout, Batch.of(rows));
  }

  /** Adds the indices of whole rows. */
  public void add(long[] indices) {
    options.requireIndices();
    add(indices, shapes.batchOfIndices(indices));
  }

  /** Adds the indices of the rows of this batch that count. */
  public void add(long[] indices, Batch batch) {
    options.requireIndices();
    shapes.requireIndices(indices, batch);
    add(MemorySegment.ofArray(indices), CodeLayout.INDICES, batch);
  }

  /** Adds indices or words of whole rows. */
  public void add(long[] codes, CodeLayout layout) {
    add(MemorySegment.ofArray(requireNonNull(codes, "codes")), codes.length, layout);
  }

  /** Adds packed bytes or bits of whole rows. */
  public void add(byte[] codes, CodeLayout layout) {
    add(MemorySegment.ofArray(requireNonNull(codes, "codes")), codes.length, layout);
  }

  private void add(MemorySegment codes, int length, CodeLayout layout) {
    if (requireNonNull(layout, "layout") == CodeLayout.INDICES) {
      options.requireIndices();
    }
    add(codes, layout, shapes.batchOfCodes("codes", length, layout));
  }

  /** Adds a tensor of indices. */
  public void add(Tensor indices) {
    add(indices, CodeLayout.INDICES);
  }

  /** Adds a tensor of codes of a layout. */
  public void add(Tensor codes, CodeLayout layout) {
    addTensor(codes, layout, MemorySegment.NULL);
  }

  /**
   * Adds the codes of a tensor whose rows count. Waits for the device.
   *
   * @param codes {@code [..., codebooks, elements]} without the first where it is 1, and, of
   *     indices, without the second; of the layout's type
   * @param mask UINT8, of the leading dimensions of codes, on their device: not 0 where a row
   *     counts
   */
  public void add(Tensor codes, CodeLayout layout, Tensor mask) {
    addTensor(codes, layout, requireNonNull(mask, "mask").handle());
  }

  private void addTensor(Tensor codes, CodeLayout layout, MemorySegment mask) {
    shapes.requireCodes("codes", codes, requireNonNull(layout, "layout"));
    long elements = TensorShapes.elementCount(codes.shape(), codes.dtype());
    long after = rowsAfter(elements / layout.elementsPerRow(options));
    try (Arena arena = Arena.ofConfined()) {
      Tensor more =
          new Tensor(
              arena, NativeTensors.usage(arena, nativeOptions, codes.handle(), layout, mask));
      addCounts(more.to(arena, Device.CPU).asSegment());
      rowsAtMost = after;
    }
  }

  /**
   * Adds all rows of the other, which stays as it is. Their options need the same codeDim and
   * codebooks; groups and conventions may differ.
   *
   * @throws IllegalArgumentException if they are of other codes, or of more rows together than a
   *     long can count
   */
  public void add(CodebookUsage other) {
    requireSame("codeDim", requireNonNull(other, "other").options.codeDim(), options.codeDim());
    requireSame("codebooks", other.options.codebooks(), options.codebooks());
    if (rows() > Long.MAX_VALUE - other.rows()) {
      throw new IllegalArgumentException(
          "other has %d rows, which with %d are more than 2^63 - 1"
              .formatted(other.rows(), rows()));
    }
    long after = rows() + other.rows();
    addCounts(other.counts);
    rowsAtMost = after;
  }

  /** The usage of all rows of both, which stay as they are. Its options are these ones'. */
  public CodebookUsage plus(CodebookUsage other) {
    CodebookUsage sum = new CodebookUsage(options, nativeOptions);
    sum.counts.copyFrom(counts);
    sum.rowsAtMost = rowsAtMost;
    sum.add(other);
    return sum;
  }

  private static void requireSame(String option, int value, int expected) {
    if (value != expected) {
      throw new IllegalArgumentException(
          "other is of %s %d, expected %d as here".formatted(option, value, expected));
    }
  }

  private void addCounts(MemorySegment more) {
    long size = counts.byteSize() / Long.BYTES;
    for (long i = 0; i < size; i++) {
      long sum = countAt(i) + more.getAtIndex(ValueLayout.JAVA_LONG, i);
      counts.setAtIndex(ValueLayout.JAVA_LONG, i, sum);
    }
  }

  // Figures

  /** How many rows have been added that count. */
  public long rows() {
    return countsCodes()
        ? LongStream.range(0, 1L << options.codeDim()).map(this::countAt).sum()
        : countAt(0);
  }

  /** Whether there is a counter for each code: up to {@link #MAX_COUNTED_DIM} bits. */
  public boolean countsCodes() {
    return options.codeDim() <= MAX_COUNTED_DIM;
  }

  /**
   * The usage of one codebook, as it is now: a copy.
   *
   * @param number 0 for the first
   * @throws IndexOutOfBoundsException if there is none of this number
   */
  public CodebookUsage codebook(int number) {
    if (number < 0 || number >= options.codebooks()) {
      throw new IndexOutOfBoundsException(
          "codebook is %d, expected 0 to %d".formatted(number, options.codebooks() - 1));
    }
    CodebookUsage one = create(options.toBuilder().codebooks(1).build());
    one.counts.copyFrom(counts.asSlice(number * one.counts.byteSize(), one.counts.byteSize()));
    one.rowsAtMost = rowsAtMost;
    return one;
  }

  /**
   * How often the code of this index is used.
   *
   * @throws IndexOutOfBoundsException if it is none
   */
  public long count(long index) {
    requireCounters("count");
    if (index < 0 || index >= codes()) {
      throw new IndexOutOfBoundsException(
          "index is %d, expected 0 to %d".formatted(index, codes() - 1));
    }
    return countAt(reordered(index));
  }

  /** How many different codes are used, of 2<sup>codeDim</sup>. */
  public long codesUsed() {
    requireCounters("codesUsed");
    return LongStream.range(0, codes()).filter(i -> countAt(i) != 0).count();
  }

  /** The entropy of the codes' distribution, in nats: 0 where one code has all rows. */
  public double entropy() {
    requireCounters("entropy");
    double rows = rows();
    if (rows == 0) {
      return Double.NaN;
    }
    double sum = // compensated
        LongStream.range(0, codes())
            .map(this::countAt)
            .filter(count -> count != 0)
            .mapToDouble(count -> count / rows * Math.log(count / rows))
            .sum();
    return 0 - sum; // never -0.0
  }

  /** exp({@link #entropy()}): of how many codes that were used equally the entropy would be. */
  public double perplexity() {
    return Math.exp(entropy());
  }

  /** The codes that are used most, at most {@code n}, the most used first, ties by index. */
  public List<CodeCount> mostUsed(int n) {
    requireCounters("mostUsed");
    return first(n, comparingLong(CodeCount::count).reversed());
  }

  /**
   * Of the codes that are used, those that are used least, at most {@code n}, the least used first,
   * ties by index. {@link #unused} has the others.
   */
  public List<CodeCount> leastUsed(int n) {
    requireCounters("leastUsed");
    return first(n, comparingLong(CodeCount::count));
  }

  private List<CodeCount> first(int n, Comparator<CodeCount> byCount) {
    requireNumber(n);
    Comparator<CodeCount> order = byCount.thenComparingLong(CodeCount::index);
    PriorityQueue<CodeCount> last = new PriorityQueue<>(order.reversed());
    for (long index = 0; index < codes(); index++) {
      long count = countAt(reordered(index));
      if (count != 0) {
        last.add(new CodeCount(index, count));
        if (last.size() > n) {
          last.remove();
        }
      }
    }
    List<CodeCount> sorted = new ArrayList<>(last);
    sorted.sort(order);
    return List.copyOf(sorted);
  }

  /** The lowest indices whose codes are not used, at most {@code n}. */
  public long[] unused(int n) {
    requireCounters("unused");
    requireNumber(n);
    return LongStream.range(0, codes())
        .filter(index -> countAt(reordered(index)) == 0)
        .limit(n)
        .toArray();
  }

  /** The share of ones of each bit: 0.5 where it is balanced. */
  public double[] bitBalance() {
    BitPairs pairs = pairs();
    double[] shares = new double[options.codeDim()];
    Arrays.setAll(shares, bit -> (double) pairs.ones(bit) / pairs.rows());
    return shares;
  }

  /** The entropy of each bit by itself, in nats: at most log 2. */
  public double[] bitEntropy() {
    double[] entropies = bitBalance();
    Arrays.setAll(entropies, bit -> 0 - xLogX(entropies[bit]) - xLogX(1 - entropies[bit]));
    return entropies;
  }

  private static double xLogX(double x) {
    return x == 0 ? 0 : x * Math.log(x);
  }

  /**
   * Pearson's correlation of each two bits, {@code [codeDim][codeDim]}: 0 where they do not depend
   * on each other, 1 or -1 where one tells the other. NaN where one of them is constant, which has
   * no correlation.
   */
  public double[][] bitCorrelation() {
    BitPairs pairs = pairs();
    int dim = options.codeDim();
    double[][] correlations = new double[dim][dim];
    for (int a = 0; a < dim; a++) {
      for (int b = a; b < dim; b++) {
        correlations[a][b] = pairs.correlation(a, b);
        correlations[b][a] = correlations[a][b];
      }
    }
    return correlations;
  }

  private BitPairs pairs() {
    requireOneCodebook();
    long[] numbers = counts.toArray(ValueLayout.JAVA_LONG);
    return countsCodes() ? BitPairs.ofCodes(options.codeDim(), numbers) : new BitPairs(numbers);
  }

  private long countAt(long i) {
    return counts.getAtIndex(ValueLayout.JAVA_LONG, i);
  }

  private long codes() {
    return 1L << options.codeDim();
  }

  /** From an index of the convention to one whose most significant bit is the first, and back. */
  private long reordered(long index) {
    return options.convention().bitOrder() == BitOrder.MOST_SIGNIFICANT_FIRST
        ? index
        : Long.reverse(index) >>> (Long.SIZE - options.codeDim());
  }

  private void requireCounters(String figure) {
    requireOneCodebook();
    if (!countsCodes()) {
      throw new UnsupportedOperationException(
          ("%s needs a counter for each of 2^%d codes, and there are such up to codeDim %d: bits"
                  + " have figures at any codeDim")
              .formatted(figure, options.codeDim(), MAX_COUNTED_DIM));
    }
  }

  private void requireOneCodebook() {
    if (options.codebooks() > 1) {
      throw new IllegalStateException(
          "this is the usage of %d codebooks, and figures are those of one: use codebook(0) to"
                  .formatted(options.codebooks())
              + " codebook(%d)".formatted(options.codebooks() - 1));
    }
  }

  private static void requireNumber(int n) {
    if (n < 0) {
      throw new IllegalArgumentException("n is " + n + ", expected at least 0");
    }
  }

  // Serialisation

  /**
   * The counters as bytes, for {@link #fromBytes} in another process.
   *
   * @throws IllegalStateException if they are more than an array can hold
   */
  public byte[] toBytes() {
    return UsageFormat.write(options, counts);
  }

  /**
   * The usage that {@link #toBytes} wrote, of codes in SpeechBrain's convention without groups.
   *
   * @throws IllegalArgumentException if the bytes are of something else or another version, or are
   *     truncated or changed; the message names the value
   */
  public static CodebookUsage fromBytes(byte... bytes) {
    UsageFormat.Header header = UsageFormat.readHeader(bytes);
    return fromBytes(
        QuantizerOptions.builder(header.codeDim()).codebooks(header.codebooks()).build(), bytes);
  }

  /**
   * The usage that {@link #toBytes} wrote.
   *
   * @param options of the codes that will be added, and of indices that are told
   * @throws IllegalArgumentException as above, or if it is that of other codes
   */
  public static CodebookUsage fromBytes(QuantizerOptions options, byte... bytes) {
    requireNonNull(options, "options");
    UsageFormat.readHeader(bytes).requireOf(options);
    CodebookUsage usage = create(options);
    UsageFormat.read(options, bytes, usage.counts);
    usage.rowsAtMost = usage.rows();
    return usage;
  }

  @Override
  public String toString() {
    return "CodebookUsage[rows=%d, %s]".formatted(rows(), options);
  }

  /**
   * How often a code is used.
   *
   * @param index of the code
   * @param count how many rows have it
   */
  public record CodeCount(long index, long count) {}
}
