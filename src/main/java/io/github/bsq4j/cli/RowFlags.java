package io.github.bsq4j.cli;

import io.github.bsq4j.Batch;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyType;
import io.github.bsq4j.parity.VectorShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which rows count in the losses, on the command line. Commands include it as a {@link Mixin}. */
final class RowFlags {
  @Option(
      names = "--mask",
      paramLabel = "FILE.npy",
      description =
          "Which rows count in the losses: bool or uint8, in the shape of the rows. The others are"
              + " encoded all the same.")
  private Path mask;

  @Option(
      names = "--lengths",
      paramLabel = "FILE.npy",
      description =
          "How many positions of each item count in the losses, for padded batches [B, T,"
              + " code_dim]: integers [B]; or floats from 0 to 1, SpeechBrain's relative lengths.")
  private Path lengths;

  /** Makes sure that there are losses for rows to count in. */
  void requireLosses(boolean noLoss) {
    if (noLoss && (mask != null || lengths != null)) {
      throw new InputException(
          (mask != null ? "--mask" : "--lengths")
              + " says what counts in the losses, but --no-loss computes none");
    }
    if (mask != null && lengths != null) {
      throw new InputException("both --mask and --lengths are given; expected one of them");
    }
  }

  /** Refuses an output that would replace one of these files. */
  void requireDistinct(Path output, String name) throws FileSystemException {
    for (Path file : new Path[] {mask, lengths}) {
      if (file != null) {
        InputException.requireDistinct(file, output, name);
      }
    }
  }

  /** The rows of an input, and which of them count. */
  Batch batch(VectorShape shape, Arena arena) throws FileSystemException {
    if (mask != null) {
      return masked(shape, arena);
    }
    return lengths == null ? shape.batch() : withLengths(shape, arena);
  }

  private Batch masked(VectorShape shape, Arena arena) throws FileSystemException {
    NpyFile npy = NpyFile.read(mask, arena);
    if (npy.type() != NpyType.BOOL && npy.type() != NpyType.UINT8) {
      throw new InputException(
          mask + ": found elements of type " + npy.type() + "; expected bool or uint8");
    }
    requireShape(mask, npy, shape.rowShape(), "the shape of the rows");
    return shape.batch().withMask(npy.data());
  }

  private Batch withLengths(VectorShape shape, Arena arena) throws FileSystemException {
    long[] rows = shape.rowShape();
    if (rows.length < 2) {
      throw new InputException(
          lengths
              + ": the rows are of shape "
              + Arrays.toString(rows)
              + "; expected items of several positions for --lengths, [B, T, code_dim]: use"
              + " --mask");
    }
    NpyFile npy = NpyFile.read(lengths, arena);
    if (npy.type() == NpyType.BOOL) {
      throw new InputException(
          lengths + ": found elements of type bool; expected integers or floats");
    }
    requireShape(lengths, npy, Arrays.copyOf(rows, 1), "one length for each item");
    Batch batch = shape.batch();
    try {
      return npy.type().isInteger()
          ? batch.withLengths(npy.toInt64(arena).toArray(ValueLayout.JAVA_LONG))
          : batch.withRelativeLengths(numbers(npy, arena));
    } catch (IllegalArgumentException e) {
      String hint = npy.type().isInteger() ? "" : "; numbers of positions must be integers";
      throw new InputException(lengths + ": " + e.getMessage() + hint);
    }
  }

  private static double[] numbers(NpyFile npy, Arena arena) throws FileSystemException {
    if (npy.type() == NpyType.FLOAT64) {
      return npy.data().toArray(ValueLayout.JAVA_DOUBLE);
    }
    MemorySegment floats = npy.toFloat32(arena);
    double[] numbers = new double[Math.toIntExact(npy.elementCount())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = floats.getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
    return numbers;
  }

  private static void requireShape(Path file, NpyFile npy, long[] expected, String what) {
    if (!Arrays.equals(npy.shape(), expected)) {
      throw new InputException(
          file
              + ": has shape "
              + Arrays.toString(npy.shape())
              + "; expected "
              + Arrays.toString(expected)
              + ", "
              + what);
    }
  }
}
