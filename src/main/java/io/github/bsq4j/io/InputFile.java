package io.github.bsq4j.io;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * A regular file that is open for reading, and the memory to read it into.
 *
 * <p>Every failure names the file in one clear line. Not thread-safe.
 */
final class InputFile implements Closeable {
  /** A ByteBuffer holds at most 2 GiB, so larger files need several reads. */
  private static final long CHUNK_BYTES = 16L << 20;

  private final Path path;
  private final FileChannel channel;

  private InputFile(Path path, FileChannel channel) {
    this.path = path;
    this.channel = channel;
  }

  /**
   * Opens a file.
   *
   * @throws FileSystemException if it does not exist, cannot be read, or is not a regular file
   */
  static InputFile open(Path path) throws FileSystemException {
    try {
      // Looked at first: opening a pipe would wait, and Linux opens folders without complaint.
      requireRegularFile(path, Files.readAttributes(path, BasicFileAttributes.class));
      return new InputFile(path, FileChannel.open(path, StandardOpenOption.READ));
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be read", e);
    }
  }

  private static void requireRegularFile(Path path, BasicFileAttributes attributes)
      throws FileSystemException {
    if (attributes.isDirectory()) {
      throw new FileSystemException(path.toString(), null, "it is a folder; expected a file");
    }
    if (!attributes.isRegularFile()) {
      throw new FileSystemException(
          path.toString(), null, "it is a pipe or a device; expected a regular file");
    }
  }

  Path path() {
    return path;
  }

  /**
   * The number of bytes in the file.
   *
   * @throws MalformedFileException if there are none
   */
  long size() throws FileSystemException {
    long size;
    try {
      size = channel.size();
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be read", e);
    }
    if (size == 0) {
      throw new MalformedFileException(path, "is empty (0 bytes)");
    }
    return size;
  }

  /**
   * Fills native memory with the bytes from a position on.
   *
   * @throws MalformedFileException if the file ends before, which callers that have compared sizes
   *     see only when another process truncates the file meanwhile
   */
  void read(long position, MemorySegment target) throws FileSystemException {
    long done = 0;
    while (done < target.byteSize()) {
      long length = Math.min(CHUNK_BYTES, target.byteSize() - done);
      int count;
      try {
        count = channel.read(target.asSlice(done, length).asByteBuffer(), position + done);
      } catch (IOException e) {
        throw Messages.failure(path, "cannot be read", e);
      }
      if (count < 0) {
        throw new MalformedFileException(
            path,
            "ended after "
                + (position + done)
                + " bytes while it was being read; another process has truncated it");
      }
      done += count;
    }
  }

  /** The bytes from a position on, for headers. Same failures as {@link #read}. */
  byte[] readBytes(long position, long count) throws FileSystemException {
    byte[] bytes = new byte[Math.toIntExact(count)];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = allocate(path, arena, count, 1);
      read(position, memory);
      MemorySegment.copy(memory, 0, MemorySegment.ofArray(bytes), 0, count);
    }
    return bytes;
  }

  /**
   * Bytes from a position on, mapped: read-only memory that outlives this object, to the end of the
   * arena.
   *
   * @throws FileSystemException if there is no address space for them, or the file's system maps
   *     none
   */
  MemorySegment map(long position, long count, Arena arena) throws FileSystemException {
    try {
      return channel.map(FileChannel.MapMode.READ_ONLY, position, count, arena);
    } catch (IOException | OutOfMemoryError e) {
      IOException cause = e instanceof IOException failure ? failure : new IOException(e);
      throw Messages.failure(path, "cannot be mapped into memory", cause);
    }
  }

  @Override
  public void close() throws FileSystemException {
    try {
      channel.close();
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be closed", e);
    }
  }

  /**
   * Native memory for an array from a file.
   *
   * @throws FileSystemException if there is not enough: a legal file may be larger than memory
   */
  static MemorySegment allocate(Path path, Arena arena, long byteSize, long alignment)
      throws FileSystemException {
    try {
      return arena.allocate(byteSize, alignment);
    } catch (OutOfMemoryError e) {
      FileSystemException failure =
          new FileSystemException(
              Messages.name(path),
              null,
              "needs " + byteSize + " bytes of memory, more than there is; split the file");
      failure.initCause(e);
      throw failure;
    }
  }
}
