package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.Tensor;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * docs/lifetimes.md and docs/devices.md: their code is compiled and run, and the mistakes of the
 * first give what it says.
 */
class LifetimesPageTest {
  private static final Path PAGE = Path.of("docs/lifetimes.md");
  private static final Path DEVICES_PAGE = Path.of("docs/devices.md");
  private static final String ON_ANOTHER_THREAD = "on another thread: ";
  private static final String DURING_A_CALL = "while another thread is in `forward`";

  private static final Pattern CODE_BLOCK = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Pattern MISTAKE =
      Pattern.compile("^\\| (.*?) \\| `(\\w+)` ?(\\w*) \\| `(.+?)` \\|$", Pattern.MULTILINE);
  private static final Pattern THROWS = Pattern.compile("// BsqException (\\w+): (.*)");
  private static final Pattern CODE = Pattern.compile("`([^`]+)`");

  @TempDir private Path folder;

  /** A row of the table. */
  record Mistake(String text, String exception, String code, String message) {
    @Override
    public String toString() {
      return text;
    }

    /** The first piece of code in it. */
    String statements() {
      return CODE.matcher(text).results().findFirst().orElseThrow().group(1);
    }
  }

  static List<Mistake> mistakes() throws IOException {
    String page = Files.readString(PAGE);
    String section = page.substring(page.indexOf("## Mistakes"));
    List<Mistake> mistakes =
        MISTAKE
            .matcher(section)
            .results()
            .map(
                (MatchResult row) ->
                    new Mistake(row.group(1), row.group(2), row.group(3), row.group(4)))
            .toList();
    long rows = section.lines().filter(line -> line.startsWith("|")).count();
    assertEquals(rows - 2, mistakes.size(), "a row that this test does not understand");
    return mistakes;
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void aMistakeGivesWhatThePageSays(Mistake mistake) throws Exception {
    Throwable thrown =
        mistake.text.contains(DURING_A_CALL)
            ? CloseDuringCallTest.refusedClose()
            : assertThrows(Throwable.class, () -> make(mistake));
    assertEquals(mistake.exception, thrown.getClass().getSimpleName(), thrown::toString);
    assertTrue(thrown.getMessage().contains(mistake.message), thrown::toString);
    if (thrown instanceof BsqException e) {
      assertEquals(mistake.code, e.code().toString());
    }
  }

  private void make(Mistake mistake) throws Throwable {
    Method method =
        compile(
            "Arena arena, Arena other, BinarySphericalQuantizer quantizer, float[] batch,"
                + " Tensor x, Quantization result",
            mistake.statements());
    Arena arena = Arena.ofConfined();
    Arena other = Arena.ofConfined();
    try {
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(13);
      float[] batch = new float[32 * 13];
      Tensor x = Tensor.of(arena, batch, 32, 13);
      Quantization result = quantizer.forward(arena, x);
      Object[] arguments = {arena, other, quantizer, batch, x, result};
      if (mistake.text.startsWith(ON_ANOTHER_THREAD)) {
        onAnotherThread(() -> call(method, arguments));
      } else {
        call(method, arguments);
      }
    } finally {
      closeIfOpen(arena);
      closeIfOpen(other);
    }
  }

  private static void closeIfOpen(Arena arena) {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  private static Void onAnotherThread(Callable<Void> work) throws Throwable {
    try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
      return thread.submit(work).get();
    } catch (ExecutionException e) {
      throw e.getCause();
    }
  }

  static List<String> blocks() throws IOException {
    return blocks(PAGE);
  }

  private static List<String> blocks(Path page) throws IOException {
    return CODE_BLOCK
        .matcher(Files.readString(page))
        .results()
        .map((MatchResult block) -> block.group(1))
        .toList();
  }

  /** All blocks follow the first, and throw what a comment says, or nothing. */
  @ParameterizedTest
  @MethodSource("blocks")
  void theCodeRuns(String block) throws Throwable {
    String beginning = blocks().getFirst();
    Method method = compile("", block.equals(beginning) ? block : beginning + block);
    Matcher announced = THROWS.matcher(block);
    if (announced.find()) {
      BsqException e = assertThrows(BsqException.class, () -> call(method));
      assertEquals(announced.group(1), e.code().toString());
      assertEquals(announced.group(2), e.getMessage());
    } else {
      call(method);
    }
  }

  /** Each block goes on where the last has ended. What needs a GPU is compiled anyway. */
  @Test
  void theCodeAboutDevicesRuns() throws Exception {
    call(compile("", String.join("\n", blocks(DEVICES_PAGE))));
  }

  @Test
  void aPageIsAPage() throws Exception {
    for (Path page : List.of(PAGE, DEVICES_PAGE)) {
      assertTrue(Files.readString(page).lines().count() < 120, page + " has grown long");
    }
  }

  /** The statements as a method, which is in a class of its own. */
  private Method compile(String parameters, String statements) throws Exception {
    Path source =
        Files.writeString(
            folder.resolve("Snippet.java"),
            """
            import io.github.bsq4j.*;
            import java.lang.foreign.*;
            import java.util.*;
            import java.util.concurrent.*;

            public class Snippet {
              public static void run(%s) throws Exception {
            %s
              }
            }
            """
                .formatted(parameters, statements));
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter problems = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      List<String> options =
          List.of("-d", folder.toString(), "-cp", System.getProperty("java.class.path"));
      boolean compiled =
          compiler
              .getTask(problems, files, null, options, null, files.getJavaFileObjects(source))
              .call();
      assertTrue(compiled, problems::toString);
    }
    URL[] path = {folder.toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(path)) {
      Class<?> snippet = loader.loadClass("Snippet");
      return Stream.of(snippet.getMethods())
          .filter(method -> method.getName().equals("run"))
          .findFirst()
          .orElseThrow();
    }
  }

  private static Void call(Method method, Object... arguments) throws Exception {
    try {
      method.invoke(null, arguments);
      return null;
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      throw e;
    }
  }
}
