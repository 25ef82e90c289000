package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.ToDoubleFunction;

/**
 * What {@code bsq encode} tells.
 *
 * @param rows how many there are, counting in the losses or not
 * @param layout how codes are stored
 * @param codeShape the shape of the codes
 * @param distinct how many different rows of codes there are, if they were counted
 * @param losses if they were computed
 * @param smallestMargin of all sign margins, if they were computed
 * @param frameRate rows per second
 * @param seconds how long it took
 * @param output where the indices were written, if they were
 * @param margins where the margins were written, if they were
 */
@SuppressWarnings("ArrayRecordComponent") // nobody compares two of them
record EncodeReport(
    QuantizerOptions options,
    long rows,
    CodeLayout layout,
    long[] codeShape,
    OptionalLong distinct,
    Optional<Losses> losses,
    OptionalDouble smallestMargin,
    double frameRate,
    double seconds,
    Optional<Path> output,
    Optional<Path> margins) {
  private static final int MAX_PRINTED_BITS = 63;

  void print(Output out) {
    printText(out);
    out.json(json());
  }

  private void printText(Output out) {
    out.line("rows", rows);
    out.line("code dim", options.codeDim());
    if (options.codebooks() > 1) {
      out.line("codebooks", options.codebooks());
    }
    if (options.groups() > 1) {
      String bits = options.groupSize() == 1 ? " bit" : " bits";
      out.line("groups", options.groups() + " of " + options.groupSize() + bits);
    }
    out.line(layout == CodeLayout.INDICES ? "indices" : "packed bytes", Arrays.toString(codeShape));
    out.line(
        "distinct codes",
        (distinct.isPresent() ? distinct.getAsLong() : "not counted") + " of " + possible());
    out.line("bit rate", plain(bitRate()) + " bit/s at " + plain(frameRate) + " frames/s");
    losses.ifPresent(found -> printLosses(out, found));
    smallestMargin.ifPresent(margin -> out.line("smallest margin", digits(margin)));
    out.line("time", Output.milliseconds(seconds));
    output.ifPresent(file -> out.line("output", file));
    margins.ifPresent(file -> out.line("margins", file));
  }

  private void printLosses(Output out, Losses found) {
    out.line("aux loss", digits(found.auxLoss()));
    out.line("per-sample entropy", digits(found.perSampleEntropy()) + " nats");
    out.line("codebook entropy", digits(found.codebookEntropy()) + " nats");
    out.line("entropy loss", digits(found.entropyLoss()) + " nats");
    out.line(
        "commitment",
        options.commitmentWeight() == 0
            ? "not computed, its weight is 0"
            : digits(found.commitment()));
    out.line(
        "counted rows",
        found.rows()
            + (found.entropyRows() == found.rows()
                ? ""
                : ", the entropies are of " + found.entropyRows()));
  }

  private JsonObject json() {
    JsonObject json = new JsonObject();
    json.addProperty("rows", rows);
    json.addProperty("code_dim", options.codeDim());
    json.addProperty("codebooks", options.codebooks());
    json.addProperty("groups", options.groups());
    JsonArray shape = new JsonArray();
    Arrays.stream(codeShape).forEach(shape::add);
    json.add(layout == CodeLayout.INDICES ? "index_shape" : "packed_shape", shape);
    json.add(
        "distinct_codes",
        distinct.isPresent() ? new JsonPrimitive(distinct.getAsLong()) : JsonNull.INSTANCE);
    json.add("bits_per_second", Output.number(bitRate()));
    json.add("aux_loss", loss(Losses::auxLoss));
    json.add("per_sample_entropy", loss(Losses::perSampleEntropy));
    json.add("codebook_entropy", loss(Losses::codebookEntropy));
    json.add("entropy_loss", loss(Losses::entropyLoss));
    json.add("commitment", loss(Losses::commitment));
    json.addProperty("counted_rows", losses.map(Losses::rows).orElse(null));
    json.addProperty("entropy_rows", losses.map(Losses::entropyRows).orElse(null));
    json.add(
        "smallest_margin",
        smallestMargin.isPresent()
            ? Output.number(smallestMargin.getAsDouble())
            : JsonNull.INSTANCE);
    json.addProperty("seconds", seconds);
    json.addProperty("output", output.map(Path::toString).orElse(null));
    json.addProperty("margins", margins.map(Path::toString).orElse(null));
    return json;
  }

  /** Null where no losses were computed, and where one is NaN. */
  private JsonElement loss(ToDoubleFunction<Losses> term) {
    return losses.isEmpty() ? JsonNull.INSTANCE : Output.number(term.applyAsDouble(losses.get()));
  }

  private double bitRate() {
    return options.rowLength() * frameRate;
  }

  /** How many different rows of indices there can be. */
  private String possible() {
    int bits = options.rowLength();
    return bits <= MAX_PRINTED_BITS ? Long.toUnsignedString(1L << bits) : "2^" + bits;
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
