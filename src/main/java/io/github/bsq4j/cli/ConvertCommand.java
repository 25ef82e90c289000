package io.github.bsq4j.cli;

import com.google.gson.JsonObject;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.CodeConverter;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.AtomicOutput;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.LongStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Codes of one convention and layout to another. */
@Command(
    name = "convert",
    header = "Turn the codes of one system into those of another.",
    description = {
      "By integer arithmetic: nothing is lost, but what a component of 0 became stays as it is.",
      "",
      "The layout stays as it is unless --to-layout is given: indices stay indices with --to"
          + " binary, too, and --to-layout bytes packs them."
    },
    customSynopsis = "bsq convert [OPTIONS] IN.npy OUT.npy --code-dim=N --from=NAME --to=NAME")
final class ConvertCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "IN.npy",
      description =
          "Codes: 8-bit integers are packed bytes, wider ones indices, unless --from-layout says"
              + " otherwise.")
  private Path input;

  @Parameters(index = "1", paramLabel = "OUT.npy", description = "Where to write them.")
  private Path output;

  @Mixin private StoredCodeFlags flags;

  @Option(
      names = "--from",
      paramLabel = "NAME",
      required = true,
      description = "The convention of IN: " + ConventionFlag.NAMES + ".")
  private String from;

  @Option(
      names = "--to",
      paramLabel = "NAME",
      required = true,
      description = "The convention of OUT.")
  private String to;

  @Option(
      names = "--from-layout",
      paramLabel = "LAYOUT",
      description = "How IN has codes: indices, bytes, words (of 64 bits) or bits (a byte each).")
  private CodeLayout fromLayout;

  @Option(
      names = "--to-layout",
      paramLabel = "LAYOUT",
      description = "How OUT shall have them. Default: as IN has them.")
  private CodeLayout toLayout;

  @Mixin private Output out;

  @Override
  public Integer call() throws FileSystemException {
    QuantizerOptions fromOptions = flags.options(ConventionFlag.named("--from", from));
    QuantizerOptions toOptions = flags.options(ConventionFlag.named("--to", to));
    InputException.requireDistinct(input, output, "OUT.npy");
    try (AtomicOutput file = AtomicOutput.open(output);
        Arena arena = Arena.ofConfined()) {
      NpyFile npy = NpyFile.read(input, arena);
      StoredCodes source =
          new StoredCodes(fromOptions, StoredCodeFlags.layout(fromLayout, npy.type()));
      StoredCodes target =
          new StoredCodes(toOptions, toLayout == null ? source.layout() : toLayout);
      source.requireShortIndices(input + ": ");
      target.requireShortIndices(toLayout == null ? input + ": " : "--to-layout is indices, but ");
      MemorySegment codes = source.read(npy, input, arena);
      long[] rowShape = source.rowShape(npy.shape(), input);
      StoredCodes.requireRank(input, target.shape(rowShape));
      long rows = LongStream.of(rowShape).reduce(1, Math::multiplyExact);
      MemorySegment converted = target.allocate(arena, rows);
      CodeConverter converter =
          CodeConverter.create(
              source.options(), source.layout(), target.options(), target.layout());
      long start = System.nanoTime();
      convert(converter, codes, rows, converted);
      double seconds = (System.nanoTime() - start) * 1e-9;
      NpyWriter.write(file, target.type(), target.shape(rowShape), converted);
      file.commit();
      source.tellRows(out, npy.shape());
      report(source, target, target.shape(rowShape), rows, seconds);
    }
    return 0;
  }

  private void convert(
      CodeConverter converter, MemorySegment codes, long rows, MemorySegment converted) {
    try {
      converter.convert(codes, rows, converted);
    } catch (BsqException e) {
      if (e.code() == BsqException.Code.INVALID_ARGUMENT) {
        throw new InputException(input + ": " + e.getMessage());
      }
      throw e;
    }
  }

  private void report(
      StoredCodes source, StoredCodes target, long[] shape, long rows, double seconds) {
    out.line("rows", rows);
    out.line("code dim", flags.codeDim());
    out.line("from", from + ", " + name(source.layout()));
    out.line("to", to + ", " + name(target.layout()));
    out.line("shape", Arrays.toString(shape));
    out.line("time", Output.milliseconds(seconds));
    out.line("output", output);

    JsonObject json = new JsonObject();
    json.addProperty("rows", rows);
    json.addProperty("code_dim", flags.codeDim());
    json.addProperty("from", from);
    json.addProperty("from_layout", name(source.layout()));
    json.addProperty("to", to);
    json.addProperty("to_layout", name(target.layout()));
    json.addProperty("seconds", seconds);
    json.addProperty("output", output.toString());
    out.json(json);
  }

  private static String name(CodeLayout layout) {
    return layout.name().toLowerCase(Locale.ROOT);
  }
}
