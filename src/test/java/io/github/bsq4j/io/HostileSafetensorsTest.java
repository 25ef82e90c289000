package io.github.bsq4j.io;

import static io.github.bsq4j.io.FileBytes.concat;
import static io.github.bsq4j.io.FileBytes.littleEndian;
import static io.github.bsq4j.io.FileBytes.safetensors;
import static io.github.bsq4j.io.MessageAssertions.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
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

/** Every way in which a .safetensors file can be wrong, and the words that must tell so. */
class HostileSafetensorsTest {
  private static final String TENSOR = "{'dtype':'F32','shape':[2],'data_offsets':[0,8]}";
  private static final byte[] VALID = safetensors(json("{'a':" + TENSOR + "}"), new byte[8]);

  @TempDir Path folder;

  @ParameterizedTest(name = "{index}")
  @MethodSource
  void refusesHeader(String header, String[] words) throws IOException {
    assertRefused(safetensors(header, new byte[8]), words);
  }

  static Stream<Arguments> refusesHeader() {
    return Stream.of(
        // Around the object.
        header("", "begins with ''; expected '{'"),
        header("    ", "begins with '    '; expected '{'"),
        header("null", "begins with 'null'; expected '{'"),
        header("[]", "begins with '[]'; expected '{'"),
        header(" {'a':" + TENSOR + "}", "begins with ' {\"a\"", "expected '{'"),
        header("\ufeff{'a':" + TENSOR + "}", "begins with '\\u{feff}{\"a\"", "expected '{'"),
        header(
            "{'a':" + TENSOR + "}\n",
            "ends with '",
            "8]}}\\x0a'; expected '}' and nothing but spaces behind it"),
        header("{'a':" + TENSOR + "}\0", "8]}}\\x00'; expected '}' and nothing but spaces"),
        header("{'a':" + TENSOR + "}x", "8]}}x'; expected '}' and nothing but spaces"),
        header("{'a':" + TENSOR + "}{}", "not valid JSON at line 1 column "),
        header("{'a':" + TENSOR + "},{}", "not valid JSON at line 1 column "),
        header("{'a':" + TENSOR, "not valid JSON at line 1 column ", "path $.a"),
        // What JSON does not allow.
        header("{'a':" + TENSOR + ",}", "not valid JSON"),
        header("{,'a':" + TENSOR + "}", "not valid JSON"),
        header("{a:" + TENSOR + "}", "not valid JSON"),
        header("{'a'=" + TENSOR + "}", "not valid JSON"),
        header("{'a':" + TENSOR + ";'b':" + TENSOR + "}", "not valid JSON"),
        header("{/**/'a':" + TENSOR + "}", "not valid JSON"),
        header("{'a\n':" + TENSOR + "}", "not valid JSON"),
        header("{'a\\x':" + TENSOR + "}", "not valid JSON"),
        header("{'a\\u12g4':" + TENSOR + "}", "not valid JSON"),
        header("{'\u0000':" + TENSOR + "}", "not valid JSON"),
        Arguments.of("{\"a':{}}", new String[] {"not valid JSON"}),
        shape("[NaN]", "not valid JSON"),
        shape("[01]", "not valid JSON"),
        shape("[+1]", "not valid JSON"),
        shape("[1,]", "not valid JSON"),
        shape("[0x2]", "not valid JSON"),
        shape("TRUE", "not valid JSON"),
        header("{'\\ud800':" + TENSOR + "}", "found '\\u{d800}'; expected Unicode text"),
        header("{'__metadata__':{'k':'\\udc00'}}", "found '\\u{dc00}'; expected Unicode text"),
        // Nesting.
        header("{'a':".repeat(10_000) + "}", "tensor 'a': found the property 'a'; expected dtype"),
        header("{'a':{'dtype':".repeat(9_000) + "}", "found an object; expected a string for"),
        header(
            "{'__metadata__':" + "{'a':".repeat(10_000) + "}", "found an object; expected a str"),
        shape("[".repeat(10_000), "found a list; expected numbers only in the shape of the tensor"),
        // Names.
        header("{'a':" + TENSOR + ",'a':" + TENSOR + "}", "the name 'a' occurs twice"),
        header("{'a':" + TENSOR + ",'\\u0061':" + TENSOR + "}", "the name 'a' occurs twice"),
        header("{'__metadata__':{},'__metadata__':{}}", "the name '__metadata__' occurs twice"),
        header("{'__metadata__':{'k':'v','k':'v'}}", "the name 'k' occurs twice"),
        // Metadata.
        header("{'__metadata__':null}", "found null; expected an object of strings"),
        header("{'__metadata__':'text'}", "found the string 'text'; expected an object of strings"),
        header("{'__metadata__':[]}", "found a list; expected an object of strings"),
        header(
            "{'__metadata__':{'k':1}}", "found the number 1; expected a string for the metadata"),
        header("{'__metadata__':{'k':null}}", "found null; expected a string"),
        header("{'__metadata__':{'k':true}}", "found true; expected a string"),
        header(
            "{'__metadata__':{'k':{}}}", "found an object; expected a string for the metadata 'k'"),
        // Tensors.
        header("{'a':null}", "found null; expected an object for the tensor 'a'"),
        header("{'a':[]}", "found a list; expected an object for the tensor 'a'"),
        header("{'a':1e999999999}", "found the number 1e999999999; expected an object"),
        header(
            "{'" + "n".repeat(9_000) + "':1}", "expected an object for the tensor 'nnn", "n...'"),
        header("{'a\\u0007':{}}", "tensor 'a\\x07': dtype is missing"),
        header("{'a':{'dtype':'F32'}}", "tensor 'a': shape is missing"),
        header("{'a':{'dtype':'F32','shape':[2]}}", "tensor 'a': data_offsets is missing"),
        header("{'a':{'shape':[2],'data_offsets':[0,8]}}", "tensor 'a': dtype is missing"),
        header("{'a':{'dtype':'F32','dtype':'F32'}}", "the name 'dtype' occurs twice"),
        header("{'a':{'shape':[2],'shape':[2]}}", "the name 'shape' occurs twice"),
        header(
            "{'a':{'Dtype':'F32'}}", "found the property 'Dtype'; expected dtype, shape, data_off"),
        // Types.
        header("{'a':{'dtype':1}}", "found the number 1; expected a string for the dtype"),
        header("{'a':{'dtype':'f32'}}", "found the dtype 'f32'; expected one of [BOOL, U8"),
        header("{'a':{'dtype':'F8_E4M3'}}", "tensor 'a': found the dtype 'F8_E4M3'"),
        header("{'a':{'dtype':'" + "F".repeat(9_000) + "'}}", "found the dtype 'FFF", "F...'"),
        // Shapes.
        shape("null", "found null; expected a list of numbers for the shape of the tensor 'a'"),
        shape("2", "found the number 2; expected a list of numbers"),
        shape("{}", "found an object; expected a list of numbers"),
        shape("['2']", "found the string '2'; expected numbers only"),
        shape("[null]", "found null; expected numbers only"),
        shape("[2.0]", "shape has the number 2.0; expected an integer from 0"),
        shape("[2e0]", "shape has the number 2e0; expected an integer"),
        shape("[-2]", "shape has the number -2; expected an integer from 0"),
        shape("[-0]", "shape has the number -0; expected an integer from 0"),
        shape("[9223372036854775808]", "the number 9223372036854775808; expected an integer"),
        shape("[" + "9".repeat(900) + "]", "the number 9999", "999...; expected an integer"),
        shape("[" + "9".repeat(9_000) + "]", "not valid JSON"),
        shape("[9223372036854775807]", "F32 of shape [9223372036854775807] is too large"),
        shape("[4294967296,4294967296]", "is too large"),
        shape("[0,4294967296,4294967296]", "is too large"),
        shape("[" + "1,".repeat(64) + "2]", "shape has more than 64 numbers; expected at most 64"),
        shape("[1]", "data_offsets [0, 8] hold 8 bytes; expected 4 for F32 of shape [1]"),
        shape("[3]", "data_offsets [0, 8] hold 8 bytes; expected 12 for F32 of shape [3]"),
        shape("[]", "expected 4 for F32 of shape []"),
        shape("[0]", "expected 0 for F32 of shape [0]"),
        // Offsets: eight bytes follow.
        offsets("[]", "data_offsets has 0 numbers; expected two"),
        offsets("[8]", "data_offsets has 1 numbers; expected two"),
        offsets("[0,8,8]", "data_offsets has more than 2 numbers; expected at most 2"),
        offsets("[8,0]", "data_offsets are [8, 0]; expected a range within the 8 bytes"),
        offsets("[0,9]", "data_offsets are [0, 9]; expected a range within the 8 bytes"),
        offsets("[8,16]", "data_offsets are [8, 16]; expected a range within"),
        offsets("[-8,0]", "data_offsets has the number -8"),
        offsets("[0,8.0]", "data_offsets has the number 8.0"),
        offsets("[0,18446744073709551615]", "data_offsets has the number 18446744073709551615"),
        offsets("[9223372036854775799,9223372036854775807]", "expected a range within the 8 bytes"),
        header("{}", "found 8 bytes after the header; expected the 0 that the tensors cover"),
        header(
            "{'a':{'dtype':'U8','shape':[7],'data_offsets':[0,7]}}",
            "found 8 bytes after the header; expected the 7"),
        header(
            "{'a':{'dtype':'U8','shape':[7],'data_offsets':[1,8]}}",
            "tensor 'a': leaves a hole: it begins at byte 1; expected 0"),
        header(
            "{'b':{'dtype':'U8','shape':[4],'data_offsets':[4,8]},"
                + "'a':{'dtype':'U8','shape':[3],'data_offsets':[0,3]}}",
            "tensor 'b': leaves a hole: it begins at byte 4; expected 3"),
        header(
            "{'a':" + TENSOR + ",'b':{'dtype':'U8','shape':[4],'data_offsets':[4,8]}}",
            "tensor 'b': overlaps another: it begins at byte 4; expected 8"),
        header("{'a':" + TENSOR + ",'b':" + TENSOR + "}", "tensor 'b': overlaps another"),
        header(
            "{'a':" + TENSOR + ",'b':{'dtype':'U8','shape':[0],'data_offsets':[4,4]}}",
            "tensor 'b': overlaps another: it begins at byte 4; expected 8"));
  }

