package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.io.Messages;
import io.github.bsq4j.parity.GoldenCase;
import io.github.bsq4j.parity.GoldenCase.Comparison;
import io.github.bsq4j.parity.QuantizerPath;
import io.github.bsq4j.parity.TensorPath;
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
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The parity kit: golden cases written by other projects, against this machine's quantizer. */
@Command(
    name = "verify",
    header = "Check the quantizer on this machine against golden cases.",
    description =
        "Golden cases are inputs with the outputs and gradients that SpeechBrain's quantizer, or"
            + " BSQ-ViT's or lucidrains' LFQ, computed; their metadata tell which. The table shows,"
            + " for each field that is right there, the largest error as a fraction of its"
            + " tolerance: a case passes if all are at most 1. For indices it shows how many"
            + " differ.",
    customSynopsis = "bsq verify [OPTIONS] FILE.safetensors...")
final class VerifyCommand implements Callable<Integer> {
  private enum PathName {
    HOST(QuantizerPath.HOST),
    TENSOR(QuantizerPath.TENSOR),
    OPERATORS(QuantizerPath.OPERATORS);

    @SuppressWarnings("ImmutableEnumChecker") // all paths are immutable
    private final QuantizerPath path;

    PathName(QuantizerPath path) {
      this.path = path;
    }
  }

  private record Unreadable(Path file, String problem) {}

  private record Result(String name, List<Comparison> comparisons) {
    boolean passed() {
      return comparisons.stream().allMatch(Comparison::passed);
    }

    String error(String field) {
      return comparisons.stream()
          .filter(comparison -> comparison.field().equals(field))
          .map(VerifyCommand::error)
          .findFirst()
          .orElse("-");
    }
  }

  @Parameters(paramLabel = "FILE.safetensors", arity = "1..*", description = "Golden cases.")
  private List<Path> files;

  @Option(
      names = "--path",
      paramLabel = "PATH",
      description =
          "What to check: host (CPU memory, for float32 and float64), tensor (the kernels on"
              + " tensors) or operators (LibTorch's operators on tensors). Default: host, or with"
              + " another device than the CPU what computes on it by itself.")
  private PathName pathName;

  @Mixin private DeviceFlag deviceFlag;

  @Mixin private Output out;

  @Override
  public Integer call() {
    QuantizerPath path = path(deviceFlag.usable());
    List<Result> results = new ArrayList<>();
    List<Unreadable> unreadable = new ArrayList<>();
    for (Path file : files) {
      try {
        GoldenCase golden = GoldenCase.read(file);
        if (path.serves(golden.dtype())) {
          results.add(new Result(name(file), golden.compare(path)));
        } else {
          String problem = file + ": x is " + golden.dtype() + "; use --path tensor or operators";
          unreadable.add(new Unreadable(file, problem));
        }
      } catch (FileSystemException e) {
        unreadable.add(new Unreadable(file, e.getMessage()));
      } catch (BsqException e) {
        if (!isFaultOfFile(e)) {
          throw e;
        }
        unreadable.add(new Unreadable(file, file + ": " + e.getMessage()));
      }
    }
    long failed = results.stream().filter(result -> !result.passed()).count();
    if (!results.isEmpty()) {
      printTable(results);
    }
    printSummary(results.size() - failed, failed, unreadable.size());
    unreadable.forEach(file -> out.problem(file.problem()));
    out.json(json(path, results, failed, unreadable));
    return !unreadable.isEmpty() ? Main.BAD_INPUT : failed > 0 ? Main.FAILED : 0;
  }

  private QuantizerPath path(Device device) {
    if (device.equals(Device.CPU)) {
      return pathName == null ? QuantizerPath.HOST : pathName.path;
    }
    if (pathName == null) {
      return new TensorPath(device, Implementation.AUTOMATIC);
    }
    if (pathName.path instanceof TensorPath tensors) {
      return new TensorPath(device, tensors.implementation());
    }
    throw new InputException(
        "--path is host, which is on the CPU, but --device is "
            + device
            + "; expected --path tensor or operators");
  }

  /** The quantizer refuses what the file holds: NaN in x, or codes too long for losses. */
  private static boolean isFaultOfFile(BsqException e) {
    return e.code() == BsqException.Code.INVALID_ARGUMENT
        || e.code() == BsqException.Code.UNSUPPORTED;
  }

  private static String error(Comparison comparison) {
    if (comparison.counted()) {
      return String.format(Locale.ROOT, "%.0f", comparison.error());
    }
    if (comparison.error() == Double.MAX_VALUE) {
      return "inf"; // only one side is NaN, or the error is as large as that
    }
    return String.format(
        Locale.ROOT, comparison.error() < 1e4 ? "%.4f" : "%.1e", comparison.error());
  }

  private static String name(Path file) {
    String name = Messages.name(file.getFileName() == null ? file : file.getFileName());
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

  private void printSummary(long passed, long failed, int unreadable) {
    out.text()
        .println(
            passed
                + " passed, "
                + failed
                + " failed"
                + (unreadable == 0 ? "" : ", " + unreadable + " could not be read"));
  }

  private static String pad(String text, int width) {
    return text + " ".repeat(Math.max(0, width - text.length()));
  }

  private JsonObject json(
      QuantizerPath path, List<Result> results, long failed, List<Unreadable> unreadable) {
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
    JsonArray problems = new JsonArray();
    for (Unreadable file : unreadable) {
      JsonObject object = new JsonObject();
      object.addProperty("file", file.file().toString());
      object.addProperty("problem", file.problem());
      problems.add(object);
    }
    JsonObject json = new JsonObject();
    json.addProperty("path", path.toString());
    json.add("cases", cases);
    json.addProperty("failed", failed);
    json.add("unreadable", problems);
    return json;
  }
}
