package io.github.bsq4j.io;

import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads the text of a {@code .npy} header: a Python dict with the keys {@code descr}, {@code
 * fortran_order} and {@code shape}, each once, in any order.
 *
 * <p>This is a recursive-descent parser without the recursion: the three values are a string, a
 * boolean and a tuple of integers, so nothing nests deeper than the tuple. Whatever else Python
 * could evaluate is refused at its first character. Where several spellings are legal it accepts
 * what NumPy has ever written: either quotation mark, a trailing comma, white space between tokens,
 * and the {@code L} that Python 2 put behind long integers.
 *
 * <p>An instance reads one header; not thread-safe.
 */
final class NpyHeaderParser {
  private final Path file;
  private final String text;
  private int position;

  private NpyType type;
  private ByteOrder byteOrder;
  private Boolean fortranOrder;
  private long[] shape;

  private NpyHeaderParser(Path file, String text) {
    this.file = file;
    this.text = text;
  }

  /**
   * Parses a header.
   *
   * @param file the file that the text comes from, for messages
   * @param text the header, decoded
   * @throws MalformedFileException if the text is not a header, or declares what is not supported
   */
  static NpyHeader parse(Path file, String text) throws MalformedFileException {
    return new NpyHeaderParser(file, text).header();
  }

  private NpyHeader header() throws MalformedFileException {
    dict();
    skipSpace();
    if (position < text.length()) {
      throw expected("nothing but spaces and a newline after the closing '}'");
    }
    require(type, "descr");
    require(fortranOrder, "fortran_order");
    require(shape, "shape");
    try {
      return new NpyHeader(type, byteOrder, fortranOrder, shape);
    } catch (ArithmeticException _) {
      throw malformed(
          "the shape " + Messages.excerpt(Shapes.toTuple(shape)) + " is too large for any file");
    }
  }

  private void dict() throws MalformedFileException {
    expect('{', "a Python dict, '{...}'");
    while (!accept('}')) {
      entry();
      if (!accept(',')) {
        expect('}', "',' or '}' after the value");
        return;
      }
    }
  }

  private void entry() throws MalformedFileException {
    skipSpace();
    int start = position;
    String key = string("a quoted key");
    switch (key) {
      case "descr" -> {
        beginValue(key, type);
        descr();
      }
      case "fortran_order" -> {
        beginValue(key, fortranOrder);
        fortranOrder = bool();
      }
      case "shape" -> {
        beginValue(key, shape);
        shape = tuple();
      }
      default -> {
        position = start;
        throw expected("one of the keys 'descr', 'fortran_order', 'shape'");
      }
    }
  }

  private void beginValue(String key, Object earlier) throws MalformedFileException {
    if (earlier != null) {
      throw malformed("the key '" + key + "' occurs twice");
    }
    expect(':', "':' after the key '" + key + "'");
    skipSpace();
  }

  private void require(Object value, String key) throws MalformedFileException {
    if (value == null) {
      throw malformed("the key '" + key + "' is missing");
    }
  }

  /** The element type: a byte order and a code, such as {@code '<f4'}. */
  private void descr() throws MalformedFileException {
    if (at('[') || at('(')) {
      throw malformed(
          "found the structured type "
              + Messages.excerpt(text.substring(position))
              + "; expected one number per element: save a single field of the array");
    }
    String descr = string("a quoted element type such as '<f4'");
    boolean marked = !descr.isEmpty() && "<>=|".indexOf(descr.charAt(0)) >= 0;
    String code = marked ? descr.substring(1) : descr;
    for (NpyType candidate : NpyType.values()) {
      if (candidate.code().equals(code)) {
        type = candidate;
      }
    }
    if (type == null) {
      throw malformed(
          "found the element type "
              + Messages.quote(descr)
              + kindOf(code)
              + "; expected a float of 16, 32 or 64 bits, an integer of 8 to 64 bits or a boolean:"
              + " convert with array.astype, for example astype('float32')");
    }
    byteOrder = byteOrder(descr);
  }

