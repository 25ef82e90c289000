package io.github.bsq4j.io;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Reads and validates the header of a {@code .safetensors} file: a JSON object whose members are
 * the tensors, and {@code __metadata__}.
 *
 * <p>The structure is fixed, so the parser asks the JSON reader for one particular token after the
 * other and refuses any other: no value is skipped, and nothing nests deeper than the format does.
 * Beyond the reference implementation's rules it refuses what that lets pass by accident: repeated
 * names, unknown properties, white space other than spaces around the object.
 *
 * <p>An instance reads one header; not thread-safe.
 */
final class SafetensorsHeaderParser {
  private static final String METADATA = "__metadata__";

  private static final int EXCERPT_BYTES = 40;

  private final Path file;
  private final long dataSize;
  private final JsonReader json;
  private final LinkedHashMap<String, String> metadata = new LinkedHashMap<>();
  private final LinkedHashMap<String, SafetensorsEntry> tensors = new LinkedHashMap<>();

  private SafetensorsHeaderParser(Path file, long dataSize, Reader text) {
    this.file = file;
    this.dataSize = dataSize;
    this.json = new JsonReader(text);
    json.setStrictness(Strictness.STRICT);
  }

  /**
   * Parses a header.
   *
   * @param file the file that the header comes from, for messages
   * @param header the bytes of the header
   * @param dataSize the number of bytes that follow the header in the file
   * @throws MalformedFileException if the header breaks a rule of the format
   */
  static SafetensorsHeader parse(Path file, byte[] header, long dataSize)
      throws MalformedFileException {
    int end = header.length;
    while (end > 0 && header[end - 1] == ' ') {
      end--;
    }
    if (end == 0 || header[0] != '{') {
      String start = text(header, 0, Math.min(header.length, EXCERPT_BYTES));
      throw malformed(file, "begins with " + Messages.quote(start) + "; expected '{'");
    }
    if (header[end - 1] != '}') {
      String tail = text(header, Math.max(0, end - EXCERPT_BYTES), end);
      throw malformed(
          file,
          "ends with " + Messages.quote(tail) + "; expected '}' and nothing but spaces behind it");
    }
    // A new decoder, unlike the constructor that takes a Charset, reports what is not UTF-8.
    Reader text =
        new InputStreamReader(
            new ByteArrayInputStream(header, 0, end), StandardCharsets.UTF_8.newDecoder());
    return new SafetensorsHeaderParser(file, dataSize, text).header();
  }

  private static String text(byte[] header, int start, int end) {
    return new String(header, start, end - start, StandardCharsets.UTF_8);
  }

  private SafetensorsHeader header() throws MalformedFileException {
    try {
      readMembers();
      next(JsonToken.END_DOCUMENT, "nothing after the JSON object");
    } catch (MalformedFileException e) {
      throw e;
    } catch (CharacterCodingException _) {
      throw malformed("its bytes are not UTF-8");
    } catch (MalformedJsonException | EOFException e) {
      throw malformed("not valid JSON" + location(e));
    } catch (IOException e) {
      // The text is in memory: there is nothing else to fail.
      throw new AssertionError(e);
    }
    checkCoverage();
    return new SafetensorsHeader(metadata, tensors);
  }

  private void readMembers() throws IOException {
    boolean metadataSeen = false;
    json.beginObject();
    while (json.hasNext()) {
      String name = name();
      if (!name.equals(METADATA)) {
        if (tensors.putIfAbsent(name, tensor(name)) != null) {
          throw repeated(name);
        }
      } else {
        if (metadataSeen) {
          throw repeated(name);
        }
        metadataSeen = true;
        readMetadata();
      }
    }
    json.endObject();
  }

  private void readMetadata() throws IOException {
    next(JsonToken.BEGIN_OBJECT, "an object of strings for '" + METADATA + "'");
    json.beginObject();
    while (json.hasNext()) {
      String key = name();
      next(JsonToken.STRING, "a string for the metadata " + Messages.quote(key));
      if (metadata.putIfAbsent(key, wellFormed(json.nextString())) != null) {
        throw repeated(key);
      }
    }
    json.endObject();
  }

  private SafetensorsEntry tensor(String name) throws IOException {
    SafetensorsType type = null;
    long[] shape = null;
    long[] offsets = null;
    Set<String> seen = new LinkedHashSet<>();
    next(JsonToken.BEGIN_OBJECT, "an object for the tensor " + Messages.quote(name));
    json.beginObject();
    while (json.hasNext()) {
      String key = name();
      if (!seen.add(key)) {
        throw repeated(key);
      }
      switch (key) {
        case "dtype" -> type = type(name);
        case "shape" -> shape = numbers(name, key, Shapes.MAX_RANK);
        case "data_offsets" -> offsets = numbers(name, key, 2);
        default ->
            throw malformed(
                tensorText(name)
                    + "found the property "
                    + Messages.quote(key)
                    + "; expected dtype, shape, data_offsets");
      }
    }
    json.endObject();
    require(name, type, "dtype");
    require(name, shape, "shape");
    require(name, offsets, "data_offsets");
    return entry(name, type, shape, offsets);
  }

  private SafetensorsType type(String tensor) throws IOException {
    next(JsonToken.STRING, "a string for the dtype of the tensor " + Messages.quote(tensor));
    String dtype = json.nextString();
    for (SafetensorsType type : SafetensorsType.values()) {
      if (type.name().equals(dtype)) {
        return type;
      }
    }
    throw malformed(
        tensorText(tensor)
            + "found the dtype "
            + Messages.quote(dtype)
            + "; expected one of "
            + Arrays.toString(SafetensorsType.values()));
  }

