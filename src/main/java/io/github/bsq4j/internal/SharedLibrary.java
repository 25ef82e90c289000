package io.github.bsq4j.internal;

import io.github.bsq4j.BsqException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A shared library file, checked before the dynamic linker gets it: that maps the file as its
 * header says, and a file which is shorter than that (a broken download, a full disk) ends the
 * whole JVM with SIGBUS. Also tells a file for another architecture by name.
 */
record SharedLibrary(Path file) {
  // The ELF-64 header and program header; see elf(5).
  private static final int HEADER_SIZE = 64;
  private static final int MAGIC = 0x7F454C46;
  private static final int CLASS = 4;
  private static final byte CLASS_64_BITS = 2;
  private static final int DATA = 5;
  private static final byte DATA_LITTLE_ENDIAN = 1;
  private static final int MACHINE = 18;
  private static final int PROGRAM_HEADER_OFFSET = 32;
  private static final int SECTION_HEADER_OFFSET = 40;
  private static final int PROGRAM_HEADER_SIZE = 54;
  private static final int PROGRAM_HEADER_COUNT = 56;
  private static final int SECTION_HEADER_SIZE = 58;
  private static final int SECTION_HEADER_COUNT = 60;
  private static final int SECTION_TYPE = 4;
  private static final int SEGMENT_OFFSET = 8;
  private static final int SEGMENT_FILE_SIZE = 32;
  private static final int MIN_PROGRAM_HEADER_SIZE = 56;
  private static final int MIN_SECTION_HEADER_SIZE = 64;

  private static final short MACHINE_X86_64 = 62;
  private static final short MACHINE_AARCH64 = 183;

  /**
   * Loads the library into this process.
   *
   * @throws BsqException if the file is none, is truncated or made for another architecture
   * @throws UnsatisfiedLinkError in the dynamic linker's words, for what else is wrong with it
   */
  void load() throws IOException {
    Path path = file.toRealPath();
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      check(channel);
    }
    System.load(path.toString());
  }

  private void check(FileChannel channel) throws IOException {
    long fileSize = channel.size();
    ByteBuffer header = read(channel, 0, HEADER_SIZE);
    if (header.getInt(0) != Integer.reverseBytes(MAGIC)
        || header.get(CLASS) != CLASS_64_BITS
        || header.get(DATA) != DATA_LITTLE_ENDIAN) {
      throw unfit("is no 64-bit shared library (ELF)");
    }
    short machine = header.getShort(MACHINE);
    if (machine != expectedMachine()) {
      throw unfit(
          "is made for "
              + machineName(machine)
              + ", but this JVM runs on "
              + System.getProperty("os.arch"));
    }
    int size = Short.toUnsignedInt(header.getShort(PROGRAM_HEADER_SIZE));
    int count = Short.toUnsignedInt(header.getShort(PROGRAM_HEADER_COUNT));
    if (size < MIN_PROGRAM_HEADER_SIZE) {
      throw unfit("has a broken ELF header");
    }
    ByteBuffer segments = read(channel, header.getLong(PROGRAM_HEADER_OFFSET), size * count);
    for (int i = 0; i < count; i++) {
      long offset = segments.getLong(i * size + SEGMENT_OFFSET);
      long length = segments.getLong(i * size + SEGMENT_FILE_SIZE);
      if (offset < 0 || length < 0 || offset > fileSize || length > fileSize - offset) {
        throw truncated(fileSize);
      }
    }
    checkEnd(channel, header);
  }

  /**
   * A copy that was interrupted can have its full length, with zeros for what did not come. The
   * section headers, which linkers write last, are then missing; the dynamic linker needs none of
   * them, and would crash on the rest.
   */
  private void checkEnd(FileChannel channel, ByteBuffer header) throws IOException {
    long offset = header.getLong(SECTION_HEADER_OFFSET);
    int size = Short.toUnsignedInt(header.getShort(SECTION_HEADER_SIZE));
    int count = Short.toUnsignedInt(header.getShort(SECTION_HEADER_COUNT));
    if (offset == 0 || count == 0) {
      return; // none were written
    }
    if (size < MIN_SECTION_HEADER_SIZE) {
      throw unfit("has a broken ELF header");
    }
    ByteBuffer last = read(channel, offset + (long) (count - 1) * size, size);
    if (last.getInt(SECTION_TYPE) == 0) {
      throw unfit("is incomplete: its end is missing, there are zeros instead");
    }
  }

  private ByteBuffer read(FileChannel channel, long position, int size) throws IOException {
    if (position < 0 || position > channel.size() - size) {
      throw truncated(channel.size());
    }
    ByteBuffer buffer = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw truncated(channel.size());
      }
    }
    return buffer;
  }

  private static short expectedMachine() {
    return System.getProperty("os.arch").equals("aarch64") ? MACHINE_AARCH64 : MACHINE_X86_64;
  }

  private static String machineName(short machine) {
    return switch (machine) {
      case MACHINE_X86_64 -> "x86-64";
      case MACHINE_AARCH64 -> "aarch64";
      default -> "ELF machine " + machine;
    };
  }

  private BsqException truncated(long fileSize) {
    return unfit("is truncated: it has " + fileSize + " bytes, and needs more");
  }

  private BsqException unfit(String problem) {
    return new BsqException(BsqException.Code.UNAVAILABLE, file + " " + problem);
  }
}
