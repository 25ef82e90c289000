package io.github.bsq4j.cli;

import static java.util.stream.Collectors.joining;

import java.util.Arrays;
import java.util.Locale;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.TypeConversionException;

/**
 * The values of enum options as {@code --help} has them, {@code bsq-vit} for {@code BSQ_VIT}: so
 * they are read, in either case and with _ for -, and so errors list them.
 */
final class EnumNames {
  private EnumNames() {}

  /** Lets all commands that have been added read their enums so. */
  static void register(CommandLine commandLine) {
    for (CommandLine command : commandLine.getSubcommands().values()) {
      for (ArgSpec argument : command.getCommandSpec().args()) {
        for (Class<?> type : argument.auxiliaryTypes()) {
          if (type.isEnum()) {
            register(command, type);
          }
        }
      }
    }
  }

  private static <T> void register(CommandLine command, Class<T> type) {
    command.registerConverter(type, value -> parse(type, value));
  }

  private static <T> T parse(Class<T> type, String value) {
    return Arrays.stream(type.getEnumConstants())
        .filter(constant -> name(constant).equals(onCommandLine(value)))
        .findFirst()
        .orElseThrow(() -> refusal(type, value));
  }

  private static TypeConversionException refusal(Class<?> type, String value) {
    String names =
        Arrays.stream(type.getEnumConstants()).map(EnumNames::name).collect(joining(", "));
    return new TypeConversionException("expected one of " + names + ", but was '" + value + "'");
  }

  private static String name(Object constant) {
    return onCommandLine(((Enum<?>) constant).name());
  }

  private static String onCommandLine(String name) {
    return name.toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
