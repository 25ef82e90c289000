package io.github.bsq4j.parity;

import io.github.bsq4j.Batch;
import io.github.bsq4j.DType;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.LossSums;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.MalformedFileException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Inputs with the outputs and gradients that somebody else's quantizer gave for them, from a
 * .safetensors file: SpeechBrain's, BSQ-ViT's or lucidrains' LFQ. {@link GoldenOrigin} tells them
 * apart by their metadata, and which of their fields is what.
 *
 * <p>SpeechBrain's files have {@code x [..., D]}, {@code quantized [..., D]}, {@code indices [...]}
 * (int64), {@code aux_loss []}, and, where gradients are to be compared, {@code cotangent}, {@code
 * grad_quant} and {@code grad_aux}, all {@code [..., D]} and of the type of x, which is float32,
 * float64, float16 or bfloat16. What is expected may be float64 whatever x is, so that it need not
 * be rounded. The metadata hold {@code code_dim}, {@code inv_temperature}, {@code
 * entropy_loss_weight}, {@code diversity_gamma}.
 *
 * <p>Files of any origin may say which rows count: by {@code mask} (uint8, in the shape of the
 * rows), {@code lengths [items]} (int64) or {@code relative_lengths [items]}. Their metadata may
 * hold {@code parts}, the number of parts of x along its first dimension whose sums are to be
 * merged, and wider absolute tolerances: {@code aux_loss_absolute}, {@code entropy_loss_absolute},
 * {@code entropy_absolute}, {@code gradient_absolute}.
 */
public final class GoldenCase {
  /**
   * How one field compares.
   *
   * @param field its name in the file; with {@code merged} before it, how the same compares where
   *     it comes from merged sums
   * @param counted whether it holds integers
   * @param error the largest error as a fraction of its tolerance, {@link Double#MAX_VALUE} where
   *     only one side is NaN; for integers, the number that differ
   * @param passed whether it is within tolerance
   */
  public record Comparison(String field, boolean counted, double error, boolean passed) {}

  /** What is expected of a field: the one or the other. */
  @SuppressWarnings("ArrayRecordComponent") // nobody compares two of them
  private record Expected(String field, long[] counts, double[] numbers) {}

  /** The norm below which the reference treats it as a constant. */
  private static final double MIN_NORM = 1e-12;

  private static final String MERGED = "merged ";
  private static final int MAX_PARTS = 1000;
  private static final long MAX_ITEMS = Integer.MAX_VALUE; // more where they are empty

  private final QuantizerOptions options;
  private final DType dtype;
  private final long[] shape;
  private final VectorShape vectors;
  private final Counted counted;
  private final int parts;
  private final Tolerance tolerance;
  private final Rounding rounding;
  private final double[] x;
  private final double[] cotangent;
  private final Map<Quantity, Expected> expected = new EnumMap<>(Quantity.class);

  private GoldenCase(GoldenFile file) throws FileSystemException {
    options = options(file);
    dtype = file.dtype("x");
    shape = shape(file, options);
    vectors = new VectorShape(options, shape);
    counted = counted(file, vectors);
    parts = parts(file, vectors);
    tolerance = tolerance(file, Tolerance.of(dtype));
    rounding = Rounding.of(dtype);
    x = file.numbers("x", shape);
    Map<String, Quantity> fields = file.origin().fields(file, options);
    cotangent = fields.containsValue(Quantity.GRAD_QUANT) ? cotangent(file) : null;
    for (var field : fields.entrySet()) {
      expected.put(field.getValue(), expected(file, field.getKey(), field.getValue()));
    }
  }

  /**
   * Reads a case.
   *
   * @throws MalformedFileException if the file is not one; the message says what is wrong
   */
  public static GoldenCase read(Path path) throws FileSystemException {
    return new GoldenCase(GoldenFile.read(path));
  }

  /** What the case's quantizer is made with. */
  public QuantizerOptions quantizerOptions() {
    return options;
  }

  /** The type of x. */
  public DType dtype() {
    return dtype;
  }

  /** Whether only some of the rows may count. */
  boolean isMasked() {
    return counted != Counted.ALL;
  }

  /** Of how many parts the sums are merged; 1 for none. */
  int parts() {
    return parts;
  }

