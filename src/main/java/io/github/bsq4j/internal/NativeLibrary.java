package io.github.bsq4j.internal;

import io.github.bsq4j.BsqException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * Loads LibTorch and libbsq.so into this process, once. The outcome is kept: a failure is told in
 * full, with its cause, to everyone who asks.
 *
 * <p>LibTorch's libraries are loaded first and by their full paths; libbsq.so, which carries no run
 * path, then finds them by name in the process. {@link System#load} rather than {@link
 * SymbolLookup#libraryLookup}, which hides the dynamic linker's error text.
 */
public final class NativeLibrary {
  private static final ValueLayout.OfLong TORCH_VERSION = ValueLayout.JAVA_LONG;

  /**
   * How loading went, for diagnosis.
   *
   * @param libtorch the LibTorch folder, or null where none was found
   * @param libtorchSource what named that folder, or null
   * @param library libbsq.so, or null where loading did not come that far
   * @param failure what went wrong, or null if all is loaded
   */
  public record Outcome(Path libtorch, String libtorchSource, Path library, Throwable failure) {}

  private static final class Holder {
    static final Outcome OUTCOME = loadUninterrupted();
  }

  private NativeLibrary() {}

  /** Loads everything, unless that has been tried before. */
  public static Outcome outcome() {
    return Holder.OUTCOME;
  }

  /**
   * Makes sure that everything is loaded.
   *
   * @throws BsqException if it could not be, with code {@link BsqException.Code#UNAVAILABLE}
   */
  public static void require() {
    Throwable failure = Holder.OUTCOME.failure;
    if (failure != null) {
      throw new BsqException(
          BsqException.Code.UNAVAILABLE,
          "the native library is not available: "
              // Of Java's file exceptions the message is the file's name alone.
              + (failure instanceof IOException ? failure.toString() : failure.getMessage()),
          failure);
    }
  }

  /**
   * The outcome is for the whole process, so an interrupt of the first caller must not decide it.
   */
  private static Outcome loadUninterrupted() {
    boolean interrupted = false;
    Outcome outcome;
    do {
      interrupted |= Thread.interrupted();
      outcome = load();
    } while (outcome.failure instanceof ClosedByInterruptException);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return outcome;
  }

  private static Outcome load() {
    LibTorch libtorch = null;
    Path library = null;
    Throwable failure = null;
    try {
      libtorch = LibTorch.find();
      loadLibTorch(libtorch);
      library = findLibrary();
      new SharedLibrary(library).load();
      checkAbi(library);
      NativeCalls.initialize();
    } catch (IllegalCallerException e) {
      failure =
          new BsqException(
              BsqException.Code.UNAVAILABLE,
              "Java denies native access; start it with --enable-native-access=" + moduleName(),
              e);
    } catch (IOException | RuntimeException | LinkageError e) {
      failure = e;
    }
    return new Outcome(
        libtorch == null ? null : libtorch.folder(),
        libtorch == null ? null : libtorch.source(),
        library,
        failure);
  }

  /** What --enable-native-access takes for these classes. */
  public static String moduleName() {
    Module module = NativeLibrary.class.getModule();
    return module.isNamed() ? module.getName() : "ALL-UNNAMED";
  }

  private static void loadLibTorch(LibTorch libtorch) throws IOException {
    for (Path file : libtorch.libraries()) {
      new SharedLibrary(file).load();
    }
    // Unsuited versions are told here by number; the dynamic linker would name a missing symbol.
    long version =
        SymbolLookup.loaderLookup()
            .find("aoti_torch_abi_version")
            .map(NativeLibrary::callTorchVersion)
            .orElse(0L);
    if (version < packedVersion(LibTorch.OLDEST_VERSION)) {
      throw new BsqException(
          BsqException.Code.UNAVAILABLE,
          "the LibTorch in "
              + libtorch.folder()
              + " is "
              + (version == 0 ? "of an unknown version" : "version " + versionName(version))
              + ", which is too old: bsq4j needs "
              + LibTorch.OLDEST_VERSION
              + " or newer");
    }
  }

  private static long callTorchVersion(MemorySegment function) {
    try {
      return (long)
          Linker.nativeLinker()
              .downcallHandle(function, FunctionDescriptor.of(TORCH_VERSION))
              .invokeExact();
    } catch (Throwable t) {
      throw new AssertionError("a function without arguments cannot fail", t);
    }
  }

  /** "2.13.0" for 0x020D000000000000, as {@code bsq_torch_version} documents. */
  static String versionName(long packed) {
    return (packed >>> 56) + "." + (packed >>> 48 & 0xFF) + "." + (packed >>> 40 & 0xFF);
  }

  private static long packedVersion(String name) {
    int dot = name.indexOf('.');
    return Long.parseLong(name.substring(0, dot)) << 56
        | Long.parseLong(name.substring(dot + 1)) << 48;
  }

  private static void checkAbi(Path library) {
    if (SymbolLookup.loaderLookup().find("bsq_abi_version").isEmpty()) {
      throw new BsqException(
          BsqException.Code.UNAVAILABLE,
          library + " is no libbsq.so: it has no function bsq_abi_version");
    }
    int version = NativeCalls.abiVersion();
    if (version != NativeCalls.headerAbiVersion()) {
      throw new BsqException(
          BsqException.Code.UNAVAILABLE,
          library
              + " has ABI version "
              + version
              + ", but this version of bsq4j needs "
              + NativeCalls.headerAbiVersion()
              + "; use the libbsq.so that belongs to the jar");
    }
  }

  /** The file that -Dbsq4j.library names, or the one that comes with these classes. */
  private static Path findLibrary() throws IOException {
    String requested = System.getProperty("bsq4j.library");
    if (requested != null && !requested.isBlank()) {
      Path file = Path.of(requested).toAbsolutePath();
      if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
        throw new BsqException(
            BsqException.Code.UNAVAILABLE,
            file + ", which -Dbsq4j.library names, is no file that can be read");
      }
      return file;
    }
    String resource = "/META-INF/native/" + platform() + "/libbsq.so";
    URL url = NativeLibrary.class.getResource(resource);
    if (url == null) {
      throw new BsqException(
          BsqException.Code.UNAVAILABLE,
          "these classes come without "
              + resource
              + ": bsq4j was not built for "
              + platform()
              + "; build it there, or name a libbsq.so with -Dbsq4j.library");
    }
    return url.getProtocol().equals("file") ? fileOf(url) : unpack(url);
  }

  /** "linux-x86_64", as {@code uname -m} calls the machine. */
  private static String platform() {
    String architecture = System.getProperty("os.arch");
    return System.getProperty("os.name").toLowerCase(Locale.ROOT)
        + "-"
        + (architecture.equals("amd64") ? "x86_64" : architecture);
  }

  private static Path fileOf(URL url) throws IOException {
    try {
      return Path.of(url.toURI());
    } catch (URISyntaxException e) {
      throw new IOException("no path for " + url, e);
    }
  }

  /**
   * The dynamic linker needs a file: the cache folder gets one, under a name made of the content,
   * so that other versions and processes do not disturb each other.
   */
  private static Path unpack(URL url) throws IOException {
    byte[] content;
    try (InputStream in = url.openStream()) {
      content = in.readAllBytes();
    }
    Path folder = LibTorch.cacheFolder().resolve("native").resolve(sha256(content));
    Path file = folder.resolve("libbsq.so");
    if (!Files.isRegularFile(file)) {
      Files.createDirectories(folder);
      Path partial = Files.createTempFile(folder, "libbsq", ".partial");
      try {
        Files.write(partial, content);
        Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(partial);
      }
    }
    return file;
  }

  private static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
