package io.github.bsq4j.bench;

import com.google.gson.JsonObject;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.Device;
import io.github.bsq4j.QuantizerOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * The dense PyTorch module, eager and in float32, in a process of its own that works while it is
 * asked to; see {@code time_dense.py}.
 */
final class DenseReference implements AutoCloseable {
  private static final String SCRIPT = "time_dense.py";
  private static final List<String> SOURCES = List.of(SCRIPT, "dense_bsq.py");
  private static final String FORWARD = "forward";
  private static final String FORWARD_BACKWARD = "forward_backward";
  private static final String PREFIX = "bsq "; // of lines for us
  private static final long CHUNK = 1 << 20;
  private static final long SECONDS_TO_END = 10;

  private final Path python;
  private final Process process;
  private final OutputStream requests;
  private final BufferedReader answers;
  private String lastWords = "it ended without a word";

  private DenseReference(Path python, Process process) {
    this.python = python;
    this.process = process;
    this.requests = process.getOutputStream();
    this.answers = process.inputReader(StandardCharsets.UTF_8);
  }

  /**
   * Starts it on the Python of the LibTorch in use; see {@link #start(Path, QuantizerOptions, long,
   * int, Device, MemorySegment, MemorySegment)}.
   *
   * @throws BsqException with code {@link BsqException.Code#UNAVAILABLE} if there is no Python with
   *     PyTorch, or it does not work
   */
  static DenseReference start(
      QuantizerOptions options,
      long rows,
      int threads,
      Device device,
      MemorySegment x,
      MemorySegment gradQuantized) {
    try {
      Path python =
          PyTorch.findPython()
              .orElseThrow(
                  () ->
                      new BsqException(
                          BsqException.Code.UNAVAILABLE,
                          "no PyTorch beside this LibTorch, to run the reference: set BSQ4J_PYTHON"
                              + " to a Python that has torch"));
      return start(python, options, rows, threads, device, x, gradQuantized);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Starts it with these inputs, which {@code rows} and the options fit. All rows count in the
   * entropies.
   *
   * @param device where it computes; it copies the inputs there
   * @throws BsqException with code {@link BsqException.Code#UNAVAILABLE} if this Python or its
   *     PyTorch does not work
   */
  static DenseReference start(
      Path python,
      QuantizerOptions options,
      long rows,
      int threads,
      Device device,
      MemorySegment x,
      MemorySegment gradQuantized) {
    try {
      Path folder = Files.createTempDirectory("bsq-bench");
      try {
        extract(folder);
        DenseReference reference =
            new DenseReference(python, launch(python, folder, options, rows, threads, device));
        try {
          reference.answer(); // ready: it has read the files
          reference.send(x);
          reference.send(gradQuantized);
          return reference;
        } catch (IOException | RuntimeException e) {
          reference.close();
          throw e;
        }
      } finally {
        delete(folder);
      }
    } catch (IOException e) {
      throw failure(python, e.getMessage());
    }
  }

  private static Process launch(
      Path python, Path folder, QuantizerOptions options, long rows, int threads, Device device)
      throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(
                python.toString(),
                folder.resolve(SCRIPT).toString(),
                arguments(options).toString(),
                Long.toString(rows),
                Double.toString(options.inverseTemperature()),
                Integer.toString(threads),
                device.toString())
            .redirectErrorStream(true);
    builder.environment().put("OMP_NUM_THREADS", Integer.toString(threads));
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    return builder.start();
  }

  /** What the module is made with, in its words, which are those of bsq.h. */
  private static JsonObject arguments(QuantizerOptions options) {
    JsonObject arguments = new JsonObject();
    arguments.addProperty("code_dim", options.codeDim());
    arguments.addProperty("entropy_loss_weight", options.entropyLossWeight());
    arguments.addProperty("diversity_gamma", options.diversityGamma());
    arguments.addProperty("codebooks", options.codebooks());
    arguments.addProperty("group_size", options.groupSize());
    arguments.addProperty("entropy_form", word(options.entropyForm()));
    arguments.addProperty("entropy_floor", word(options.entropyFloor().kind()));
    arguments.addProperty("entropy_epsilon", options.entropyFloor().epsilon());
    arguments.addProperty("sample_entropy_weight", options.sampleEntropyWeight());
    arguments.addProperty(
        "entropy_scale", options.dividedByInverseTemperature() ? "temperature" : "one");
    options.positiveOffset().ifPresent(o -> arguments.addProperty("positive_offset", o));
    arguments.addProperty("commitment", word(options.commitment()));
    arguments.addProperty("commitment_weight", options.commitmentWeight());
    arguments.addProperty("straight_through_scale", options.straightThroughScale());
    arguments.addProperty("channel_first", options.channelFirst());
    return arguments;
  }

  private static String word(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  Work forward() {
    return work(FORWARD);
  }

  Work forwardBackward() {
    return work(FORWARD_BACKWARD);
  }

  private Work work(String name) {
    return repetitions -> Double.parseDouble(ask(name, Integer.toString(repetitions)));
  }

  /** Gives back a GPU's memory, and tells how many rows {@link #forward()} took at a time. */
  long finishForward() {
    return Long.parseLong(ask("finish", FORWARD));
  }

  /** The same after {@link #forwardBackward()}. */
  long finishForwardBackward() {
    return Long.parseLong(ask("finish", FORWARD_BACKWARD));
  }

  private String ask(String request, String argument) {
    try {
      send((request + " " + argument + "\n").getBytes(StandardCharsets.UTF_8));
      return answer();
    } catch (IOException e) {
      throw failure(python, e.getMessage());
    }
  }

  private void send(MemorySegment segment) throws IOException {
    for (long start = 0; start < segment.byteSize(); start += CHUNK) {
      long length = Math.min(CHUNK, segment.byteSize() - start);
      send(segment.asSlice(start, length).toArray(ValueLayout.JAVA_BYTE));
    }
  }

  private void send(byte[] bytes) throws IOException {
    try {
      requests.write(bytes);
      requests.flush();
    } catch (IOException _) {
      answer(); // there is none: it has ended, and its last words say why
    }
  }

  /** The next line for us. What it says before it ends instead is its reason. */
  private String answer() throws IOException {
    for (String line = answers.readLine(); line != null; line = answers.readLine()) {
      if (line.startsWith(PREFIX)) {
        return line.substring(PREFIX.length());
      }
      lastWords = line.isBlank() ? lastWords : line;
    }
    throw failure(python, lastWords);
  }

  private static BsqException failure(Path python, String reason) {
    return new BsqException(
        BsqException.Code.UNAVAILABLE, "the PyTorch reference failed in " + python + ": " + reason);
  }

  private static void extract(Path folder) throws IOException {
    for (String name : SOURCES) {
      try (InputStream source = DenseReference.class.getResourceAsStream(name)) {
        Files.copy(source, folder.resolve(name));
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    for (String name : SOURCES) {
      Files.deleteIfExists(folder.resolve(name));
    }
    Files.delete(folder);
  }

  @Override
  public void close() {
    try {
      requests.close(); // which ends it
    } catch (IOException _) {
      // It has ended by itself.
    }
    try {
      if (!process.waitFor(SECONDS_TO_END, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException _) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