  private static Arguments header(String header, String... words) {
    return Arguments.of(json(header), words);
  }

  private static Arguments shape(String shape, String... words) {
    return header("{'a':{'dtype':'F32','shape':" + shape + ",'data_offsets':[0,8]}}", words);
  }

  private static Arguments offsets(String offsets, String... words) {
    return header("{'a':{'dtype':'F32','shape':[2],'data_offsets':" + offsets + "}}", words);
  }

  /** JSON in a form that reads well in Java: with single quotes. */
  private static String json(String text) {
    return text.replace('\'', '"');
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource
  void refusesFile(String name, byte[] bytes, String words) throws IOException {
    assertRefused(bytes, words);
  }

  static Stream<Arguments> refusesFile() {
    byte[] notUtf8 = json("{'\u00e9':" + TENSOR + "}").getBytes(StandardCharsets.ISO_8859_1);
    byte[] cutUtf8 = {'{', '"', (byte) 0xe2, (byte) 0x82, '"', '}'};
    byte[] overlong = {'{', '"', (byte) 0xc0, (byte) 0x80, '"', '}'};
    return Stream.of(
        Arguments.of("nothing", new byte[0], "is empty"),
        Arguments.of("seven bytes", new byte[7], "found 7 bytes; expected at least the 8"),
        Arguments.of("zeros", new byte[16], "begins with ''; expected '{'"),
        Arguments.of(
            "text", "this is text".getBytes(StandardCharsets.UTF_8), "it declares a header of"),
        Arguments.of(
            "half a header", Arrays.copyOf(VALID, 20), "truncated: it ends after 20 bytes"),
        Arguments.of(
            "a header but its last byte",
            Arrays.copyOf(VALID, VALID.length - 9),
            "before the end of its header of "),
        Arguments.of("no header", Arrays.copyOf(VALID, 8), "truncated: it ends after 8 bytes"),
        Arguments.of(
            "no data",
            Arrays.copyOf(VALID, VALID.length - 8),
            "expected a range within the 0 bytes"),
        Arguments.of(
            "a byte too few", Arrays.copyOf(VALID, VALID.length - 1), "a range within the 7 bytes"),
        Arguments.of(
            "a byte too many",
            concat(VALID, new byte[1]),
            "found 9 bytes after the header; expected the 8"),
        Arguments.of(
            "a header above 100 MB",
            concat(littleEndian(100_000_001), new byte[100]),
            "a header of 100000001 bytes; expected at most 100000000"),
        Arguments.of(
            "a header of 100 MB",
            concat(littleEndian(100_000_000), new byte[100]),
            "truncated: it ends after 108 bytes, before the end of its header of 100000000 bytes"),
        Arguments.of(
            "the largest header",
            concat(littleEndian(-1), new byte[100]),
            "a header of 18446744073709551615 bytes"),
        Arguments.of(
            "a header that ends after the largest position",
            concat(littleEndian(Long.MAX_VALUE), new byte[100]),
            "a header of 9223372036854775807 bytes"),
        Arguments.of("Latin-1", safetensors(notUtf8, new byte[8]), "bytes are not UTF-8"),
        Arguments.of("cut UTF-8", safetensors(cutUtf8), "bytes are not UTF-8"),
        Arguments.of("overlong UTF-8", safetensors(overlong), "bytes are not UTF-8"));
  }

  @Test
  void theFileThatTheCasesVaryIsValid() throws IOException {
    Path file = Files.write(folder.resolve("x.safetensors"), VALID);
    assertArrayEquals(new float[2], SafetensorsFile.read(file).floats("a"));
  }

  private void assertRefused(byte[] bytes, String... words) throws IOException {
    Path file = Files.write(folder.resolve("x.safetensors"), bytes);
    IOException failure =
        assertThrows(MalformedFileException.class, () -> SafetensorsFile.read(file));
    assertMessage(failure, file.toString(), words);
  }
}
