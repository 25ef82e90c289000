/**
 * The file formats of the command line and the tests: NumPy's {@code .npy} and {@code
 * .safetensors}.
 *
 * <p>The readers are strict. They treat every file as hostile: nothing is allocated before the
 * sizes that the header declares have been checked against the size of the file, nothing in a
 * header is evaluated, and no nesting in the input can deepen a recursion. Files are read into
 * memory, never mapped: a file that another process truncates must be an error, not the end of this
 * process.
 *
 * <p>Every failure to read or write is a {@link java.nio.file.FileSystemException} whose message is
 * one line for the user, {@code file: what was found and what was expected}. It is a {@link
 * io.github.bsq4j.io.MalformedFileException} where the content of a file is at fault.
 */
package io.github.bsq4j.io;
