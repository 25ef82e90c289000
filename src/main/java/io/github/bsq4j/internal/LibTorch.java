package io.github.bsq4j.internal;

import io.github.bsq4j.BsqException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The LibTorch folder to load: the one that is asked for, or the one that {@code
 * scripts/setup-libtorch.sh} installed (which follows the same rules).
 *
 * @param folder holds {@code lib/libtorch_cpu.so}
 * @param source what named it, for people
 */
record LibTorch(Path folder, String source) {
  /** The LibTorch that set-up installs, and the oldest that the library runs on. */
  private static final String SET_UP_VERSION = "2.13.0";

  static final String OLDEST_VERSION = "2.10";

  // In the order in which they need each other. Those before libc10 come with some builds only, and
  // those after libtorch_cpu with CUDA builds.
  private static final List<String> LIBRARIES =
      List.of(
          "libgomp*.so*",
          "libopenblas*.so*",
          "libc10.so",
          "libtorch_cpu.so",
          "libcudart*.so*",
          "libc10_cuda.so",
          "libtorch_cuda.so");

  /**
   * Finds the folder.
   *
   * @throws BsqException if there is none; the message says where it was looked for
   */
  static LibTorch find() {
    LibTorch requested = requested();
    if (requested != null) {
      if (!requested.hasLibrary()) {
        throw new BsqException(
            BsqException.Code.UNAVAILABLE,
            "no LibTorch in "
                + requested.folder
                + ", which "
                + requested.source
                + " names: "
                + (Files.isDirectory(requested.folder)
                    ? "it has no lib/libtorch_cpu.so"
                    : "there is no such folder")
                + "; name a LibTorch or a Python torch folder");
      }
      return requested;
    }
    LibTorch installed =
        new LibTorch(
            cacheFolder().resolve("torch-" + SET_UP_VERSION).resolve("libtorch"),
            "the cache folder");
    if (!installed.hasLibrary()) {
      throw new BsqException(
          BsqException.Code.UNAVAILABLE,
          "no LibTorch found: neither the system property libtorch nor the environment variable"
              + " LIBTORCH is set, and "
              + installed.folder
              + " has none; set one of the two to a LibTorch or Python torch folder ("
              + OLDEST_VERSION
              + " or newer), or run scripts/setup-libtorch.sh");
    }
    return installed;
  }

  /** The folder that is asked for, or null. */
  private static LibTorch requested() {
    String property = System.getProperty("libtorch");
    if (property != null && !property.isBlank()) {
      return new LibTorch(Path.of(property).toAbsolutePath(), "-Dlibtorch");
    }
    String variable = System.getenv("LIBTORCH");
    if (variable != null && !variable.isBlank()) {
      return new LibTorch(Path.of(variable).toAbsolutePath(), "LIBTORCH");
    }
    return null;
  }

  /** Where the project keeps what it installs and unpacks; see README.md. */
  static Path cacheFolder() {
    String variable = System.getenv("BSQ4J_CACHE");
    if (variable != null && !variable.isBlank()) {
      return Path.of(variable).toAbsolutePath();
    }
    String home = System.getenv("HOME"); // as the scripts do; user.home can be another folder
    return Path.of(home != null ? home : System.getProperty("user.home"), ".cache", "bsq4j");
  }

  private boolean hasLibrary() {
    return Files.isReadable(folder.resolve("lib").resolve("libtorch_cpu.so"));
  }

  /** The files to load, in this order. */
  List<Path> libraries() throws IOException {
    List<Path> files = new ArrayList<>();
    for (String pattern : LIBRARIES) {
      try (DirectoryStream<Path> matches =
          Files.newDirectoryStream(folder.resolve("lib"), pattern)) {
        matches.forEach(files::add);
      }
    }
    return files;
  }
}
