package io.github.bsq4j.parity;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.Losses;
import io.github.bsq4j.NonFinitePolicy;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.MalformedFileException;
import io.github.bsq4j.io.Messages;
import io.github.bsq4j.io.SafetensorsFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;

/**
 * Inputs with the outputs and gradients that the reference gave for them, from a .safetensors file:
 * {@code x [..., D]}, {@code quantized [..., D]}, {@code indices [...]} (int64), {@code aux_loss
 * []}, and, where gradients are to be compared, {@code cotangent}, {@code grad_quant} and {@code
 * grad_aux}, all {@code [..., D]}, float32 or float64 as x. {@code per_sample_entropy []} and
 * {@code codebook_entropy []} may be there too; these three scalars may be float64 beside float32
 * tensors. The metadata hold {@code code_dim}, {@code inv_temperature}, {@code
 * entropy_loss_weight}, {@code diversity_gamma}, and may hold {@code non_finite = propagate} and
 * wider absolute tolerances, {@code aux_loss_absolute}, {@code entropy_absolute}, {@code
 * gradient_absolute}.
 */
public final class GoldenCase {
  /**
   * How one field compares.
   *
   * @param field its name in the file
   * @param error the largest error as a fraction of its tolerance, {@link Double#MAX_VALUE} where
   *     only one side is NaN; for indices, the number that differ
   * @param passed whether it is within tolerance
   */
  public record Comparison(String field, double error, boolean passed) {}

  private static final List<String> SCALARS =
      List.of("aux_loss", "per_sample_entropy", "codebook_entropy");
  private static final List<String> GRADIENT_FIELDS =
      List.of("cotangent", "grad_quant", "grad_aux");

  /** The norm below which the reference treats it as a constant. */
  private static final double MIN_NORM = 1e-12;

  private final QuantizerOptions options;
  private final DType dtype;
  private final Tolerance tolerance;
  private final int rows;
  private final long[] indices;

  /** The floating-point fields, as they are for the native calls, and as numbers. */
  private final Map<String, MemorySegment> segments = new LinkedHashMap<>();

  private final Map<String, double[]> values = new LinkedHashMap<>();

  private GoldenCase(Path path, SafetensorsFile file) throws FileSystemException {
    options = options(path, file);
    dtype = dtype(path, file, "x");
    tolerance = tolerance(path, file, Tolerance.of(dtype));
    long[] shape = file.shape("x");
    int dim = options.codeDim();
    if (shape.length == 0 || shape[shape.length - 1] != dim) {
      throw new MalformedFileException(
          path, "x has shape " + Arrays.toString(shape) + ", but code_dim is " + dim);
    }
    indices = file.longs("indices");
    requireShape(path, file, "indices", Arrays.copyOf(shape, shape.length - 1));
    rows = indices.length;

    read(path, file, "x", shape);
    read(path, file, "quantized", shape);
    if (file.names().contains("cotangent")) {
      for (String name : GRADIENT_FIELDS) {
        read(path, file, name, shape);
      }
    }
    for (String name : SCALARS) {
      if (name.equals("aux_loss") || file.names().contains(name)) {
        requireShape(path, file, name, new long[0]);
        values.put(name, numbers(file.data(name), dtype(path, file, name)));
      }
    }
  }

  /**
   * Reads a case.
   *
   * @throws MalformedFileException if the file is not one; the message says what is wrong
   */
  public static GoldenCase read(Path path) throws FileSystemException {
    return new GoldenCase(path, SafetensorsFile.read(path));
  }

  /** What the case's quantizer is made with. */
  public QuantizerOptions quantizerOptions() {
    return options;
  }

  /** Runs the case on this machine's quantizer, and compares every field that it holds. */
  public List<Comparison> compare() {
    BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);
    List<Comparison> comparisons = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = segments.get("x");
      MemorySegment indicesOut = arena.allocate(ValueLayout.JAVA_LONG, rows);
      MemorySegment out = arena.allocate(dtype.layout(), (long) rows * options.codeDim());

      quantizer.encode(x, dtype, rows, indicesOut);
      int wrong = differing(indicesOut);
      Losses losses = quantizer.forward(x, dtype, rows, out, indicesOut);
      wrong += differing(indicesOut);
      comparisons.add(new Comparison("indices", wrong, wrong == 0));
      comparisons.add(
          compare("quantized", numbers(out, dtype), (_, _) -> tolerance.quantizedAbsolute()));

      addScalar(comparisons, "aux_loss", losses.auxLoss(), tolerance::auxLoss);
      addScalar(comparisons, "per_sample_entropy", losses.perSampleEntropy(), tolerance::entropy);
      addScalar(comparisons, "codebook_entropy", losses.codebookEntropy(), tolerance::entropy);

