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
    description = {
      "Prints, for each query, the nearest codes: their positions in the file, from 0, and in how"
          + " many bits they differ. Of equally near ones the first come first.",
      "",
      "Codes of packed bytes are the last dimension. Of int64 files each element is one, the index"
          + " of a code; --groups makes one of several."
    },
    customSynopsis = "bsq nearest [OPTIONS] QUERY.npy CODES.npy --k=K")
final class NearestCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "QUERY.npy",
      description =
          "One code, or several: packed bytes, uint8 or int8 [..., bytes], as encode --packed"
              + " writes them, or int64 indices [...]; with --groups, int64 [..., N].")
  private Path query;

  @Parameters(
      index = "1",
      paramLabel = "CODES.npy",
      description =
          "The codes to search, of the same kind. The file is mapped: it may be larger than"
              + " memory.")
  private Path codes;

  @Option(
      names = "--groups",
      paramLabel = "N",
      description =
          "How many int64 a code has: the indices of its groups, or its words of 64 bits. Needed"
              + " where the last dimension of an int64 file is above 1, as that may be either; 1"
              + " if each element is a code.")
  private Integer groups;

  @Option(
      names = {"-k", "--k"},
      paramLabel = "K",
      required = true,
      description = "How many codes to find for each query: 1 to as many as there are.")
  private int k;

  @Mixin private Output out;

  /** What an array holds. */
  private static final long MAX_RESULTS = Integer.MAX_VALUE - 8L;

  /** Codes of a file, as bytes. */
  private record Packed(NpyFile file, long count, int bytes) {
    /** Takes groups as null where they were not given. */
    static Packed read(Path path, Integer groups, Arena arena) throws FileSystemException {
      NpyFile file = NpyFile.map(path, arena);
      long[] shape = file.shape();
      long elements = Arrays.stream(shape).reduce(1, Math::multiplyExact);
      if (file.type() == NpyType.INT64) {
        int each = perCode(path, groups, shape);
        return new Packed(file, elements / each, each * Long.BYTES);
      }
      if (file.type() != NpyType.UINT8 && file.type() != NpyType.INT8) {
        throw new InputException(
            path
                + ": found elements of type "
                + file.type()
                + "; expected uint8 or int8, for packed codes, or int64, for indices");
      }
      if (groups != null) {
        throw new InputException(
            path + ": holds packed codes; expected int64 indices or words with --groups");
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

    /** How many of the elements of such an int64 file are a code. */
    private static int perCode(Path path, Integer groups, long... shape) {
      long last = shape.length == 0 ? 1 : shape[shape.length - 1];
      if (groups == null && shape.length > 1 && last > 1) {
        throw new InputException(
            path
                + ": has shape "
                + Arrays.toString(shape)
                + ", where a code may be one element, or "
                + last
                + " of them; expected --groups=1 for the first, --groups="
                + last
                + " for the second");
      }
      if (groups != null && groups > 1 && last != groups) {
        throw new InputException(
            path
                + ": has shape "
                + Arrays.toString(shape)
                + "; expected [..., "
                + groups
                + "] with"
                + " --groups="
                + groups);
      }
      return groups == null ? 1 : groups;
    }

    private String kind() {
      return file.type() == NpyType.INT64
          ? "indices"
          : file.type() + " codes of " + bytes + (bytes == 1 ? " byte" : " bytes");
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
    int most = HammingSearch.MAX_CODE_BYTES / Long.BYTES;
    if (groups != null && (groups < 1 || groups > most)) {
      throw new InputException("--groups is " + groups + "; expected 1 to " + most);
    }
    try (Arena arena = Arena.ofConfined()) {
      Packed queries = Packed.read(query, groups, arena);
      Packed searched = Packed.read(codes, groups, arena);
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
      if (queries.count() > MAX_RESULTS / k) {
        throw new InputException(
            "--k is "
                + k
                + " for each of "
                + queries.count()
                + " queries; expected at most "
                + MAX_RESULTS
                + " results: take parts of "
                + query);
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
                Locale.ROOT,
                "%10d  %4d %s",
                nearest.positions()[i],
                nearest.distances()[i],
                nearest.distances()[i] == 1 ? "bit" : "bits"));
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
