package io.github.bsq4j.cli;

import io.github.bsq4j.BsqException;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.CodebookUsage;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.NpyReader;
import io.github.bsq4j.io.NpyType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.stream.LongStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** How codes are used. */
@Command(
    name = "stats",
    header = "Tell how evenly the codes of a .npy file are used.",
    description = {
      "Prints how many codes are in use, their entropy and perplexity, the share of ones of each"
          + " bit, the pairs of bits that are correlated most, and the most and the least used"
          + " codes. The figures are those of whole codes, whatever their groups are. Codes of"
          + " more than 20 bits have figures of bits alone.",
      "",
      "The file is read in parts: it may be larger than memory."
    },
    customSynopsis = "bsq stats [OPTIONS] CODES.npy --code-dim=N")
final class StatsCommand implements Callable<Integer> {
  private static final long PART_BYTES = 8L << 20;

  @Parameters(
      paramLabel = "CODES.npy",
      description =
          "Codes, as encode writes them: indices [...], integers of 16 bits or more, with a"
              + " dimension for codebooks and one for groups where there are several, or packed"
              + " bytes, uint8 or int8 [...,"
              + " ceil(code_dim / 8)], with a dimension for codebooks before where there are"
              + " several.")
  private Path input;

  @Mixin private StoredCodeFlags flags;

  @Option(
      names = "--layout",
      paramLabel = "LAYOUT",
      description =
          "How codes are stored: indices, bytes, words (of 64 bits) or bits (a byte each). Default:"
              + " 8-bit integers are packed bytes, wider ones indices.")
  private CodeLayout layout;

  @Mixin private ConventionFlag convention;

  @Option(
      names = "--top",
      paramLabel = "N",
      defaultValue = "5",
      description =
          "How many codes and pairs of bits are named of each kind (default: ${DEFAULT-VALUE}).")
  private int top;

  @Mixin private Output out;

  @Override
  public Integer call() throws FileSystemException {
    if (top < 0) {
      throw new InputException("--top is " + top + "; expected 0 or more");
    }
    QuantizerOptions options = flags.options(convention.get());
    try (Arena arena = Arena.ofConfined();
        NpyReader reader = NpyReader.open(input, arena)) {
      StoredCodes stored = new StoredCodes(options, StoredCodeFlags.layout(layout, reader.type()));
      requireType(stored, reader.type());
      stored.requireForm(reader.type(), input);
      stored.requireShortIndices(input + ": ");
      long rows =
          LongStream.of(stored.rowShape(reader.shape(), input)).reduce(1, Math::multiplyExact);
      CodebookUsage usage = CodebookUsage.create(options);
      long start = System.nanoTime();
      add(stored, reader, rows, arena, usage);
      double seconds = (System.nanoTime() - start) * 1e-9;
      stored.tellRows(out, reader.shape());
      new StatsReport(usage, top, seconds).print(out);
    }
    return 0;
  }

  private void requireType(StoredCodes stored, NpyType type) {
    CodeLayout codes = stored.layout();
    boolean fits =
        switch (codes) {
          case INDICES -> type.isInteger();
          case WORDS -> type == NpyType.INT64 || type == NpyType.UINT64;
          case BYTES, BITS -> type == NpyType.UINT8 || type == NpyType.INT8;
        };
    if (!fits) {
      throw new InputException(
          input
              + ": found elements of type "
              + type
              + "; expected "
              + (layout == null
                  ? "integers, for indices, or uint8, for packed bytes"
                  : codes == CodeLayout.INDICES
                      ? "integers"
                      : codes == CodeLayout.WORDS ? "int64" : "uint8")
              + (layout == null ? "" : " with --layout " + StatsReport.name(codes)));
    }
  }

  private void add(
      StoredCodes stored, NpyReader reader, long rows, Arena arena, CodebookUsage usage)
      throws FileSystemException {
    long elements = stored.layout().elementsPerRow(stored.options());
    long rowBytes = elements * stored.layout().elementSize();
    long partRows = Math.clamp(PART_BYTES / rowBytes, 1, Math.max(1, rows));
    MemorySegment part = arena.allocate(partRows * rowBytes, Long.BYTES);
    for (long row = 0; row < rows; row += partRows) {
      long count = Math.min(partRows, rows - row);
      MemorySegment codes = part.asSlice(0, count * rowBytes);
      if (stored.layout() == CodeLayout.INDICES) {
        reader.readInt64(row * elements, codes);
      } else {
        reader.read(row * elements, codes);
      }
      try {
        usage.add(codes, stored.layout(), count);
      } catch (BsqException e) {
        if (e.code() == BsqException.Code.INVALID_ARGUMENT) {
          String from = row == 0 ? "" : "of the rows from " + row + " on, ";
          throw new InputException(input + ": " + from + e.getMessage());
        }
        throw e;
      }
    }
  }
}