      if (segments.containsKey("cotangent")) {
        quantizer.backward(x, dtype, rows, segments.get("cotangent"), 0, out);
        comparisons.add(compareGradient("grad_quant", numbers(out, dtype)));
        quantizer.backward(x, dtype, rows, MemorySegment.NULL, 1, out);
        comparisons.add(compareGradient("grad_aux", numbers(out, dtype)));
      }
    }
    return comparisons;
  }

  // Comparing

  /** How large the difference of element i from its expected value may be. */
  private interface Allowed {
    double error(int i, double expected);
  }

  private Comparison compare(String field, double[] actual, Allowed allowed) {
    double[] expected = values.get(field);
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      boolean bothNan = Double.isNaN(expected[i]) && Double.isNaN(actual[i]);
      if (!bothNan && expected[i] != actual[i]) {
        double error = Math.abs(actual[i] - expected[i]) / allowed.error(i, expected[i]);
        largest = Math.max(largest, Double.isNaN(error) ? Double.MAX_VALUE : error);
      }
    }
    largest = Math.min(largest, Double.MAX_VALUE);
    return new Comparison(field, largest, largest <= 1);
  }

  private void addScalar(
      List<Comparison> comparisons, String field, double actual, DoubleUnaryOperator allowed) {
    if (values.containsKey(field)) {
      comparisons.add(
          compare(field, new double[] {actual}, (_, expected) -> allowed.applyAsDouble(expected)));
    }
  }

  private Comparison compareGradient(String field, double[] actual) {
    int dim = options.codeDim();
    double[] expected = values.get(field);
    double[] allowed = new double[rows];
    for (int row = 0; row < rows; row++) {
      double norm = norm(row);
      double largest = 0;
      for (int d = 0; d < dim; d++) {
        largest = Math.max(largest, norm * Math.abs(expected[row * dim + d]));
      }
      allowed[row] = tolerance.gradient(largest) / norm;
    }
    return compare(field, actual, (i, _) -> allowed[i / dim]);
  }

  private double norm(int row) {
    double norm = 0;
    for (int i = row * options.codeDim(); i < (row + 1) * options.codeDim(); i++) {
      norm = Math.hypot(norm, values.get("x")[i]); // does not overflow
    }
    return Math.max(norm, MIN_NORM);
  }

  private int differing(MemorySegment actual) {
    int count = 0;
    for (int row = 0; row < rows; row++) {
      if (actual.getAtIndex(ValueLayout.JAVA_LONG, row) != indices[row]) {
        count++;
      }
    }
    return count;
  }

  // Reading

  private static QuantizerOptions options(Path path, SafetensorsFile file)
      throws MalformedFileException {
    double dim = number(path, file, "code_dim");
    if (dim != (int) dim) {
      throw new MalformedFileException(path, "bad metadata: code_dim is no integer: " + dim);
    }
    try {
      return QuantizerOptions.builder((int) dim)
          .inverseTemperature(number(path, file, "inv_temperature"))
          .entropyLossWeight(number(path, file, "entropy_loss_weight"))
          .diversityGamma(number(path, file, "diversity_gamma"))
          .nonFinitePolicy(
              "propagate".equals(file.metadata().get("non_finite"))
                  ? NonFinitePolicy.PROPAGATE
                  : NonFinitePolicy.REFUSE)
          .build();
    } catch (IllegalArgumentException e) {
      throw new MalformedFileException(path, "bad metadata: " + e.getMessage());
    }
  }

  private static double number(Path path, SafetensorsFile file, String key)
      throws MalformedFileException {
    String value = metadata(path, file, key);
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException _) {
      throw new MalformedFileException(
          path, "bad metadata: " + key + " is no number: " + Messages.quote(value));
    }
  }

  private static Tolerance tolerance(Path path, SafetensorsFile file, Tolerance usual)
      throws MalformedFileException {
    return new Tolerance(
        usual.quantizedAbsolute(),
        tolerance(path, file, "aux_loss_absolute", usual.auxLossAbsolute()),
        tolerance(path, file, "entropy_absolute", usual.entropyAbsolute()),
        usual.scalarRelative(),
        tolerance(path, file, "gradient_absolute", usual.gradientAbsolute()),
        usual.gradientRelative());
  }

  private static double tolerance(Path path, SafetensorsFile file, String key, double usual)
      throws MalformedFileException {
    String value = file.metadata().get(key);
    if (value == null) {
      return usual;
    }
    double tolerance = number(path, file, key);
    if (!(tolerance >= 0 && tolerance < Double.POSITIVE_INFINITY)) {
      throw new MalformedFileException(
          path, "bad metadata: " + key + " is " + tolerance + "; expected a number of at least 0");
    }
    return tolerance;
  }

  private static String metadata(Path path, SafetensorsFile file, String key)
      throws MalformedFileException {
    String value = file.metadata().get(key);
    if (value == null) {
      throw new MalformedFileException(
          path, "is no golden case of SpeechBrain's quantizer: its metadata has no " + key);
    }
    return value;
  }

  private void read(Path path, SafetensorsFile file, String name, long[] shape)
      throws FileSystemException {
    requireShape(path, file, name, shape);
    DType found = dtype(path, file, name);
    if (found != dtype) {
      throw new MalformedFileException(
          path, name + " is " + found + ", but x is " + dtype + "; expected the same type");
    }
    segments.put(name, file.data(name));
    values.put(name, numbers(file.data(name), dtype));
  }

  private static void requireShape(Path path, SafetensorsFile file, String name, long[] shape)
      throws MalformedFileException {
    if (!Arrays.equals(file.shape(name), shape)) {
      throw new MalformedFileException(
          path,
          name
              + " has shape "
              + Arrays.toString(file.shape(name))
              + "; expected "
              + Arrays.toString(shape));
    }
  }

  private static DType dtype(Path path, SafetensorsFile file, String name)
      throws MalformedFileException {
    return switch (file.type(name)) {
      case F32 -> DType.FLOAT32;
      case F64 -> DType.FLOAT64;
      default ->
          throw new MalformedFileException(
              path, name + " is of type " + file.type(name) + "; expected F32 or F64");
    };
  }

  private static double[] numbers(MemorySegment segment, DType dtype) {
    double[] numbers = new double[Math.toIntExact(segment.byteSize() / dtype.byteSize())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] =
          switch (dtype) {
            case FLOAT32 -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            case FLOAT64 -> segment.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
          };
    }
    return numbers;
  }
}
