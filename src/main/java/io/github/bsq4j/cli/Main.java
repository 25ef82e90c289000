package io.github.bsq4j.cli;

import io.github.bsq4j.BsqException;
import io.github.bsq4j.io.Messages;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * The {@code bsq} command. Exit status: 0 done; 1 a check failed, or this machine could not do the
 * work (no LibTorch, no memory); 2 the command line or an input file is wrong.
 */
@Command(
    name = "bsq",
    description = "Binary spherical quantization on native LibTorch.",
    subcommands = {
      EncodeCommand.class,
      DecodeCommand.class,
      ConvertCommand.class,
      StatsCommand.class,
      NearestCommand.class,
      VerifyCommand.class,
      BenchCommand.class,
      InfoCommand.class
    },
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    scope = CommandLine.ScopeType.INHERIT,
    footer = {
      "",
      "JVM options go before the command: bsq -Dlibtorch=DIR -Xmx8g encode ...",
      "Exit status: 0 done; 1 a check failed or the machine could not do the work;",
      "2 the command line or an input file is wrong."
    })
public final class Main implements Runnable {
  static final int FAILED = 1;
  static final int BAD_INPUT = 2;

  @CommandLine.Spec private CommandLine.Model.CommandSpec spec;

  /** Runs the command and ends the JVM with its exit status. */
  public static void main(String[] args) {
    StandardOutput stream = new StandardOutput();
    PrintWriter out = new PrintWriter(new OutputStreamWriter(stream, StandardCharsets.UTF_8), true);
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    int status = run(out, err, args);
    out.flush();
    if (stream.failure != null) {
      status = Math.max(status, FAILED);
      if (!stream.isClosedByReader()) {
        err.println("bsq: standard output cannot be written: " + stream.failure.getMessage());
      }
    }
    System.exit(status);
  }

  /** Runs the command with these streams; returns the exit status. */
  public static int run(PrintWriter out, PrintWriter err, String... args) {
    CommandLine commandLine =
        new CommandLine(new Main())
            .setOut(out)
            .setErr(err)
            .setExpandAtFiles(false) // a file's name may begin with @
            .setExecutionExceptionHandler((e, command, _) -> report(e, command.getErr()));
    EnumNames.register(commandLine);
    try {
      return commandLine.execute(args);
    } catch (OutOfMemoryError e) {
      err.println("bsq: not enough memory: " + e.getMessage());
      return FAILED;
    }
  }

  @Override
  public void run() {
    throw new CommandLine.ParameterException(spec.commandLine(), "Missing subcommand");
  }

  private static int report(Exception e, PrintWriter err) {
    switch (e) {
      case FileSystemException _, InputException _, IllegalArgumentException _ -> {
        err.println("bsq: " + Messages.escape(e.getMessage()));
        return BAD_INPUT;
      }
      case BsqException bsq -> {
        err.println("bsq: " + Messages.escape(e.getMessage()));
        return switch (bsq.code()) {
          case INVALID_ARGUMENT, UNSUPPORTED -> BAD_INPUT;
          case OUT_OF_MEMORY, DEVICE, INTERNAL, UNAVAILABLE -> FAILED;
        };
      }
      default -> {
        err.println("bsq: this is a defect, please report it:");
        e.printStackTrace(err);
        return FAILED;
      }
    }
  }

  /** Remembers what went wrong, which PrintWriter keeps to itself. */
  private static final class StandardOutput extends FilterOutputStream {
    private IOException failure;

    StandardOutput() {
      super(new FileOutputStream(FileDescriptor.out));
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      try {
        out.write(bytes, offset, length);
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }

    /** As {@code head} does when it has seen enough: no failure to be told. */
    boolean isClosedByReader() {
      return "Broken pipe".equals(failure.getMessage());
    }
  }

  /** The version of the jar. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"bsq4j " + (version == null ? "(development)" : version)};
    }
  }
}
