package io.github.bsq4j.cli;

import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.Convention;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.NpyType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What a file of codes does not tell of them. Commands include it as a {@link Mixin}. */
final class StoredCodeFlags {
  @Option(
      names = "--code-dim",
      paramLabel = "N",
      required = true,
      description = "The number of bits of a code: 1 to 4096, or to 63 for an index of each.")
  private int codeDim;

  @Option(
      names = "--codebooks",
      paramLabel = "K",
      defaultValue = "1",
      description = "How many codes there are in a row, side by side (default: ${DEFAULT-VALUE}).")
  private int codebooks;

  @Option(
      names = "--groups",
      paramLabel = "N",
      defaultValue = "1",
      description = "Into how many indices each code is divided (default: ${DEFAULT-VALUE}).")
  private int groups;

  int codeDim() {
    return codeDim;
  }

  QuantizerOptions options(Convention convention) {
    if (codeDim < 1 || codeDim > QuantizerOptions.MAX_CODE_DIM) {
      throw new InputException(
          "--code-dim is " + codeDim + "; expected 1 to " + QuantizerOptions.MAX_CODE_DIM);
    }
    if (codebooks < 1 || codebooks > QuantizerOptions.MAX_CODEBOOKS) {
      throw new InputException(
          "--codebooks is " + codebooks + "; expected 1 to " + QuantizerOptions.MAX_CODEBOOKS);
    }
    if (groups < 1 || codeDim % groups != 0) {
      throw new InputException(
          "--groups is " + groups + ", which does not divide code_dim " + codeDim);
    }
    return QuantizerOptions.builder(codeDim)
        .codebooks(codebooks)
        .groupSize(codeDim / groups)
        .convention(convention)
        .build();
  }

  /** The layout that was asked for, or where that is null, what elements of this type are. */
  static CodeLayout layout(CodeLayout given, NpyType type) {
    if (given != null) {
      return given;
    }
    return type == NpyType.UINT8 || type == NpyType.INT8 ? CodeLayout.BYTES : CodeLayout.INDICES;
  }
}
