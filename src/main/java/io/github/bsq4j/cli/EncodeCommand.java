package io.github.bsq4j.cli;

import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.DType;
import io.github.bsq4j.Losses;
import io.github.bsq4j.NonFinitePolicy;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.AtomicOutput;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyType;
import io.github.bsq4j.io.NpyWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Vectors to code indices, with the losses of the batch. */
@Command(
    name = "encode",
    header = "Quantize the vectors of a .npy file to code indices.",
    description = "Prints how many codes are in use, the bit rate and the losses of the batch.",
    customSynopsis = "bsq encode [OPTIONS] IN.npy [-o OUT.npy]")
final class EncodeCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "IN.npy",
      description =
          "Vectors [..., code_dim] of float32, float64 or float16. All dimensions but the last"
              + " count rows.")
  private Path input;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.npy",
      description = "Where to write the indices, int64 [...]. Not written if not given.")
  private Path output;

  @Option(
      names = "--code-dim",
      paramLabel = "N",
      description = "The expected last dimension; any from 1 to 63 if not given.")
  private Integer codeDim;

  @Option(
      names = "--inv-temperature",
      paramLabel = "B",
      defaultValue = "100",
      description = "Inverse temperature of the losses (default: ${DEFAULT-VALUE}).")
  private double inverseTemperature;

  @Option(
      names = "--entropy-loss-weight",
      paramLabel = "W",
      defaultValue = "0.1",
      description = "Factor of the auxiliary loss (default: ${DEFAULT-VALUE}).")
  private double entropyLossWeight;

  @Option(
      names = "--diversity-gamma",
      paramLabel = "G",
      defaultValue = "1",
      description = "Weight of the codebook entropy in the loss (default: ${DEFAULT-VALUE}).")
  private double diversityGamma;

  @Option(
      names = "--no-loss",
      description = "Compute the indices alone; needed where code_dim is above 24.")
  private boolean noLoss;

  @Option(
      names = "--non-finite",
      paramLabel = "POLICY",
      defaultValue = "refuse",
      description =
          "What to do with rows that hold NaN or infinities: refuse the file, or propagate them"
              + " (their index is 0, the losses are NaN). Default: ${DEFAULT-VALUE}.")
  private NonFinitePolicy nonFinitePolicy;

  @Option(
      names = "--frame-rate",
      paramLabel = "HZ",
      defaultValue = "100",
      description = "Rows per second, for the bit rate (default: ${DEFAULT-VALUE}).")
  private double frameRate;

  @Mixin private Output out;

  @Override
  public Integer call() throws FileSystemException {
    if (!(frameRate > 0 && frameRate < Double.POSITIVE_INFINITY)) {
      throw new InputException("--frame-rate is " + frameRate + "; expected a number above 0");
    }
    if (output == null) {
      quantize(null);
    } else {
      InputException.requireDistinct(input, output);
      // Opened first: whoever cannot write should not compute for an hour to find out.
      try (AtomicOutput file = AtomicOutput.open(output)) {
        quantize(file);
        file.commit();
      }
    }
    return 0;
  }

  private void quantize(AtomicOutput file) throws FileSystemException {
    try (Arena arena = Arena.ofConfined()) {
      NpyFile npy = NpyFile.read(input, arena);
      MemorySegment x = vectors(npy, arena);
      DType dtype = npy.type() == NpyType.FLOAT64 ? DType.FLOAT64 : DType.FLOAT32;
      int dim = codeDim(npy.shape());
      long rows = npy.elementCount() / dim;
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options(dim));

      MemorySegment indices = arena.allocate(ValueLayout.JAVA_LONG, rows);
      Losses losses = null;
      long start = System.nanoTime();
      try {
        if (noLoss) {
          quantizer.encode(x, dtype, rows, indices);
        } else {
          losses = quantizer.forward(x, dtype, rows, MemorySegment.NULL, indices);
        }
      } catch (BsqException e) {
        if (e.code() == BsqException.Code.INVALID_ARGUMENT) {
          throw new InputException(
              input + ": " + e.getMessage() + "; --non-finite propagate lets such rows through");
        }
        throw e;
      }
      double seconds = (System.nanoTime() - start) * 1e-9;

      if (file != null) {
        long[] shape = npy.shape();
        NpyWriter.write(file, NpyType.INT64, Arrays.copyOf(shape, shape.length - 1), indices);
      }
      report(rows, dim, distinct(indices, rows, dim), losses, seconds);
    }
  }

  private int codeDim(long[] shape) {
    if (shape.length == 0) {
      throw new InputException(
          input + ": holds a single number; expected vectors of shape [..., code_dim]");
    }
    long last = shape[shape.length - 1];
    if (codeDim != null && codeDim != last) {
      throw new InputException(
          input + ": the last dimension is " + last + ", but --code-dim is " + codeDim);
    }
    if (last < 1 || last > QuantizerOptions.MAX_CODE_DIM) {
      throw new InputException(
          input
              + ": the last dimension, which is code_dim, is "
              + last
              + "; expected 1 to "
              + QuantizerOptions.MAX_CODE_DIM);
    }
    if (!noLoss && last > QuantizerOptions.MAX_LOSS_CODE_DIM) {
      throw new InputException(
          input
              + ": code_dim is "
              + last
              + "; the losses need memory for 2^code_dim numbers and are computed up to "
              + QuantizerOptions.MAX_LOSS_CODE_DIM
              + "; use --no-loss");
    }
    return (int) last;
  }

  private MemorySegment vectors(NpyFile npy, Arena arena) throws FileSystemException {
    return switch (npy.type()) {
      case FLOAT32, FLOAT64 -> npy.data();
      case FLOAT16 -> npy.toFloat32(arena);
      default ->
          throw new InputException(
              input
                  + ": found elements of type "
                  + npy.type()
                  + "; expected float32, float64 or float16");
    };
  }

  private QuantizerOptions options(int dim) {
    return QuantizerOptions.builder(dim)
        .inverseTemperature(inverseTemperature)
        .entropyLossWeight(entropyLossWeight)
        .diversityGamma(diversityGamma)
        .nonFinitePolicy(nonFinitePolicy)
        .build();
  }

  /** How many different indices there are; empty for more than an array can hold. */
  private static OptionalLong distinct(MemorySegment indices, long rows, int dim) {
    if (dim <= QuantizerOptions.MAX_LOSS_CODE_DIM) {
      BitSet seen = new BitSet(1 << dim);
      for (long row = 0; row < rows; row++) {
        seen.set((int) indices.getAtIndex(ValueLayout.JAVA_LONG, row));
      }
      return OptionalLong.of(seen.cardinality());
    }
    if (rows > Integer.MAX_VALUE - 8) { // what JVMs allow
      return OptionalLong.empty();
    }
    return OptionalLong.of(
        Arrays.stream(indices.toArray(ValueLayout.JAVA_LONG)).sorted().distinct().count());
  }

  private void report(long rows, int dim, OptionalLong distinct, Losses losses, double seconds) {
    double bitRate = dim * frameRate;
    out.line("rows", rows);
    out.line("code dim", dim);
    out.line(
        "distinct codes",
        (distinct.isPresent() ? distinct.getAsLong() : "not counted")
            + " of "
            + Long.toUnsignedString(1L << dim));
    out.line("bit rate", plain(bitRate) + " bit/s at " + plain(frameRate) + " frames/s");
    if (losses != null) {
      out.line("aux loss", digits(losses.auxLoss()));
      out.line("per-sample entropy", digits(losses.perSampleEntropy()) + " nats");
      out.line("codebook entropy", digits(losses.codebookEntropy()) + " nats");
    }
    out.line("time", Output.milliseconds(seconds));
    if (output != null) {
      out.line("output", output);
    }

    JsonObject json = new JsonObject();
    json.addProperty("rows", rows);
    json.addProperty("code_dim", dim);
    json.add(
        "distinct_codes",
        distinct.isPresent() ? new JsonPrimitive(distinct.getAsLong()) : JsonNull.INSTANCE);
    json.add("bits_per_second", Output.number(bitRate));
    // Without losses these are null, as is a loss that is NaN.
    json.add("aux_loss", losses == null ? JsonNull.INSTANCE : Output.number(losses.auxLoss()));
    json.add(
        "per_sample_entropy",
        losses == null ? JsonNull.INSTANCE : Output.number(losses.perSampleEntropy()));
    json.add(
        "codebook_entropy",
        losses == null ? JsonNull.INSTANCE : Output.number(losses.codebookEntropy()));
    json.addProperty("seconds", seconds);
    json.addProperty("output", output == null ? null : output.toString());
    out.json(json);
  }

  private static String digits(double value) {
    return String.format(Locale.ROOT, "%.7g", value);
  }

  private static String plain(double value) {
    return value == Math.rint(value)
        ? String.format(Locale.ROOT, "%.0f", value)
        : Double.toString(value);
  }
}
