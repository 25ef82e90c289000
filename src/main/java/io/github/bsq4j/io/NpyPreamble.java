package io.github.bsq4j.io;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The first bytes of a {@code .npy} file: the magic, the format version, and the length of the
 * header, which takes 2 bytes in version 1.0 and 4 in the others.
 *
 * @param byteSize the size of the preamble itself, which is where the header begins
 * @param headerLength the number of bytes of the header; they lie within the file
 * @param charset the encoding of the header
 */
record NpyPreamble(int byteSize, long headerLength, Charset charset) {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int LENGTH_POSITION = MAGIC.length + 2;
  private static final int MAX_BYTE_SIZE = LENGTH_POSITION + Integer.BYTES;

  /** NumPy's own limit. The longest header of a type that is supported has some 1,500 bytes. */
  private static final long MAX_HEADER_LENGTH = 10_000;

  /**
   * Reads the preamble.
   *
   * @throws MalformedFileException if the file is not a {@code .npy} file of a known version, or
   *     ends before its header does
   */
  static NpyPreamble read(InputFile input) throws FileSystemException {
    Path path = input.path();
    long fileSize = input.size();
    byte[] bytes = input.readBytes(0, Math.min(MAX_BYTE_SIZE, fileSize));
    checkMagic(path, bytes);

    int version = majorVersion(path, bytes);
    int byteSize = LENGTH_POSITION + (version == 1 ? Short.BYTES : Integer.BYTES);
    if (bytes.length < byteSize) {
      throw truncated(path, fileSize, "its .npy header");
    }
    ByteBuffer length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long headerLength =
        version == 1
            ? Short.toUnsignedLong(length.getShort(LENGTH_POSITION))
            : Integer.toUnsignedLong(length.getInt(LENGTH_POSITION));
    if (headerLength > MAX_HEADER_LENGTH) {
      throw new MalformedFileException(
          path,
          "found a .npy header of "
              + headerLength
              + " bytes; expected at most "
              + MAX_HEADER_LENGTH);
    }
    if (headerLength > fileSize - byteSize) {
      throw truncated(path, fileSize, "the end of its .npy header of " + headerLength + " bytes");
    }
    return new NpyPreamble(
        byteSize, headerLength, version < 3 ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
  }

  /**
   * Reads the text of the header, which follows the preamble.
   *
   * @throws MalformedFileException if its bytes are not in the encoding of the format version
   */
  String readHeader(InputFile input) throws FileSystemException {
    byte[] header = input.readBytes(byteSize, headerLength);
    try {
      return charset.newDecoder().decode(ByteBuffer.wrap(header)).toString();
    } catch (CharacterCodingException _) {
      throw new MalformedFileException(
          input.path(), "bad .npy header: found bytes that are not " + charset + "; expected text");
    }
  }

  /** Where the elements begin in the file. */
  long dataStart() {
    return byteSize + headerLength;
  }

  private static void checkMagic(Path path, byte[] bytes) throws MalformedFileException {
    int compared = Math.min(bytes.length, MAGIC.length);
    if (Arrays.equals(bytes, 0, compared, MAGIC, 0, compared)) {
      return;
    }
    String found = new String(bytes, 0, compared, StandardCharsets.ISO_8859_1);
    String hint = found.startsWith("PK") ? " (a .npz archive? save its arrays one by one)" : "";
    throw new MalformedFileException(
        path,
        "not a .npy file: it starts with "
            + Messages.quote(found)
            + hint
            + "; expected '\\x93NUMPY'");
  }

  private static int majorVersion(Path path, byte[] bytes) throws MalformedFileException {
    if (bytes.length < LENGTH_POSITION) {
      throw truncated(path, bytes.length, "its .npy header");
    }
    int major = Byte.toUnsignedInt(bytes[MAGIC.length]);
    int minor = Byte.toUnsignedInt(bytes[MAGIC.length + 1]);
    if (major < 1 || major > 3 || minor != 0) {
      throw new MalformedFileException(
          path, "found .npy format version " + major + "." + minor + "; expected 1.0, 2.0 or 3.0");
    }
    return major;
  }

  private static MalformedFileException truncated(Path path, long fileSize, String missing) {
    return new MalformedFileException(
        path, "truncated: it ends after " + fileSize + " bytes, before " + missing);
  }
}
