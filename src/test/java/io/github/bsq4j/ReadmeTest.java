package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.cli.Main;
import io.github.bsq4j.io.AtomicOutput;
import io.github.bsq4j.io.NpyFile;
import io.github.bsq4j.io.NpyType;
import io.github.bsq4j.io.NpyWriter;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the documentation shows is what happens. */
class ReadmeTest {
  @Test
  void theExampleProgramPrintsWhatIsShown(@TempDir Path folder) throws Exception {
    List<String> blocks = codeBlocks("README.md");
    int program = firstThatContains(blocks, "float[] points");
    assertTrue(blocks.get(program + 1).contains("--enable-native-access=ALL-UNNAMED -cp "));
    assertEquals(blocks.get(program + 2), run(blocks.get(program), folder));
    assertTrue(blocks.get(program).lines().count() <= 25, "the example has grown long");
  }

  @Test
  void theTensorProgramPrintsWhatIsShown(@TempDir Path folder) throws Exception {
    List<String> blocks = codeBlocks("README.md");
    int program = firstThatContains(blocks, "Tensor.of");
    assertEquals(blocks.get(program + 1), run(blocks.get(program), folder));
  }

  @ParameterizedTest
  @ValueSource(strings = {"bsqVit", "withLengths", "LossSums sums"})
  void theProgramsAboutLossesPrintWhatIsShown(String part, @TempDir Path folder) throws Exception {
    List<String> blocks = codeBlocks("docs/losses.md");
    int program = firstThatContains(blocks, part);
    assertEquals(blocks.get(program + 1), run(blocks.get(program), folder));
  }

  @ParameterizedTest
  @ValueSource(strings = {"Convention.named", "CodeConverter.create"})
  void theProgramsAboutConventionsPrintWhatIsShown(String part, @TempDir Path folder)
      throws Exception {
    List<String> blocks = codeBlocks("docs/conventions.md");
    int program = firstThatContains(blocks, part);
    assertEquals(blocks.get(program + 1), run(blocks.get(program), folder));
  }

  /** And what follows from the files that they wrote. */
  @Test
  void theCommandsAboutConventionsDoWhatIsShown(@TempDir Path folder) throws Exception {
    List<String> blocks = codeBlocks("docs/conventions.md");
    int commands = firstThatContains(blocks, "scripts/bsq");
    StringWriter first = null;
    for (String line : blocks.get(commands).lines().toList()) {
      String[] words = line.replaceFirst("^scripts/bsq ", "").split(" ");
      for (int i = 0; i < words.length; i++) {
        if (words[i].endsWith(".npy") && !words[i].startsWith("examples/")) {
          words[i] = folder.resolve(words[i]).toString();
        }
      }
      StringWriter out = new StringWriter();
      StringWriter err = new StringWriter();
      int status = Main.run(new PrintWriter(out, true), new PrintWriter(err, true), words);
      assertEquals(0, status, line + "\n" + err);
      first = first == null ? out : first;
    }
    assertEquals(withoutWhatVaries(blocks.get(commands + 1)), withoutWhatVaries(first.toString()));
    Path again = folder.resolve("again.npy");
    Main.run(
        new PrintWriter(new StringWriter()),
        new PrintWriter(new StringWriter()),
        "encode",
        "examples/librivox_mfcc13.npy",
        "-o",
        again.toString());
    assertEquals(-1, Files.mismatch(again, folder.resolve("indices.npy")));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"CodebookUsage.create", "HammingSearch.create", "ResidualQuantizer.create"})
  void theProgramsAboutCodesPrintWhatIsShown(String part, @TempDir Path folder) throws Exception {
    List<String> blocks = codeBlocks("docs/codes.md");
    int program = firstThatContains(blocks, part);
    assertEquals(blocks.get(program + 1), run(blocks.get(program), folder));
  }

  @Test
  void theCommandsAboutCodesPrintWhatIsShown(@TempDir Path folder) throws Exception {
    List<String> blocks = codeBlocks("docs/codes.md");
    String example = "examples/librivox_mfcc13.npy";
    String codes = folder.resolve("codes.npy").toString();
    command("encode", example, "-o", codes);
    assertEquals(
        withoutWhatVaries(blocks.get(firstThatContains(blocks, "bsq stats") + 1)),
        withoutWhatVaries(command("stats", codes, "--code-dim", "13")));
    Path packed = folder.resolve("packed.npy");
    command("encode", example, "--packed", "-o", packed.toString());
    Path frame = folder.resolve("frame.npy");
    try (Arena arena = Arena.ofConfined();
        AtomicOutput file = AtomicOutput.open(frame)) {
      MemorySegment all = NpyFile.read(packed, arena).data();
      NpyWriter.write(file, NpyType.UINT8, new long[] {2}, all.asSlice(2000 * 2, 2));
      file.commit();
    }
    assertEquals(
        withoutWhatVaries(blocks.get(firstThatContains(blocks, "bsq nearest") + 1)),
        withoutWhatVaries(command("nearest", frame.toString(), packed.toString(), "--k", "8")));
  }

  private static String command(String... words) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    assertEquals(0, Main.run(new PrintWriter(out, true), new PrintWriter(err, true), words));
    return out.toString();
  }

  private static String run(String program, Path folder) throws Exception {
    Path source = Files.writeString(folder.resolve("Example.java"), program);
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Dlibtorch=" + NativeRuntime.info().libtorch().orElseThrow(),
                "-cp",
                "target/classes",
                source.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  @Test
  void theMainJobPrintsWhatIsShown(@TempDir Path folder) throws Exception {
    String shown = codeBlocks("README.md").get(1);
    StringWriter out = new StringWriter();
    int status =
        Main.run(
            new PrintWriter(out, true),
            new PrintWriter(new StringWriter()),
            "encode",
            "examples/librivox_mfcc13.npy",
            "-o",
            folder.resolve("codes.npy").toString());
    assertEquals(0, status);
    assertEquals(withoutWhatVaries(shown), withoutWhatVaries(out.toString()));
  }

  private static List<String> withoutWhatVaries(String report) {
    return report
        .lines()
        .filter(line -> !line.startsWith("time ") && !line.startsWith("output "))
        .toList();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "README.md",
        "CONTRIBUTING.md",
        "examples/README.md",
        "docs/codes.md",
        "docs/conventions.md",
        "docs/lifetimes.md",
        "docs/losses.md",
        "docs/performance.md"
      })
  void linksAndScriptsExist(String document) throws Exception {
    String text = Files.readString(Path.of(document));
    Path folder = Path.of(document).toAbsolutePath().getParent();
    List<Path> mentioned =
        Pattern.compile("\\]\\(([\\w./-]+)\\)|\\b(scripts/[\\w-]+(?:\\.sh)?)")
            .matcher(text)
            .results()
            .map(
                match ->
                    match.group(1) != null
                        ? folder.resolve(match.group(1)) // as what reads Markdown does
                        : Path.of(match.group(2)))
            .toList();
    assertFalse(mentioned.isEmpty());
    for (Path path : mentioned) {
      assertTrue(Files.exists(path), () -> document + " mentions " + path);
    }
  }

  private static List<String> codeBlocks(String document) throws Exception {
    return Pattern.compile("```\\w*\n(.*?)```", Pattern.DOTALL)
        .matcher(Files.readString(Path.of(document)))
        .results()
        .map((MatchResult match) -> match.group(1))
        .toList();
  }

  private static int firstThatContains(List<String> blocks, String text) {
    for (int i = 0; i < blocks.size(); i++) {
      if (blocks.get(i).contains(text)) {
        return i;
      }
    }
    throw new AssertionError("no code block contains " + text);
  }
}
