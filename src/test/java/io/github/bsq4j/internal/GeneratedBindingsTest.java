package io.github.bsq4j.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The committed bindings are what jextract made of the committed header: nobody edited the one by
 * hand, or changed the other without running scripts/generate-bindings.sh.
 */
class GeneratedBindingsTest {
  private static final Path HEADER = Path.of("native/include/bsq/bsq.h");
  private static final Path BINDINGS = Path.of("src/main/java/io/github/bsq4j/internal/ffi");

  @Test
  void checksumsAreThoseOfTheGenerator() throws Exception {
    Properties recorded = new Properties();
    try (Reader reader = Files.newBufferedReader(BINDINGS.resolve("GENERATED.properties"))) {
      recorded.load(reader);
    }
    Map<String, String> expected = new TreeMap<>();
    for (String key : recorded.stringPropertyNames()) {
      if (key.startsWith("sha256.")) {
        expected.put(key, recorded.getProperty(key));
      }
    }

    Map<String, String> actual = new TreeMap<>();
    actual.put("sha256.bsq.h", sha256(HEADER));
    try (Stream<Path> files = Files.list(BINDINGS)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
        actual.put("sha256." + file.getFileName(), sha256(file));
      }
    }
    assertEquals(expected, actual, "run scripts/generate-bindings.sh");
  }

  private static String sha256(Path file) throws IOException, NoSuchAlgorithmException {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    return HexFormat.of().formatHex(digest);
  }
}
