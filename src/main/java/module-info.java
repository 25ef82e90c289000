/** Binary spherical quantization on native LibTorch. */
module io.github.bsq4j {
  // Only the command line and its files use these two; a program that uses the library needs
  // neither.
  requires static com.google.gson;
  requires static info.picocli;

  exports io.github.bsq4j;

  opens io.github.bsq4j.cli to
      info.picocli;
}
