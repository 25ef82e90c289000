package io.github.bsq4j.cli;

import io.github.bsq4j.QuantizerOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What rows are made of, on the command line. Commands include it as a {@link Mixin}. */
final class CodeFlags {
  @Option(
      names = "--groups",
      paramLabel = "N",
      description =
          "Into how many groups the bits of a code are divided, each with an index and a"
              + " distribution of its own (default: 1).")
  private Integer groups;

  @Option(
      names = "--codebooks",
      paramLabel = "K",
      defaultValue = "1",
      description = "How many codes there are in a row, side by side (default: ${DEFAULT-VALUE}).")
  private int codebooks;

  @Option(
      names = "--channel-first",
      description = "The components are the second dimension: [B, codebooks * code_dim, ...].")
  private boolean channelFirst;

  int codebooks() {
    return codebooks;
  }

  boolean channelFirst() {
    return channelFirst;
  }

  /** Whether the number of groups was given. */
  boolean hasGroups() {
    return groups != null;
  }

  /**
   * The components of a code in rows of this length.
   *
   * @param where what has that length, for messages
   * @throws InputException if there are no whole codes
   */
  int codeDim(long rowLength, String where) {
    requireCodebooks();
    if (rowLength % codebooks != 0) {
      throw new InputException(
          where + " is " + rowLength + ", which --codebooks " + codebooks + " does not divide");
    }
    long dim = rowLength / codebooks;
    if (dim < 1 || dim > QuantizerOptions.MAX_CODE_DIM) {
      throw new InputException(
          where
              + (codebooks == 1 ? ", which is code_dim, is " : " makes code_dim ")
              + dim
              + "; expected 1 to "
              + QuantizerOptions.MAX_CODE_DIM);
    }
    return (int) dim;
  }

  /**
   * Makes sure that an index has room for its bits.
   *
   * @param where a prefix of the message
   */
  void requireShortIndices(int codeDim, String where) {
    if (!hasGroups() && codeDim > QuantizerOptions.MAX_GROUP_SIZE) {
      throw new InputException(
          where
              + "code_dim is "
              + codeDim
              + ", and an index has up to "
              + QuantizerOptions.MAX_GROUP_SIZE
              + " bits; expected --groups, for an index of each group, or --packed");
    }
  }

  /**
   * The size of a group.
   *
   * @throws InputException if they are not of one size
   */
  int groupSize(int codeDim) {
    int count = hasGroups() ? groups : 1;
    if (count < 1) {
      throw new InputException("--groups is " + count + "; expected 1 to code_dim " + codeDim);
    }
    if (codeDim % count != 0) {
      throw new InputException(
          "--groups is " + count + ", which does not divide code_dim " + codeDim);
    }
    return codeDim / count;
  }

  /** Sets what the flags say. */
  QuantizerOptions.Builder set(QuantizerOptions.Builder builder, int codeDim) {
    requireCodebooks();
    return builder.codebooks(codebooks).groupSize(groupSize(codeDim)).channelFirst(channelFirst);
  }

  private void requireCodebooks() {
    if (codebooks < 1 || codebooks > QuantizerOptions.MAX_CODEBOOKS) {
      throw new InputException(
          "--codebooks is " + codebooks + "; expected 1 to " + QuantizerOptions.MAX_CODEBOOKS);
    }
  }
}
