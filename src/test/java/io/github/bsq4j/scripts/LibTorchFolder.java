package io.github.bsq4j.scripts;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Folders that look to the set-up script as LibTorch does; nothing in them can be loaded. */
final class LibTorchFolder {
  private LibTorchFolder() {}

  /** A LibTorch as PyTorch has them from 2.10 on. */
  static Path complete(Path folder) throws IOException {
    withHeaders(folder);
    String version =
        """
        #pragma once
        #define TORCH_VERSION_MAJOR 2
        #define TORCH_VERSION_MINOR 13
        #define TORCH_VERSION_PATCH 0
        """;
    Path headers = Files.createDirectories(folder.resolve("include/torch/headeronly"));
    Files.writeString(headers.resolve("version.h"), version);
    return folder;
  }

  /** One that has everything but a version. */
  static Path withHeaders(Path folder) throws IOException {
    withLibrary(folder);
    Path stable = Files.createDirectories(folder.resolve("include/torch/csrc/stable/c"));
    Files.createFile(stable.resolve("shim.h"));
    return folder;
  }

  /** One that has the library alone. */
  static Path withLibrary(Path folder) throws IOException {
    Files.createDirectories(folder.resolve("lib"));
    Files.createFile(folder.resolve("lib/libtorch_cpu.so"));
    return folder;
  }
}