  private ByteOrder byteOrder(String descr) throws MalformedFileException {
    char mark = descr.charAt(0);
    if (mark == '<') {
      return ByteOrder.LITTLE_ENDIAN;
    }
    if (mark == '>') {
      return ByteOrder.BIG_ENDIAN;
    }
    if (mark == '=' || (mark == '|' && type.itemSize() == 1)) {
      return ByteOrder.nativeOrder();
    }
    throw malformed(
        "found the element type "
            + Messages.quote(descr)
            + "; expected the byte order '<' or '>' before "
            + type.code());
  }

  /** What NumPy means by a type that is not supported, for the message. */
  private static String kindOf(String code) {
    return switch (code.isEmpty() ? ' ' : code.charAt(0)) {
      case 'O' -> " (Python objects)";
      case 'c' -> " (complex numbers)";
      case 'S', 'U' -> " (strings)";
      case 'M', 'm' -> " (dates or times)";
      case 'V' -> " (raw bytes, which is also what bfloat16 arrays are saved as)";
      default -> "";
    };
  }

  private boolean bool() throws MalformedFileException {
    if (acceptWord("True")) {
      return true;
    }
    if (acceptWord("False")) {
      return false;
    }
    throw expected("True or False for 'fortran_order'");
  }

  private long[] tuple() throws MalformedFileException {
    expect('(', "a tuple such as (2, 3) for 'shape'");
    List<Long> dimensions = new ArrayList<>();
    while (!accept(')')) {
      dimensions.add(dimension());
      if (!accept(',')) {
        expect(')', "',' or ')' after a dimension");
        if (dimensions.size() == 1) {
          throw malformed(
              "the shape ("
                  + dimensions.getFirst()
                  + ") is a number to Python; expected the tuple ("
                  + dimensions.getFirst()
                  + ",)");
        }
        break;
      }
    }
    if (dimensions.size() > Shapes.MAX_RANK) {
      throw malformed(
          "the shape has "
              + dimensions.size()
              + " dimensions; expected at most "
              + Shapes.MAX_RANK);
    }
    return dimensions.stream().mapToLong(Long::longValue).toArray();
  }

  private long dimension() throws MalformedFileException {
    skipSpace();
    int start = position;
    if (at('-')) {
      throw expected("a dimension of 0 or more");
    }
    while (position < text.length() && isDigit(text.charAt(position))) {
      position++;
    }
    String digits = text.substring(start, position);
    if (digits.isEmpty()) {
      throw expected("a dimension, digits only");
    }
    if (digits.length() > 1 && digits.charAt(0) == '0') {
      position = start;
      throw expected("a dimension without leading zeros");
    }
    acceptWord("L");
    try {
      return Long.parseLong(digits);
    } catch (NumberFormatException _) {
      throw malformed("the dimension " + Messages.excerpt(digits) + " is too large for any file");
    }
  }

  /** A string without escapes: no key and no supported type has any. */
  private String string(String what) throws MalformedFileException {
    skipSpace();
    int start = position;
    if (!at('\'') && !at('"')) {
      throw expected(what);
    }
    int end = text.indexOf(text.charAt(start), start + 1);
    if (end < 0) {
      throw expected(what);
    }
    position = end + 1;
    return text.substring(start + 1, end);
  }

  private void expect(char c, String what) throws MalformedFileException {
    if (!accept(c)) {
      throw expected(what);
    }
  }

  /** Skips white space, then the character if it comes next. */
  private boolean accept(char c) {
    skipSpace();
    if (!at(c)) {
      return false;
    }
    position++;
    return true;
  }

  private boolean acceptWord(String word) {
    if (!text.startsWith(word, position)) {
      return false;
    }
    position += word.length();
    return true;
  }

  private boolean at(char c) {
    return position < text.length() && text.charAt(position) == c;
  }

  private void skipSpace() {
    while (at(' ') || at('\n') || at('\t') || at('\r') || at('\f')) {
      position++;
    }
  }

  private static boolean isDigit(char c) {
    // Not Character.isDigit, which accepts the digits of every script.
    return c >= '0' && c <= '9';
  }

  private MalformedFileException expected(String what) {
    String found =
        position < text.length()
            ? Messages.quote(text.substring(position))
            : "the end of the header";
    return malformed("at character " + position + " found " + found + "; expected " + what);
  }

  private MalformedFileException malformed(String problem) {
    return new MalformedFileException(file, "bad .npy header: " + problem);
  }
}
