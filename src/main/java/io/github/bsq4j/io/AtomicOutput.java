package io.github.bsq4j.io;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFileAttributeView;
import java.util.UUID;

/**
 * A file that appears complete or not at all.
 *
 * <p>The bytes go to a temporary file in the folder of the target, which {@link #commit} renames
 * into place. Until then the target keeps its old content, or stays absent. Closing without commit
 * deletes the temporary file; so does an orderly end of the JVM, by Ctrl-C for example. A JVM that
 * is killed leaves at most the temporary file, whose name starts with a dot and the target's name.
 *
 * <pre>{@code
 * try (AtomicOutput output = AtomicOutput.open(path)) {
 *   output.write(bytes);
 *   output.commit();
 * }
 * }</pre>
 *
 * <p>A new file gets the permissions that the user's umask leaves, a replaced one keeps the
 * permissions it had. A symbolic link stays, and what it points to is replaced. A hard link is
 * broken: the file's other names keep the old content.
 *
 * <p>A pipe or a device, such as {@code /dev/stdout} or {@code /dev/null}, is never replaced: the
 * bytes go there at once, and neither commit nor close does anything but end the output.
 *
 * <p>For one thread at a time.
 */
public final class AtomicOutput implements Closeable {
  private static final int BUFFER_BYTES = 1 << 20;

  /** As many as Linux follows. */
  private static final int MAX_LINKS = 40;

  /** The longest target name that leaves room, in 255 bytes, for what makes the name unique. */
  private static final int MAX_NAME_BYTES = 200;

  private enum State {
    OPEN,
    FAILED,
    COMMITTED,
    CLOSED
  }

  private final Path path;
  private final Path target;
  private final Path written;
  private final FileChannel channel;
  private final MemorySegment buffer = Arena.ofAuto().allocate(BUFFER_BYTES);
  private final Thread deleteAtExit = new Thread(this::deleteQuietly, "bsq4j-delete-at-exit");
  private State state = State.OPEN;

  /** Writes to {@code written}, which is the target itself where that is a pipe or a device. */
  private AtomicOutput(Path path, Path target, Path written, FileChannel channel) {
    this.path = path;
    this.target = target;
    this.written = written;
    this.channel = channel;
  }

