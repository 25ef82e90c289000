package io.github.bsq4j.io;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Builds the bytes of files by hand, legal and hostile ones. */
final class FileBytes {
  private FileBytes() {}

  /** A .npy file of version 1.0; the characters of the header become one byte each. */
  static byte[] npy(String header, byte... data) {
    return npy(1, 0, header.getBytes(StandardCharsets.ISO_8859_1), data);
  }

  /** A .npy file of any version; versions with a major number of 2 or more have a wide length. */
  static byte[] npy(int major, int minor, byte[] header, byte... data) {
    byte[] preamble = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) major, (byte) minor};
    ByteBuffer length = ByteBuffer.allocate(major == 1 ? 2 : 4).order(ByteOrder.LITTLE_ENDIAN);
    if (major == 1) {
      length.putShort((short) header.length);
    } else {
      length.putInt(header.length);
    }
    return concat(preamble, length.array(), header, data);
  }

  /** A .safetensors file. */
  static byte[] safetensors(String header, byte... data) {
    return safetensors(header.getBytes(StandardCharsets.UTF_8), data);
  }

  /** A .safetensors file. */
  static byte[] safetensors(byte[] header, byte... data) {
    return concat(littleEndian(header.length), header, data);
  }

  static byte[] littleEndian(long value) {
    return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
  }

  static byte[] concat(byte[]... parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  static byte[] base64(String text) {
    return Base64.getMimeDecoder().decode(text);
  }
}
