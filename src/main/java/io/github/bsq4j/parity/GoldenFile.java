package io.github.bsq4j.parity;

import io.github.bsq4j.DType;
import io.github.bsq4j.io.MalformedFileException;
import io.github.bsq4j.io.Messages;
import io.github.bsq4j.io.SafetensorsFile;
import io.github.bsq4j.io.SafetensorsType;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/**
 * The tensors and metadata of a golden file. What is missing or of the wrong kind is a {@link
 * MalformedFileException} that names the file, the key and the value.
 */
final class GoldenFile {
  private final Path path;
  private final SafetensorsFile file;
  private final GoldenOrigin origin;

  private GoldenFile(Path path, SafetensorsFile file) {
    this.path = path;
    this.file = file;
    this.origin = GoldenOrigin.of(file.metadata());
  }

  static GoldenFile read(Path path) throws FileSystemException {
    return new GoldenFile(path, SafetensorsFile.read(path));
  }

  /** Who wrote it. */
  GoldenOrigin origin() {
    return origin;
  }

  MalformedFileException malformed(String problem) {
    return new MalformedFileException(path, problem);
  }

  // Metadata

  boolean says(String key) {
    return file.metadata().containsKey(key);
  }

  double number(String key) throws MalformedFileException {
    String value = word(key);
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException _) {
      throw malformed("bad metadata: " + key + " is no number: " + Messages.quote(value));
    }
  }

  double number(String key, double usual) throws MalformedFileException {
    return says(key) ? number(key) : usual;
  }

  int integer(String key) throws MalformedFileException {
    double value = number(key);
    if (value != (int) value) {
      throw malformed("bad metadata: " + key + " is no integer: " + value);
    }
    return (int) value;
  }

  int integer(String key, int usual) throws MalformedFileException {
    return says(key) ? integer(key) : usual;
  }

  /** What one of these words stands for. */
  <T> T choice(String key, Map<String, T> meanings) throws MalformedFileException {
    T meaning = meanings.get(word(key));
    if (meaning == null) {
      throw malformed(
          "bad metadata: "
              + key
              + " is "
              + Messages.quote(word(key))
              + "; expected "
              + String.join(" or ", meanings.keySet().stream().sorted().toList()));
    }
    return meaning;
  }

  /** The same, where it may be missing. */
  <T> T choice(String key, Map<String, T> meanings, T usual) throws MalformedFileException {
    return says(key) ? choice(key, meanings) : usual;
  }

  private String word(String key) throws MalformedFileException {
    String value = file.metadata().get(key);
    if (value == null) {
      throw malformed("is no golden case of " + origin + ": its metadata has no " + key);
    }
    return value;
  }

  // Tensors

  boolean has(String name) {
    return file.names().contains(name);
  }

  long[] shape(String name) throws MalformedFileException {
    return file.shape(name);
  }

  /** A floating-point type. */
  DType dtype(String name) throws MalformedFileException {
    return switch (file.type(name)) {
      case F32 -> DType.FLOAT32;
      case F64 -> DType.FLOAT64;
      case F16 -> DType.FLOAT16;
      case BF16 -> DType.BFLOAT16;
      default ->
          throw malformed(
              name + " is of type " + file.type(name) + "; expected F32, F64, F16 or BF16");
    };
  }

  /** The elements of a tensor of this shape and any floating-point type. */
  double[] numbers(String name, long... shape) throws FileSystemException {
    requireShape(name, shape);
    return Numbers.read(file.data(name), dtype(name));
  }

  /** The elements of an int64 tensor of this shape. */
  long[] longs(String name, long... shape) throws MalformedFileException {
    long[] values = file.longs(name);
    requireShape(name, shape);
    return values;
  }

  /** The elements of a tensor of bytes of this shape. */
  byte[] bytes(String name, long... shape) throws MalformedFileException {
    SafetensorsType type = file.type(name);
    if (type != SafetensorsType.U8 && type != SafetensorsType.BOOL) {
      throw malformed(name + " is of type " + type + "; expected U8 or BOOL");
    }
    requireShape(name, shape);
    return file.data(name).toArray(ValueLayout.JAVA_BYTE);
  }

  private void requireShape(String name, long[] shape) throws MalformedFileException {
    if (!Arrays.equals(file.shape(name), shape)) {
      throw malformed(
          String.format(
              Locale.ROOT,
              "%s has shape %s; expected %s",
              name,
              Arrays.toString(file.shape(name)),
              Arrays.toString(shape)));
    }
  }
}
