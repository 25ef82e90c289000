package io.github.bsq4j.io;

import java.io.Serial;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * Thrown when the content of a file is not what its format, or the caller, asks for.
 *
 * <p>The message is one line that can be shown to a user: the name of the file, what was found, and
 * what was expected. Text taken from the file is quoted, cut to a readable length, and free of
 * control characters.
 */
public final class MalformedFileException extends FileSystemException {
  @Serial private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param file the file that was read
   * @param problem one line, what was found and what was expected, without the name of the file
   */
  public MalformedFileException(Path file, String problem) {
    super(Messages.name(file), null, problem);
  }
}
