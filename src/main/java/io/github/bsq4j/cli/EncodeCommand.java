package io.github.bsq4j.cli;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.CodeConverter;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
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
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.stream.LongStream;
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
          "Where to write the codes: indices, int64 [...], with a dimension for codebooks and one"
              + " for groups where there are several, or packed bits. Not written if not given.")
  private Path output;

  @Option(
      names = "--code-dim",
      paramLabel = "N",
      description = "The expected number of components of a code; any if not given.")
  private Integer codeDim;

  @Option(
      names = "--packed",
      description =
          "Write packed bits, uint8 [..., ceil(code_dim / 8)], with a dimension for codebooks"
              + " before where there are several (int8 with --convention binary).")
  private boolean packed;

  @Option(
      names = "--margin",
      paramLabel = "MARGINS.npy",
      description =
          "Where to write each code's sign margin, the smallest |component| of its unit vector:"
              + " [...], with a dimension for codebooks where there are several. Codes with a"
              + " small one could flip in lower precision.")
  private Path margins;

  @Mixin private ConventionFlag convention;
  @Mixin private CodeFlags codes;
  @Mixin private LossFlags losses;
  @Mixin private RowFlags rows;
  @Mixin private DeviceFlag deviceFlag;

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
    Device device = deviceFlag.usable();
    requireDistinct(output, "-o");
    requireDistinct(margins, "--margin");
    if (output != null && margins != null) {
      InputException.requireDistinctOutputs(output, margins, "--margin");
    }
    // Opened first: whoever cannot write should not compute for an hour to find out.
    try (AtomicOutput codesFile = open(output);
        AtomicOutput marginsFile = open(margins)) {
      quantize(device, codesFile, marginsFile);
      for (AtomicOutput file : new AtomicOutput[] {codesFile, marginsFile}) {
        if (file != null) {
          file.commit();
        }
      }
    }
    return 0;
  }

  private void requireDistinct(Path path, String name) throws FileSystemException {
    if (path != null) {
      InputException.requireDistinct(input, path, name);
      rows.requireDistinct(path, name);
    }
  }

  /** Null, which try accepts, for none. */
  private static AtomicOutput open(Path path) throws FileSystemException {
    return path == null ? null : AtomicOutput.open(path);
  }

  private void quantize(Device device, AtomicOutput codesFile, AtomicOutput marginsFile)
      throws FileSystemException {
    try (Arena arena = Arena.ofConfined()) {
      NpyFile npy = NpyFile.read(input, arena);
      MemorySegment x = vectors(npy, arena);
      DType dtype = npy.type() == NpyType.FLOAT64 ? DType.FLOAT64 : DType.FLOAT32;
      QuantizerOptions options = options(npy.shape());
      VectorShape shape = new VectorShape(options, npy.shape());
      Batch batch = rows.batch(shape, arena);
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);
      VectorEncoder encoder =
          device.equals(Device.CPU)
              ? VectorEncoder.onHost(quantizer, x, dtype, batch)
              : VectorEncoder.onDevice(quantizer, x, dtype, batch, device, arena);

      StoredCodes stored = new StoredCodes(options, packed ? CodeLayout.BYTES : CodeLayout.INDICES);
      MemorySegment elements = stored.allocate(arena, batch.rows());
      Losses result = null;
      long start = System.nanoTime();
      try {
        if (packed) {
          encoder.pack(elements);
        } else if (noLoss) {
          encoder.encode(elements);
        }
        if (!noLoss) {
          result = encoder.forward(packed ? MemorySegment.NULL : elements);
        }
      } catch (BsqException e) {
        if (e.code() == BsqException.Code.INVALID_ARGUMENT) {
          throw new InputException(
              input + ": " + e.getMessage() + "; --non-finite propagate lets such rows through");
        }
        throw e;
      }
      double seconds = (System.nanoTime() - start) * 1e-9;

      long[] codeShape = stored.shape(shape.rowShape());
      if (codesFile != null) {
        NpyWriter.write(codesFile, stored.type(), codeShape, elements);
      }
      OptionalDouble smallestMargin = OptionalDouble.empty();
      if (marginsFile != null) {
        MemorySegment values =
            arena.allocate(
                dtype.layout(), Math.multiplyExact(batch.rows(), (long) options.codebooks()));
        encoder.signMargins(values);
        long[] marginShape =
            LongStream.concat(
                    LongStream.of(shape.rowShape()),
                    LongStream.of(options.codebooks()).filter(count -> count > 1))
                .toArray();
        NpyWriter.write(
            marginsFile,
            dtype == DType.FLOAT64 ? NpyType.FLOAT64 : NpyType.FLOAT32,
            marginShape,
            values);
        smallestMargin = smallest(values, dtype);
      }
      new EncodeReport(
              options,
              batch.rows(),
              stored.layout(),
              codeShape,
              distinct(stored, elements, batch.rows(), arena),
              Optional.ofNullable(result),
              smallestMargin,
              frameRate,
              seconds,
              Optional.ofNullable(output),
              Optional.ofNullable(margins))
          .print(out);
    }
  }

  /** How many different rows of codes there are. */
  private static OptionalLong distinct(
      StoredCodes stored, MemorySegment elements, long rows, Arena arena) {
    QuantizerOptions options = stored.options();
    if (stored.layout() == CodeLayout.INDICES) {
      return DistinctRows.count(elements, rows, options.indicesPerRow(), options.groupSize());
    }
    StoredCodes words = new StoredCodes(options, CodeLayout.WORDS);
    MemorySegment converted = words.allocate(arena, rows);
    CodeConverter.create(options, stored.layout(), options, CodeLayout.WORDS)
        .convert(elements, rows, converted);
    return DistinctRows.count(converted, rows, CodeLayout.WORDS.elementsPerRow(options), Long.SIZE);
  }

  /** Of margins, without those that are NaN. */
  private static OptionalDouble smallest(MemorySegment margins, DType dtype) {
    double smallest = Double.POSITIVE_INFINITY;
    boolean found = false;
    for (long i = 0; i < margins.byteSize() / dtype.layout().byteSize(); i++) {
      double margin =
          dtype == DType.FLOAT64
              ? margins.getAtIndex(ValueLayout.JAVA_DOUBLE, i)
              : margins.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      if (margin <= smallest) {
        smallest = margin;
        found = true;
      }
    }
    return found ? OptionalDouble.of(smallest) : OptionalDouble.empty();
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
    if (!packed) {
      codes.requireShortIndices(dim, input + ": ");
    }
    QuantizerOptions options =
        losses.options(codes, dim).toBuilder()
            .nonFinitePolicy(nonFinitePolicy)
            .convention(convention.get())
            .build();
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
