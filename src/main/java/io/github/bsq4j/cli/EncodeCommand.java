package io.github.bsq4j.cli;

import io.github.bsq4j.Batch;
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
import io.github.bsq4j.parity.VectorShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Optional;
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
          "Vectors [..., codebooks * code_dim] of float32, float64 or float16. All dimensions but"
              + " that count rows.")
  private Path input;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.npy",
      description =
          "Where to write the indices, int64 [...], with a dimension for codebooks and one for"
              + " groups where there are several. Not written if not given.")
  private Path output;

  @Option(
      names = "--code-dim",
      paramLabel = "N",
      description = "The expected number of components of a code; any if not given.")
  private Integer codeDim;

  @Mixin private CodeFlags codes;
  @Mixin private LossFlags losses;
  @Mixin private RowFlags rows;

  @Option(
      names = "--no-loss",
      description =
          "Compute the indices alone; needed where a group has more than 16 bits, or a code without"
              + " groups more than 24, unless with --analytical.")
  private boolean noLoss;

  @Option(
      names = "--non-finite",
      paramLabel = "POLICY",
      defaultValue = "refuse",
      description =
          "What to do with rows that hold NaN or infinities: refuse the file, or propagate them"
              + " (the index of such a code is 0, the losses are NaN unless it does not count)."
              + " Default: ${DEFAULT-VALUE}.")
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
    rows.requireLosses(noLoss);
    if (output == null) {
      quantize(null);
    } else {
      InputException.requireDistinct(input, output);
      rows.requireDistinct(output);
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
      QuantizerOptions options = options(npy.shape());
      VectorShape shape = new VectorShape(options, npy.shape());
      Batch batch = rows.batch(shape, arena);
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);

      MemorySegment indices =
          arena.allocate(
              ValueLayout.JAVA_LONG,
              Math.multiplyExact(batch.rows(), (long) options.indicesPerRow()));
      Losses result = null;
      long start = System.nanoTime();
      try {
        if (noLoss) {
          quantizer.encode(x, dtype, batch, indices);
        } else {
          result = quantizer.forward(x, dtype, batch, MemorySegment.NULL, indices);
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
        NpyWriter.write(file, NpyType.INT64, shape.indexShape(), indices);
      }
      OptionalLong distinct =
          DistinctRows.count(indices, batch.rows(), options.indicesPerRow(), options.groupSize());
      new EncodeReport(
              options,
              batch.rows(),
              shape.indexShape(),
              distinct,
              Optional.ofNullable(result),
              frameRate,
              seconds,
              Optional.ofNullable(output))
          .print(out);
    }
  }

  private QuantizerOptions options(long[] shape) {
    int components = VectorShape.componentDimension(codes.channelFirst(), shape);
    if (components < 0 || components >= shape.length) {
      throw new InputException(
          input
              + (shape.length == 0 ? ": holds a single number" : ": holds a single dimension")
              + "; expected vectors of shape "
              + (codes.channelFirst() ? "[B, code_dim, ...]" : "[..., code_dim]"));
    }
    String where = input + ": the " + (codes.channelFirst() ? "second" : "last") + " dimension";
    long length = shape[components];
    if (codeDim != null && (long) codeDim * codes.codebooks() != length) {
      throw new InputException(
          where
              + " is "
              + length
              + ", but --code-dim is "
              + codeDim
              + (codes.codebooks() == 1 ? "" : " and --codebooks " + codes.codebooks()));
    }
    int dim = codes.codeDim(length, where);
    codes.requireShortIndices(dim, input + ": ");
    QuantizerOptions options =
        losses.options(codes, dim).toBuilder().nonFinitePolicy(nonFinitePolicy).build();
    if (!noLoss) {
      LossFlags.requireLosses(options, input + ": ", "--no-loss");
    }
    return options;
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
}
