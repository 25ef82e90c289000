package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.CodebookUsage;
import io.github.bsq4j.QuantizerOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * What {@code bsq stats} tells.
 *
 * @param usage of all codebooks
 * @param top how many codes and pairs of bits are named of each kind
 * @param seconds how long it took to read and count
 */
record StatsReport(CodebookUsage usage, int top, double seconds) {
  /** A matrix of more bits is not printed: of 4096, it would be 16 million numbers. */
  private static final int MAX_MATRIX_BITS = 128;

  /** Of more bits, the shares of ones are not printed one by one. */
  private static final int MAX_LISTED_BITS = 64;

  private static final int BITS_PER_LINE = 8;

  /** Two bits, the first before the second. */
  private record BitPair(int a, int b, double correlation) {}

  void print(Output out) {
    QuantizerOptions options = usage.options();
    JsonObject json = new JsonObject();
    json.addProperty("rows", usage.rows());
    json.addProperty("code_dim", options.codeDim());
    json.addProperty("seconds", seconds);
    out.line("rows", usage.rows());
    out.line("code dim", options.codeDim());
    JsonArray codebooks = new JsonArray();
    for (int i = 0; i < options.codebooks(); i++) {
      if (options.codebooks() > 1) {
        out.line("codebook", i + " of " + options.codebooks());
      }
      codebooks.add(print(out, options.codebooks() == 1 ? usage : usage.codebook(i)));
    }
    json.add("codebooks", codebooks);
    out.line("time", Output.milliseconds(seconds));
    out.json(json);
  }

  private JsonObject print(Output out, CodebookUsage codebook) {
    JsonObject json = new JsonObject();
    printCodes(out, codebook, json);
    printBits(out, codebook, json);
    return json;
  }

  private void printCodes(Output out, CodebookUsage codebook, JsonObject json) {
    List<String> names =
        List.of("codes_used", "entropy_bits", "entropy_nats", "perplexity", "most_used");
    if (!codebook.countsCodes()) {
      out.line("codes used", "not counted above %d bits".formatted(CodebookUsage.MAX_COUNTED_DIM));
      names.forEach(name -> json.add(name, JsonNull.INSTANCE));
      json.add("least_used", JsonNull.INSTANCE);
      json.add("unused", JsonNull.INSTANCE);
      return;
    }
    long codes = 1L << codebook.options().codeDim();
    long used = codebook.codesUsed();
    double nats = codebook.entropy();
    out.line("codes used", used + " of " + codes + share(used, codes));
    out.line("entropy", digits(nats / Math.log(2)) + " bits, " + digits(nats) + " nats");
    out.line("perplexity", digits(codebook.perplexity()) + " of " + codes);
    List<CodebookUsage.CodeCount> most = codebook.mostUsed(top);
    List<CodebookUsage.CodeCount> least = codebook.leastUsed(top);
    printCounts(out, "most used", most);
    printCounts(out, "least used", least);

    json.addProperty("codes_used", used);
    json.add("entropy_bits", Output.number(nats / Math.log(2)));
    json.add("entropy_nats", Output.number(nats));
    json.add("perplexity", Output.number(codebook.perplexity()));
    json.add("most_used", json(most));
    json.add("least_used", json(least));
    JsonArray unused = new JsonArray();
    Arrays.stream(codebook.unused(top)).forEach(unused::add);
    json.add("unused", unused);
  }

  private void printCounts(Output out, String label, List<CodebookUsage.CodeCount> codes) {
    List<String> lines = new ArrayList<>();
    for (CodebookUsage.CodeCount code : codes) {
      lines.add(code.index() + ": " + code.count() + share(code.count(), usage.rows()));
    }
    printLines(out, label, lines);
  }

  private static JsonArray json(List<CodebookUsage.CodeCount> codes) {
    JsonArray array = new JsonArray();
    for (CodebookUsage.CodeCount code : codes) {
      JsonObject object = new JsonObject();
      object.addProperty("index", code.index());
      object.addProperty("count", code.count());
      array.add(object);
    }
    return array;
  }

