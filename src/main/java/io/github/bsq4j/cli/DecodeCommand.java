package io.github.bsq4j.cli;

import com.google.gson.JsonObject;
import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.DType;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.AtomicOutput;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyType;
import io.github.bsq4j.io.NpyWriter;
import io.github.bsq4j.parity.VectorShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Code indices to vectors. */
@Command(
    name = "decode",
    header = "Turn the code indices of a .npy file into vectors.",
    description =
        "Also packed bits. Vectors are those that codes stand for: all components are of one size.",
    customSynopsis = "bsq decode [OPTIONS] CODES.npy --code-dim=N -o OUT.npy")
final class DecodeCommand implements Callable<Integer> {
  /** A type that vectors are computed in, and as which they are written. */
  private enum VectorType {
    FLOAT32(DType.FLOAT32, NpyType.FLOAT32),
    FLOAT64(DType.FLOAT64, NpyType.FLOAT64);

    private final DType dtype;
    private final NpyType npyType;

    VectorType(DType dtype, NpyType npyType) {
      this.dtype = dtype;
      this.npyType = npyType;
    }
  }

  @Parameters(
      paramLabel = "CODES.npy",
      description =
          "Codes as encode writes them: indices of any integer type, [...], with a dimension for"
              + " codebooks and one for groups where there are several; or packed bytes, uint8 or"
              + " int8.")
  private Path input;

  @Option(
      names = "--code-dim",
      paramLabel = "N",
      required = true,
      description = "The number of bits of a code: 1 to 63, or to 4096 with --groups or packed.")
  private int codeDim;

  @Option(
      names = "--packed",
      description =
          "The codes are packed bits, uint8 [..., ceil(code_dim / 8)], with a dimension for"
              + " codebooks before where there are several (int8 with --convention binary). The"
              + " same as --layout bytes.")
  private boolean packed;

  @Option(
      names = "--layout",
      paramLabel = "LAYOUT",
      description =
          "How codes are stored: indices, bytes, words (of 64 bits) or bits (a byte each). Default:"
              + " 8-bit integers are packed bytes, wider ones indices.")
  private CodeLayout layout;

  @Mixin private CodeFlags codes;
  @Mixin private ConventionFlag convention;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.npy",
      required = true,
      description =
          "Where to write the vectors [..., codebooks * code_dim]. A component is 1/sqrt(code_dim),"
              + " or 1 in some conventions, where the bit is 1, else the negative of it.")
  private Path output;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "float32",
      description = "float32 or float64 (default: ${DEFAULT-VALUE}).")
  private VectorType type;

  @Mixin private Output out;

  @Override
  public Integer call() throws FileSystemException {
    if (packed && layout != null && layout != CodeLayout.BYTES) {
      throw new InputException("both --packed and --layout are given; expected one of them");
    }
    QuantizerOptions options = options();
    InputException.requireDistinct(input, output, "-o");
    try (AtomicOutput file = AtomicOutput.open(output);
        Arena arena = Arena.ofConfined()) {
      NpyFile npy = NpyFile.read(input, arena);
      StoredCodes stored =
          new StoredCodes(
              options, StoredCodeFlags.layout(packed ? CodeLayout.BYTES : layout, npy.type()));
      stored.requireShortIndices(input + ": ");
      MemorySegment elements = stored.read(npy, input, arena);
      long[] shape = vectorShape(stored.rowShape(npy.shape(), input), options);
      StoredCodes.requireRank(input, shape);
      Batch batch = new VectorShape(options, shape).batch();
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(options);
      MemorySegment vectors =
          arena.allocate(
              type.dtype.layout(), Math.multiplyExact(batch.rows(), (long) options.rowLength()));
      long start = System.nanoTime();
      try {
        quantizer.unpack(elements, stored.layout(), batch, type.dtype, vectors);
      } catch (BsqException e) {
        if (e.code() == BsqException.Code.INVALID_ARGUMENT) {
          throw new InputException(input + ": " + e.getMessage());
        }
        throw e;
      }
      double seconds = (System.nanoTime() - start) * 1e-9;
      NpyWriter.write(file, type.npyType, shape, vectors);
      file.commit();
      stored.tellRows(out, npy.shape());
      report(batch.rows(), seconds);
    }
    return 0;
  }

  private QuantizerOptions options() {
    if (codeDim < 1 || codeDim > QuantizerOptions.MAX_CODE_DIM) {
      throw new InputException(
          "--code-dim is " + codeDim + "; expected 1 to " + QuantizerOptions.MAX_CODE_DIM);
    }
    return codes
        .set(QuantizerOptions.builder(codeDim), codeDim)
        .convention(convention.get())
        .build();
  }

  /** The shape of the vectors of rows of this shape. */
  private static long[] vectorShape(long[] rows, QuantizerOptions options) {
    long[] shape = Arrays.copyOf(rows, rows.length + 1);
    int components = VectorShape.componentDimension(options.channelFirst(), shape);
    System.arraycopy(rows, components, shape, components + 1, rows.length - components);
    shape[components] = options.rowLength();
    return shape;
  }

  private void report(long rows, double seconds) {
    out.line("rows", rows);
    out.line("code dim", codeDim);
    out.line("time", Output.milliseconds(seconds));
    out.line("output", output);

    JsonObject json = new JsonObject();
    json.addProperty("rows", rows);
    json.addProperty("code_dim", codeDim);
    json.addProperty("seconds", seconds);
    json.addProperty("output", output.toString());
    out.json(json);
  }
}