  /** A list of integers of 0 or more, as the format writes shapes and offsets. */
  private long[] numbers(String tensor, String key, int limit) throws IOException {
    List<Long> numbers = new ArrayList<>();
    next(JsonToken.BEGIN_ARRAY, "a list of numbers for the " + key + " of " + quoted(tensor));
    json.beginArray();
    while (json.hasNext()) {
      if (numbers.size() == limit) {
        throw malformed(
            tensorText(tensor)
                + key
                + " has more than "
                + limit
                + " numbers; expected at most "
                + limit);
      }
      next(JsonToken.NUMBER, "numbers only in the " + key + " of " + quoted(tensor));
      numbers.add(number(tensor, key, json.nextString()));
    }
    json.endArray();
    return numbers.stream().mapToLong(Long::longValue).toArray();
  }

  private long number(String tensor, String key, String digits) throws MalformedFileException {
    // Not nextLong(), which would take 1.0 and 1e3 for integers.
    boolean digitsOnly = digits.chars().allMatch(c -> c >= '0' && c <= '9');
    try {
      if (digitsOnly) {
        return Long.parseLong(digits);
      }
    } catch (NumberFormatException _) {
      // Too large: refused below.
    }
    throw malformed(
        tensorText(tensor)
            + key
            + " has the number "
            + Messages.excerpt(digits)
            + "; expected an integer from 0 to "
            + Long.MAX_VALUE);
  }

  private SafetensorsEntry entry(String name, SafetensorsType type, long[] shape, long[] offsets)
      throws MalformedFileException {
    if (offsets.length != 2) {
      throw malformed(
          tensorText(name) + "data_offsets has " + offsets.length + " numbers; expected two");
    }
    long begin = offsets[0];
    long end = offsets[1];
    if (begin > end || end > dataSize) {
      throw malformed(
          tensorText(name)
              + "data_offsets are "
              + Arrays.toString(offsets)
              + "; expected a range within the "
              + dataSize
              + " bytes that follow the header");
    }
    String declared = type + " of shape " + Messages.excerpt(Arrays.toString(shape));
    long needed;
    try {
      needed = Shapes.byteSize(shape, type.itemSize());
    } catch (ArithmeticException _) {
      throw malformed(tensorText(name) + declared + " is too large for any file");
    }
    if (needed != end - begin) {
      throw malformed(
          tensorText(name)
              + "data_offsets "
              + Arrays.toString(offsets)
              + " hold "
              + (end - begin)
              + " bytes; expected "
              + needed
              + " for "
              + declared);
    }
    return new SafetensorsEntry(name, type, shape, begin, end);
  }

  /** Each tensor must begin where the one before it in the file ends, and the last at the end. */
  private void checkCoverage() throws MalformedFileException {
    List<SafetensorsEntry> byOffset = new ArrayList<>(tensors.values());
    byOffset.sort(
        Comparator.comparingLong(SafetensorsEntry::begin).thenComparingLong(SafetensorsEntry::end));
    long covered = 0;
    for (SafetensorsEntry entry : byOffset) {
      if (entry.begin() != covered) {
        throw malformed(
            tensorText(entry.name())
                + (entry.begin() < covered ? "overlaps another: " : "leaves a hole: ")
                + "it begins at byte "
                + entry.begin()
                + "; expected "
                + covered);
      }
      covered = entry.end();
    }
    if (covered != dataSize) {
      throw malformed(
          "found "
              + dataSize
              + " bytes after the header; expected the "
              + covered
              + " that the tensors cover");
    }
  }

  private String name() throws IOException {
    return wellFormed(json.nextName());
  }

  /** Refuses half a surrogate pair, which JSON can escape but Unicode text cannot hold. */
  private String wellFormed(String text) throws MalformedFileException {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw malformed("found " + Messages.quote(text) + "; expected Unicode text");
    }
    return text;
  }

  /** Checks, without reading it, that the next token is of a kind. */
  private void next(JsonToken kind, String what) throws IOException {
    JsonToken found = json.peek();
    if (found != kind) {
      throw malformed("found " + describe(found) + "; expected " + what);
    }
  }

  private String describe(JsonToken token) throws IOException {
    return switch (token) {
      case STRING -> "the string " + Messages.quote(json.nextString());
      case NUMBER -> "the number " + Messages.excerpt(json.nextString());
      case BOOLEAN -> Boolean.toString(json.nextBoolean());
      case NULL -> "null";
      case BEGIN_OBJECT -> "an object";
      case BEGIN_ARRAY -> "a list";
      case END_OBJECT, END_ARRAY, NAME, END_DOCUMENT -> "the end of a value";
    };
  }

  private void require(String tensor, Object value, String key) throws MalformedFileException {
    if (value == null) {
      throw malformed(tensorText(tensor) + key + " is missing");
    }
  }

  /** Where the JSON is bad, cut out of a message that otherwise speaks of Gson's settings. */
  private static String location(IOException e) {
    String message = e.getMessage();
    int start = message.indexOf(" at line ");
    if (start < 0) {
      return "";
    }
    int end = message.indexOf('\n', start);
    return " " + Messages.excerpt(message.substring(start + 1, end < 0 ? message.length() : end));
  }

  private static String quoted(String tensor) {
    return "the tensor " + Messages.quote(tensor);
  }

  private static String tensorText(String name) {
    return "tensor " + Messages.quote(name) + ": ";
  }

  private MalformedFileException repeated(String name) {
    return malformed("the name " + Messages.quote(name) + " occurs twice");
  }

  private MalformedFileException malformed(String problem) {
    return malformed(file, problem);
  }

  private static MalformedFileException malformed(Path file, String problem) {
    return new MalformedFileException(file, "bad .safetensors header: " + problem);
  }
}
