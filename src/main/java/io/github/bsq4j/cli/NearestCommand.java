package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.bsq4j.HammingSearch;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyType;
import java.lang.foreign.Arena;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The codes that are nearest to others. */
@Command(
    name = "nearest",
    header = "Find the codes that differ from others in the fewest bits.",
    description =
        "Prints, for each query, the nearest codes: their positions in the file, from 0, and in how"
            + " many bits they differ. Of equally near ones the first come first.",
    customSynopsis = "bsq nearest [OPTIONS] QUERY.npy CODES.npy --k=K")
final class NearestCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "QUERY.npy",
      description =
          "One code, or several: packed bytes, uint8 or int8 [..., bytes], as encode --packed"
              + " writes them, or int64 indices [...].")
  private Path query;

  @Parameters(
      index = "1",
      paramLabel = "CODES.npy",
      description =
          "The codes to search, of the same kind. The file is mapped: it may be larger than"
              + " memory.")
  private Path codes;

  @Option(
      names = "--k",
      paramLabel = "K",
      required = true,
      description = "How many codes to find for each query: 1 to as many as there are.")
  private int k;

  @Mixin private Output out;

  /** Codes of a file, as bytes. */
  private record Packed(NpyFile file, long count, int bytes) {
    static Packed read(Path path, Arena arena) throws FileSystemException {
      NpyFile file = NpyFile.map(path, arena);
      long[] shape = file.shape();
      long elements = Arrays.stream(shape).reduce(1, Math::multiplyExact);
      if (file.type() == NpyType.INT64) {
        return new Packed(file, elements, Long.BYTES);
      }
      if (file.type() != NpyType.UINT8 && file.type() != NpyType.INT8) {
        throw new InputException(
            path
                + ": found elements of type "
                + file.type()
                + "; expected uint8 or int8, for packed codes, or int64, for indices");
      }
      long bytes = shape.length == 0 ? 0 : shape[shape.length - 1];
      if (bytes < 1 || bytes > HammingSearch.MAX_CODE_BYTES) {
        throw new InputException(
            path
                + ": has shape "
                + Arrays.toString(shape)
                + "; expected [..., 1 to "
                + HammingSearch.MAX_CODE_BYTES
                + " bytes]");
      }
      return new Packed(file, elements / bytes, (int) bytes);
    }

    private String kind() {
      return file.type() == NpyType.INT64
          ? "indices"
          : file.type() + " codes of " + bytes + " bytes";
    }

    /** Whether they differ from others in the form of their bytes alone. */
    private boolean differInForm(Packed other) {
      return file.type() != NpyType.INT64
          && other.file.type() != NpyType.INT64
          && bytes == other.bytes;
    }
  }

  @Override
  public Integer call() throws FileSystemException {
    try (Arena arena = Arena.ofConfined()) {
      Packed queries = Packed.read(query, arena);
      Packed searched = Packed.read(codes, arena);
      if (!queries.kind().equals(searched.kind())) {
        throw new InputException(
            query
                + ": holds "
                + queries.kind()
                + ", but "
                + codes
                + " "
                + searched.kind()
                + "; expected the same"
                + (queries.differInForm(searched)
                    ? ": convert --from=ubinary --to=binary turns uint8 into int8, and back"
                    : ""));
      }
      if (k < 1 || k > searched.count()) {
        throw new InputException(
            "--k is " + k + "; expected 1 to " + searched.count() + ", the codes in " + codes);
      }
      HammingSearch search = HammingSearch.create(searched.bytes());
      long start = System.nanoTime();
      HammingSearch.Nearest nearest =
          search.nearest(
              queries.file().data(), queries.count(), searched.file().data(), searched.count(), k);
      report(queries.count(), searched.count(), nearest, (System.nanoTime() - start) * 1e-9);
    }
    return 0;
  }

  private void report(long queries, long count, HammingSearch.Nearest nearest, double seconds) {
    out.line("queries", queries);
    out.line("codes", count);
    JsonArray results = new JsonArray();
    for (int q = 0; q < queries; q++) {
      JsonArray found = new JsonArray();
      for (int i = q * k; i < (q + 1) * k; i++) {
        out.line(
            i == q * k ? "query " + q : "",
            String.format(
                Locale.ROOT, "%10d  %4d bits", nearest.positions()[i], nearest.distances()[i]));
        JsonObject one = new JsonObject();
        one.addProperty("position", nearest.positions()[i]);
        one.addProperty("distance", nearest.distances()[i]);
        found.add(one);
      }
      results.add(found);
    }
    out.line("time", Output.milliseconds(seconds));

    JsonObject json = new JsonObject();
    json.addProperty("queries", queries);
    json.addProperty("codes", count);
    json.addProperty("k", k);
    json.add("nearest", results);
    json.addProperty("seconds", seconds);
    out.json(json);
  }
}
