/** Binary spherical quantization on native LibTorch. */
module io.github.bsq4j {
  // Only the command line uses these two; a program that uses the library needs neither.
  requires static com.google.gson;
  requires static info.picocli;

  exports io.github.bsq4j;
}
