package io.github.bsq4j;

import java.io.Serial;

/**
 * A call into the native library that failed. The message names the value that was wrong and what
 * was expected; the {@linkplain #code() code} says what kind of failure it was. Whatever the code,
 * the quantizer and the library stay usable.
 */
public class BsqException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  /** The kinds of failure. */
  public enum Code {
    /** A value in the input is wrong: a row that is not finite, an index out of range. */
    INVALID_ARGUMENT,
    /** The request is valid, but this version does not serve it. */
    UNSUPPORTED,
    /** Native memory, or threads, could not be had. Smaller calls work. */
    OUT_OF_MEMORY,
    /** A device (GPU) or its driver failed. */
    DEVICE,
    /** A defect of bsq4j or LibTorch. Please report it. */
    INTERNAL,
    /** The native library or LibTorch could not be loaded; {@link NativeRuntime} tells more. */
    UNAVAILABLE
  }

  private final Code code;

  /** An exception of this kind, with a message for the person who has to mend it. */
  public BsqException(Code code, String message) {
    this(code, message, null);
  }

  /** An exception of this kind that another one caused. */
  public BsqException(Code code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /** What kind of failure this is. */
  public Code code() {
    return code;
  }
}
