package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.bsq4j.parity.GoldenCase;
import io.github.bsq4j.parity.GoldenCase.Comparison;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** The parity kit: golden cases written by the reference, against this machine's quantizer. */
@Command(
    name = "verify",
    description =
        "Check the quantizer on this machine against golden cases that the reference wrote. Shows"
            + " the largest error of each field as a fraction of its tolerance; indices count"
            + " the rows that differ.")
final class VerifyCommand implements Callable<Integer> {
  private record Result(String name, List<Comparison> comparisons) {
    boolean passed() {
      return comparisons.stream().allMatch(Comparison::passed);
    }

    String error(String field) {
      return comparisons.stream()
          .filter(comparison -> comparison.field().equals(field))
          .map(comparison -> String.format(Locale.ROOT, "%.4f", comparison.error()))
          .findFirst()
          .orElse("-");
    }
  }

  @Parameters(paramLabel = "FILE.safetensors", arity = "1..*", description = "Golden cases.")
  private List<Path> files;

  @Mixin private Output out;

  @Override
  public Integer call() {
    List<Result> results = new ArrayList<>();
    boolean unreadable = false;
    for (Path file : files) {
      try {
        results.add(new Result(name(file), GoldenCase.read(file).compare()));
      } catch (FileSystemException e) {
        unreadable = true;
        out.text().println("bsq: " + e.getMessage());
      }
    }
    long failed = results.stream().filter(result -> !result.passed()).count();
    printTable(results);
    out.text().printf("%d passed, %d failed%n", results.size() - failed, failed);
    out.json(json(results, failed));
    return unreadable ? Main.BAD_INPUT : failed > 0 ? Main.FAILED : 0;
  }

  private static String name(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(".safetensors")
        ? name.substring(0, name.length() - ".safetensors".length())
        : name;
  }

  private void printTable(List<Result> results) {
    Set<String> fields = new LinkedHashSet<>();
    results.forEach(result -> result.comparisons().forEach(c -> fields.add(c.field())));
    int width = results.stream().mapToInt(result -> result.name().length()).max().orElse(0);
    StringBuilder header = new StringBuilder(pad("case", width));
    fields.forEach(field -> header.append("  ").append(field));
    out.text().println(header.append("  result"));
    for (Result result : results) {
      StringBuilder row = new StringBuilder(pad(result.name(), width));
      for (String field : fields) {
        String error = result.error(field);
        row.append("  ").repeat(' ', Math.max(0, field.length() - error.length())).append(error);
      }
      out.text().println(row.append(result.passed() ? "  PASS" : "  FAIL"));
    }
  }

  private static String pad(String text, int width) {
    return text + " ".repeat(Math.max(0, width - text.length()));
  }

  private static JsonObject json(List<Result> results, long failed) {
    JsonArray cases = new JsonArray();
    for (Result result : results) {
      JsonObject errors = new JsonObject();
      for (Comparison comparison : result.comparisons()) {
        errors.addProperty(comparison.field(), comparison.error());
      }
      JsonObject object = new JsonObject();
      object.addProperty("name", result.name());
      object.addProperty("passed", result.passed());
      object.add("max_error", errors);
      cases.add(object);
    }
    JsonObject json = new JsonObject();
    json.add("cases", cases);
    json.addProperty("failed", failed);
    return json;
  }
}
