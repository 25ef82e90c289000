package io.github.bsq4j.io;

import static io.github.bsq4j.io.FileBytes.concat;
import static io.github.bsq4j.io.FileBytes.npy;
import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every way in which a .npy file can be wrong, and the words that must tell so. */
class HostileNpyTest {
  private static final byte[] VALID =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n", new byte[8]);

  @TempDir Path folder;

  @ParameterizedTest(name = "{index}")
  @MethodSource
  void refusesHeader(String header, String[] words) throws IOException {
    assertRefused(npy(header, new byte[8]), words);
  }

  static Stream<Arguments> refusesHeader() {
    return Stream.of(
        // Not a dict.
        header("", "found the end of the header; expected a Python dict"),
        header("   \n", "found the end of the header"),
        header("[1, 2]", "at character 0 found '[1, 2]'; expected a Python dict"),
        header("{'descr'", "expected ':' after the key 'descr'"),
        header("{'descr': '<f4', 'shape': (1, 2)", "expected ',' or '}' after the value"),
        header("{", "found the end of the header; expected a quoted key"),
        header("{,}", "found ',}'; expected a quoted key"),
        header("{'descr", "found ''descr'; expected a quoted key"),
        header("{{'descr': '<f4'}}", "expected a quoted key"),
        header("{".repeat(5000), "expected a quoted key"),
        header("{descr: '<f4'}", "found 'descr: '<f4'}'; expected a quoted key"),
        header("{b'descr': '<f4'}", "expected a quoted key"),
        header("{1: '<f4'}", "expected a quoted key"),
        header("{'descr' = '<f4'}", "found '= '<f4'}'; expected ':'"),
        header("{'descr': '<f4' 'x'}", "expected ',' or '}'"),
        header("# comment\n{}", "expected a Python dict"),
        valid("(1, 2)} trailing", "found 'trailing'; expected nothing but spaces"),
        valid("(1, 2)}{}", "expected nothing but spaces"),
        valid("(1, 2)}\u0000", "found '\\x00'; expected nothing but spaces"),
        header("\u0000{}", "found '\\x00{}'"),
        // The keys.
        header("{}", "the key 'descr' is missing"),
        header("{'descr': '<f4', 'shape': (1, 2)}", "the key 'fortran_order' is missing"),
        header("{'descr': '<f4', 'fortran_order': False}", "the key 'shape' is missing"),
        header("{'descr': '<f4', 'descr': '<f4'}", "the key 'descr' occurs twice"),
        valid("(1, 2), 'shape': (1, 2)}", "the key 'shape' occurs twice"),
        valid("(1, 2), 'fortran_order': False}", "the key 'fortran_order' occurs twice"),
        valid("(1, 2), 'extra': 1}", "found ''extra': 1}'; expected one of the keys"),
        header("{'Descr': '<f4'}", "expected one of the keys 'descr', 'fortran_order', 'shape'"),
        header("{'d\u00e9scr\u0007': 1}", "found ''d\u00e9scr\\x07': 1}'"),
        header("{'des\\x63r': '<f4'}", "expected one of the keys"),
        header("{'" + "k".repeat(5000) + "': 1}", "k...'; expected one of the keys"),
        // The element type.
        descr("'|O'", "'|O' (Python objects)", "astype('float32')"),
        descr("'O'", "'O' (Python objects)"),
        descr("[('x', '<f4'), ('y', '<f4')]", "structured type [('x', '<f4')", "a single field"),
        descr("[".repeat(5000), "structured type [[[", "..."),
        descr("('<f4', (2,))", "structured type"),
        descr("'<c8'", "'<c8' (complex numbers)"),
        descr("'|b2'", "'|b2'; expected a float"),
        descr("'?'", "'?'; expected a float"),
        descr("'b1'", "'b1'; expected the byte order '<' or '>' before b1"),
        descr("'<U5'", "'<U5' (strings)"),
        descr("'|S5'", "'|S5' (strings)"),
        descr("'<M8[ns]'", "'<M8[ns]' (dates or times)"),
        descr("'<m8'", "'<m8' (dates or times)"),
        descr("'|V2'", "'|V2' (raw bytes, which is also what bfloat16 arrays are saved as)"),
        descr("'<f16'", "'<f16'; expected a float of 16, 32 or 64 bits"),
        descr("'<f3'", "'<f3'; expected"),
        descr("'<i'", "'<i'; expected"),
        descr("'<f4 '", "'<f4 '; expected"),
        descr("'<f44444444444444444444444'", "'<f44444444444444444444444'; expected"),
        descr("'<'", "'<'; expected"),
        descr("''", "the element type ''; expected"),
        descr("'f4'", "'f4'; expected the byte order '<' or '>' before f4"),
        descr("'float32'", "'float32'; expected"),
        descr("'|f4'", "'|f4'; expected the byte order '<' or '>' before f4"),
        descr("'!f4'", "'!f4'; expected a float"),
        descr("'\u00e9f4'", "'\u00e9f4'; expected a float"),
        descr("'b'", "'b'; expected a float"),
        descr("__import__('os').system('true')", "found '__import__('os')"),
        descr("None", "found 'None, 'fortran_order'", "expected a quoted element type"),
        descr("u'<f4'", "expected a quoted element type"),
        descr("4", "expected a quoted element type"),
        descr("{'a': {'b': {}}}", "found '{'a': {'b'", "expected a quoted element type"),
        // The order.
        fortran("false", "found 'false, 'shape'", "expected True or False"),
        fortran("0", "expected True or False"),
        fortran("'True'", "expected True or False"),
        fortran("Falsehood", "found 'hood, 'shape'", "expected ',' or '}'"),
        fortran("not True", "expected True or False"),
        fortran("(False)", "expected True or False"),
        // The shape.
        shape("[1, 2]", "found '[1, 2]", "expected a tuple such as (2, 3)"),
        shape("2", "found '2, }'; expected a tuple"),
        shape("None", "expected a tuple"),
        shape("(2)", "the shape (2) is a number to Python; expected the tuple (2,)"),
        shape("(1, 2", "found '}'; expected a dimension"),
        shape("(1 2)", "found '2), }'; expected ',' or ')' after a dimension"),
        shape("(,)", "expected a dimension, digits only"),
        shape("(1,,2)", "expected a dimension, digits only"),
        shape("((1, 2),)", "found '(1, 2)", "expected a dimension, digits only"),
        shape("(".repeat(5000), "expected a dimension, digits only"),
        shape("(-1, 2)", "found '-1, 2), }'; expected a dimension of 0 or more"),
        shape("(+1, 2)", "expected a dimension, digits only"),
        shape("(1.0, 2)", "found '.0, 2), }'; expected ',' or ')'"),
        shape("(1e3, 2)", "found 'e3, 2), }'"),
        shape("(0x10, 2)", "found 'x10, 2), }'"),
        shape("(1_000, 2)", "found '_000, 2), }'"),
        shape("(01, 2)", "found '01, 2), }'; expected a dimension without leading zeros"),
        shape("(True, 2)", "expected a dimension, digits only"),
        shape("('1', 2)", "expected a dimension, digits only"),
        shape("(\u00b2, 2)", "found '\u00b2, 2), }'; expected a dimension, digits only"),
        shape("(1LL, 2)", "found 'L, 2), }'; expected ',' or ')'"),
        shape("(9223372036854775808,)", "dimension 9223372036854775808 is too large"),
        shape("(" + "9".repeat(5000) + ",)", "dimension 9999", "... is too large"),
        shape("(9223372036854775807,)", "(9223372036854775807,) is too large"),
        shape("(4294967296, 4294967296)", "(4294967296, 4294967296) is too large"),
        shape("(0, 4294967296, 4294967296)", "(0, 4294967296, 4294967296) is too large"),
        shape("(" + "1, ".repeat(65) + ")", "65 dimensions; expected at most 64"),
        shape(
            "(2305843009213693951,)",
            "found 8 bytes after the header, 9223372036854775796 fewer than the"),
        // The size: eight bytes follow.
        shape(
            "(3,)",
            "truncated: found 8 bytes after",
            "4 fewer than the 12 of float32 of shape (3,)"),
        shape(
            "(1,)", "too long: found 8 bytes after", "4 more than the 4 of float32 of shape (1,)"),
        shape("()", "4 more than the 4 of float32 of shape ()"),
        shape("(0, 2)", "8 more than the 0 of"));
  }

