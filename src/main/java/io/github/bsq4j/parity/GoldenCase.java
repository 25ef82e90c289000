package io.github.bsq4j.parity;

import io.github.bsq4j.DType;
import io.github.bsq4j.HostQuantization;
import io.github.bsq4j.NonFinitePolicy;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.MalformedFileException;
import io.github.bsq4j.io.Messages;
import io.github.bsq4j.io.SafetensorsFile;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Inputs with the outputs and gradients that the reference gave for them, from a .safetensors file:
 * {@code x [..., D]}, {@code quantized [..., D]}, {@code indices [...]} (int64), {@code aux_loss
 * []}, and, where gradients are to be compared, {@code cotangent}, {@code grad_quant} and {@code
 * grad_aux}, all {@code [..., D]} and of the type of x, which is float32, float64, float16 or
 * bfloat16. {@code per_sample_entropy []} and {@code codebook_entropy []} may be there too. What is
 * expected may be float64 whatever x is, so that it need not be rounded. The metadata hold {@code
 * code_dim}, {@code inv_temperature}, {@code entropy_loss_weight}, {@code diversity_gamma}, and may
 * hold {@code non_finite = propagate} and wider absolute tolerances, {@code aux_loss_absolute},
 * {@code entropy_absolute}, {@code gradient_absolute}.
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

  /** The norm below which the reference treats it as a constant. */
  private static final double MIN_NORM = 1e-12;

  private final QuantizerOptions options;
  private final DType dtype;
  private final long[] shape;
  private final Tolerance tolerance;
  private final Rounding rounding;
  private final long[] indices;

  /** The floating-point fields. */
  private final Map<String, double[]> values = new LinkedHashMap<>();

  private GoldenCase(Path path, SafetensorsFile file) throws FileSystemException {
    options = options(path, file);
    dtype = dtype(path, file, "x");
    tolerance = tolerance(path, file, Tolerance.of(dtype));
    rounding = Rounding.of(dtype);
    shape = file.shape("x");
    int dim = options.codeDim();
    if (shape.length == 0 || shape[shape.length - 1] != dim) {
      throw new MalformedFileException(
          path, "x has shape " + Arrays.toString(shape) + ", but code_dim is " + dim);
    }
    indices = file.longs("indices");
    requireShape(path, file, "indices", Arrays.copyOf(shape, shape.length - 1));

    values.put("x", Numbers.read(file.data("x"), dtype));
    readExpected(path, file, "quantized", shape);
    if (file.names().contains("cotangent")) {
      readCotangent(path, file);
      readExpected(path, file, "grad_quant", shape);
      readExpected(path, file, "grad_aux", shape);
    }
    for (String name : SCALARS) {
      if (name.equals("aux_loss") || file.names().contains(name)) {
        readExpected(path, file, name);
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

  /** The type of x. */
  public DType dtype() {
    return dtype;
  }

  /**
   * Runs the case through a path that serves {@link #dtype()}, and compares every field that it
   * holds.
   */
  public List<Comparison> compare(QuantizerPath path) {
    PathQuantizer quantizer = path.quantizer(options, dtype, shape);
    double[] x = values.get("x");
    int wrong = differing(quantizer.encode(x));
    HostQuantization<double[]> result = quantizer.forward(x);
    wrong += differing(result.indices());

    List<Comparison> comparisons = new ArrayList<>();
    comparisons.add(new Comparison("indices", wrong, wrong == 0));
    comparisons.add(compare("quantized", result.quantized(), _ -> tolerance.quantizedAbsolute()));
    addScalar(comparisons, "aux_loss", result.auxLoss(), tolerance::auxLoss);
    addScalar(comparisons, "per_sample_entropy", result.perSampleEntropy(), tolerance::entropy);
    addScalar(comparisons, "codebook_entropy", result.codebookEntropy(), tolerance::entropy);
    if (values.containsKey("cotangent")) {
      double[] cotangent = values.get("cotangent");
      comparisons.add(compareGradient("grad_quant", quantizer.backward(x, cotangent, 0)));
      comparisons.add(compareGradient("grad_aux", quantizer.backward(x, 1)));
    }
    return comparisons;
  }

  // Comparing

  /** Compares what has the type of x; {@code allowed} says how far element i may be off. */
  private Comparison compare(String field, double[] actual, IntToDoubleFunction allowed) {
    double[] expected = values.get(field);
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = rounding.fraction(actual[i], expected[i], allowed.applyAsDouble(i));
      largest = Math.max(largest, error);
    }
    return new Comparison(field, largest, largest <= 1);
  }

  private void addScalar(
      List<Comparison> comparisons, String field, double actual, DoubleUnaryOperator allowed) {
    if (values.containsKey(field)) {
      double expected = values.get(field)[0];
      double error = Rounding.NONE.fraction(actual, expected, allowed.applyAsDouble(expected));
      comparisons.add(new Comparison(field, error, error <= 1));
    }
  }

  private Comparison compareGradient(String field, double[] actual) {
    int dim = options.codeDim();
    double[] expected = values.get(field);
    double[] allowed = new double[indices.length];
    for (int row = 0; row < allowed.length; row++) {
      double norm = norm(row);
      double largest = 0;
      for (int d = 0; d < dim; d++) {
        largest = Math.max(largest, norm * Math.abs(expected[row * dim + d]));
      }
      allowed[row] = tolerance.gradient(largest) / norm;
    }
    return compare(field, actual, i -> allowed[i / dim]);
  }

  private double norm(int row) {
    double norm = 0;
    for (int i = row * options.codeDim(); i < (row + 1) * options.codeDim(); i++) {
      norm = Math.hypot(norm, values.get("x")[i]); // does not overflow
    }
    return Math.max(norm, MIN_NORM);
  }

  private int differing(long[] actual) {
    return (int) IntStream.range(0, indices.length).filter(i -> actual[i] != indices[i]).count();
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

  private void readCotangent(Path path, SafetensorsFile file) throws FileSystemException {
    requireShape(path, file, "cotangent", shape);
    DType found = dtype(path, file, "cotangent");
    if (found != dtype) {
      throw new MalformedFileException(
          path, "cotangent is " + found + ", but x is " + dtype + "; expected the same type");
    }
    values.put("cotangent", Numbers.read(file.data("cotangent"), dtype));
  }

  private void readExpected(Path path, SafetensorsFile file, String name, long... expectedShape)
      throws FileSystemException {
    requireShape(path, file, name, expectedShape);
    DType found = dtype(path, file, name);
    if (found != dtype && found != DType.FLOAT64) {
      throw new MalformedFileException(
          path, name + " is " + found + ", but x is " + dtype + "; expected that or FLOAT64");
    }
    values.put(name, Numbers.read(file.data(name), found));
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
      case F16 -> DType.FLOAT16;
      case BF16 -> DType.BFLOAT16;
      default ->
          throw new MalformedFileException(
              path, name + " is of type " + file.type(name) + "; expected F32, F64, F16 or BF16");
    };
  }
}
