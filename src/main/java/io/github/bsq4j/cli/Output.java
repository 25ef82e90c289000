package io.github.bsq4j.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.bsq4j.io.Messages;
import java.io.PrintWriter;
import java.util.Locale;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * The results of a command: text for people on standard output or, with {@code --json}, one JSON
 * object there and the text on standard error. Commands include it as a {@link Mixin}.
 */
final class Output {
  private static final Gson GSON =
      new GsonBuilder().serializeNulls().disableHtmlEscaping().setPrettyPrinting().create();

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--json",
      description = "Print one JSON object on standard output, and text on standard error.")
  private boolean json;

  /** Where text for people goes. */
  PrintWriter text() {
    return json ? command.commandLine().getErr() : command.commandLine().getOut();
  }

  /** A line of text: a label and its value. */
  void line(String label, Object value) {
    text().printf(Locale.ROOT, "%-20s%s%n", label, Messages.escape(value.toString()));
  }

  /** A line about something that went wrong without ending the command. */
  void problem(String message) {
    text().flush(); // on a terminal the two streams are one text
    command.commandLine().getErr().println("bsq: " + Messages.escape(message));
  }

  /** A duration for people. */
  static String milliseconds(double seconds) {
    return String.format(Locale.ROOT, "%.3f ms", seconds * 1e3);
  }

  /** Prints the object, if it was asked for. */
  void json(JsonObject object) {
    if (json) {
      command.commandLine().getOut().println(GSON.toJson(object));
    }
  }

  /** A JSON number, or null where JSON has none. */
  static JsonElement number(double value) {
    return Double.isFinite(value) ? new JsonPrimitive(value) : JsonNull.INSTANCE;
  }
}
