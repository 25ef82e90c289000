package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32;

/**
 * {@link CodebookUsage} as bytes, in little-endian order: the letters BSQU, the version, codeDim
 * and codebooks as ints, the counters of {@code bsq.h} as longs, and the CRC-32 of all before as an
 * int.
 */
final class UsageFormat {
  private static final int MAGIC = 'B' | 'S' << 8 | 'Q' << 16 | 'U' << 24;
  private static final int VERSION = 1;
  private static final int HEADER_BYTES = 4 * Integer.BYTES;
  private static final int MAX_ARRAY = Integer.MAX_VALUE - 8; // what JVMs allow

  private UsageFormat() {}

  /** What is before the counters. */
  record Header(int codeDim, int codebooks) {
    void requireOf(QuantizerOptions options) {
      requireSame("codeDim", codeDim, options.codeDim());
      requireSame("codebooks", codebooks, options.codebooks());
    }

    private static void requireSame(String option, int value, int expected) {
      if (value != expected) {
        throw new IllegalArgumentException(
            "bytes are the usage of codes of %s %d, expected %d as the options have"
                .formatted(option, value, expected));
      }
    }

    boolean countsCodes() {
      return codeDim <= CodebookUsage.MAX_COUNTED_DIM;
    }

    /** Of a codebook. */
    long counters() {
      return countsCodes() ? 1L << codeDim : 1 + (long) codeDim * (codeDim + 1) / 2;
    }

    long byteSize() {
      return HEADER_BYTES + codebooks * counters() * Long.BYTES + Integer.BYTES;
    }
  }

  static byte[] write(QuantizerOptions options, MemorySegment counts) {
    Header header = new Header(options.codeDim(), options.codebooks());
    if (header.byteSize() > MAX_ARRAY) {
      throw new IllegalStateException(
          "the usage of codeDim %d and codebooks %d takes %d bytes, more than an array holds: use"
                  .formatted(header.codeDim, header.codebooks, header.byteSize())
              + " codebook(0), codebook(1), ...");
    }
    byte[] bytes = new byte[(int) header.byteSize()];
    ByteBuffer buffer = buffer(bytes);
    buffer.putInt(MAGIC).putInt(VERSION).putInt(header.codeDim).putInt(header.codebooks);
    buffer.asLongBuffer().put(counts.asByteBuffer().order(ByteOrder.nativeOrder()).asLongBuffer());
    int end = bytes.length - Integer.BYTES;
    buffer.putInt(end, checksum(bytes, end));
    return bytes;
  }

  /** Checks what comes before the counters, and that there are as many as it says. */
  static Header readHeader(byte[] bytes) {
    ByteBuffer buffer = buffer(requireNonNull(bytes, "bytes"));
    if (bytes.length < HEADER_BYTES) {
      throw new IllegalArgumentException(
          "bytes has length %d, expected at least %d: it is truncated, or no usage"
              .formatted(bytes.length, HEADER_BYTES));
    }
    if (buffer.getInt() != MAGIC) {
      throw new IllegalArgumentException(
          "bytes begins with 0x%08x, expected 0x%08x (the letters BSQU): it is no usage"
              .formatted(buffer.getInt(0), MAGIC));
    }
    int version = buffer.getInt();
    if (version != VERSION) {
      throw new IllegalArgumentException(
          "bytes is of version %d, expected %d, which this version of bsq4j reads"
              .formatted(version, VERSION));
    }
    Header header =
        new Header(
            requireRange("codeDim", buffer.getInt(), QuantizerOptions.MAX_CODE_DIM),
            requireRange("codebooks", buffer.getInt(), QuantizerOptions.MAX_CODEBOOKS));
    if (bytes.length != header.byteSize()) {
      throw new IllegalArgumentException(
          "bytes has length %d, expected %d for codeDim %d and codebooks %d: it is %s"
              .formatted(
                  bytes.length,
                  header.byteSize(),
                  header.codeDim,
                  header.codebooks,
                  bytes.length < header.byteSize() ? "truncated" : "too long"));
    }
    return header;
  }

  /** Checks the counters of bytes whose header has been checked, and copies them. */
  static void read(QuantizerOptions options, byte[] bytes, MemorySegment counts) {
    ByteBuffer buffer = buffer(bytes);
    int end = bytes.length - Integer.BYTES;
    int stored = buffer.getInt(end);
    int found = checksum(bytes, end);
    if (stored != found) {
      throw new IllegalArgumentException(
          "bytes has the checksum 0x%08x, expected 0x%08x: it is corrupt".formatted(found, stored));
    }
    for (int i = 0; i < counts.byteSize() / Long.BYTES; i++) {
      counts.setAtIndex(ValueLayout.JAVA_LONG, i, buffer.getLong(HEADER_BYTES + i * Long.BYTES));
    }
    requireCounts(new Header(options.codeDim(), options.codebooks()), counts);
  }

  /** Figures of counts that no rows have would be anything. */
  private static void requireCounts(Header header, MemorySegment counts) {
    long rows = 0;
    for (int codebook = 0; codebook < header.codebooks; codebook++) {
      long first = codebook * header.counters();
      long found =
          header.countsCodes()
              ? sumOfCodes(counts, first, header.counters())
              : requireBits(header.codeDim, counts, first);
      if (codebook > 0 && found != rows) {
        throw new IllegalArgumentException(
            "codebook %d has %d rows, expected %d as those before it"
                .formatted(codebook, found, rows));
      }
      rows = found;
    }
  }

  private static long sumOfCodes(MemorySegment counts, long first, long size) {
    long rows = 0;
    for (long i = first; i < first + size; i++) {
      long count = requireCount(i, counts, 0, Long.MAX_VALUE - rows);
      rows += count;
    }
    return rows;
  }

  private static long requireBits(int dim, MemorySegment counts, long first) {
    long rows = requireCount(first, counts, 0, Long.MAX_VALUE);
    long row = first + 1; // of pairs: where a is with itself
    for (int a = 0; a < dim; row += dim - a, a++) {
      long onesA = requireCount(row, counts, 0, rows);
      long rowB = row;
      for (int b = a + 1; b < dim; b++) {
        rowB += dim - (b - 1);
        long onesB = requireCount(rowB, counts, 0, rows);
        requireCount(
            row + b - a, counts, Math.max(0, onesA - (rows - onesB)), Math.min(onesA, onesB));
      }
    }
    return rows;
  }

  private static long requireCount(long i, MemorySegment counts, long least, long most) {
    long count = counts.getAtIndex(ValueLayout.JAVA_LONG, i);
    if (count < least || count > most) {
      throw new IllegalArgumentException(
          "counter %d is %d, expected %d to %d: no rows have such counts"
              .formatted(i, count, least, most));
    }
    return count;
  }

  private static int requireRange(String name, int value, int most) {
    if (value < 1 || value > most) {
      throw new IllegalArgumentException(
          "bytes has %s %d, expected 1 to %d: it is corrupt".formatted(name, value, most));
    }
    return value;
  }

  private static int checksum(byte[] bytes, int end) {
    CRC32 crc = new CRC32();
    crc.update(bytes, 0, end);
    return (int) crc.getValue();
  }

  private static ByteBuffer buffer(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