  private static Arguments header(String header, String... words) {
    return Arguments.of(header, words);
  }

  private static Arguments valid(String shapeAndRest, String... words) {
    return header("{'descr': '<f4', 'fortran_order': False, 'shape': " + shapeAndRest, words);
  }

  private static Arguments descr(String descr, String... words) {
    return header("{'descr': " + descr + ", 'fortran_order': False, 'shape': (1, 2), }", words);
  }

  private static Arguments fortran(String order, String... words) {
    return header("{'descr': '<f4', 'fortran_order': " + order + ", 'shape': (1, 2), }", words);
  }

  private static Arguments shape(String shape, String... words) {
    return header("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", words);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource
  void refusesFile(String name, byte[] bytes, String words) throws IOException {
    assertRefused(bytes, words);
  }

  static Stream<Arguments> refusesFile() {
    byte[] header =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}".getBytes(StandardCharsets.UTF_8);
    byte[] notUtf8 = "{'descr': '<f4', 'x\u00ff': 1}".getBytes(StandardCharsets.ISO_8859_1);
    byte[] foreign = "{'descr': '<f4', '\u03c0': 1}".getBytes(StandardCharsets.UTF_8);
    return Stream.of(
        Arguments.of(
            "text",
            "hello world".getBytes(StandardCharsets.UTF_8),
            "not a .npy file: it starts with 'hello '"),
        Arguments.of("one byte", new byte[] {0}, "it starts with '\\x00'; expected '\\x93NUMPY'"),
        Arguments.of(
            "zip",
            "PK\u0003\u0004....".getBytes(StandardCharsets.UTF_8),
            "'PK\\x03\\x04..' (a .npz archive?"),
        Arguments.of("half the magic", Arrays.copyOf(VALID, 3), "truncated: it ends after 3 bytes"),
        Arguments.of("no version", Arrays.copyOf(VALID, 6), "truncated: it ends after 6 bytes"),
        Arguments.of("half a version", Arrays.copyOf(VALID, 7), "truncated: it ends after 7 bytes"),
        Arguments.of("no length", Arrays.copyOf(VALID, 8), "truncated: it ends after 8 bytes"),
        Arguments.of("half a length", Arrays.copyOf(VALID, 9), "truncated: it ends after 9 bytes"),
        Arguments.of(
            "no header",
            Arrays.copyOf(VALID, 10),
            "ends after 10 bytes, before the end of its .npy"),
        Arguments.of(
            "half a header",
            Arrays.copyOf(VALID, 40),
            "ends after 40 bytes, before the end of its"),
        Arguments.of(
            "a header but its last byte",
            Arrays.copyOf(VALID, VALID.length - 9),
            "before the end of its .npy header of "),
        Arguments.of(
            "no data",
            Arrays.copyOf(VALID, VALID.length - 8),
            "truncated: found 0 bytes after the header, 8 fewer"),
        Arguments.of(
            "a byte too few",
            Arrays.copyOf(VALID, VALID.length - 1),
            "7 bytes after the header, 1 fewer"),
        Arguments.of(
            "a byte too many", concat(VALID, new byte[1]), "9 bytes after the header, 1 more"),
        Arguments.of("two arrays", concat(VALID, VALID), VALID.length + " more than the 8"),
        Arguments.of("version 0.0", npy(0, 0, header, new byte[8]), "format version 0.0"),
        Arguments.of("version 1.1", npy(1, 1, header, new byte[8]), "format version 1.1"),
        Arguments.of(
            "version 4.0", npy(4, 0, header, new byte[8]), "version 4.0; expected 1.0, 2.0 or 3.0"),
        Arguments.of("version 255.255", npy(255, 255, header), "format version 255.255"),
        Arguments.of(
            "a header of 4 GiB",
            concat(Arrays.copyOf(npy(2, 0, header), 8), new byte[] {-1, -1, -1, -1, '{'}),
            "a .npy header of 4294967295 bytes; expected at most 10000"),
        Arguments.of("a long header", npy(2, 0, new byte[10_001]), "a .npy header of 10001 bytes"),
        Arguments.of("no UTF-8", npy(3, 0, notUtf8), "bytes that are not UTF-8"),
        Arguments.of("a foreign key", npy(3, 0, foreign), "found ''\u03c0': 1}'"),
        Arguments.of(
            "half a version 2 length",
            Arrays.copyOf(npy(2, 0, header), 11),
            "ends after 11 bytes"));
  }

  private void assertRefused(byte[] bytes, String... words) throws IOException {
    Path file = Files.write(folder.resolve("x.npy"), bytes);
    try (Arena arena = Arena.ofConfined()) {
      IOException failure =
          assertThrows(MalformedFileException.class, () -> NpyFile.read(file, arena));
      assertMessage(failure, file.toString(), words);
    }
  }

  @Test
  void theFileThatTheCasesVaryIsValid() throws IOException {
    Path file = Files.write(folder.resolve("x.npy"), VALID);
    try (Arena arena = Arena.ofConfined()) {
      assertEquals(2, NpyFile.read(file, arena).elementCount());
    }
  }
}