  /**
   * Runs the case through a path that serves {@link #dtype()}, and compares every field that it
   * holds.
   */
  public List<Comparison> compare(QuantizerPath path) {
    PathQuantizer quantizer =
        path.quantizer(options, dtype, shape).counting(counted.in(vectors.batch(), 0));
    HostQuantization<double[]> result = quantizer.forward(x);
    List<Comparison> comparisons = new ArrayList<>();
    expected.forEach(
        (quantity, field) ->
            comparisons.add(
                switch (quantity) {
                  case INDICES -> compareCounts(field, quantizer.encode(x), result.indices());
                  case UNGROUPED_INDICES -> compareCounts(field, ungrouped(path).encode(x));
                  case ROWS -> compareCounts(field, new long[] {result.losses().rows()});
                  case QUANTIZED -> compareVectors(field, result.quantized());
                  case DECODED -> compareVectors(field, quantizer.decode(result.indices()));
                  case AUX_LOSS, PER_SAMPLE_ENTROPY, CODEBOOK_ENTROPY, ENTROPY_LOSS, COMMITMENT ->
                      compareLoss(field.field(), quantity, result.losses());
                  case GRAD_QUANT ->
                      compareGradient(field.field(), quantity, quantizer.backward(x, cotangent, 0));
                  case GRAD_AUX ->
                      compareGradient(field.field(), quantity, quantizer.backward(x, 1));
                }));
    if (parts > 1) {
      addMerged(comparisons, path);
    }
    return comparisons;
  }

  /** One index for each code, as if it had one group. */
  private PathQuantizer ungrouped(QuantizerPath path) {
    return path.quantizer(
        options.toBuilder().groupSize(options.codeDim()).entropyForm(EntropyForm.EXACT).build(),
        dtype,
        shape);
  }

  /** Losses and gradients from the sums of parts. */
  private void addMerged(List<Comparison> comparisons, QuantizerPath path) {
    List<Part> all = IntStream.range(0, parts).mapToObj(i -> new Part(path, i)).toList();
    LossSums sums =
        all.stream()
            .map(part -> part.quantizer.lossSums(part.x))
            .reduce(LossSums::plus)
            .orElseThrow();
    Losses losses = sums.losses();
    expected.forEach(
        (quantity, field) -> {
          String name = MERGED + field.field();
          if (quantity == Quantity.ROWS) {
            Expected rows = new Expected(name, field.counts(), field.numbers());
            comparisons.add(compareCounts(rows, new long[] {losses.rows()}));
          } else if (quantity.kind() == Quantity.Kind.LOSS) {
            comparisons.add(compareLoss(name, quantity, losses));
          } else if (quantity == Quantity.GRAD_AUX) {
            double[] gradient =
                all.stream()
                    .map(part -> part.quantizer.backward(part.x, 1, sums))
                    .flatMapToDouble(Arrays::stream)
                    .toArray();
            comparisons.add(compareGradient(name, quantity, gradient));
          }
        });
  }

  /** Some of the items, which lie one after the other whatever the layout. */
  private final class Part {
    private final double[] x;
    private final PathQuantizer quantizer;

    Part(QuantizerPath path, int number) {
      int items = Math.toIntExact(shape[0]);
      int first = number * items / parts;
      int last = (number + 1) * items / parts;
      int itemLength = items == 0 ? 0 : GoldenCase.this.x.length / items;
      long[] partShape = shape.clone();
      partShape[0] = (long) last - first;
      Batch batch = counted.in(new VectorShape(options, partShape).batch(), first);
      x = Arrays.copyOfRange(GoldenCase.this.x, first * itemLength, last * itemLength);
      quantizer = path.quantizer(options, dtype, partShape).counting(batch);
    }
  }

  // Comparing

  /** Compares integers that may have been computed in several ways. */
  private static Comparison compareCounts(Expected field, long[]... actuals) {
    long wrong = 0;
    for (long[] actual : actuals) {
      long[] counts = field.counts();
      wrong += IntStream.range(0, counts.length).filter(i -> actual[i] != counts[i]).count();
    }
    return new Comparison(field.field(), true, wrong, wrong == 0);
  }

  private Comparison compareVectors(Expected field, double[] actual) {
    return compare(field.field(), field.numbers(), actual, _ -> tolerance.quantizedAbsolute());
  }

  private Comparison compareLoss(String name, Quantity quantity, Losses losses) {
    double value = expected.get(quantity).numbers()[0];
    double allowed = quantity.allowed(tolerance, value);
    double error = Rounding.NONE.fraction(quantity.of(losses), value, allowed);
    return new Comparison(name, false, error, error <= 1);
  }

  private Comparison compareGradient(String name, Quantity quantity, double[] actual) {
    double[] gradient = expected.get(quantity).numbers();
    double[] allowed = new double[vectors.codes()];
    for (int code = 0; code < allowed.length; code++) {
      double norm = norm(code);
      double largest = 0;
      for (int d = 0; d < options.codeDim(); d++) {
        largest = Math.max(largest, norm * Math.abs(gradient[vectors.at(code, d)]));
      }
      allowed[code] = tolerance.gradient(largest) / norm;
    }
    return compare(name, gradient, actual, i -> allowed[vectors.codeOf(i)]);
  }

  /** Compares what has the type of x; {@code allowed} says how far element i may be off. */
  private Comparison compare(
      String name, double[] wanted, double[] actual, IntToDoubleFunction allowed) {
    double largest = 0;
    for (int i = 0; i < wanted.length; i++) {
      double error = rounding.fraction(actual[i], wanted[i], allowed.applyAsDouble(i));
      largest = Math.max(largest, error);
    }
    return new Comparison(name, false, largest, largest <= 1);
  }

