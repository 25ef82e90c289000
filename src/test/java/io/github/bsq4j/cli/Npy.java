package io.github.bsq4j.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** .npy files made and read by hand, apart from the code under test. */
record Npy(String descr, String shape, ByteBuffer data) {
  private static final int PREAMBLE = 10;
  private static final Pattern HEADER =
      Pattern.compile("\\{'descr': '(.*)', 'fortran_order': False, 'shape': (\\(.*\\)), \\} *\n");

  static Npy read(Path file) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int length = bytes.getShort(8);
    String header = new String(bytes.array(), PREAMBLE, length, StandardCharsets.ISO_8859_1);
    Matcher matcher = HEADER.matcher(header);
    if (!matcher.matches()) {
      throw new IOException("unexpected header: " + header);
    }
    int start = PREAMBLE + length;
    ByteBuffer data = bytes.slice(start, bytes.capacity() - start).order(ByteOrder.LITTLE_ENDIAN);
    return new Npy(matcher.group(1), matcher.group(2), data);
  }

  long[] longs() {
    long[] values = new long[data.remaining() / Long.BYTES];
    data.asLongBuffer().get(values);
    return values;
  }

  float[] floats() {
    float[] values = new float[data.remaining() / Float.BYTES];
    data.asFloatBuffer().get(values);
    return values;
  }

  double[] doubles() {
    double[] values = new double[data.remaining() / Double.BYTES];
    data.asDoubleBuffer().get(values);
    return values;
  }

  /** Writes numbers in any type and order; those of Fortran order are given in it. */
  static Path write(Path file, String descr, boolean fortran, String shape, double... values)
      throws IOException {
    ByteBuffer data = ByteBuffer.allocate(values.length * Long.BYTES);
    data.order(descr.startsWith(">") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    for (double value : values) {
      switch (descr.substring(1)) {
        case "f2" -> data.putShort(Float.floatToFloat16((float) value));
        case "f4" -> data.putFloat((float) value);
        case "f8" -> data.putDouble(value);
        case "i1", "u1", "b1" -> data.put((byte) value);
        case "i4" -> data.putInt((int) value);
        case "i8" -> data.putLong((long) value);
        default -> throw new IllegalArgumentException(descr);
      }
    }
    String header =
        "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n"
            .formatted(descr, fortran ? "True" : "False", shape);
    return write(file, header, data.flip());
  }

  static Path write(Path file, String shape, float... values) throws IOException {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return write(file, "<f4", false, shape, doubles);
  }

  static Path writeIndices(Path file, String shape, long... values) throws IOException {
    ByteBuffer data = ByteBuffer.allocate(values.length * Long.BYTES);
    data.order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().put(values);
    return write(
        file, "{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }\n", data);
  }

  /** Writes any header. */
  static Path write(Path file, String header, ByteBuffer data) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ByteBuffer preamble = ByteBuffer.allocate(PREAMBLE).order(ByteOrder.LITTLE_ENDIAN);
    preamble.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
    preamble.putShort((short) header.length());
    bytes.writeBytes(preamble.array());
    bytes.writeBytes(header.getBytes(StandardCharsets.ISO_8859_1));
    byte[] elements = new byte[data.remaining()];
    data.get(elements);
    bytes.writeBytes(elements);
    return Files.write(file, bytes.toByteArray());
  }
}