  private void printBits(Output out, CodebookUsage codebook, JsonObject json) {
    double[] balance = codebook.bitBalance();
    double[][] correlations = codebook.bitCorrelation();
    List<BitPair> pairs = mostCorrelated(correlations);
    printBalance(out, balance);
    printLines(
        out,
        "correlated bits",
        pairs.stream()
            .map(pair -> pair.a + ", " + pair.b + ": " + fixed(pair.correlation, 4))
            .toList());

    json.add("bit_balance", json(balance));
    json.add("bit_entropy_nats", json(codebook.bitEntropy()));
    JsonArray top = new JsonArray();
    for (BitPair pair : pairs) {
      JsonObject object = new JsonObject();
      object.addProperty("a", pair.a);
      object.addProperty("b", pair.b);
      object.addProperty("correlation", pair.correlation);
      top.add(object);
    }
    json.add("most_correlated_bits", top);
    JsonElement matrix = JsonNull.INSTANCE;
    if (correlations.length <= MAX_MATRIX_BITS) {
      JsonArray rows = new JsonArray();
      Arrays.stream(correlations).map(StatsReport::json).forEach(rows::add);
      matrix = rows;
    }
    json.add("bit_correlation", matrix);
  }

  private static void printBalance(Output out, double[] balance) {
    if (balance.length > MAX_LISTED_BITS) {
      int least = 0;
      int most = 0;
      for (int bit = 1; bit < balance.length; bit++) {
        least = balance[bit] < balance[least] ? bit : least;
        most = balance[bit] > balance[most] ? bit : most;
      }
      out.line(
          "share of ones",
          "%s (bit %d) to %s (bit %d)"
              .formatted(fixed(balance[least], 4), least, fixed(balance[most], 4), most));
      return;
    }
    List<String> lines = new ArrayList<>();
    for (int first = 0; first < balance.length; first += BITS_PER_LINE) {
      StringBuilder line = new StringBuilder();
      for (int bit = first; bit < Math.min(first + BITS_PER_LINE, balance.length); bit++) {
        line.append(bit == first ? "" : " ").append(fixed(balance[bit], 4));
      }
      lines.add(line.toString());
    }
    printLines(out, "share of ones", lines);
  }

  /** Those of the largest absolute values, without bits that are constant. */
  private List<BitPair> mostCorrelated(double[][] correlations) {
    Comparator<BitPair> order =
        Comparator.comparingDouble((BitPair pair) -> -Math.abs(pair.correlation))
            .thenComparingInt(BitPair::a)
            .thenComparingInt(BitPair::b);
    PriorityQueue<BitPair> last = new PriorityQueue<>(order.reversed());
    for (int a = 0; a < correlations.length; a++) {
      for (int b = a + 1; b < correlations.length; b++) {
        if (!Double.isNaN(correlations[a][b])) {
          last.add(new BitPair(a, b, correlations[a][b]));
          if (last.size() > top) {
            last.remove();
          }
        }
      }
    }
    return last.stream().sorted(order).toList();
  }

  private static void printLines(Output out, String label, List<String> lines) {
    IntStream.range(0, lines.size()).forEach(i -> out.line(i == 0 ? label : "", lines.get(i)));
  }

  private static JsonArray json(double[] values) {
    JsonArray array = new JsonArray();
    Arrays.stream(values).mapToObj(Output::number).forEach(array::add);
    return array;
  }

  private static String share(long part, long whole) {
    return whole == 0 ? "" : String.format(Locale.ROOT, " (%.3g %%)", 100.0 * part / whole);
  }

  private static String digits(double value) {
    return String.format(Locale.ROOT, "%.7g", value);
  }

  private static String fixed(double value, int digits) {
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }

  static String name(CodeLayout layout) {
    return layout.name().toLowerCase(Locale.ROOT);
  }
}
