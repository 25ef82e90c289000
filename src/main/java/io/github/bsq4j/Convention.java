package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * How components become bits, and bits codes: what systems differ in that use binary codes. The
 * losses are the same with all conventions. See {@code docs/conventions.md}.
 *
 * @param bitOrder which bit is the first
 * @param tie the bit of a component that is 0
 * @param codeScale the values of quantized components
 * @param byteForm the form of packed bytes
 */
public record Convention(BitOrder bitOrder, TieRule tie, CodeScale codeScale, ByteForm byteForm) {
  /** SpeechBrain's {@code BinarySphericalQuantizer}, and FocalCodec, which uses it: the default. */
  public static final Convention SPEECHBRAIN =
      new Convention(BitOrder.MOST_SIGNIFICANT_FIRST, TieRule.ZERO, CodeScale.UNIT, ByteForm.PLAIN);

  /**
   * BSQ-ViT with {@code post_q_l2_norm=True}, and lucidrains' LFQ with {@code spherical=True}: as
   * SpeechBrain. (BSQ-ViT adds indices up in floating point, so that its own are wrong above 24
   * bits; these are exact.)
   */
  public static final Convention BSQ_VIT = SPEECHBRAIN;

  /** SEED-Voken's and Open-MAGVIT2's LFQ: the first bit is the least significant, codes are ±1. */
  public static final Convention SEED_VOKEN =
      new Convention(BitOrder.LEAST_SIGNIFICANT_FIRST, TieRule.ZERO, CodeScale.ONE, ByteForm.PLAIN);

  /**
   * Kronos' tokenizer: the first bit is the least significant. (It takes bits by {@code >= 0} of
   * codes of ±1/√D that {@code > 0} has made, so that a 0 gives a 0.)
   */
  public static final Convention KRONOS =
      new Convention(
          BitOrder.LEAST_SIGNIFICANT_FIRST, TieRule.ZERO, CodeScale.UNIT, ByteForm.PLAIN);

  /** {@code numpy.packbits(x > 0)}, and sentence-transformers' {@code ubinary}. */
  public static final Convention UBINARY =
      new Convention(BitOrder.MOST_SIGNIFICANT_FIRST, TieRule.ZERO, CodeScale.ONE, ByteForm.PLAIN);

  /** sentence-transformers' {@code binary}: {@code ubinary} less 128, as signed bytes. */
  public static final Convention BINARY =
      new Convention(BitOrder.MOST_SIGNIFICANT_FIRST, TieRule.ZERO, CodeScale.ONE, ByteForm.OFFSET);

  /** faiss' {@code fvecs2bitvecs}, which its binary indexes take. */
  public static final Convention FAISS =
      new Convention(BitOrder.LEAST_SIGNIFICANT_FIRST, TieRule.ONE, CodeScale.ONE, ByteForm.PLAIN);

  private static final Map<String, Convention> PRESETS = presets();

  private static Map<String, Convention> presets() {
    Map<String, Convention> presets = new LinkedHashMap<>();
    presets.put("speechbrain", SPEECHBRAIN);
    presets.put("focalcodec", SPEECHBRAIN);
    presets.put("bsq-vit", BSQ_VIT);
    presets.put("seed-voken", SEED_VOKEN);
    presets.put("kronos", KRONOS);
    presets.put("ubinary", UBINARY);
    presets.put("numpy", UBINARY);
    presets.put("binary", BINARY);
    presets.put("faiss", FAISS);
    return Collections.unmodifiableMap(presets);
  }

  public Convention {
    requireNonNull(bitOrder, "bitOrder");
    requireNonNull(tie, "tie");
    requireNonNull(codeScale, "codeScale");
    requireNonNull(byteForm, "byteForm");
  }

  /**
   * A preset by its name, as the command line has it: "speechbrain", "focalcodec" (the same),
   * "bsq-vit", "seed-voken", "kronos", "ubinary", "numpy" (the same), "binary" or "faiss".
   *
   * @throws IllegalArgumentException if there is none of this name; the message lists them
   */
  public static Convention named(String name) {
    Convention preset = PRESETS.get(requireNonNull(name, "name"));
    if (preset == null) {
      throw new IllegalArgumentException(
          "no convention is named \"%s\"; there are %s"
              .formatted(name, String.join(", ", PRESETS.keySet())));
    }
    return preset;
  }

  /** The names of the presets. */
  public static Set<String> names() {
    return PRESETS.keySet();
  }

  /** These conventions with another order of the bits. */
  public Convention withBitOrder(BitOrder value) {
    return new Convention(value, tie, codeScale, byteForm);
  }

  /** These conventions with another tie rule. */
  public Convention withTie(TieRule value) {
    return new Convention(bitOrder, value, codeScale, byteForm);
  }

  /** These conventions with other values of quantized components. */
  public Convention withCodeScale(CodeScale value) {
    return new Convention(bitOrder, tie, value, byteForm);
  }

  /** These conventions with another form of packed bytes. */
  public Convention withByteForm(ByteForm value) {
    return new Convention(bitOrder, tie, codeScale, value);
  }
}