  private double norm(int code) {
    double norm = 0;
    for (int d = 0; d < options.codeDim(); d++) {
      norm = Math.hypot(norm, x[vectors.at(code, d)]); // does not overflow
    }
    return Math.max(norm, MIN_NORM);
  }

  // Reading

  private static QuantizerOptions options(GoldenFile file) throws MalformedFileException {
    try {
      return file.origin().options(file);
    } catch (IllegalArgumentException e) {
      throw file.malformed("bad metadata: " + e.getMessage());
    }
  }

  private static long[] shape(GoldenFile file, QuantizerOptions options)
      throws MalformedFileException {
    long[] shape = file.shape("x");
    if (!VectorShape.fits(options, shape)) {
      String codebooks = options.codebooks() == 1 ? "" : options.codebooks() + " codebooks of ";
      throw file.malformed(
          "x has shape "
              + Arrays.toString(shape)
              + ", but code_dim is "
              + codebooks
              + options.codeDim());
    }
    return shape;
  }

  private static Counted counted(GoldenFile file, VectorShape vectors) throws FileSystemException {
    Batch batch = vectors.batch();
    Counted counted = Counted.ALL;
    if (file.has("mask")) {
      counted = Counted.mask(file.bytes("mask", vectors.rowShape()));
    } else if (file.has("lengths")) {
      counted = Counted.lengths(file.longs("lengths", batch.items()));
    } else if (file.has("relative_lengths")) {
      counted = Counted.relativeLengths(file.numbers("relative_lengths", batch.items()));
    }
    try {
      counted.in(batch, 0);
    } catch (IllegalArgumentException e) {
      throw file.malformed(e.getMessage());
    }
    return counted;
  }

  private static int parts(GoldenFile file, VectorShape vectors) throws MalformedFileException {
    int parts = file.integer("parts", 1);
    boolean divisible = vectors.rowShape().length > 0 && vectors.batch().items() <= MAX_ITEMS;
    if (parts < 1 || parts > (divisible ? MAX_PARTS : 1)) {
      throw file.malformed(
          "bad metadata: parts is "
              + parts
              + "; expected 1 to "
              + MAX_PARTS
              + ", and 1 where x is a single row");
    }
    return parts;
  }

  private static Tolerance tolerance(GoldenFile file, Tolerance usual)
      throws MalformedFileException {
    return new Tolerance(
        usual.quantizedAbsolute(),
        tolerance(file, "aux_loss_absolute", usual.auxLossAbsolute()),
        tolerance(file, "entropy_loss_absolute", usual.entropyLossAbsolute()),
        tolerance(file, "entropy_absolute", usual.entropyAbsolute()),
        usual.commitmentAbsolute(),
        usual.scalarRelative(),
        tolerance(file, "gradient_absolute", usual.gradientAbsolute()),
        usual.gradientRelative());
  }

  private static double tolerance(GoldenFile file, String key, double usual)
      throws MalformedFileException {
    double tolerance = file.number(key, usual);
    if (!(tolerance >= 0 && tolerance < Double.POSITIVE_INFINITY)) {
      throw file.malformed(
          "bad metadata: " + key + " is " + tolerance + "; expected a number of at least 0");
    }
    return tolerance;
  }

  private double[] cotangent(GoldenFile file) throws FileSystemException {
    double[] values = file.numbers("cotangent", shape);
    if (file.dtype("cotangent") != dtype) {
      throw file.malformed(
          "cotangent is "
              + file.dtype("cotangent")
              + ", but x is "
              + dtype
              + "; expected the same type");
    }
    return values;
  }

  private Expected expected(GoldenFile file, String name, Quantity quantity)
      throws FileSystemException {
    return switch (quantity) {
      case INDICES -> new Expected(name, file.longs(name, file.origin().indexShape(vectors)), null);
      case UNGROUPED_INDICES -> new Expected(name, file.longs(name, vectors.rowShape()), null);
      case ROWS -> new Expected(name, file.longs(name), null);
      case QUANTIZED, DECODED -> new Expected(name, null, numbers(file, name, shape));
      case AUX_LOSS, PER_SAMPLE_ENTROPY, CODEBOOK_ENTROPY, ENTROPY_LOSS, COMMITMENT ->
          new Expected(name, null, numbers(file, name));
      case GRAD_QUANT, GRAD_AUX -> {
        double[] gradient = numbers(file, name, shape);
        yield new Expected(name, null, file.origin().gradientByX(gradient, x, vectors));
      }
    };
  }

  private double[] numbers(GoldenFile file, String name, long... expectedShape)
      throws FileSystemException {
    double[] values = file.numbers(name, expectedShape);
    DType found = file.dtype(name);
    if (found != dtype && found != DType.FLOAT64) {
      throw file.malformed(
          name + " is " + found + ", but x is " + dtype + "; expected that or FLOAT64");
    }
    return values;
  }
}