  /**
   * Prepares to write a file. Everything that can be known to go wrong does so here.
   *
   * @param path the file to create or replace
   * @throws FileSystemException if that is a folder, or a file that may not be written, or if its
   *     folder does not exist or takes no new files
   */
  public static AtomicOutput open(Path path) throws FileSystemException {
    try {
      Path target = followLinks(path.toAbsolutePath());
      if (Files.isDirectory(target)) {
        throw refusal(path, "it is a folder; expected the name of a file");
      }
      requireFolder(path, target.getParent());
      if (isPipeOrDevice(target)) {
        // Append: standard output may be a file into which others have written before.
        FileChannel direct =
            FileChannel.open(target, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        return new AtomicOutput(path, target, target, direct);
      }
      if (Files.exists(target) && !Files.isWritable(target)) {
        throw refusal(path, "it exists and is write-protected");
      }
      return openAside(path, target);
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be written", e);
    }
  }

  /**
   * Whether writing one of the paths would change what the other names: both lead to one file,
   * through links too, or would create one.
   *
   * @throws FileSystemException if one leads through too many links, or a folder that cannot be
   *     read
   */
  public static boolean areSame(Path one, Path other) throws FileSystemException {
    try {
      if (Files.isSameFile(one, other)) {
        return true;
      }
    } catch (IOException _) {
      // One of them does not exist. Links to it may.
    }
    return place(one).equals(place(other));
  }

  private static Path place(Path path) throws FileSystemException {
    try {
      Path target = followLinks(path.toAbsolutePath());
      Path folder = target.getParent();
      return folder == null || Files.notExists(folder)
          ? target
          : folder.toRealPath().resolve(target.getFileName());
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be found", e);
    }
  }

  private static AtomicOutput openAside(Path path, Path target) throws IOException {
    Path temporary = temporaryName(target);
    FileChannel channel =
        FileChannel.open(temporary, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
    AtomicOutput output = new AtomicOutput(path, target, temporary, channel);
    try {
      Runtime.getRuntime().addShutdownHook(output.deleteAtExit);
      output.keepPermissions();
      return output;
    } catch (IOException | RuntimeException e) {
      output.close();
      throw e;
    }
  }

  /**
   * Appends bytes.
   *
   * @param bytes native or heap memory
   * @throws FileSystemException if they cannot be written, for example because the disk is full;
   *     the output can then only be closed
   * @throws IllegalStateException after commit, close or a failure
   */
  public void write(MemorySegment bytes) throws FileSystemException {
    requireOpen();
    // Until all is written: whatever goes wrong on the way, half a file must not be committed.
    state = State.FAILED;
    try {
      for (long done = 0; done < bytes.byteSize(); done += BUFFER_BYTES) {
        long length = Math.min(BUFFER_BYTES, bytes.byteSize() - done);
        MemorySegment.copy(bytes, done, buffer, 0, length);
        ByteBuffer chunk = buffer.asSlice(0, length).asByteBuffer();
        while (chunk.hasRemaining()) {
          channel.write(chunk);
        }
      }
      state = State.OPEN;
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be written", e);
    }
  }

  /**
   * Puts the file into place, after its bytes have reached the disk.
   *
   * @throws FileSystemException if that fails; the target is then as it was before
   * @throws IllegalStateException after commit, close or a failure
   */
  public void commit() throws FileSystemException {
    requireOpen();
    state = State.FAILED;
    try {
      if (isAside()) {
        channel.force(true);
      }
      channel.close();
      if (isAside()) {
        Files.move(written, target, StandardCopyOption.ATOMIC_MOVE);
      }
      state = State.COMMITTED;
    } catch (IOException e) {
      throw Messages.failure(path, "cannot be written", e);
    }
  }

  /**
   * Ends the output; without an earlier commit, the temporary file is deleted. Closing twice is
   * harmless.
   *
   * @throws FileSystemException if the temporary file cannot be deleted
   */
  @Override
  public void close() throws FileSystemException {
    if (state == State.CLOSED) {
      return;
    }
    boolean discard = isAside() && state != State.COMMITTED;
    state = State.CLOSED;
    try {
      channel.close();
      if (discard) {
        Files.deleteIfExists(written);
      }
    } catch (IOException e) {
      throw Messages.failure(written, "temporary file cannot be deleted", e);
    } finally {
      forgetAtExit();
    }
  }

  private void requireOpen() {
    if (state != State.OPEN) {
      throw new IllegalStateException("the output is " + state);
    }
  }

  private boolean isAside() {
    return !written.equals(target);
  }

  private void keepPermissions() throws IOException {
    PosixFileAttributeView attributes =
        Files.getFileAttributeView(written, PosixFileAttributeView.class);
    if (attributes != null && Files.exists(target)) {
      attributes.setPermissions(Files.getPosixFilePermissions(target));
    }
  }

  private void deleteQuietly() {
    try {
      Files.deleteIfExists(written);
    } catch (IOException _) {
      // The JVM is ending: nobody is left to tell.
    }
  }

  private void forgetAtExit() {
    try {
      Runtime.getRuntime().removeShutdownHook(deleteAtExit);
    } catch (IllegalStateException _) {
      // The JVM is ending: the hook is running, and finds nothing to delete.
    }
  }

  /** The path that opening {@code path} for writing would create or change. */
  private static Path followLinks(Path path) throws IOException {
    Path followed = path;
    int links = 0;
    while (Files.isSymbolicLink(followed) && !isProcessLink(followed)) {
      if (++links > MAX_LINKS) {
        throw refusal(path, "too many symbolic links");
      }
      followed = followed.resolveSibling(Files.readSymbolicLink(followed));
    }
    return followed;
  }

  /**
   * Whether this is one of the kernel's links to the open files of a process, which is where {@code
   * /dev/stdout} leads. Such a link is opened as it is: its text need not name a file.
   */
  private static boolean isProcessLink(Path link) throws IOException {
    return link.getParent().toRealPath().startsWith("/proc");
  }

  private static boolean isPipeOrDevice(Path target) throws IOException {
    if (Files.isSymbolicLink(target)) {
      // The only links that followLinks leaves are those of a process.
      return true;
    }
    try {
      return Files.readAttributes(target, BasicFileAttributes.class).isOther();
    } catch (NoSuchFileException _) {
      return false;
    }
  }

  private static void requireFolder(Path path, Path folder) throws IOException {
    if (Files.notExists(folder)) {
      throw refusal(path, "the folder " + Messages.name(folder) + " does not exist");
    }
    if (Files.exists(folder) && !Files.isDirectory(folder)) {
      throw refusal(path, Messages.name(folder) + " is not a folder");
    }
  }

  private static Path temporaryName(Path target) {
    String name = target.getFileName().toString();
    boolean tooLong = name.getBytes(StandardCharsets.UTF_8).length > MAX_NAME_BYTES;
    return target.resolveSibling("." + (tooLong ? "" : name) + "." + UUID.randomUUID() + ".tmp");
  }

  private static FileSystemException refusal(Path path, String reason) {
    return new FileSystemException(path.toString(), null, reason);
  }
}
